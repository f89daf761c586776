"""Robust inference as an answer of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Array, Codes
from ..design import Design
from ..design.aligned import one_a_row
from ..design.grouped import codes_of_column
from ..design.values import drop_unused, read_codes
from ..errors import DataError, UnsupportedError
from ..inference.hypotheses.linear import Approximation, FixedDf
from ..inference.sandwich.absorbed import Counts, multiway_cov
from ..inference.sandwich.mixed import mixed_rows, mixed_scores
from ..inference.sandwich.sandwich import ScoreModel, check_kind, cluster_factor, cluster_meat
from ..inference.sandwich.tests import WaldTest, htz_scale, htz_test, satterthwaite_df
from ..inference.sandwich.wild import WildBootstrap, wild_bootstrap
from ..models.lmm import LmmEstimate
from ..report.regression import contrast_matrix
from ..report.summary import Summary
from .coefficients import Coefficients, LinearTests, WaldIntervals
from .parts import Parts
from .regression_table import RegressionTable
from .wald_tests import WaldTests

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


@dataclass(frozen=True)
class RobustTests:
    """The reference distribution of tests by a robust covariance.

    Attributes
    ----------
    cov : ndarray of shape (r, r)
        Covariance of the kept coefficients.
    kind : str
        The correction of the scores.
    scores : ScoreModel
        What the covariance was made of.
    """

    cov: Array
    kind: str
    scores: ScoreModel

    def padded(self, contrasts: Array) -> Array:
        """Widen contrasts by zeros for indicators that stand behind the coefficients."""
        return np.pad(contrasts, ((0, 0), (0, self.scores.root.shape[0] - contrasts.shape[1])))

    def df(self, L: Array) -> Array:
        """Compute Satterthwaite's degrees of freedom of each row."""
        return satterthwaite_df(self.scores, self.kind, self.padded(L))

    def joint(self, L: Array) -> tuple[float, float]:
        """Scale Wald's F as the approximate Hotelling test HTZ does."""
        return htz_scale(self.scores, self.kind, self.padded(L))


