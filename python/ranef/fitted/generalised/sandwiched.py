"""Cluster-robust tests and the influence of groups: methods of every generalised model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._options import check_option
from ...errors import ModelError, RanefError, UnsupportedError
from ...inference.influence import Deletion
from ...inference.sandwich.likelihood import ADJUSTMENTS, one_step, robust_cov
from ...parallel.progress import tracked
from ...report.influence import Influence, Whole, influence_tables
from ..mixed.deleted import deleted_rows
from ..parts import Base
from ..robust import Named, RobustResult, clusters_of
from .likelihood import by_likelihood
from .parts import GeneralisedParts
from .refits import on_rows

__all__ = ["Sandwiched"]


class Sandwiched(Base):
    """What single clusters do to the estimates."""

    parts: GeneralisedParts

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Return tests of the coefficients with a cluster-robust covariance.

        Parameters
        ----------
        kind : {"CR2", "CR3", "CR0", "CR1", "CR1S"}
            The small-sample correction.
        cluster : str or array_like, optional
            Clusters, in which every grouping factor is nested; by default the grouping factor with
            fewest levels.

        Returns
        -------
        RobustResult
            ``coef_table()``, ``conf_int()``, ``test``; degrees of freedom are clusters - 1.

        Notes
        -----
        The sandwich is that of maximum likelihood over all parameters, those of the covariances
        and of the dispersion included [1]_: scores of clusters are exact derivatives of the
        approximated likelihood, and H_g is the observed information of a cluster. With R R = H^-1,
        CR2 multiplies R s_g by (I - R H_g R)^(-1/2) and CR3 by its inverse, which is the step of
        Newton's method to the fit without the cluster [2]_ [3]_; CR1 multiplies CR0 by G / (G - 1).

        References
        ----------
        .. [1] White (1982), Econometrica 50, 1-25.
        .. [2] Kauermann and Carroll (2001), J. Am. Stat. Assoc. 96, 1387-1396.
        .. [3] Bell and McCaffrey (2002), Survey Methodology 28, 169-181.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.robust().n_clusters
        {'herd': 15}
        """
        adjustment = check_option("kind", kind, ADJUSTMENTS)
        parts = self.parts
        by_likelihood(parts, "a cluster-robust covariance")
        if cluster is None:
            if not parts.design.random:
                raise ValueError('the model has no groups; pass cluster="column"')
            fewest = min(parts.design.random, key=lambda term: term.n_levels)
            cluster = fewest.group.rpartition(":")[2] if ":" in fewest.group else fewest.group
            found = {cluster: fewest.codes}
        else:
            found = clusters_of(parts.data, parts.design, cluster)
        if len(found) > 1:
            raise UnsupportedError(
                "clusters of several kinds are not available for a generalised mixed model; pass "
                "the one in which all groups are nested, or use ranef.gee"
            )
        (name, given), standing = next(iter(found.items())), parts.standing()
        codes: NDArray[np.intp] = given.astype(np.intp)
        if not standing.nested_in(codes):
            raise ModelError(
                f"levels of a grouping factor occur in several clusters of {name!r}, so that "
                "clusters are not independent; pass clusters in which all groups are nested"
            )
        count = int(codes.max()) + 1
        if count < 2:
            raise ModelError(f"{name!r} has one cluster; a robust covariance needs several")
        rows = parts.location_rows()
        whole, notes = robust_cov(standing, codes, count, adjustment, rows, parts.nobs)
        known = Named(parts.names, parts.beta, parts.terms, parts.formula)
        return RobustResult(
            adjustment, known, whole, {name: count}, df_given=float(count - 1), notes=notes
        )

    def influence(
        self, groups: str | None = None, *, refit: bool = False, progress: bool = True
    ) -> Influence:
        """Measure how far the coefficients move when each group of rows is left out.

        Parameters
        ----------
        groups : str, optional
            A grouping factor of the model or a column of its data; the first grouping factor by
            default, and "rows" for single rows.
        refit : bool
            Whether to fit again without each group, instead of taking one step of Newton's method
            from the fit with it.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Influence
            ``table`` (Cook's distance, leverage, covratio), ``dfbeta``, ``dfbetas``, ``params``,
            ``top()``, ``plot()``. A group without which nothing can be fitted has NaN.

        Notes
        -----
        A step moves all parameters, those of the covariances included, with the exact score and
        the observed information of the other rows [1]_. Leverage is the trace of H^-1 H_g, a
        group's share of the information; it adds up to the number of parameters.

        References
        ----------
        .. [1] Pregibon (1981), Ann. Stat. 9, 705-724.
        """
        parts = self.parts
        by_likelihood(parts, "influence")
        label, codes, levels = deleted_rows(parts, groups)
        count = len(levels)
        rows, standing = parts.location_rows(), parts.standing()
        moved, spread, leverage = one_step(standing, codes, count)
        if refit:
            deletion = refitted(parts, codes, count, progress=progress)
        else:
            beta = parts.beta[parts.kept]
            deletion = Deletion(
                beta - moved @ rows.T, np.einsum("ij,gjk,lk->gil", rows, spread, rows)
            )
        facts = (label, parts.sizes(codes, count), leverage)
        kept = pd.Index(parts.names)[parts.kept]
        return influence_tables(
            Whole(parts.beta, np.asarray(parts.kept), parts.cov),
            kept,
            deletion,
            levels,
            facts,
            refitted=refit,
        )


def refitted(parts: GeneralisedParts, codes: Any, count: int, *, progress: bool) -> Deletion:
    """Fit without each group; NaN where the rest cannot be fitted."""
    names = np.array(parts.names)[parts.kept]
    p = len(names)
    beta, spread = np.full((count, p), np.nan), np.full((count, p, p), np.nan)
    for g in tracked(range(count), count, "fits", shown=progress):
        try:
            rest = on_rows(parts, np.flatnonzero(codes != g))
        except (RanefError, np.linalg.LinAlgError):
            continue
        if list(np.array(rest.names)[rest.kept]) == list(names):
            beta[g], spread[g] = rest.beta[rest.kept], rest.cov
    return Deletion(beta, spread)
