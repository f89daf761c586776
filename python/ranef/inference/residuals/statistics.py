"""Statistics of residuals: a number a column, so that simulated fits are done at once."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from ..._typing import Array
from ...errors import DataError

__all__ = [
    "basis",
    "between",
    "binomial_pvalue",
    "crossing",
    "durbin_watson",
    "farthest",
    "kolmogorov",
    "left_of",
    "moran",
    "outside",
    "pvalue",
    "smooth",
    "smooth_along",
    "tied_pvalue",
]

#: Degree of the polynomial in the ranks of a predictor.
DEGREE = 4
#: Quantiles that must not depend on a predictor.
QUANTILES = (0.25, 0.5, 0.75)
#: Shares below are rounding, as where the levels have coefficients of their own.
NOTHING = 1e-12
#: Nearest neighbours in space.
NEIGHBOURS = 8


def pvalue(observed: float, draws: Array, side: str = "large") -> float:
    """P-value of a statistic among draws, including itself.

    Parameters
    ----------
    observed : float
        The statistic of the data.
    draws : ndarray
        That of each draw; infinite and missing ones are left out.
    side : {"large", "both"}
        What speaks against the model.
    """
    known = draws[np.isfinite(draws)]
    # Ties, such as counts of zeros, count half on each side, so that two sides make sense.
    size = 1e-9 * max(1.0, abs(observed))
    above = int((known > observed + size).sum())
    ties = int((np.abs(known - observed) <= size).sum())
    m = len(known) + 1
    large = (above + ties + 1) / m
    if side == "large":
        return large
    small = (len(known) - above + 1) / m
    return min(1.0, 2.0 * min(large, small))


def tied_pvalue(observed: float, draws: Array, place: float) -> float:
    """P-value of a whole number among whole numbers, exact: uniform where all are alike.

    Parameters
    ----------
    observed : float
        Speaks against the model where it is large.
    draws : ndarray of shape (m,)
        Those of simulated fits.
    place : float
        Where among equal numbers this one is put, uniform between 0 and 1.

    References
    ----------
    .. [1] Dufour (2006), J. Econometrics 133, 443-477.
    """
    above, ties = int((draws > observed).sum()), int((draws == observed).sum())
    return (above + place * (ties + 1.0)) / (len(draws) + 1.0)


def binomial_pvalue(count: int, n: int, rate: float) -> float:
    """Return the exact two-sided p-value: all counts that are no more probable than this one."""
    k = np.arange(n + 1.0)
    logs = scipy.special.gammaln([n + 1.0])[0] - scipy.special.gammaln(k + 1.0)
    logs += scipy.special.xlogy(k, rate) + scipy.special.xlog1py(n - k, -rate)
    logs -= scipy.special.gammaln(n - k + 1.0)
    return float(min(1.0, np.exp(logs[logs <= logs[count] + 1e-7]).sum()))


def kolmogorov(Z: Array) -> Array:
    """Largest distance of each column's distribution from the standard normal, shape (m,)."""
    u = np.sort(scipy.special.ndtr(Z), axis=0)
    n = len(u)
    step = np.arange(n)[:, None] / n
    return np.asarray(np.maximum(u - step, step + 1.0 / n - u).max(axis=0))


def outside(z: Array, Z: Array) -> tuple[int, Array]:
    """Count the rows whose residual lies outside all simulated ones; of each simulated fit too.

    Returns
    -------
    int
        Of the fit.
    ndarray of shape (m,)
        Of each simulated fit among the others and the fit: all are exchangeable.
    """
    whole = np.column_stack([z, Z])
    ends = np.concatenate([whole.argmax(axis=1), whole.argmin(axis=1)])
    counts = np.bincount(ends, minlength=whole.shape[1])
    return int(counts[0]), counts[1:].astype(float)


def basis(x: Array) -> Array:
    """Orthonormal polynomials in the ranks of x, without the constant, shape (n, k)."""
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * (counts - 1.0))[place.ravel()]
    degree = min(DEGREE, len(counts) - 1)
    if degree == 0:
        return np.zeros((len(x), 0))
    at = 2.0 * (ranks - ranks.mean()) / max(np.ptp(ranks), 1.0)
    return np.asarray(np.linalg.qr(np.polynomial.legendre.legvander(at, degree))[0][:, 1:])


def smooth(Q: Array, Z: Array) -> tuple[Array, Array, Array]:
    """How much of location, spread and quantiles a smooth curve explains, (m,) each.

    Parameters
    ----------
    Q : ndarray of shape (n, k)
        From :func:`basis`.
    Z : ndarray of shape (n, m)
        Residuals, a column for the fit and for each simulated one.
    """
    spread = np.abs(Z)
    location = ((Q.T @ Z) ** 2).sum(axis=0) / (Z**2).sum(axis=0)
    deviation = spread - spread.mean(axis=0)
    scale = ((Q.T @ spread) ** 2).sum(axis=0) / (deviation**2).sum(axis=0)
    quantiles = np.zeros(Z.shape[1])
    for q in QUANTILES:
        below = (scipy.special.ndtri(q) > Z).astype(float)
        quantiles += ((Q.T @ below) ** 2).sum(axis=0) / (q * (1.0 - q) * len(Z))
    return location, scale, quantiles


