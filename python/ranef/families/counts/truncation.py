"""Counts given that they are not zero."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params

__all__ = ["draw_above", "mean_above", "variance_above"]

#: Most rounds of draws in search of counts above zero.
MOST_DRAWS = 10_000


def mean_above(mu: Array, zero: Array) -> Array:
    """Return the mean of counts above zero, from that of all and the probability of a zero."""
    return mu / (1.0 - zero)


def variance_above(mu: Array, variance: Array, zero: Array) -> Array:
    """Return the variance of counts above zero, from mean and variance of all."""
    return (variance + mu**2) / (1.0 - zero) - mean_above(mu, zero) ** 2


def draw_above(rng: np.random.Generator, mu: Array, params: Params, whole: Family) -> Array:
    """Draw counts of a family until they are above zero."""
    out = whole.draw(rng, mu, params)
    for _ in range(MOST_DRAWS):
        again = out == 0.0
        if not again.any():
            return out
        out = np.where(again, whole.draw(rng, mu, params), out)
    return np.where(out == 0.0, 1.0, out)  # a mean so small that a count above one is as rare
