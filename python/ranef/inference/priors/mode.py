"""Fit with priors: the maximum of the penalised likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy

from ... import _core
from ..._counted import counted
from ..._typing import Array
from ...design.design import Design
from ...errors import FitError, ModelError
from ...models import lmm
from ...models.lmm import Control, LmmEstimate
from ...models.states import of_size, packed, rescaled, smallest, unpacked
from ..optimum.em import lower_factor
from ..optimum.optimizers import INFEASIBLE, estimate_at
from ..optimum.optimum import Optimum, judge
from .fixed import prior_kernel, resolve
from .parts import prior_parts
from .penalized import Part, Penalized, rising_root
from .priors import PriorLike, Wishart

__all__ = [
    "at_mode",
    "examine_penalized",
    "fit_penalized",
    "kernel_with_prior",
    "penalized_at",
]


#: Relative standard deviations at which the search starts at least.
INSIDE = 0.3
#: Relative standard deviation above which a fit without priors is no place to start from.
LARGEST = 1e3


def kernel_with_prior(design: Design, core: _core.Lmm, prior: PriorLike, sigma: float) -> _core.Lmm:
    """Return the kernel of a model: its rows, and those that its prior is worth."""
    normal = prior_parts(prior, design).fixed
    if normal is None:
        return core
    return prior_kernel(design, core, resolve(normal, design, core.kept), sigma)


def fit_penalized(
    design: Design, core: _core.Lmm, prior: PriorLike, *, reml: bool, control: Control
) -> LmmEstimate:
    """Maximise the (restricted) likelihood times the priors.

    Parameters
    ----------
    design, core
        The model.
    prior : PriorLike
        Densities: of the covariance matrices relative to sigma^2, of the fixed effects, and of the
        residual standard deviation.
    reml : bool
        Which likelihood. The restricted one integrates the fixed effects against their prior, or a
        flat one; the other is maximised over them.
    control : Control
        ``max_steps`` and ``start``.

    Returns
    -------
    LmmEstimate
        At the mode; its objective is -2 log-likelihood there, without the penalty.

    References
    ----------
    Chung, Rabe-Hesketh, Dorie, Gelman and Liu (2013), Psychometrika 78, 685-709.
    """
    parts = prior_parts(prior, design)
    core = kernel_with_prior(design, core, prior, parts.sigma or 1.0)
    space = Penalized(design, core, prior, reml=reml, held=parts.sigma)
    _check_maximum(design, space.parts, reml=reml)
    if not space.parts and parts.profiles_sigma:
        # What is left is a likelihood: that of the rows, and of those that the prior is worth.
        found = lmm.fit(design, space.core, reml=reml, control=control)
        return _examined(space, at_mode(space, found))
    start = _inside(space, control)
    if parts.needs_sigma and parts.sigma is None:
        space, search = _over_sigma(space, start, control)
    else:
        search = _minimum(space, start, control)
    blocks = [
        block if term.is_structured else lower_factor(block)
        for term, block in zip(design.random, space.unpack(np.asarray(search.x)), strict=True)
    ]
    estimate = at_mode(space, estimate_at(design, space.core, blocks, reml=reml))
    counted = replace(
        estimate,
        n_objective=int(search.nfev),
        n_gradient=int(search.njev),
        path=np.empty((0, 3)),
    )
    return _examined(space, counted)


def _examined(space: Penalized, estimate: LmmEstimate) -> LmmEstimate:
    """Settle by exact derivatives whether an estimate is a mode."""
    held = penalized_at(space.design, space.core, estimate, space.prior)
    optimum = examine_penalized(held, estimate)
    return replace(
        estimate,
        is_singular=_is_singular(held, estimate) if held.known else estimate.is_singular,
        converged=optimum.holds,
        status="converged" if optimum.holds else "stalled",
        decrement=optimum.decrement,
        cone=optimum.cone,
    )


def _is_singular(space: Penalized, estimate: LmmEstimate) -> bool:
    """Return whether a covariance is singular, those that are known left aside."""
    structures = space.design.structures
    states = unpacked(space.every, of_size(space.every, structures, 1.0), space.design.random)
    for t, state in enumerate(estimate.lambda_standard):
        if t not in space.known:
            states[t] = state
    factors = [
        np.eye(term.n_cols) if term.is_structured else state
        for term, state in zip(space.design.random, states, strict=True)
    ]
    return smallest(space.every, packed(space.every, states), structures, factors) < lmm.SINGULAR


def at_mode(space: Penalized, estimate: LmmEstimate) -> LmmEstimate:
    """Give an estimate the sigma and log-likelihood that it has with its priors."""
    moved = replace(estimate, sigma=space.sigma(estimate.pwrss))
    whole = space.value_and_gradient(space.pack(estimate.lambda_standard))[0]
    return replace(moved, objective=whole - space.whole_penalty(moved))


def _inside(space: Penalized, control: Control) -> Array:
    """Return a start at which every density is finite."""
    design = space.design
    start: Sequence[Array] = control.start
    if not start:
        found = space.core.fit(space.reml)
        start = tuple(found.lambda_standard)
        if space.held is not None and any(term.is_structured for term in design.random):
            ratio = found.sigma / space.held
            start = tuple(
                rescaled(term, state, ratio)
                for term, state in zip(design.random, start, strict=True)
            )
            return _raised(space, start)
    if max(float(np.abs(block).max()) for block in start) > LARGEST:
        whole = of_size(space.every, design.structures, 1.0)
        start = unpacked(space.every, whole, design.random)
    return _raised(space, start)


def _raised(space: Penalized, blocks: Sequence[Array]) -> Array:
    """Move factors off the boundary, where a slope of zero says nothing."""
    return space.pack(
        [
            block
            if term.is_structured
            else lower_factor(np.hstack([block, INSIDE * np.eye(len(block))]))
            for term, block in zip(space.design.random, blocks, strict=True)
        ]
    )


def _minimum(space: Penalized, start: Array, control: Control) -> Any:
    """Search by a trust region; return scipy's result."""
    if not len(start):  # all standard deviations are known
        return SimpleNamespace(x=start, nfev=1, njev=1)
    try:
        found = scipy.optimize.minimize(
            space.value_and_gradient,
            start,
            method="trust-exact",
            jac=True,
            hess=space.hessian,
            options={
                "gtol": 1e-9 * space.design.n_obs,
                "maxiter": control.max_steps,
                "initial_trust_radius": 0.25,
                "max_trust_radius": 5.0,
            },
        )
    except np.linalg.LinAlgError:
        raise FitError(
            "the prior's density cannot be computed, because the covariance is nearly singular on "
            "the scale of the formula's columns; centre predictors within the range of the data, "
            "and divide them by their spread"
        ) from None
    if found.fun >= INFEASIBLE:
        raise FitError("the penalised objective is not finite at its start; is the prior proper?")
    return found


