"""Where to divide a node: the cut that leaves the smallest sum of squares."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array, Positions
from .instability import Variable

__all__ = ["Split", "best_split", "least_squares"]

#: Unordered levels up to which every division is examined.
EXHAUSTIVE = 10


@dataclass(frozen=True)
class Split:
    """A division of rows.

    Attributes
    ----------
    name : str
        The variable.
    cut : float
        Rows up to this value, or with a level up to this one, go left; NaN for ``left``.
    left : frozenset of int
        Levels that go left.
    levels : tuple of str or None
        Labels of the levels.
    """

    name: str
    cut: float
    left: frozenset[int] = frozenset()
    levels: tuple[str, ...] | None = None

    def goes_left(self, values: Array) -> NDArray[np.bool_]:
        """Find which rows go left, shape (m,), bool."""
        if np.isnan(self.cut):
            return np.isin(values.astype(np.intp), list(self.left))
        return np.asarray(values <= self.cut, dtype=np.bool_)

    def spelled(self) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
        """Name, sign and value of both branches."""
        if self.levels is None:
            shown = f"{self.cut:.7g}"
            return (self.name, "<=", shown), (self.name, ">", shown)
        here = [
            level
            for i, level in enumerate(self.levels)
            if (i in self.left if np.isnan(self.cut) else i <= self.cut)
        ]
        there = [level for level in self.levels if level not in here]
        return (self.name, "is", " or ".join(here)), (self.name, "is", " or ".join(there))


def least_squares(X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Fit a node's model; return its coefficients, shape (k,), and scores, shape (m, k)."""
    root = np.sqrt(weights)
    beta = np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[0]
    return np.asarray(beta, dtype=np.float64), X * (weights * (y - X @ beta))[:, None]


def best_split(
    variable: Variable,
    X: Array,
    y: Array,
    weights: Array,
    rows: Positions,
    least: int,
    groups: int,
) -> Split | None:
    """Find the division with the least sum of squares of the two models.

    Parameters
    ----------
    variable : Variable
        What divides.
    X, y, weights : ndarray
        The node's rows.
    rows : ndarray of shape (m,), int
        Their positions among all rows.
    least, groups : int
        Rows, and levels of the variable's grouping factor, on each side at least.

    Returns
    -------
    Split or None
        None where no division leaves enough rows, or a model that can be fitted, on both sides.
    """
    z = variable.values[rows]
    used, place, counts = np.unique(z, return_inverse=True, return_counts=True)
    A, b, c = products(X, y, weights, place, len(used))
    units = (
        counts
        if variable.codes is None
        else np.array([len(np.unique(variable.codes[rows][place == i])) for i in range(len(used))])
    )
    few = groups if variable.codes is not None else 0
    if not variable.is_nominal:
        inside = np.tri(len(used), dtype=bool)[:-1]
    else:
        inside = divisions(len(used), A, b)
    if not len(inside):
        return None
    enough = (inside @ counts >= least) & (~inside @ counts >= least)
    enough &= (inside @ units >= few) & (~inside @ units >= few)
    inside = inside[enough]
    if not len(inside):
        return None
    loss = squares(inside, A, b, c) + squares(~inside, A, b, c)
    if not np.isfinite(loss).any():
        return None
    chosen = inside[int(np.argmin(loss))]
    if variable.is_nominal:
        left = frozenset(int(v) for v in used[chosen])
        return Split(variable.name, np.nan, left, variable.levels)
    return Split(variable.name, float(used[chosen][-1]), levels=variable.levels)


def products(
    X: Array, y: Array, weights: Array, place: Positions, count: int
) -> tuple[Array, Array, Array]:
    """Add up X'WX, X'Wy and y'Wy by value: (v, k, k), (v, k), (v,)."""
    k = X.shape[1]
    A, b = np.empty((count, k, k)), np.empty((count, k))
    for i in range(k):
        b[:, i] = np.bincount(place, weights * X[:, i] * y, count)
        for j in range(i + 1):
            A[:, i, j] = A[:, j, i] = np.bincount(place, weights * X[:, i] * X[:, j], count)
    return A, b, np.asarray(np.bincount(place, weights * y * y, count), dtype=np.float64)


def squares(inside: Array, A: Array, b: Array, c: Array) -> Array:
    """Residual sum of squares of each division's rows; infinite where no model can be fitted."""
    chosen = inside.astype(np.float64)
    cross = np.einsum("dv,vij->dij", chosen, A, optimize=True)
    right, total = chosen @ b, chosen @ c
    values = np.linalg.eigvalsh(cross)
    fine = values[:, 0] > 1e-10 * values[:, -1]
    out = np.full(len(inside), np.inf)
    if fine.any():
        beta = np.linalg.solve(cross[fine], right[fine][:, :, None])[:, :, 0]
        out[fine] = total[fine] - np.einsum("di,di->d", beta, right[fine])
    return out


def divisions(count: int, A: Array, b: Array) -> Array:
    """List divisions of levels in two, shape (d, count), bool.

    All of them for few levels; else those along the first coefficient of each level's own model.
    """
    if count <= EXHAUSTIVE:
        out = [
            np.isin(np.arange(count), (0, *more))
            for size in range(count - 1)
            for more in combinations(range(1, count), size)
        ]
        return np.array(out, dtype=bool)
    own = np.array([np.linalg.lstsq(a, v, rcond=None)[0] @ v for a, v in zip(A, b, strict=True)])
    rank = np.argsort(np.argsort(own / np.trace(A, axis1=1, axis2=2), kind="stable"))
    return np.asarray(rank[None, :] <= np.arange(count - 1)[:, None])
