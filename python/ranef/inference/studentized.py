"""The studentised range, for many quantiles and degrees of freedom at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from .._typing import Array

__all__ = ["range_ppf", "range_sf"]

#: Range of normal variables, in standard deviations, whose tail is kept: 1e-170 of it is beyond.
WIDEST = 40.0
#: Degree of the interpolant of log tails, and points of its integrals.
DEGREE, POINTS = 320, 400
#: Most Newton steps of a quantile, and size of the last one, whose square is the error left.
MOST_STEPS, LAST_STEP = 60, 1e-8


def range_sf(q: ArrayLike, k: int, df: ArrayLike) -> Array:
    """Compute the probability that the studentised range of k means exceeds q.

    Parameters
    ----------
    q, df : array_like, broadcast against each other
        Ranges in standard errors, and degrees of freedom, which may be infinite.
    k : int
        Means, two or more.

    Returns
    -------
    ndarray
        NaN where q or df is.

    Notes
    -----
    The tail S(w) of the range of k normal variables is k times the integral over its maximum z of
    phi(z) (Phi(z)^(k-1) - (Phi(z) - Phi(z - w))^(k-1)) [1]_. log S(w) + w^2 / 4 is interpolated
    by Chebyshev polynomials once for each k. What is asked for is the mean of S(q s) over s, the
    root of a chi-squared variable over its degrees of freedom. Sums of equal steps do both
    integrals, the second in log s, where the integrand is smooth and falls off on both sides.

    References
    ----------
    .. [1] Lund and Lund (1983), Applied Statistics 32(2), 204-210.
    """
    wide, freedom = np.broadcast_arrays(np.asarray(q, float), np.asarray(df, float))
    out = np.full(wide.shape, np.nan)
    known = np.isfinite(wide) & (freedom > 0.0)
    out[known] = np.exp(_log_sf(np.maximum(wide[known], 0.0), k, freedom[known])[0])
    out[np.isposinf(wide) & (freedom > 0.0)] = 0.0
    return out


def range_ppf(level: float, k: int, df: ArrayLike) -> Array:
    """Compute the quantile of the studentised range of k means.

    Parameters
    ----------
    level : float
        Probability, between 0 and 1.
    k : int
        Means, two or more.
    df : array_like
        Degrees of freedom.

    Returns
    -------
    ndarray
        NaN where df is.
    """
    freedom = np.asarray(df, float)
    flat, back = np.unique(freedom.ravel(), return_inverse=True)
    out = np.full(flat.shape, np.nan)
    known = flat > 0.0
    out[known] = _quantiles(float(np.log1p(-level)), k, flat[known])
    return np.asarray(out[back].reshape(freedom.shape))


def _quantiles(target: float, k: int, df: Array) -> Array:
    """Solve log sf = target by Newton's method, kept between bounds that close in."""
    q = np.full(len(df), 3.5)
    low, high = np.zeros(len(df)), np.full(len(df), np.inf)
    for _ in range(MOST_STEPS):
        value, slope = _log_sf(q, k, df)
        low, high = np.where(value > target, q, low), np.where(value > target, high, q)
        with np.errstate(divide="ignore", invalid="ignore"):
            # in log q: tails of few degrees of freedom are powers of q
            new = q * np.exp(np.clip((target - value) / (slope * q), -1.5, 1.5))
        middle = np.where(np.isinf(high), 4.0 * q, 0.5 * (low + high))
        new = np.where((new >= low) & (new <= high), new, middle)
        step, q = np.abs(new - q), new
        if (step <= LAST_STEP * q).all():
            break
    return q


def _log_sf(q: Array, k: int, df: Array) -> tuple[Array, Array]:
    """Logarithm of the tail, and its derivative by q, shape (m,)."""
    polynomial, derivative = _tail(k)
    value, slope = np.zeros(len(q)), np.zeros(len(q))
    endless = np.isinf(df)
    if endless.any():
        value[endless], slope[endless] = _at(polynomial, derivative, q[endless])
    nu, wide = df[~endless, None], q[~endless, None]
    if not nu.size:
        return value, slope
    spread = 9.0 / np.sqrt(2.0 * nu)
    low = -0.5 * np.log1p(wide**2 / (2.0 * nu)) - spread - 40.0 / nu
    high = 0.5 * np.log1p(12.0 * np.sqrt(2.0 / nu) + 80.0 / nu)
    # steps that sums of smooth integrands need to be exact to the last digit
    fine = np.minimum(0.12 / (1.0 + 0.25 * np.log(k)), 0.45 / np.sqrt(2.0 * nu))
    steps = int(np.ceil(((high - low) / fine).max()))
    t = low + (high - low) * np.linspace(0.0, 1.0, steps + 1)
    s = np.exp(t)
    half = 0.5 * nu
    density = _peak(half) - half * (np.expm1(2.0 * t) - 2.0 * t)
    tail, fall = _at(polynomial, derivative, wide * s)
    terms = density + tail
    top = terms.max(axis=1, keepdims=True)
    weights = np.exp(terms - top)
    total = weights.sum(axis=1)
    step = ((high - low) / steps)[:, 0]
    value[~endless] = np.log(total * step) + top[:, 0]
    slope[~endless] = (weights * s * fall).sum(axis=1) / total
    return value, slope


def _peak(half: Array) -> Array:
    """Log density of t = 0, for half the degrees of freedom: Stirling's error where it is small."""
    exact = half * np.log(half) - half - scipy.special.gammaln(half)
    error = (
        1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * half**2)) / half**2) / half**2
    ) / half
    series = 0.5 * np.log(half / (2.0 * np.pi)) - error
    return np.asarray(np.log(2.0) + np.where(half > 50.0, series, exact))


def _at(polynomial: Array, derivative: Array, w: Array) -> tuple[Array, Array]:
    """Log tail and its derivative at ranges; beyond the widest, as a normal tail continues."""
    x = 2.0 * np.minimum(w, WIDEST) / WIDEST - 1.0
    value = np.asarray(chebyshev.chebval(x, polynomial), float) - 0.25 * w**2
    slope = np.asarray(chebyshev.chebval(x, derivative), float) * 2.0 / WIDEST - 0.5 * w
    return np.asarray(np.minimum(value, 0.0), float), np.asarray(slope, float)


@lru_cache(maxsize=64)
def _tail(k: int) -> tuple[Array, Array]:
    """Chebyshev coefficients of the log tail of the range of k normal variables."""
    x = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    w = 0.5 * WIDEST * (x + 1.0)
    low, high = -9.5, 0.5 * w[:, None] + 9.5
    z = low + (high - low) * np.linspace(0.0, 1.0, POINTS)
    below = scipy.special.ndtr(z)
    with np.errstate(divide="ignore"):
        share = -np.expm1((k - 1) * np.log1p(-scipy.special.ndtr(z - w[:, None]) / below))
    terms = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi) * below ** (k - 1) * share
    tail = k * terms.sum(axis=1) * (high[:, 0] - low) / (POINTS - 1)
    smooth = np.log(np.minimum(tail, 1.0)) + 0.25 * w**2
    angle = np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1)
    coefficients = 2.0 / (DEGREE + 1) * np.cos(np.outer(np.arange(DEGREE + 1), angle)) @ smooth
    coefficients[0] *= 0.5
    return coefficients, chebyshev.chebder(coefficients)
