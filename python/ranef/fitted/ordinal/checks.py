"""What checks of residuals ask of a cumulative link model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from ..._typing import Array
from ...families.shaped import mean_of
from ...inference.residuals.source import Transform, by_draws
from ...models.glmm.estimate import PartsEstimate

__all__ = ["conditional", "marginal"]

#: Draws behind the probabilities of a category.
DRAWS = 250


def conditional(link: str, estimate: PartsEstimate, y: Array, n_categories: int) -> Transform:
    """Transform categories by their cumulative probabilities given the random effects."""
    location, high, low, log_scale = estimate.eta.T[:4]
    scale = np.exp(log_scale)
    upper = np.where(y >= n_categories - 1, 1.0, mean_of(link, (high - location) / scale))
    lower = np.where(y <= 0, 0.0, mean_of(link, (low - location) / scale))
    middle = scipy.special.ndtri(np.clip(0.5 * (lower + upper), 1e-12, 1.0 - 1e-12))
    return Transform(lower, np.maximum(upper, lower), middle, location)


def marginal(simulate: Callable[[int], Array], y: Array) -> Transform:
    """Transform categories by draws, new random effects included."""
    draws = simulate(DRAWS)
    return by_draws(y, draws, draws.mean(axis=1), np.maximum(draws.var(axis=1), 1e-12))
