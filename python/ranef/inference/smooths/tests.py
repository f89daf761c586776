"""Tests of smooth terms."""

from __future__ import annotations

import numpy as np

from ..._typing import Array, Positions

__all__ = ["curve_statistic", "curve_test", "variance_test", "weighted_tail"]

#: An eigenvalue this much smaller than the largest is zero.
ZERO = 1e-12
#: A weight this much smaller than the largest enters by its mean; squares of which the distribution
#: is a mixture, and the components of it.
SMALL, MOST_SQUARES, MOST_SHARES = 5e-3, 60, 4000
#: Nodes of quadratures over the unit sphere.
NODES = 48


def curve_test(
    coefficients: Array, covariance: Array, gram: Array, rank: float, df: float
) -> tuple[float, float]:
    """Test that a curve is zero everywhere.

    Parameters
    ----------
    coefficients : ndarray of shape (k,)
        Coefficients of the curve.
    covariance : ndarray of shape (k, k)
        Their Bayesian covariance.
    gram : ndarray of shape (k, k)
        X'WX of its columns.
    rank : float
        Its reference degrees of freedom.
    df : float
        Residual degrees of freedom, infinite where the scale is known.

    Returns
    -------
    statistic, pvalue : float
        The statistic is compared with a chi-squared of ``rank`` degrees of freedom, or ``rank``
        times an F.

    References
    ----------
    Wood (2013), Biometrika 100, 221-228.
    """
    statistics, weights = curve_statistic(coefficients, covariance, gram, rank)
    tails = [_sphere_tail(weights, value, df) for value in statistics]
    return float(np.mean(statistics)), float(np.mean(tails))


def curve_statistic(
    coefficients: Array, covariance: Array, gram: Array, rank: float
) -> tuple[Array, Array]:
    """Work out f'V^- f with a pseudo-inverse of a rank that need not be whole.

    Returns
    -------
    statistics : ndarray of shape (1,) or (2,)
        The statistic; two where the sign of an eigenvector decides between them.
    weights : ndarray
        It is distributed as a sum of squares of normals with these weights.
    """
    values, vectors = np.linalg.eigh(0.5 * (gram + gram.T))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    fitted = root @ coefficients
    V = root @ covariance @ root.T
    values, vectors = np.linalg.eigh(0.5 * (V + V.T))
    values, vectors = values[::-1], vectors[:, ::-1]
    usable = int(np.sum(values > ZERO * values[0]))
    rank = min(rank, float(usable))
    along = (vectors.T @ fitted)[:usable] / np.sqrt(values[:usable])
    k = int(np.floor(rank + 1e-9))
    share = rank - k
    if share < 1e-9:
        return np.array([np.sum(along[:k] ** 2)]), np.ones(k)
    if k == 0:
        return np.array([along[0] ** 2]), np.ones(1)
    sure = float(np.sum(along[: k - 1] ** 2))
    between = np.sqrt(max(0.5 * share * (1.0 - share), 0.0))
    # The last two directions enter by V^-1/2 B V^-1/2, B = [[1, between], [between, share]].
    pair = np.array([[1.0, between], [between, share]])
    last = along[k - 1 : k + 1]
    flipped = last * np.array([1.0, -1.0])
    statistics = np.array([sure + last @ pair @ last, sure + flipped @ pair @ flipped])
    spread = np.sqrt(max((share + 1.0) * (1.0 - share), 0.0))
    ends = 0.5 * (share + 1.0 + spread), 0.5 * (share + 1.0 - spread)
    return statistics, np.concatenate([np.ones(k - 1), ends])


def _sphere_tail(weights: Array, value: float, df: float) -> float:
    """Tail of a sum of squares of which all weights but the last two are one.

    Notes
    -----
    The sum is that of as many squares times a mean of the weights, which does not depend on it:
    the tail of a chi-squared (or an F) is averaged over that mean, without loss of relative
    accuracy.
    """
    from scipy import special, stats

    m = len(weights)
    if np.all(weights == 1.0):
        means, mass = np.ones(1), np.ones(1)
    else:
        angle = (np.arange(NODES) + 0.5) * np.pi / (2 * NODES)
        ends = weights[-2] * np.cos(angle) ** 2 + weights[-1] * np.sin(angle) ** 2
        if m > 2:  # the share of the last two in the sum of squares is Beta(1, (m - 2) / 2)
            nodes, w = special.roots_jacobi(NODES, 0.5 * (m - 2) - 1.0, 0.0)
            shares = 0.5 * (nodes + 1.0)
            mass = np.repeat(w / w.sum(), NODES) / NODES
            means = (1.0 - shares[:, None] + shares[:, None] * ends).ravel()
        else:
            means, mass = ends, np.full(NODES, 1.0 / NODES)
    if np.isinf(df):
        return float(mass @ stats.chi2.sf(value / means, m))
    return float(mass @ stats.f.sf(value / means / m, m, df))


