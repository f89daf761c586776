"""Distribution of the largest Lagrange multiplier statistic over an interval of break points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy
from scipy.special import gammaln, roots_jacobi

from ..._typing import Array

__all__ = ["suplm_log_pvalue"]

#: Polynomials, quadrature points, and the p-value below which the tail expansion is used.
BASIS, POINTS, TAIL = 30, 80, 1e-6


def suplm_log_pvalue(statistic: float, k: int, ratio: float) -> float:
    """Compute log P(sup |W(t)|^2 / (t (1 - t)) > statistic), W a k-dimensional Brownian bridge.

    Parameters
    ----------
    statistic : float
        The supremum.
    k : int
        Number of parameters.
    ratio : float
        b (1 - a) / (a (1 - b)) for t from a to b; 1 for a single point.

    Notes
    -----
    In the time s = log(t / (1 - t)) / 2 the bridge divided by its standard deviation is a
    stationary Ornstein-Uhlenbeck process, and its squared length x has the generator
    4 x f'' + 2 (k - x) f' and the density of chi-square on k degrees of freedom. The probability
    that x stays below c for the time T = log(ratio) / 2 is the sum over eigenvalues mu of the
    generator that is killed at c of exp(-mu T) times the squared mean of the eigenfunction, which
    is computed by Galerkin's method. Far in the tail the expansion of DeLong [1]_ is used.

    References
    ----------
    .. [1] DeLong (1981), Commun. Stat. Theory Methods 10, 2197-2213.
    .. [2] Andrews (1993), Econometrica 61, 821-856.
    """
    if not statistic > 0.0:
        return 0.0
    time = 0.5 * np.log(max(ratio, 1.0))
    tail = _tail(statistic, k, time)
    if tail < np.log(TAIL) and statistic > 2.0 * k:
        return tail
    survival = _stays_below(statistic, k, time)
    return float(np.log(min(max(1.0 - survival, np.exp(min(tail, -20.0))), 1.0)))


def _tail(c: float, k: int, time: float) -> float:
    """Expand the log probability for large c."""
    density = 0.5 * k * np.log(0.5 * c) - 0.5 * c - gammaln(0.5 * k)
    return float(density + np.log(max((1.0 - k / c) * 2.0 * time + 2.0 / c, 1e-300)))


def _stays_below(c: float, k: int, time: float) -> float:
    """Compute the probability that x stays below c for a time."""
    node, weight, value, slope = _basis(k)
    x = 0.5 * c * (node + 1.0)
    log_scale = 0.5 * k * np.log(0.25 * c) - gammaln(0.5 * k)
    mass = weight * np.exp(log_scale - 0.5 * x)  # of chi-square on (0, c)
    slope = slope * 2.0 / c
    M = (value * mass) @ value.T
    K = (slope * (4.0 * x * mass)) @ slope.T
    mu, vectors = scipy.linalg.eigh(K, M)
    mean = vectors.T @ (value @ mass)
    return float(np.clip(np.sum(np.exp(-mu * time) * mean**2), 0.0, 1.0))


@lru_cache(maxsize=64)
def _basis(k: int) -> tuple[Array, Array, Array, Array]:
    """Points and weights on (-1, 1), polynomials that vanish at 1, and their slopes there."""
    node, weight = roots_jacobi(POINTS, 0.0, 0.5 * k - 1.0)
    legendre = np.polynomial.legendre
    eye = np.eye(BASIS)
    value = np.array([legendre.legval(node, row) for row in eye])
    slope = np.array([legendre.legval(node, legendre.legder(row)) for row in eye])
    fall = 0.5 * (1.0 - node)
    return node, weight, value * fall, slope * fall - 0.5 * value
