"""Dispersions of many fits, moved towards a trend in their means by empirical Bayes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._typing import Array

__all__ = ["Profiles", "ShrunkDispersions", "pilot_trend", "shrink_dispersions"]

#: Fits from which on the trend is a line, and a curve.
LINE, CURVE = 10, 30
#: Nodes of the integrals over a log dispersion, their half width in standard deviations, and how
#: far a log density has then fallen.
NODES, WIDTH, NOTHING = 41, 5.0, 12.0
#: Rounds of the EM algorithm, and the change of the prior at which it ends.
ROUNDS, TOLERANCE = 300, 1e-4
#: The smallest standard deviation of a prior, which shrinks dispersions to the trend itself.
SMALLEST_SD = 1e-3


@dataclass(frozen=True)
class Profiles:
    """Profile log-likelihoods of log dispersions, at some points each and in between.

    Between two points the likelihood is the cubic with the values and slopes of both; beyond the
    last ones a line.

    Attributes
    ----------
    at : ndarray of shape (m, g)
        Log dispersions, increasing in each row.
    value, slope : ndarray of shape (m, g)
        Log-likelihood there, maximised over all other parameters, and its derivative.
    """

    at: Array
    value: Array
    slope: Array

    def evaluate(self, x: Array) -> tuple[Array, Array]:
        """Return log-likelihoods and slopes at ``x``, shape (m, q)."""
        left = (x[:, :, None] >= self.at[:, None, 1:-1]).sum(axis=2)
        a, b = (np.take_along_axis(self.at, left + k, axis=1) for k in (0, 1))
        f, g = (np.take_along_axis(self.value, left + k, axis=1) for k in (0, 1))
        s, t = (np.take_along_axis(self.slope, left + k, axis=1) for k in (0, 1))
        h = b - a
        inside = np.clip(x, a, b)
        u = (inside - a) / h
        v = 1.0 - u
        value = (f * (1.0 + 2.0 * u) + s * h * u) * v**2 + (g * (1.0 + 2.0 * v) - t * h * v) * u**2
        slope = self._slope(u, h, f, g, s, t)
        return value + slope * (x - inside), slope

    @staticmethod
    def _slope(u: Array, h: Array, f: Array, g: Array, s: Array, t: Array) -> Array:
        """Differentiate the cubic."""
        return np.asarray(
            6.0 * u * (1.0 - u) * (g - f) / h
            + s * (1.0 - u) * (1.0 - 3.0 * u)
            + t * u * (3.0 * u - 2.0)
        )


@dataclass(frozen=True)
class ShrunkDispersions:
    """Log dispersions, moved towards their trend.

    Attributes
    ----------
    mode : ndarray of shape (m,)
        Where likelihood and prior together are largest.
    trend : ndarray of shape (m,)
        Mean of the prior.
    prior_sd : float
        Its standard deviation.
    """

    mode: Array
    trend: Array
    prior_sd: float


def trend_basis(level: Array) -> Array:
    """Return the columns of a trend: a constant, a line, or a natural cubic spline of two knots."""
    m = len(level)
    one = np.ones((m, 1))
    spread = float(np.ptp(level))
    if m < LINE or spread < 1e-8:
        return one
    z = (level - level.min()) / spread
    if m < CURVE:
        return np.column_stack([one, z])
    knots = np.unique(np.quantile(z, (0.02, 0.35, 0.65, 0.98)))
    if len(knots) < 4:
        return np.column_stack([one, z])
    cubes = np.maximum(z[:, None] - knots, 0.0) ** 3
    bent = (cubes - cubes[:, -1:])[:, :-1] / (knots[-1] - knots[:-1])
    return np.column_stack([one, z, bent[:, :-1] - bent[:, -1:]])


def pilot_trend(estimate: Array, se: Array, level: Array) -> Array:
    """Return a first trend, by weighted least squares on the estimates that are known.

    Parameters
    ----------
    estimate, se : ndarray of shape (m,)
        Log dispersions and their standard errors, NaN where there is none.
    level : ndarray of shape (m,)
        Log means.
    """
    known = np.isfinite(estimate) & np.isfinite(se)
    if known.sum() < 2:
        raise ValueError(
            "moderation needs at least two fits whose dispersion is estimated, and "
            f"{known.sum()} of {known.size} is: fit more responses at once; those without a "
            "dispersion are all zero or vary no more than counts of one mean"
        )
    y = estimate[known]
    low, middle, high = np.quantile(y, (0.25, 0.5, 0.75))
    weight = 1.0 / (se[known] ** 2 + max((high - low) / 1.35, 0.1) ** 2)
    y = np.clip(y, middle - 3.0 * (high - low) - 1.0, middle + 3.0 * (high - low) + 1.0)
    B = trend_basis(np.clip(level, level[known].min(), level[known].max()))
    root = np.sqrt(weight)[:, None]
    beta = np.linalg.lstsq(root * B[known], root[:, 0] * y, rcond=None)[0]
    return np.asarray(B @ beta)


def shrink_dispersions(profiles: Profiles, level: Array, start: Array) -> ShrunkDispersions:
    """Estimate the prior of log dispersions by EM, and the mode of each under it.

    Parameters
    ----------
    profiles : Profiles
        What each fit says of its log dispersion.
    level : ndarray of shape (m,)
        Log means, on which the mean of the prior depends by a natural cubic spline.
    start : ndarray of shape (m,)
        A trend to begin with.

    Returns
    -------
    ShrunkDispersions

    Notes
    -----
    The prior is normal about the trend, as in DESeq2; its trend and variance maximise the marginal
    likelihood, the integral of profile likelihood times prior over each log dispersion, rather
    than moments of the estimates, of which those that run to zero have none.

    References
    ----------
    McCarthy, Chen and Smyth (2012), Nucleic Acids Res. 40, 4288-4297; Love, Huber and Anders
    (2014), Genome Biol. 15, 550.
    """
    B = trend_basis(level)
    trend, sd = start.copy(), 1.0
    freedom = len(level) / max(len(level) - B.shape[1], 1)
    for _ in range(ROUNDS):
        mean, variance = posterior_moments(profiles, trend, sd)
        moved = B @ np.linalg.lstsq(B, mean, rcond=None)[0]
        wide = float(np.sqrt(freedom * np.mean((mean - moved) ** 2 + variance)))
        change = abs(wide - sd) / sd + float(np.max(np.abs(moved - trend)))
        trend, sd = moved, max(wide, SMALLEST_SD)
        if change < TOLERANCE:
            break
    return ShrunkDispersions(posterior_modes(profiles, trend, sd), trend, sd)


def posterior_modes(profiles: Profiles, trend: Array, sd: float) -> Array:
    """Find where log-likelihood and log prior together are largest, by bisection."""
    best = np.take_along_axis(profiles.at, profiles.value.argmax(axis=1)[:, None], axis=1)[:, 0]
    gap = np.diff(profiles.at, axis=1).max(axis=1)
    low, high = np.minimum(trend, best - gap), np.maximum(trend, best + gap)
    for _ in range(50):
        middle = 0.5 * (low + high)
        slope = profiles.evaluate(middle[:, None])[1][:, 0] - (middle - trend) / sd**2
        low, high = np.where(slope > 0.0, middle, low), np.where(slope > 0.0, high, middle)
    return np.asarray(0.5 * (low + high))


def posterior_moments(profiles: Profiles, trend: Array, sd: float) -> tuple[Array, Array]:
    """Return mean and variance of each log dispersion given its data, by quadrature."""
    mode = posterior_modes(profiles, trend, sd)
    step = 0.05 * np.minimum(sd, np.diff(profiles.at, axis=1).min(axis=1))
    ends = [profiles.evaluate((mode + side * step)[:, None])[1][:, 0] for side in (-1.0, 1.0)]
    bend = np.maximum((ends[0] - ends[1]) / (2.0 * step), 0.0) + 1.0 / sd**2
    spread = np.minimum(1.0 / np.sqrt(bend), sd)

    def log(x: Array) -> Array:
        return profiles.evaluate(x)[0] - 0.5 * ((x - trend[:, None]) / sd) ** 2

    low, high = (reach(log, mode, side * spread, sd) for side in (-1.0, 1.0))
    x = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, NODES)
    density = log(x)
    weight = np.exp(density - density.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = (weight * x).sum(axis=1)
    return mean, (weight * (x - mean[:, None]) ** 2).sum(axis=1)


def reach(log: Callable[[Array], Array], mode: Array, spread: Array, sd: float) -> Array:
    """Go from the mode of a density to where little of it is left, at most ``WIDTH`` times sd."""
    top = log(mode[:, None])[:, 0]
    length = WIDTH * spread
    for _ in range(8):
        left = log((mode + length)[:, None])[:, 0] > top - NOTHING
        longer = np.clip(1.5 * length, -WIDTH * sd, WIDTH * sd)
        length = np.where(left, longer, length)
    return np.asarray(mode + length)