def smooth_along(X: Array, Z: Array) -> tuple[Array, Array, Array]:
    """Return what :func:`smooth` does where each column of Z has a predictor of its own.

    Parameters
    ----------
    X : ndarray of shape (n, m)
        Predictors. Ranks without ties are the same numbers in another order, so that such columns
        are sorted and share one basis.
    Z : ndarray of shape (n, m)
        Residuals, a column for the fit and for each simulated one.
    """
    order = np.argsort(X, axis=0, kind="stable")
    ranked = (np.diff(np.take_along_axis(X, order, axis=0), axis=0) > 0.0).all(axis=0)
    found = np.zeros((3, X.shape[1]))
    if ranked.any():
        sorted_ = np.take_along_axis(Z, order, axis=0)[:, ranked]
        found[:, ranked] = smooth(basis(np.arange(len(X), dtype=np.float64)), sorted_)
    for j in np.flatnonzero(~ranked):
        found[:, [j]] = smooth(basis(X[:, j]), Z[:, [j]])
    return found[0], found[1], found[2]


def _means(codes: NDArray[np.integer], n_levels: int, Z: Array) -> tuple[Array, Array]:
    """Mean of each level, (levels, m), and its number of rows, (levels, 1)."""
    counts = np.maximum(np.bincount(codes, minlength=n_levels), 1)[:, None]
    member = scipy.sparse.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(n_levels, len(codes))
    )
    return np.asarray(member @ Z) / counts, counts


def between(codes: NDArray[np.integer], n_levels: int, Z: Array) -> tuple[Array, Array]:
    """How much of location, and of the size of deviations within, levels explain, (m,) each."""
    means, counts = _means(codes, n_levels, Z)
    location = (means**2 * counts).sum(axis=0) / (Z**2).sum(axis=0)
    # Of few rows the deviations from their own mean are smaller, and of one row there are none.
    several = counts[:, 0] > 1
    grown = np.sqrt(counts / np.maximum(counts - 1.0, 1.0))
    spread = np.abs(Z - means[codes]) * grown[codes]
    if not several.all():
        spread, codes = spread[several[codes]], codes[several[codes]]
    if not len(codes):
        return np.where(location > NOTHING, location, 0.0), np.zeros(Z.shape[1])
    deviation = spread - spread.mean(axis=0)
    sizes, counts = _means(codes, n_levels, deviation)
    scale = (sizes**2 * counts * several[:, None]).sum(axis=0) / (deviation**2).sum(axis=0)
    return np.where(location > NOTHING, location, 0.0), np.asarray(scale)


def farthest(codes: NDArray[np.integer], n_levels: int, Z: Array) -> Array:
    """Size of the largest mean of a level relative to that of all, shape (m,)."""
    means, counts = _means(codes, n_levels, Z)
    size = np.abs(means) * np.sqrt(counts)
    typical = np.sqrt((size**2).mean(axis=0))
    return np.asarray(
        np.where(typical > NOTHING, size.max(axis=0) / np.maximum(typical, NOTHING), 0.0)
    )


def left_of(codes: NDArray[np.integer], z: Array, Z: Array) -> Array:
    """Return what the columns of z leave over within each level, shape (n, m).

    Parameters
    ----------
    codes : ndarray of shape (n,)
        The level of each row.
    z : ndarray of shape (n, s)
        Columns that have an effect in each level.
    Z : ndarray of shape (n, m)
        Residuals.
    """
    n_levels, s = int(codes.max()) + 1, z.shape[1]
    member = scipy.sparse.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(n_levels, len(codes))
    )
    gram = np.empty((n_levels, s, s))
    for i in range(s):
        gram[:, i] = np.asarray(member @ (z[:, [i]] * z))
    sums = np.stack([np.asarray(member @ (z[:, [i]] * Z)) for i in range(s)], axis=1)
    effects = np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ sums
    return np.asarray(Z - np.einsum("ni,nim->nm", z, effects[codes]))


def durbin_watson(series: NDArray[np.integer], Z: Array) -> Array:
    """Durbin and Watson's statistic, within each series, of rows in order, shape (m,).

    Two where neighbours are unrelated, below where they are alike.
    """
    same = np.flatnonzero(np.diff(series) == 0)
    if not len(same):
        raise DataError(
            "no two rows follow one another within a group, so there is no correlation in time to "
            "look for"
        )
    steps = Z[same + 1] - Z[same]
    pairs = 0.5 * ((Z[same + 1] ** 2).sum(axis=0) + (Z[same] ** 2).sum(axis=0))
    return np.asarray((steps**2).sum(axis=0) / np.maximum(pairs, NOTHING))


def moran(places: Array, Z: Array) -> Array:
    """Moran's I of each column over the nearest neighbours of each place, shape (m,).

    Parameters
    ----------
    places : ndarray of shape (n, d)
        Coordinates, no two alike.
    Z : ndarray of shape (n, m)
        Residuals, a column for the fit and for each simulated one.

    References
    ----------
    .. [1] Moran (1950), Biometrika 37, 17-23.
    """
    n = len(places)
    k = min(NEIGHBOURS, n - 1)
    found = scipy.spatial.cKDTree(places).query(places, k + 1)
    distance, near = np.asarray(found[0]), np.asarray(found[1])
    weights = scipy.sparse.csr_array(
        ((1.0 / distance[:, 1:]).ravel(), (np.repeat(np.arange(n), k), near[:, 1:].ravel())),
        shape=(n, n),
    )
    centred = Z - Z.mean(axis=0)
    return np.asarray(
        n * (centred * (weights @ centred)).sum(axis=0) / weights.sum() / (centred**2).sum(axis=0)
    )


def crossing(keys: NDArray[np.integer], Z: Array) -> Array:
    """Average the rows of Z that share a key, in the order of the keys."""
    n = int(keys.max()) + 1
    member = scipy.sparse.csr_array(
        (np.ones(len(keys)), (keys, np.arange(len(keys)))), shape=(n, len(keys))
    )
    return np.asarray(member @ Z) / np.bincount(keys, minlength=n)[:, None]
