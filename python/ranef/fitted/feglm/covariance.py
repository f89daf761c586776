"""Every covariance of the coefficients of generalised linear models with absorbed factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, Protocol

import numpy as np

from ..._typing import Codes, Positions
from ...design import Design
from ...errors import UnsupportedError
from ...families import lookup
from ...inference.sandwich.absorbed import check_convention
from ...inference.sandwich.likelihood import Pieces, adjusted_cov
from ...inference.sandwich.sandwich import check_kind
from ...models.ols import OlsEstimate
from ...models.within import is_nested
from ..feols.covariance import robust_covariance
from ..robust import Named, RobustResult, clusters_of
from .call import FeglmCall
from .fitted import AbsorbedFit, ConditionalFit, GlmFit

__all__ = ["default_covariance", "robust_of"]


class Fit(Protocol):
    """What the covariances need of a fit."""

    @property
    def design(self) -> Design:
        """The rows that were used."""

    @property
    def estimate(self) -> GlmFit:
        """The fit."""

    @property
    def call(self) -> FeglmCall:
        """The arguments of the fit."""

    @property
    def data(self) -> Any:
        """The caller's frame."""

    @property
    def df_resid(self) -> int:
        """Rows minus parameters."""

    @property
    def kept(self) -> Positions:
        """Coefficients that are not aliased."""

    def named(self) -> Named:
        """Names, estimates and terms."""


@dataclass(frozen=True)
class Working:
    """The last weighted least squares of a fit, as the covariances of least squares read it."""

    design: Design
    estimate: Any
    call: Any
    data: Any
    ols: OlsEstimate
    df_resid: int
    kept: Positions
    model: Named
    whitened: bool = True  # a mean with a variance of its own has the inverse of its weight

    def named(self) -> Named:
        """Names, estimates and terms."""
        return self.model


def default_covariance(parts: Fit) -> RobustResult:
    """Compute the covariance that the call asked for."""
    kind, cluster = parts.call.vcov, parts.call.cluster
    check_convention(parts.call.ssc)
    if kind is None:
        kind = "CR1S" if cluster else "iid"
    if kind == "iid":
        return RobustResult("iid", parts.named(), parts.estimate.cov, df_given=np.inf)
    return robust_of(parts.estimate, parts, kind, cluster or None, parts.call.ssc)


@singledispatch
def robust_of(estimate: Any, parts: Fit, kind: str, cluster: Any, ssc: str) -> RobustResult:
    """Compute a covariance against clusters, or against unequal variances alone."""
    raise TypeError(type(estimate).__name__)


@robust_of.register
def _(estimate: AbsorbedFit, parts: Fit, kind: str, cluster: Any, ssc: str) -> RobustResult:
    # Scores are columns times working weights times working residuals: least squares in all.
    found = robust_covariance(working(estimate, parts), kind, cluster, ssc)
    return replace(found, df_given=np.inf) if kind.startswith("HC") else found


def working(estimate: AbsorbedFit, parts: Fit) -> Working:
    """Lay out the last weighted least squares, each row as often as it was counted."""
    ols, variance = estimate.within.ols, estimate.glm.weights
    design, absorption = parts.design, estimate.absorption
    counts = frequencies(parts)
    if counts is not None:
        rows = np.repeat(np.arange(design.n_obs), counts)
        design, variance = design.take(rows), (variance / counts)[rows]
        basis = replace(ols.basis, columns=np.asfortranarray(ols.basis.columns[rows]))
        ols = replace(ols, basis=basis, resid=ols.resid[rows], fitted=ols.fitted[rows])
        if absorption is not None:
            absorption = replace(absorption, codes=np.asfortranarray(absorption.codes[rows]))
        within = replace(estimate.within, ols=ols)
        glm = replace(estimate.glm, within=within)
        estimate = replace(estimate, glm=glm, absorption=absorption)
    design = replace(design, weights=variance)
    own = (parts.call, parts.data, ols, parts.df_resid, parts.kept, parts.named())
    return Working(design, estimate, *own)


def frequencies(parts: Fit) -> Positions | None:
    """Return how often each row was counted, where weights are such numbers."""
    weights = parts.design.weights
    if weights is None or lookup(parts.call.family).has_trials or np.any(weights % 1.0):
        return None
    return weights.astype(np.intp)


@robust_of.register
def _(estimate: ConditionalFit, parts: Fit, kind: str, cluster: Any, ssc: str) -> RobustResult:
    check_convention(ssc)
    if kind.startswith("HC"):
        raise UnsupportedError(
            f"{kind} takes rows as independent, and given the sum of their group rows are not; "
            f'use robust("CR1", cluster={estimate.absorption.names[0]!r})'
        )
    check_kind(kind)
    group, codes = estimate.absorption.names[0], estimate.absorption.codes[:, 0]
    chosen = parts.call.cluster or group if cluster is None else cluster
    name, outer = the_only(clusters_of(parts.data, parts.design, chosen))
    if not is_nested(codes, outer):
        raise UnsupportedError(
            f"the clusters {name!r} cut through the levels of {group!r}, whose rows are dependent "
            "given their sum; clusters must contain whole levels"
        )
    whole = np.empty(int(codes.max()) + 1, dtype=np.intp)
    whole[codes] = outer
    pieces = summed(estimate, whole)
    cov, notes = adjusted_cov(pieces, kind, np.eye(len(parts.kept)), parts.design.n_obs)
    df = len(pieces.scores) - 1.0
    lost = estimate.found.separated
    cov[lost], cov[:, lost] = np.nan, np.nan
    return RobustResult(
        kind, parts.named(), cov, {name: len(pieces.scores)}, df_given=df, notes=notes
    )


def summed(estimate: ConditionalFit, clusters: Positions) -> Pieces:
    """Add the groups' scores and information up by the cluster of each group."""
    point, count = estimate.found.point, int(clusters.max()) + 1
    scores = np.zeros((count, point.scores.shape[1]))
    information = np.zeros((count, *point.information.shape[1:]))
    np.add.at(scores, clusters, point.scores)
    np.add.at(information, clusters, point.information)
    return Pieces(scores, information, estimate.found.cov)


def the_only(clusters: Mapping[str, Codes]) -> tuple[str, Codes]:
    """Return the one cluster variable there is."""
    if len(clusters) > 1:
        raise UnsupportedError(
            "a conditional likelihood takes clusters of one kind, not "
            f"{' and '.join(clusters)}; name the wider of them"
        )
    return next(iter(clusters.items()))
