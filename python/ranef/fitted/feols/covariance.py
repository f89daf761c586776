"""Every covariance of the coefficients of least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..._typing import Codes, Positions
from ...design import Design
from ...errors import ModelError, UnsupportedError
from ...inference.sandwich.absorbed import (
    absorbed_count,
    absorbed_leverage,
    check_convention,
    hetero_cov,
    within_scores,
)
from ...inference.sandwich.sandwich import DiagonalScores
from ...models.ols import OlsEstimate
from ..robust import Named, RobustResult, clusters_of, robust_clusters, robust_multiway
from .call import FeolsCall
from .fitted import Fitted

__all__ = ["default_covariance", "robust_covariance"]

TOO_MANY = (
    "degrees of freedom are clusters - 1: too many absorbed levels cut through the clusters for "
    "Satterthwaite's"
)


class LeastSquares(Protocol):
    """What the covariances need of a fit."""

    @property
    def design(self) -> Design:
        """The rows that were used."""

    @property
    def estimate(self) -> Fitted:
        """The fit."""

    @property
    def call(self) -> FeolsCall:
        """The arguments of the fit."""

    @property
    def data(self) -> Any:
        """The caller's frame."""

    @property
    def ols(self) -> OlsEstimate:
        """The fit after absorption."""

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom."""

    @property
    def kept(self) -> Positions:
        """Coefficients that are not aliased."""

    @property
    def whitened(self) -> bool:
        """Whether the working variances of the rows are the inverse of the weights."""

    def named(self) -> Named:
        """Names, estimates and terms."""


def default_covariance(parts: LeastSquares) -> RobustResult:
    """Compute the covariance that the call asked for."""
    kind, cluster = parts.call.vcov, parts.call.cluster
    if kind is None:
        kind = "CR1S" if cluster else "iid"
    check_convention(parts.call.ssc)
    if kind == "iid":
        cov = parts.ols.sigma2 * parts.ols.cov_unscaled
        return RobustResult("iid", parts.named(), cov, df_given=float(parts.df_resid))
    return robust_covariance(parts, kind, cluster or None, parts.call.ssc)


def robust_covariance(parts: LeastSquares, kind: str, cluster: Any, ssc: str) -> RobustResult:
    """Compute a covariance against unequal variances, or against clusters as well."""
    check_convention(ssc)
    if kind.startswith("HC"):
        return hetero(parts, kind)
    cluster = parts.call.cluster if cluster is None else cluster
    if len(cluster) == 0:
        raise ModelError(f'{kind} needs clusters: name them, as in robust("{kind}", cluster="g")')
    clusters = clusters_of(parts.data, parts.design, cluster)
    if len(clusters) > 1:
        return multiway(parts, kind, clusters, ssc)
    name, codes = next(iter(clusters.items()))
    scores = adjusted_scores(parts, codes, ssc, kind)
    small = ssc != "clubSandwich" and kind in ("CR0", "CR1", "CR1S")
    plain = scores is None
    if scores is None:
        scores = plain_scores(parts, codes)
    notes = [TOO_MANY] if plain else []
    df_given = float(scores.n_clusters - 1) if small or plain else None
    count = n_coef(parts, [codes], ssc)
    return robust_clusters(
        kind, parts.named(), scores, name, n_coef=count, df_given=df_given, notes=notes
    )


def n_coef(parts: LeastSquares, clusters: Sequence[Codes], ssc: str) -> int:
    """Coefficients that CR1S counts."""
    within = parts.estimate.within
    charged = absorbed_count(parts.estimate.absorption, within.df_absorbed, clusters, ssc)
    return len(parts.kept) + charged


def adjusted_scores(
    parts: LeastSquares, codes: Codes, ssc: str, kind: str
) -> DiagonalScores | None:
    """Set up scores whose small-sample adjustments hold, None if that is out of reach."""
    if ssc != "clubSandwich" and kind in ("CR0", "CR1", "CR1S"):
        return plain_scores(parts, codes)
    scores = within_scores(
        parts.ols.basis,
        parts.ols.resid,
        codes,
        weights=parts.design.weights,
        absorption=parts.estimate.absorption,
        whiten=parts.whitened,
    )
    if scores is None and kind in ("CR2", "CR3"):
        raise UnsupportedError(
            f"{kind} and the bootstrap are not available when many absorbed levels span several "
            'clusters, because each such level links them; use "CR1"'
        )
    return scores


def plain_scores(parts: LeastSquares, codes: Codes) -> DiagonalScores:
    """Set up scores without adjustments."""
    basis = parts.ols.basis
    return DiagonalScores(
        basis.columns,
        parts.ols.resid,
        parts.design.weights,
        basis.root,
        codes,
        int(codes.max()) + 1,
    )


def hetero(parts: LeastSquares, kind: str) -> RobustResult:
    """Return a heteroscedasticity-robust covariance."""
    absorption, weights = parts.estimate.absorption, parts.design.weights
    leverage = None
    if absorption is not None and kind in ("HC2", "HC3"):
        leverage = absorbed_leverage(absorption, weights)
    cov = hetero_cov(
        parts.ols.basis,
        parts.ols.resid,
        weights,
        kind,
        df_resid=parts.df_resid,
        leverage=leverage,
    )
    return RobustResult(kind, parts.named(), cov, df_given=float(parts.df_resid))


def multiway(parts: LeastSquares, kind: str, clusters: dict[str, Codes], ssc: str) -> RobustResult:
    """Return a covariance robust to clusters of several kinds."""
    basis, w = parts.ols.basis, parts.design.weights
    We = parts.ols.resid if w is None else w * parts.ols.resid
    count = n_coef(parts, list(clusters.values()), ssc)
    rows = np.asfortranarray(basis.columns * We[:, None])
    return robust_multiway(kind, parts.named(), rows, basis.root, clusters, n_coef=count, ssc=ssc)
