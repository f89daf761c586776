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
#: Values of one dispersion above which variances are read from a curve.
MANY = 2_000
#: Mean, in units of the dispersion where that is above 1, from which the limit serves.
LARGE = 1_000.0
#: Dispersion below which the variance has dips at whole means, too narrow for a curve.
SHARP = 0.25
#: Rows whose probabilities are added up together.
TOGETHER = 200


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
    mu, phi = np.broadcast_arrays(np.asarray(mu, dtype=np.float64), params["phi"])
    flat, ratio = mu.ravel(), np.asarray(phi, dtype=np.float64).ravel()
    if flat.size <= MANY or np.ptp(ratio) > 0.0 or ratio[0] < SHARP:
        return _summed(flat, ratio).reshape(mu.shape)
    at = _nodes(float(np.nanmin(flat)), float(np.nanmax(flat)))
    curve = scipy.interpolate.CubicSpline(at, _summed(at, np.full(len(at), ratio[0])) / at)
    return np.asarray(flat * curve(np.clip(flat, at[0], at[-1]))).reshape(mu.shape)


def _nodes(low: float, high: float) -> Array:
    """Means between which the ratio of variance and mean is all but a cubic."""
    every = [np.geomspace(1e-9, 1.0, 200), np.arange(1.0, 60.0, 0.08), np.geomspace(60, 1e9, 400)]
    at = np.unique(np.concatenate(every))
    first, last = np.searchsorted(at, [low, high])
    return np.asarray(at[max(first - 2, 0) : last + 2])


def _summed(mu: Array, phi: Array) -> Array:
    """Variances by adding up probabilities, some at a time; of large means by their limit.

    Notes
    -----
    For large means V = phi (mu + (1 - phi) / 2) up to terms of relative size 1 / mu² [1]_.

    References
    ----------
    .. [1] Gaunt, Iyengar, Olde Daalhuis and Simsek (2019), Ann. Inst. Stat. Math. 71, 163-180.
    """
    out = np.asarray(phi * (mu + 0.5 * (1.0 - phi)))
    order = np.argsort(mu)
    order = order[mu[order] < LARGE * np.maximum(1.0, phi[order])]
    for first in range(0, len(order), TOGETHER):
        rows = order[first : first + TOGETHER]
        y, p = of_mean(mu[rows], {"phi": phi[rows]})
        out[rows] = p @ y**2 - (p @ y) ** 2
    return out


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
