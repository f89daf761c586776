"""Every covariance of the coefficients of estimating equations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..._options import check_option
from ..._typing import Codes, Positions
from ...design import Design
from ...errors import ModelError
from ...inference.sandwich.sandwich import DiagonalScores, check_kind
from ...models.gee import GeeEstimate, GeeSpec
from ...models.within import is_nested
from ..robust import Named, RobustResult, clusters_of, robust_clusters, robust_multiway
from .call import GEECall

__all__ = ["VCOV", "check_vcov", "default_covariance", "named_covariance", "robust_covariance"]

#: Names of the covariances and the corrections they stand for.
VCOV = {
    "robust": "CR0",
    "naive": "",
    "jackknife": "CR3",
    "mancl-derouen": "CR3",
    "kauermann-carroll": "CR2",
}


def check_vcov(vcov: str) -> str:
    """Return the covariance of estimating equations that a name is of."""
    return check_option("vcov", vcov, VCOV)


class Equations(Protocol):
    """What the covariances need of a fit."""

    @property
    def design(self) -> Design:
        """The rows that were used."""

    @property
    def estimate(self) -> GeeEstimate:
        """The fit."""

    @property
    def call(self) -> GEECall:
        """The arguments of the fit."""

    @property
    def data(self) -> Any:
        """The caller's frame."""

    @property
    def spec(self) -> GeeSpec:
        """Family, link and working correlation."""

    @property
    def scores(self) -> DiagonalScores:
        """Whitened scores by group."""

    @property
    def n_clusters(self) -> int:
        """Number of groups."""

    @property
    def kept(self) -> Positions:
        """Coefficients that are not aliased."""

    def named(self) -> Named:
        """Names, estimates and terms."""


def default_covariance(parts: Equations) -> RobustResult:
    """Compute the covariance that the call asked for; NaN where coefficients ran away."""
    if parts.estimate.ran_away:
        nothing = np.full((len(parts.kept),) * 2, np.nan)
        return RobustResult(parts.call.vcov, parts.named(), nothing, df_given=np.inf)
    return named_covariance(parts, parts.call.vcov)


def robust_covariance(parts: Equations, kind: str, cluster: Any = None) -> RobustResult:
    """Compute a covariance by its name or correction."""
    if kind in VCOV and cluster is None:
        return named_covariance(parts, kind)
    check_kind(kind)
    must_be_finite(parts)
    if cluster is None:
        return clustered(parts, kind, parts.scores, parts.call.groups, False)
    e = parts.estimate
    found = clusters_of(parts.data, parts.design, cluster)
    found = {name: codes[e.order] for name, codes in found.items()}
    if len(found) > 1:
        return multiway(parts, kind, found)
    name, codes = next(iter(found.items()))
    if not is_nested(e.codes, codes):
        raise ModelError(
            f"levels of the groups {parts.call.groups!r} span several clusters of "
            f"{name!r}; clusters must contain whole groups"
        )
    scores = DiagonalScores(e.columns, e.resid, None, e.root, codes, int(codes.max()) + 1)
    return clustered(parts, kind, scores, name, False)


def must_be_finite(parts: Equations) -> None:
    """Refuse standard errors of coefficients that have no finite estimate."""
    if parts.estimate.ran_away:
        raise ModelError(
            "the coefficients have no finite estimates, so they have no standard errors"
        )


def named_covariance(parts: Equations, vcov: str) -> RobustResult:
    """Return one of the named covariances with its degrees of freedom."""
    check_vcov(vcov)
    must_be_finite(parts)
    if vcov == "naive":
        return RobustResult("naive", parts.named(), parts.estimate.cov_naive, df_given=np.inf)
    kind = VCOV[vcov]
    result = clustered(parts, kind, parts.scores, parts.call.groups, vcov == "robust")
    factor = 1.0
    if vcov == "jackknife":
        G, p = parts.n_clusters, len(parts.kept)
        if p >= G:
            raise ModelError(f"the jackknife needs more groups ({G}) than coefficients ({p})")
        factor = (G - p) / G
    return replace(result, kind=vcov, adjustment=kind, cov=factor * result.cov)


def clustered(
    parts: Equations, kind: str, scores: DiagonalScores, name: str, normal: bool
) -> RobustResult:
    """Return a cluster-robust covariance, tested by normal or Satterthwaite's quantiles."""
    count = len(parts.kept)
    given = np.inf if normal else None
    return robust_clusters(kind, parts.named(), scores, name, n_coef=count, df_given=given)


def multiway(parts: Equations, kind: str, clusters: dict[str, Codes]) -> RobustResult:
    """Return a covariance robust to clusters of several kinds."""
    e = parts.estimate
    cut = [name for name, codes in clusters.items() if not is_nested(e.codes, codes)]
    if cut and parts.spec.corr != "independence":
        raise ModelError(
            f"levels of the groups {parts.call.groups!r} span several clusters of "
            f"{' and '.join(map(repr, cut))}; with clusters that cut groups use "
            'corr="independence"'
        )
    if not any(is_nested(e.codes, codes) for codes in clusters.values()):
        raise ModelError(
            f"no cluster variable contains whole groups of {parts.call.groups!r}, whose rows are "
            f"dependent; add {parts.call.groups!r} to the clusters"
        )
    rows = np.asfortranarray(e.columns * e.resid[:, None])
    count = len(parts.kept)
    return robust_multiway(kind, parts.named(), rows, e.root, clusters, n_coef=count)
