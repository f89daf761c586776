"""Where the search of a model of several linear predictors begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import _core
from ..._typing import Array
from ...errors import FitError
from ..states import of_size, packed
from .plan import Plan
from .search import trust_step

__all__ = ["approached", "without_random"]

#: Standard errors that a Newton step may go.
FAR = 300.0
#: Predicted decrease at which the model without random effects is close enough to start from, and
#: the same where it is the model.
ROUGH, FINE = 0.5, 1e-2
#: Most Newton steps to the coefficients without random effects.
MOST_STEPS = 100
#: Most rounds of the approach, and the decrease at which the search itself does better.
ROUNDS, WORTH = 5, 1.0
#: Least share of a variance that one round leaves.
LEAST = 1e-2


def without_random(plan: Plan, core: _core.Predictors) -> Array:
    """Maximise the likelihood over the coefficients where no effect varies."""
    theta, beta = of_size(core.parameters, plan.structures, 0.0), plan.start
    value = core.evaluate(theta, beta).value
    if not value < 1e300:  # the moment estimates of shapes are out of range: neutral ones
        beta = np.where(np.arange(len(beta)) < len(plan.inputs[0][1]), beta, 0.0)
        value = core.evaluate(theta, beta).value
    if not value < 1e300:
        raise FitError(
            "the likelihood is not finite at the starting values: with this link no linear "
            "predictor near the data keeps every mean in range. Take another link, or look for "
            "extreme values of the offset and the predictors."
        )
    radius = FAR
    for _ in range(MOST_STEPS):
        step, predicted = newton_step(core, len(theta), radius)
        if predicted < (ROUGH if len(theta) else FINE):
            break
        new = core.evaluate(theta, beta + step).value
        ratio = (value - new) / predicted if new < 1e300 else -1.0
        if ratio > 0.0:
            beta, value = beta + step, new
        else:
            core.evaluate(theta, beta)
        radius = 0.25 * radius if ratio < 0.25 else 2.0 * radius
        if radius < 1e-8:
            break
    return beta


def newton_step(core: _core.Predictors, m: int, radius: float = FAR) -> tuple[Array, float]:
    """Newton's step of the coefficients at the last point, and the decrease that it predicts."""
    gradient = core.gradient()[m:]
    hessian = 2.0 * core.information_beta()
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-8 * len(gradient)))
    step, predicted, _ = trust_step(gradient * scale, hessian * np.outer(scale, scale), radius)
    return step * scale, predicted


def approached(
    plan: Plan, core: _core.Predictors, theta: Array, beta: Array
) -> tuple[Array, Array]:
    """Go down by rounds while they pay: covariances by the EM algorithm, coefficients by Newton.

    Notes
    -----
    With modes u_l and their covariances V_l in units of Lambda, the EM algorithm goes to
    Lambda S Lambda' with S the mean of u_l u_l' + V_l. The derivative of the criterion by Lambda
    is 2 Lambda^-T (I - S) times the number of levels, where W is held, and so has S in it.
    """
    value = core.evaluate(theta, beta).value
    for _ in range(ROUNDS if value < 1e300 else 0):
        step, _ = newton_step(core, len(theta))
        moved = covariances(plan, core, theta), beta + step
        new = core.evaluate(*moved).value
        if new < value:
            theta, beta = moved
        if not new < value - WORTH:
            break
        value = new
    return theta, beta


def covariances(plan: Plan, core: _core.Predictors, theta: Array) -> Array:
    """Covariance parameters after a step of the EM algorithm; those of structures stay."""
    if any(any(known) for known in plan.structures):
        return theta
    factors = core.factors(theta)
    moved = [
        expected_factor(factor, slope, term[1], term[3])
        for factor, slope, term in zip(factors, core.gradient_by_factors(), plan.terms, strict=True)
    ]
    return packed(core.parameters, moved)


def expected_factor(factor: Array, slope: Array, n_levels: int, blocks: Sequence[int]) -> Array:
    """Factor of Lambda S Lambda', S what a derivative by Lambda says of the effects' moments."""
    left = np.eye(len(factor)) - factor.T @ slope / (2.0 * n_levels)
    values, vectors = np.linalg.eigh(0.5 * (left + left.T))
    root = factor @ (vectors * np.maximum(values, LEAST)) @ vectors.T @ factor.T
    same = np.equal.outer(blocks, blocks)
    try:
        return np.asarray(np.linalg.cholesky(np.where(same, root, 0.0)))
    except np.linalg.LinAlgError:
        return factor
