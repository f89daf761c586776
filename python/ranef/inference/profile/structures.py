"""Standard errors and intervals of the parameters of covariance structures, from the curvature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...design.structures.structure import Structure
from ...models.glmm.estimate import GlmmEstimate
from ...models.glmm.model import criterion_at
from ...models.lmm import SINGULAR, LmmEstimate
from ...models.states import block_parameters
from ..structures import scaled_natural
from .charts import chart
from .descent import Surface, curvature
from .generalised import GeneralisedSurface
from .linear import LinearSurface
from .targets import Target

__all__ = ["generalised_covariance", "linear_covariance", "natural_intervals"]

#: Step of differences of natural parameters by those of the search.
STEP = 1e-5
#: An eigenvalue of the curvature below this share of the largest tells nothing.
FLAT = 1e-10


def linear_covariance(design: Design, core: _core.Lmm, estimate: LmmEstimate) -> list[Array]:
    """Covariance of the state of each term, (m, m), empty where it has no structure.

    Standard deviations are in units of sigma at the estimate; sigma is estimated with them.
    """
    at = chart(design, core, Target("", "residual"), estimate.sigma)
    surface = LinearSurface(core, at, design, estimate.sigma, estimate.reml)
    x = np.append(at.coordinates(list(estimate.lambda_standard)), surface.optimum)
    return _of_terms(design, _inverse(surface, x), at.elements)


def generalised_covariance(design: Design, estimate: GlmmEstimate) -> list[Array]:
    """Covariance of the state of each term; coefficients and dispersion are estimated with them."""
    criterion, optimum = criterion_at(design, estimate)
    at = chart(design, criterion.core, Target("", "residual"), 1.0)
    p = len(estimate.kept)
    surface = GeneralisedSurface(criterion, at, np.eye(p), criterion.m + p)
    own = at.coordinates(list(estimate.lambda_standard))
    x = np.concatenate([own, optimum[criterion.m :]])
    return _of_terms(design, _inverse(surface, x), at.elements)


def _inverse(surface: Surface, x: Array) -> Array:
    """Invert half the curvature of the deviance; NaN where it is not at a minimum."""
    H = 0.5 * curvature(surface, x)
    if not np.isfinite(H).all():
        return np.full_like(H, np.nan)
    values = np.linalg.eigvalsh(H)
    if not values[0] > FLAT * values[-1]:
        return np.full_like(H, np.nan)
    return np.asarray(np.linalg.inv(H))


def _of_terms(design: Design, cov: Array, elements: list[tuple[int, int, int]]) -> list[Array]:
    out = []
    for t, term in enumerate(design.random):
        at = [a for a, (own, _, _) in enumerate(elements) if own == t]
        out.append(cov[np.ix_(at, at)] if term.is_structured else np.zeros((0, 0)))
    return out


def natural_intervals(
    design: Design,
    states: tuple[Array, ...],
    cov: list[Array] | None,
    basis: Callable[[int], Array],
    unit: float,
    z: float,
) -> list[Array]:
    """Estimate, standard error and limits of each natural parameter, (m, 4) for each structure.

    Parameters
    ----------
    design, states
        The model, and the parameters of the search.
    cov : list of ndarray, or None
        Their covariance; None leaves errors out.
    basis : callable
        Standardised columns of a term to those as written.
    unit : float
        What standard deviations are relative to.
    z : float
        Quantile of the limits.

    Notes
    -----
    By the delta method. Limits are symmetric for logarithms of standard deviations, rates, ranges
    and smoothness, and for Fisher's z of a correlation, taken between its limits.
    """
    out = []
    for t, (term, state) in enumerate(zip(design.random, states, strict=True)):
        if not term.is_structured:
            continue
        at = len(state) - sum(0 if s is None else s.n_parameters for s in term.structures)
        for block, structure, psi in zip(
            term.blocks, term.block_structures, block_parameters(term, state), strict=True
        ):
            if structure is None or psi is None:
                continue
            scale = np.ascontiguousarray(np.diag(basis(t))[list(block)])
            own = slice(at, at + len(psi))
            at += len(psi)
            inside = cov is not None and structure.core.margin(psi) >= SINGULAR
            of = (
                cov[t][own, own] if cov is not None and inside else np.full((len(psi),) * 2, np.nan)
            )
            out.append(_limits(structure, psi, of, scale, unit, z))
    return out


def _limits(
    structure: Structure, psi: Array, cov: Array, scale: Array, unit: float, z: float
) -> Array:
    def natural(at: Array) -> Array:
        return scaled_natural(structure, at, scale, unit)

    value = natural(psi)
    J = np.column_stack(
        [
            (natural(psi + step) - natural(psi - step)) / (2.0 * STEP)
            for step in STEP * np.eye(len(psi))
        ]
    )
    with np.errstate(all="ignore"):
        se = np.sqrt(np.einsum("ij,jk,ik->i", J, cov, J))
        lower, upper = np.empty((2, len(psi)))
        for i, label in enumerate(structure.labels):
            if label.startswith("corr"):
                low = -1.0 / (len(structure.names) - 1) if structure.kind == "cs" else -1.0
                share = (value[i] - low) / (1.0 - low)
                middle, half = np.log(share / (1.0 - share)), z * se[i] / (share * (1.0 - share))
                half /= 1.0 - low
                ends = 1.0 / (1.0 + np.exp(-(middle + np.array([-half, half]))))
                lower[i], upper[i] = low + (1.0 - low) * ends
            else:
                lower[i], upper[i] = value[i] * np.exp(np.array([-z, z]) * se[i] / value[i])
    return np.column_stack([value, se, lower, upper])
