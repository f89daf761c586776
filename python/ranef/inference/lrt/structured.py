"""How models with structured residuals relate to each other and to mixed models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array, Codes
from ...design.design import Design
from ...models.gls.model import GlsEstimate
from ...models.lmm import LmmEstimate
from .fixed import FixedSpace, coding_shift, contains, fixed_space
from .lrt import Relation
from .random import CovarianceBlock, covariance_blocks, zero_directions

__all__ = ["StructuredParts", "relate_structured", "structured_parts"]


#: The correlations that each holds as special cases, on the same groups and times.
HOLDS = {
    "independence": (),
    "exchangeable": ("independence",),
    "ar1": ("independence",),
    "car1": ("independence",),
    "toeplitz": ("independence", "exchangeable", "ar1", "car1"),
    "unstructured": ("independence", "exchangeable", "ar1", "car1", "toeplitz"),
}
#: Relative size below which a column lies in the span of others.
TOLERANCE = 1e-7


@dataclass(frozen=True)
class StructuredParts:
    """The parts of a model: means, random effects, correlation and variances of residuals.

    Attributes
    ----------
    fixed : FixedSpace
        The means.
    random : list of CovarianceBlock
        The random effects.
    design : Design
        The design.
    corr : str
        The residual correlation.
    cluster, time : ndarray of shape (n,) or None
        What it rests on.
    D : ndarray of shape (n, d)
        Columns of the log residual standard deviation.
    """

    fixed: FixedSpace
    random: list[CovarianceBlock]
    design: Design
    corr: str
    cluster: Codes | None
    time: Array | None
    D: Array


def structured_parts(
    design: Design,
    estimate: LmmEstimate | GlsEstimate,
    corr: str = "independence",
    cluster: Codes | None = None,
    time: Array | None = None,
    D: Array | None = None,
) -> StructuredParts:
    """Prepare a model for comparison; a mixed model has independent, equal residuals."""
    return StructuredParts(
        fixed_space(design, estimate.kept),
        covariance_blocks(design) if design.random else [],
        design,
        corr,
        cluster,
        time,
        np.empty((design.n_obs, 0)) if D is None else D,
    )


def relate_structured(small: StructuredParts, large: StructuredParts) -> Relation:
    """Compare the parts of two models on the same rows.

    Covariances are nested where random effects, correlations and variances are, each by itself.
    """
    fixed_in, fixed_out = contains(large.fixed, small.fixed), contains(small.fixed, large.fixed)
    zeros, back = _covariance_zeros(small, large), _covariance_zeros(large, small)
    same_fixed = fixed_in and fixed_out
    return Relation(
        same_fixed=same_fixed,
        same_random=zeros is not None and back is not None,
        nested=fixed_in and zeros is not None,
        zeros=zeros or 0,
        shift=coding_shift(small.fixed, large.fixed) if same_fixed else 0.0,
    )


def _covariance_zeros(small: StructuredParts, large: StructuredParts) -> int | None:
    """Parameters of the larger covariance at the end of their range; None when not nested."""
    if not (_same_kind(small, large) and _spans(large.D, small.D)):
        return None
    zeros = _random_zeros(small, large)
    if zeros is None:
        return None
    # phi of continuous time is above zero, so that independence is the end of its range.
    return zeros + int(large.corr == "car1" and small.corr == "independence")


def _random_zeros(small: StructuredParts, large: StructuredParts) -> int | None:
    """Variances of random effects that are zero in the smaller model; None when not nested."""
    if not small.random:
        return sum(block.size for block in large.random)
    if not large.random:
        return None
    return zero_directions(small.random, large.random, large.design.weights)


def _same_kind(small: StructuredParts, large: StructuredParts) -> bool:
    """Whether the larger residual correlation includes the smaller one."""
    if small.corr == "independence":
        return True
    if small.corr != large.corr and small.corr not in HOLDS[large.corr]:
        return False
    if small.cluster is None or large.cluster is None:
        return False
    if not np.array_equal(small.cluster, large.cluster):
        return False
    if small.corr == "exchangeable":
        return True
    if small.time is None or large.time is None:
        return small.time is large.time
    return np.array_equal(small.time, large.time)


def _spans(large: Array, small: Array) -> bool:
    """Whether columns, beside the constant, lie in the span of others."""
    if not small.shape[1]:
        return True
    constant = np.ones((len(small), 1))
    base = np.hstack([constant, large])
    base = base / np.linalg.norm(base, axis=0)
    left = small - base @ np.linalg.lstsq(base, small, rcond=None)[0]
    size = np.linalg.norm(small, axis=0)
    return bool(np.all(np.linalg.norm(left, axis=0) <= TOLERANCE * size))
