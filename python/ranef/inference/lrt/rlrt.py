"""The exact null distribution of the restricted likelihood ratio for one variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, assemble, only_plain
from ...errors import ModelError
from ...parallel.progress import bar

__all__ = ["null_statistics", "spectrum"]


#: Levels above which the eigenvalues take too long, and the mixture is as good.
MOST_LEVELS = 4000
#: Statistics that are searched together, which bounds the memory.
DRAWS_AT_ONCE = 2000
#: Ratios of variances, times the mean eigenvalue, at which the likelihood is searched.
GRID = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 400)])


def spectrum(design: Design, kept: NDArray[np.intp]) -> Array:
    """Eigenvalues of Z'W^(1/2) P0 W^(1/2) Z, P0 the projection off W^(1/2) X, shape (levels,).

    Parameters
    ----------
    design : Design
        A design with one random-effects term of one column.
    kept : ndarray of int
        Positions in ``design.fixed`` of the columns that are not aliased.
    """
    only_plain(design, "the exact restricted test", "use ranef.pbtest")
    (term,) = design.random
    if term.n_levels > MOST_LEVELS:
        raise ModelError(
            f"{term.group} has {counted(term.n_levels, 'level')}; up to {MOST_LEVELS} the exact "
            "distribution is simulated, above that pvalue_boundary of ranef.anova is as good"
        )
    root = np.ones(design.n_obs) if design.weights is None else np.sqrt(design.weights)
    X = assemble(design.columns, tuple(design.fixed[j] for j in kept), design.n_obs)
    X = X * root[:, None]
    Q = linalg.qr(X / np.linalg.norm(X, axis=0), mode="economic")[0]
    z = design.z(term)[:, 0] * root
    ZQ = np.column_stack([np.bincount(term.codes, z * q, minlength=term.n_levels) for q in Q.T])
    inner = np.diag(np.bincount(term.codes, z**2, minlength=term.n_levels)) - ZQ @ ZQ.T
    values = np.linalg.eigvalsh(inner)
    return np.where(values > 1e-10 * values.max(), values, 0.0)


def null_statistics(
    eigenvalues: Array,
    residual_df: int,
    n: int,
    rng: np.random.Generator,
    *,
    progress: bool = False,
) -> Array:
    """Draw restricted likelihood ratios under a variance of zero.

    Parameters
    ----------
    eigenvalues : ndarray of shape (levels,)
        From :func:`spectrum`.
    residual_df : int
        Rows minus fixed effects.
    n : int
        Number of draws.
    rng : Generator
        Source of the draws.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ndarray of shape (n,)
        Statistics, zero where the variance would be estimated as zero.

    Notes
    -----
    With mu_s the eigenvalues and w_s independent standard normal, RLRT is the largest value over
    lambda >= 0 of nu log(1 + N / D) - sum_s log(1 + lambda mu_s), N = sum_s lambda mu_s w_s^2 / (1
    + lambda mu_s), D = sum_s w_s^2 / (1 + lambda mu_s) + chi-squared on the other nu - s degrees of
    freedom [1]_.

    References
    ----------
    .. [1] Crainiceanu and Ruppert (2004), J. R. Stat. Soc. B 66, 165-185.
    """
    starts = range(0, n, DRAWS_AT_ONCE)
    sizes = [min(DRAWS_AT_ONCE, n - start) for start in starts]
    parts = []
    with bar(n, "draws", shown=progress) as advance:
        for size in sizes:
            parts.append(_draw(eigenvalues, residual_df, size, rng))
            advance(size)
    return np.concatenate(parts)


def _draw(eigenvalues: Array, residual_df: int, n: int, rng: np.random.Generator) -> Array:
    """Draw n statistics, shape (n,)."""
    mu = eigenvalues[eigenvalues > 0.0]
    squares = rng.chisquare(1.0, (n, len(mu)))
    left = residual_df - len(mu)
    rest = rng.chisquare(left, n) if left > 0 else np.zeros(n)
    ratio = GRID / mu.mean()
    shrink = 1.0 / (1.0 + ratio * mu[:, None])
    total = squares.sum(axis=1) + rest
    D = squares @ shrink + rest[:, None]
    curve = residual_df * np.log(total[:, None] / D) + np.log(shrink).sum(axis=0)
    return np.maximum(_peak(curve), 0.0)


def _peak(curve: Array) -> Array:
    """Highest value of each row, by a parabola through the highest point and its neighbours."""
    at = np.clip(
        curve.argmax(axis=1), 2, curve.shape[1] - 2
    )  # the grid is even from its second point
    rows = np.arange(len(curve))
    low, top, high = (curve[rows, at + k] for k in (-1, 0, 1))
    bend = low - 2.0 * top + high
    with np.errstate(divide="ignore", invalid="ignore"):
        better = top - 0.125 * (high - low) ** 2 / bend
    usable = (bend < 0.0) & (top >= low) & (top >= high)
    return np.asarray(np.where(usable, better, curve.max(axis=1)))