def _over_sigma(space: Penalized, start: Array, control: Control) -> tuple[Penalized, Any]:
    """Search by the covariances with sigma held, and by sigma around that."""
    best = [start]

    def slope(log_sigma: float) -> float:
        there = space.at_sigma(float(np.exp(log_sigma)))
        best[0] = np.asarray(_minimum(there, _raised(there, there.unpack(best[0])), control).x)
        return there.slope_by_sigma(best[0])

    flat = space.core.fit(space.reml).sigma
    held = space.at_sigma(float(np.exp(rising_root(slope, float(np.log(flat))))))
    return held, _minimum(held, _raised(held, held.unpack(best[0])), control)


def _check_maximum(design: Design, parts: list[Part], *, reml: bool) -> None:
    """Refuse a prior that outweighs the likelihood where a variance goes to infinity.

    There -2 log-likelihood grows by log|Sigma| for each level, minus one by REML.
    """
    for part in parts:
        term = design.random[part.term]
        grows = term.n_levels - reml
        if isinstance(part.prior, Wishart) and part.prior.lift >= grows:
            raise ModelError(
                f"with {counted(term.n_levels, 'level')} of {term.group} the prior outweighs the "
                "data: the penalised likelihood increases without end with the variance. Use "
                "prior='weak', or a density with a finite scale."
            )


def penalized_at(
    design: Design, core: _core.Lmm, estimate: LmmEstimate, prior: PriorLike
) -> Penalized:
    """Return the objective that an estimate minimises; ``core`` knows the prior."""
    parts = prior_parts(prior, design)
    held = estimate.sigma if parts.needs_sigma else None
    return Penalized(design, core, prior, reml=estimate.reml, held=held)


def examine_penalized(space: Penalized, estimate: LmmEstimate) -> Optimum:
    """Check the conditions of a maximum of the penalised likelihood."""
    theta = space.pack(estimate.lambda_standard)
    if space.has_free_sigma:
        point = np.r_[theta, np.log(estimate.sigma)]
        gradient, hessian = space.joint_gradient(point), space.joint_hessian(point)
    else:
        gradient, hessian = space.value_and_gradient(theta)[1], space.exact_hessian(theta)
    return judge(space.design, space.parameters, estimate, (gradient, hessian, space.score(theta)))