def variance_test(
    coefficients: Array,
    covariance: Array,
    information: Array,
    at: Positions,
    sigma2: float,
    df: float,
) -> tuple[float, float, int]:
    """Test that the variance of random effects is zero.

    Parameters
    ----------
    coefficients : ndarray of shape (d,)
        Fixed and random effects, spherical.
    covariance, information : ndarray of shape (d, d)
        As of ``Joint``.
    at : ndarray of int
        The effects that are tested.
    sigma2 : float
        Residual variance.
    df : float
        Residual degrees of freedom, infinite where the scale is known.

    Returns
    -------
    statistic, pvalue : float
    rank : int

    Notes
    -----
    The statistic is the quadratic form of the predicted effects by their information; where the
    variance is zero it is a sum of squares weighted by eigenvalues [1]_.

    References
    ----------
    .. [1] Wood (2013), Biometrika 100, 1005-1010.
    """
    K = information[np.ix_(at, at)]
    frequentist = (covariance @ information @ covariance)[np.ix_(at, at)]
    values, vectors = np.linalg.eigh(0.5 * (K + K.T))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    statistic = float(np.sum((root @ coefficients[at]) ** 2)) / sigma2
    weights = np.linalg.eigvalsh(root @ frequentist @ root.T)[::-1]
    weights = weights[weights > ZERO * max(weights[0], 1e-300)]
    if not len(weights):
        return 0.0, 1.0, 0
    return statistic, weighted_tail(weights, statistic, df), len(weights)


def weighted_tail(weights: Array, value: float, df: float = np.inf) -> float:
    """P(sum_j w_j z_j^2 > value), value times a mean of ``df`` squares where that is finite.

    Notes
    -----
    The sum is a mixture of chi-squareds of n + 2 k degrees of freedom, all on the scale of the
    smallest weight, which keeps its relative accuracy far out [1]_. Very small weights enter by
    their mean. Of many squares a saddlepoint approximation is as good [2]_.

    References
    ----------
    .. [1] Ruben (1962), Ann. Math. Stat. 33, 542-570.
    .. [2] Kuonen (1999), Biometrika 86, 929-935.
    """
    from scipy import stats

    w = np.sort(np.asarray(weights, float))[::-1]
    small = w < SMALL * w[0]
    value = value - float(w[small].sum())
    w = w[~small]
    if value <= 0.0:
        return 1.0
    shares = _mixture(w)
    if shares is None:
        if np.isinf(df):
            return _saddlepoint(w, np.ones(len(w)), value)
        return _saddlepoint(np.append(w, -value / df), np.append(np.ones(len(w)), df), 0.0)
    m = len(w) + 2.0 * np.arange(len(shares))
    scaled = value / w[-1]
    tails = stats.chi2.sf(scaled, m) if np.isinf(df) else stats.f.sf(scaled / m, m, df)
    return min(float(shares @ tails), 1.0)


def _mixture(w: Array) -> Array | None:
    """Shares of the chi-squareds; None where there are too many."""
    rest = 1.0 - w[-1] / w
    if len(w) > MOST_SQUARES:
        return None
    count = 1 if rest[0] <= 0.0 else int(min(np.ceil(-80.0 / np.log(rest[0])), MOST_SHARES)) + 1
    powers = np.cumprod(np.broadcast_to(rest[:, None], (len(w), max(count - 1, 1))), axis=1)
    sums = powers.sum(axis=0)  # sum_j rest_j^m
    out = np.zeros(count)
    out[0] = np.exp(0.5 * np.sum(np.log(w[-1] / w)))
    for k in range(1, count):
        out[k] = (sums[:k] @ out[k - 1 :: -1]) / (2.0 * k)
    return out if out.sum() > 1.0 - 1e-6 else None


def _saddlepoint(w: Array, h: Array, x: float) -> float:
    """Tail of a weighted sum of chi-squareds by Lugannani and Rice's approximation."""
    from scipy import optimize, stats

    mean = float(h @ w)
    high = 0.5 / w.max()
    low = 0.5 / w.min() if w.min() < 0 else -0.5 * float(h.sum()) / max(x, 1e-12) - 1.0

    def slope(t: float) -> float:
        return float(h @ (w / (1.0 - 2.0 * t * w))) - x

    if abs(mean - x) < 1e-6 * abs(mean):
        x = mean * (1.0 - 1e-5) if x else x + 1e-5 * mean
    edge = 1e-12
    a, b = low * (1.0 - edge), high * (1.0 - edge)
    if slope(a) * slope(b) > 0.0:
        return 1.0 if x < mean else 0.0
    t = optimize.brentq(slope, a, b, xtol=1e-15)
    K = -0.5 * float(h @ np.log1p(-2.0 * t * w))
    K2 = 2.0 * float(h @ (w / (1.0 - 2.0 * t * w)) ** 2)
    r = np.sign(t) * np.sqrt(max(2.0 * (t * x - K), 0.0))
    v = t * np.sqrt(K2)
    if abs(r) < 1e-8:
        return 0.5
    return float(stats.norm.sf(r + np.log(v / r) / r))