@dataclass(frozen=True, eq=False, repr=False)
class RobustParts(Parts):
    """Coefficients with a robust covariance, in the place of an estimate."""

    estimate: RobustResult

    ddf: ClassVar[tuple[str, ...]] = ("own", "inf")
    no_ddf: ClassVar[str] = "they belong to the robust covariance"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.estimate.model.names

    @property
    def beta(self) -> Array:
        """Estimates, NaN where aliased, shape (p,)."""
        return self.estimate.model.beta

    @property
    def cov(self) -> Array:
        """The robust covariance, shape (n_kept, n_kept)."""
        return self.estimate.cov

    @property
    def terms(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Terms of the formula and the positions of their coefficients."""
        return self.estimate.model.terms

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.estimate.model.formula

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        return FixedDf(self.cov, np.inf) if ddf == "inf" else self.estimate.tests

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        return self.estimate.df_method if self.ddf_name(ddf) == "own" else "normal"

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts jointly: by HTZ where the degrees of freedom are Satterthwaite's."""
        tests = self.estimate.tests
        if not isinstance(tests, RobustTests):
            return Parts.wald(self, contrasts, left)
        r = tests.scores.root.shape[0]
        wide = np.zeros((r, r))
        wide[: len(self.cov), : len(self.cov)] = self.cov
        return htz_test(tests.scores, tests.kind, tests.padded(contrasts), left, wide)

    def brief(self) -> str:
        """Describe in a few words what was computed."""
        clusters = ", ".join(f"{count} {name}" for name, count in self.estimate.n_clusters.items())
        return f"{self.estimate.kind}, {clusters}" if clusters else self.estimate.kind

    @property
    def table_response(self) -> str:
        """Name of the response in a regression table."""
        return self.formula.partition("~")[0].strip()

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        kind, by = self.estimate.kind, "+".join(self.estimate.n_clusters)
        return {"se_type": f"{kind}, by {by}" if by else kind}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        by = "+".join(self.estimate.n_clusters)
        return {"vcov_type": self.estimate.kind, "clustervar": by or None}


@dataclass(frozen=True, repr=False, eq=False)
class RobustResult(Coefficients, LinearTests, WaldTests, WaldIntervals, RegressionTable):
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
        Remarks for the reader.
    """

    kind: str
    model: Named
    cov: Array
    n_clusters: Mapping[str, int] = field(default_factory=dict)
    scores: ScoreModel | None = None
    df_given: float | None = None
    notes: Sequence[str] = ()
    adjustment: str = ""  # of the scores, where ``kind`` is another name for it

    @cached_property
    def parts(self) -> RobustParts:  # type: ignore[override]
        """Coefficients and covariance as the methods read them."""
        return RobustParts(None, self, None)  # type: ignore[arg-type]

    @property
    def tests(self) -> Approximation:
        """The reference distribution of the tests."""
        if self.df_given is None and self.scores is not None:
            return RobustTests(self.cov, self.adjustment or self.kind, self.scores)
        return FixedDf(self.cov, np.inf if self.df_given is None else self.df_given)

    @property
    def df_method(self) -> str:
        """Where the degrees of freedom come from."""
        if self.df_given is None:
            return "Satterthwaite"
        if np.isinf(self.df_given):
            return "infinite, for normal tests"
        return "residual" if not self.n_clusters else "clusters - 1"

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
        Least squares is resampled as it is. For a mixed model and for estimating equations the
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
        kept = ~np.isnan(self.model.beta)
        C = contrast_matrix(term, self.model.names, kept, self.model.terms)
        if len(C) != 1:
            raise ValueError(f"{term!r} has {counted(len(C), 'coefficient')}; name one of them")
        estimate = float(C[0] @ self.model.beta[kept])
        return wild_bootstrap(
            self.scores,
            np.pad(C[0], (0, self.scores.root.shape[0] - C.shape[1])),
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
    if isinstance(cluster, pd.DataFrame):
        cluster = [cluster.iloc[:, j] for j in range(cluster.shape[1])]
    if isinstance(cluster, (list, tuple)) and any(isinstance(c, pd.Series) for c in cluster):
        return _codes_of_several(cluster, design, data)
    if isinstance(cluster, (list, tuple)) and cluster and all(isinstance(c, str) for c in cluster):
        return {name: _codes_by_name(data, design, name) for name in cluster}
    return {"cluster": _codes_of_array(cluster, design, "cluster")}


def _codes_of_several(given: Sequence[Any], design: Design, data: Any) -> dict[str, Codes]:
    """Code several cluster variables, series or names of columns."""
    found: dict[str, Codes] = {}
    for j, one in enumerate(given, 1):
        name = one if isinstance(one, str) else str(getattr(one, "name", None) or f"cluster {j}")
        if name in found:
            raise DataError(f"two cluster variables are called {name!r}; rename one", "cluster")
        found[name] = (
            _codes_by_name(data, design, name)
            if isinstance(one, str)
            else _codes_of_array(one, design, name)
        )
    return found


def _codes_by_name(data: Any, design: Design, name: str) -> Codes:
    """Find one cluster variable."""
    for term in design.random:
        if term.group == name:
            return term.codes
    if data is None:
        raise UnsupportedError(
            f"an unpickled model no longer knows its data; pass the values of {name!r} as an array"
        )
    return codes_of_column(data, name, design)


def _codes_of_array(values: Any, design: Design, name: str) -> Codes:
    """Code an array of clusters, given for the rows of the data or of the fit."""
    series = one_a_row(values, "cluster", design.index, design.n_data, design.rows)
    codes, levels = read_codes(series, name)
    if (codes < 0).any():
        raise DataError(
            f"cluster is missing in {counted(int((codes < 0).sum()), 'row')}", "cluster"
        )
    return np.asarray(drop_unused(codes, levels)[0], np.int32)


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
        Remarks for the reader.

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
    """Return cluster-robust tests of the fixed effects of a linear mixed model.

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
        if not design.bars:
            raise ValueError("the model has no grouping factor; name the clusters by cluster=")
        cluster = min(design.bars, key=lambda term: term.n_levels).group
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
