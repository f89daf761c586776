"""Robust inference as an answer of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._typing import Array, Codes
from ..design import Design
from ..design.grouped import codes_of_column
from ..errors import DataError, UnsupportedError
from ..inference.sandwich.absorbed import Counts, multiway_cov
from ..inference.sandwich.mixed import mixed_rows, mixed_scores
from ..inference.sandwich.sandwich import ScoreModel, check_kind, cluster_factor, cluster_meat
from ..inference.sandwich.tests import htz_test, satterthwaite_df, wald_f
from ..inference.sandwich.wild import WildBootstrap, wild_bootstrap
from ..models.lmm import LmmEstimate
from ..report.regression import CoefficientTests, contrast_matrix
from ..report.summary import Summary

__all__ = [
    "Named",
    "RobustResult",
    "clusters_of",
    "robust_clusters",
    "robust_mixed",
    "robust_multiway",
]


@dataclass(frozen=True)
class Named:
    """What a result must know about the model: its names, estimates and terms."""

    names: tuple[str, ...]
    beta: Array
    terms: Sequence[tuple[str, tuple[int, ...]]]
    formula: str


@dataclass(frozen=True, repr=False, eq=False)
class RobustResult(CoefficientTests):
    """Coefficients with a robust covariance.

    Attributes
    ----------
    kind : str
        The correction: HC0 to HC3, CR0, CR1, CR1S, CR2 or CR3, or a name that `gee` gives one.
    n_clusters : mapping of str to int
        Cluster variables and their numbers of clusters; empty without clusters.
    df_method : str
        Where the degrees of freedom come from.
    notes : sequence of str
        What the reader must know.
    """

    kind: str
    model: Named
    cov: Array
    n_clusters: Mapping[str, int] = field(default_factory=dict)
    scores: ScoreModel | None = None
    df_given: float | None = None
    notes: Sequence[str] = ()
    adjustment: str = ""  # of the scores, where ``kind`` is another name for it

    @property
    def _names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.model.names

    @property
    def _beta(self) -> Array:  # type: ignore[override]
        return self.model.beta

    @property
    def _cov(self) -> Array:  # type: ignore[override]
        return self.cov

    @property
    def df_method(self) -> str:
        """Where the degrees of freedom come from."""
        if self.df_given is None:
            return "Satterthwaite"
        if np.isinf(self.df_given):
            return "infinite, for normal tests"
        return "residual" if not self.n_clusters else "clusters - 1"

    def _table_response(self) -> str:
        return self.model.formula.partition("~")[0].strip()

    def _table_rows(self) -> dict[str, Any]:
        by = "+".join(self.n_clusters)
        return {"se_type": f"{self.kind}, by {by}" if by else self.kind}

    def _table_covariance(self) -> dict[str, Any]:
        return {"vcov_type": self.kind, "clustervar": "+".join(self.n_clusters) or None}

    def _df(self) -> ArrayLike:
        return self._degrees

    @cached_property
    def _degrees(self) -> ArrayLike:
        if self.df_given is not None or self.scores is None:
            return np.inf if self.df_given is None else self.df_given
        contrasts = self._padded(np.eye(len(self.cov)))
        return satterthwaite_df(self.scores, self.adjustment or self.kind, contrasts)

    def _padded(self, contrasts: Array) -> Array:
        """Widen contrasts by zeros for indicators that stand behind the coefficients."""
        assert self.scores is not None
        return np.pad(contrasts, ((0, 0), (0, self.scores.root.shape[0] - contrasts.shape[1])))

    def wald_test(
        self, what: str | Sequence[str] | ArrayLike, value: ArrayLike = 0.0
    ) -> pd.DataFrame:
        """Test coefficients jointly.

        Parameters
        ----------
        what : str, sequence of str or array_like of shape (q, p)
            Coefficients or terms that are zero under the hypothesis, or a matrix of contrasts.
        value : float or array_like of shape (q,)
            Their values under the hypothesis.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. With Satterthwaite's degrees of freedom the test is
            the approximate Hotelling test HTZ, otherwise F on those of the t tests.
        """
        C = contrast_matrix(what, self._names, self._kept(), self.model.terms)
        left = C @ self._beta[self._kept()] - np.asarray(value, float)
        if self.df_given is None and self.scores is not None:
            r = self.scores.root.shape[0]
            wide = np.zeros((r, r))
            wide[: len(self.cov), : len(self.cov)] = self.cov
            kind = self.adjustment or self.kind
            test = htz_test(self.scores, kind, self._padded(C), left, wide)
        else:
            test = wald_f(C, left, self.cov, np.inf if self.df_given is None else self.df_given)
        return pd.DataFrame(test.columns())

    def wild_bootstrap(
        self,
        term: str,
        *,
        null: float = 0.0,
        draws: int = 9999,
        weights: str = "webb",
        level: float = 0.95,
        seed: int | None = None,
    ) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap with the hypothesis imposed.

        Parameters
        ----------
        term : str
            The coefficient.
        null : float
            Value under the hypothesis.
        draws : int
            Number of draws.
        weights : {"webb", "rademacher"}
            Webb's six points, or random signs, all of whose patterns are used when they are few.
        level : float
            Coverage of the interval, found by inverting the test.
        seed : int, optional
            Seed of the draws.

        Returns
        -------
        WildBootstrap

        Notes
        -----
        Least squares is redrawn as it is. For a mixed model and for estimating equations the
        covariance of the rows is held at its estimate; equations with a link other than the
        identity are taken as linear at the estimate, which makes it a score bootstrap [2]_.

        References
        ----------
        .. [1] Cameron, Gelbach and Miller (2008), Rev. Econ. Stat. 90, 414-427.
        .. [2] Kline and Santos (2012), J. Econometric Methods 1, 23-41.
        """
        if self.scores is None:
            raise UnsupportedError(
                f"the bootstrap redraws clusters of one kind, and this covariance ({self.kind}) "
                'has none; use robust("CR2", cluster="g")'
            )
        C = contrast_matrix(term, self._names, self._kept(), self.model.terms)
        if len(C) != 1:
            raise ValueError(f"{term!r} has {len(C)} coefficients; name one of them")
        estimate = float(C[0] @ self._beta[self._kept()])
        return wild_bootstrap(
            self.scores,
            self._padded(C)[0],
            estimate,
            null=null,
            draws=draws,
            weights=weights,
            level=level,
            seed=seed,
        )

    def summary(self) -> Summary:
        """Summarise the tests; prints as text, shows as HTML in a notebook."""
        clusters = ", ".join(f"{name} ({count})" for name, count in self.n_clusters.items())
        facts = [("Formula", self.model.formula), ("Covariance", self.kind)]
        facts += [("Clusters", clusters)] if clusters else []
        facts += [("Degrees of freedom", self.df_method)]
        return Summary("Robust tests", facts, None, self.coef_table(), self.notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def clusters_of(data: Any, design: Design, cluster: Any) -> dict[str, Codes]:
    """Find cluster variables by name among grouping factors, columns of the data, or as arrays.

    Parameters
    ----------
    data : frame or None
        The caller's data.
    design : Design
        The design of the fit.
    cluster : str, sequence of str or array_like of shape (n,)
        Columns, or one code for each row of the data or of the fit.

    Returns
    -------
    dict of str to ndarray of shape (n,), int32
    """
    if isinstance(cluster, str):
        cluster = [cluster]
    if isinstance(cluster, (list, tuple)) and cluster and all(isinstance(c, str) for c in cluster):
        return {name: _codes_by_name(data, design, name) for name in cluster}
    return {"cluster": _codes_of_array(cluster, design)}


def _codes_by_name(data: Any, design: Design, name: str) -> Codes:
    """Find one cluster variable."""
    for term in design.random:
        if term.group == name:
            return term.codes
    if data is None:
        raise UnsupportedError(
            f"a model that was pickled has no data; give the values of {name!r} as an array"
        )
    return codes_of_column(data, name, design)


def _codes_of_array(values: Any, design: Design) -> Codes:
    """Code an array of clusters, given for the rows of the data or of the fit."""
    array = pd.Series(np.asarray(values)) if not isinstance(values, pd.Series) else values
    if design.rows is not None and len(array) == design.n_data:
        array = array.iloc[design.rows]
    if len(array) != design.n_obs:
        raise DataError(
            f"cluster has {len(array)} values for {design.n_data} rows of data", "cluster"
        )
    codes = pd.factorize(array, sort=True)[0]
    if (codes < 0).any():
        raise DataError(f"cluster is missing in {int((codes < 0).sum())} rows", "cluster")
    return np.asarray(codes, np.int32)


def robust_clusters(
    kind: str,
    model: Named,
    scores: ScoreModel,
    cluster: str,
    *,
    n_coef: int,
    df_given: float | None = None,
    notes: Sequence[str] = (),
) -> RobustResult:
    """Assemble the result for clusters of one kind.

    Parameters
    ----------
    kind : str
        The correction.
    model : Named
        The fitted model.
    scores : ScoreModel
        Its scores by cluster.
    cluster : str
        Name of the cluster variable.
    n_coef : int
        Coefficients that CR1S counts.
    df_given : float, optional
        Degrees of freedom; by default Satterthwaite's.
    notes : sequence of str
        What the reader must know.

    Returns
    -------
    RobustResult
    """
    r = int(np.sum(~np.isnan(model.beta)))
    meat = cluster_meat(scores, kind)
    cov = (scores.root @ meat @ scores.root.T)[:r, :r]
    cov = cov * cluster_factor(kind, scores.n_obs, scores.n_clusters, n_coef)
    return RobustResult(
        kind, model, cov, {cluster: scores.n_clusters}, scores, df_given, tuple(notes)
    )


def robust_multiway(
    kind: str,
    model: Named,
    rows: Array,
    root: Array,
    clusters: Mapping[str, Codes],
    *,
    n_coef: int,
    ssc: str = "clubSandwich",
) -> RobustResult:
    """Assemble the result for clusters of several kinds.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR1S"}
        The correction.
    model : Named
        The fitted model.
    rows, root : ndarray of shape (n, r), (r, r)
        What each row adds to the estimating equations, and the map to the coefficients.
    clusters : mapping of str to ndarray of shape (n,), int32
        Cluster variables.
    n_coef : int
        Coefficients that CR1S counts.
    ssc : str
        Small-sample convention.

    Returns
    -------
    RobustResult
    """
    counts = Counts(len(rows), n_coef, ssc)
    cov, clipped = multiway_cov(rows, root, list(clusters.values()), kind, counts)
    sizes = {name: int(codes.max()) + 1 for name, codes in clusters.items()}
    notes = ("negative eigenvalues of the multiway covariance were set to zero",) if clipped else ()
    return RobustResult(
        kind, model, cov, sizes, df_given=float(min(sizes.values()) - 1), notes=notes
    )


def robust_mixed(
    kind: str, cluster: Any, design: Design, estimate: LmmEstimate, data: Any, formula: str
) -> RobustResult:
    """Give cluster-robust tests of the fixed effects of a linear mixed model.

    Parameters
    ----------
    kind : str
        CR0, CR1, CR1S, CR2 or CR3.
    cluster : str, sequence of str, array_like or None
        The clusters, of several kinds if there are several names; None for the grouping factor
        that all others are nested in.
    design : Design
        The design of the fit.
    estimate : LmmEstimate
        The fit.
    data : frame
        The caller's data.
    formula : str
        The formula, for the summary.

    Returns
    -------
    RobustResult
    """
    if cluster is None:
        cluster = min(design.random, key=lambda term: term.n_levels).group
    check_kind(kind)
    found = clusters_of(data, design, cluster)
    model = Named(design.fixed_names, estimate.beta, design.fixed_terms, formula)
    if len(found) > 1:
        rows, root = mixed_rows(design, estimate.beta, estimate.lambda_, found)
        return robust_multiway(kind, model, rows, root, found, n_coef=len(estimate.kept))
    name, codes = next(iter(found.items()))
    relative = [block @ block.T for block in estimate.lambda_]
    scores = mixed_scores(design, estimate.beta, relative, codes, name)
    return robust_clusters(kind, model, scores, name, n_coef=len(estimate.kept))
