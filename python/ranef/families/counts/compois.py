"""Counts of the Conway-Maxwell-Poisson distribution by its mean."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import COUNTS, RATIO
from .sums import drawn, probabilities

__all__ = ["COMPOIS"]

#: Newton steps to find the rate of a mean.
MOST_STEPS = 100


def of_mean(mu: Array, params: Params) -> tuple[Array, Array]:
    """Return counts and their probabilities, (n, counts), by the rate that has the mean mu."""
    phi = params["phi"]
    mu, nu = np.broadcast_arrays(mu, 1.0 / phi)

    def at(theta: Array) -> tuple[Array, Array]:
        return probabilities(
            lambda y: theta[:, None] * y - nu[:, None] * scipy.special.gammaln(y + 1.0), mu, phi
        )

    shifted = mu + 0.5 * (nu - 1.0) / nu
    start = np.where(shifted > 0.05 * mu, nu * np.log(np.maximum(shifted, 1e-300)), np.log(mu))
    theta = np.asarray(start, dtype=np.float64)
    for _ in range(MOST_STEPS):
        y, p = at(theta)
        mean = p @ y
        gap = np.log(mu / mean)
        if np.abs(gap).max() < 1e-12:
            break
        slope = np.maximum(p @ y**2 - mean**2, 1e-300) / mean
        theta = theta + np.clip(gap / slope, -1.0, 1.0)
    return at(theta)


def unit_variance(mu: Array, params: Params) -> Array:
    """Return the variance of the probabilities."""
    y, p = of_mean(mu, params)
    return np.asarray(p @ y**2 - (p @ y) ** 2)


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts by their probabilities."""
    return drawn(rng, *of_mean(mu, params))


COMPOIS = Family(
    name="compois",
    core="compois",
    estimators=("glmer",),
    part_links=(LOG,),
    support=COUNTS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(RATIO,),
    takes_zero=True,
    aliases=("cmp", "compoisson", "com_poisson", "conway_maxwell_poisson"),
)
