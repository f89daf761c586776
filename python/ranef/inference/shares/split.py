"""What explains the differences within groups, what those between; and shares of the response."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import LmmEstimate
from ..prediction.predict import fixed_part, random_variance

__all__ = ["response_shares", "within_between"]

#: Points of the rule that takes means over random effects.
POINTS = 41


def within_between(
    design: Design, estimate: LmmEstimate | GlmmEstimate, residual: float
) -> dict[str, float] | None:
    """Return shares within and between the levels of the only grouping factor; None if several.

    Parameters
    ----------
    design : Design
        The design of the fit.
    estimate : LmmEstimate | GlmmEstimate
        The fit.
    residual : float
        Variance of the residuals on the scale of the linear predictor.

    Notes
    -----
    The variance of X beta and that of the random effects are each split into what varies between
    the means of levels and what varies within levels.

    References
    ----------
    .. [1] Rights and Sterba (2019), Psychol. Methods 24, 309-338.
    """
    if len(design.random) != 1:
        return None
    if not design.random[0].is_plain or design.random[0].smooth is not None:
        return None
    term, cov = design.random[0], estimate.sigmas[0]
    linear = fixed_part(design, estimate)
    counts = np.bincount(term.codes, minlength=term.n_levels)
    seen = np.maximum(counts, 1).astype(float)
    middle = (np.bincount(term.codes, linear, term.n_levels) / seen)[term.codes]
    n = design.n_obs
    between = float(np.sum((middle - linear.mean()) ** 2) / (n - 1))
    within = float(np.sum((linear - middle) ** 2) / (n - 1))
    z = design.z(term)
    sums = np.column_stack([np.bincount(term.codes, column, term.n_levels) for column in z.T])
    means = np.asarray(sums / seen[:, None])[term.codes]
    level = float(np.einsum("ni,ij,nj->n", means, cov, means).mean())
    slopes = float(np.einsum("ni,ij,nj->n", z - means, cov, z - means).mean())
    inside = within + slopes + residual
    return {
        "within, fixed": within / inside if inside > 0.0 else np.nan,
        "within, fixed and slopes": (within + slopes) / inside if inside > 0.0 else np.nan,
        "between, fixed": between / (between + level) if between + level > 0.0 else np.nan,
    }


def response_shares(design: Design, estimate: GlmmEstimate, trials: Array) -> tuple[float, float]:
    """Return marginal and conditional shares of the variance of the responses themselves.

    Notes
    -----
    By the law of total variance, over rows and then over new random effects of each: the variance
    of E[y | x], the mean of Var(E[y | x, b]), and the mean of Var(y | x, b), by Gauss-Hermite
    quadrature over the linear predictor's random part.
    """
    spec = estimate.spec
    nodes, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    weights = weights / weights.sum()
    eta, sd = fixed_part(design, estimate), np.sqrt(random_variance(design, estimate.sigmas))
    params = estimate.params(trials)
    mean, square, own = (np.zeros(design.n_obs) for _ in range(3))
    for node, weight in zip(nodes, weights, strict=True):
        mu = spec.transform.mean(eta + sd * node)
        mean += weight * mu
        square += weight * mu**2
        own += weight * spec.distribution.variance(mu, params)
    fixed = float(np.var(mean, ddof=1))
    random, residual = float((square - mean**2).mean()), float(own.mean())
    total = fixed + random + residual
    return fixed / total, (fixed + random) / total
