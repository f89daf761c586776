"""The variance ratio of each of many responses that were rotated by one eigendecomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array

__all__ = ["CONVERGED", "STALLED", "At", "Search", "joined"]

#: Logarithms of the variance ratio, times the mean eigenvalue, that a search compares first.
#: The last one stands for a residual variance of zero, possible with as many levels as rows.
GRID = np.r_[-9.0:14.1:0.5, 15.0, 16.0, 18.0, 20.0]
#: Steps of the search between two of them, and the step that ends it.
STEPS, TOLERANCE = 30, 1e-7
#: Outcomes as the kernel counts them.
CONVERGED, STALLED = 0, 2
#: What has a first axis of responses.
OF_RESPONSES = ("value", "slope", "r2", "A")


@dataclass(frozen=True)
class At:
    """-2 log-likelihood at a ratio for each response, and related quantities.

    Attributes
    ----------
    value, slope, r2 : ndarray of shape (m,)
        The value, its slope by the ratio, and the residual sum of squares.
    beta : ndarray of shape (p, m)
        Fixed effects.
    A : ndarray of shape (m, p, p)
        Cross products of the fixed effects' columns, weighted.
    """

    value: Array
    slope: Array
    r2: Array
    beta: Array
    A: Array

    def where(self, other: At, chosen: NDArray[np.intp]) -> At:
        """Replace some responses by those of another one."""
        value, slope, r2, A = (np.array(x) for x in (self.value, self.slope, self.r2, self.A))
        beta = np.array(self.beta)
        value[chosen], slope[chosen], r2[chosen] = other.value, other.slope, other.r2
        A[chosen], beta[:, chosen] = other.A, other.beta
        return replace(self, value=value, slope=slope, r2=r2, beta=beta, A=A)


#: Ratios, outcomes, and what is there.
Best: TypeAlias = tuple[Array, NDArray[np.int32], At]


class Search:
    """The best ratio of variances for each of some responses.

    Parameters
    ----------
    values : ndarray of shape (l,)
        Eigenvalues.
    X, Y : ndarray of shape (l, p) and (l, m)
        Rotated columns of the fixed effects, and responses.
    inner_XX, inner_Xy, inner_yy : ndarray of shape (p, p), (p, m) and (m,)
        Cross products of what the levels' means leave.
    n : int
        Number of rows.
    reml : bool
        Whether the restricted likelihood counts.
    """

    def __init__(
        self,
        values: Array,
        X: Array,
        Y: Array,
        inner_XX: Array,
        inner_Xy: Array,
        inner_yy: Array,
        n: int,
        reml: bool,
    ):
        self.values, self.X, self.Y = values, X, np.ascontiguousarray(Y)
        self.inner_XX, self.inner_Xy, self.inner_yy = inner_XX, inner_Xy, inner_yy
        self.p = X.shape[1]
        self.nu = n - self.p if reml else n
        self.reml = reml
        self.m = Y.shape[1]
        self.products = (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)
        self.evaluations = 0

    def grid(self, ratios: Array) -> Array:
        """Values at the same ratios for all responses, (g, m)."""
        D = 1.0 / (1.0 + np.outer(ratios, self.values))  # (g, l)
        yy = D @ self.Y**2 + self.inner_yy
        A = (D @ self.products).reshape(-1, self.p, self.p) + self.inner_XX
        b = ((D[:, None, :] * self.X.T).reshape(-1, len(self.X)) @ self.Y).reshape(
            len(D), self.p, self.m
        ) + self.inner_Xy
        r2 = yy - np.sum(b * np.linalg.solve(A, b), axis=1)
        logdet = -np.log(D).sum(axis=1)
        self.evaluations += len(ratios)
        return self._value(logdet[:, None], np.linalg.slogdet(A)[1][:, None], r2)

    def _value(self, logdet: Any, logdet_A: Any, r2: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            fit: Any = self.nu * (1.0 + np.log(2.0 * np.pi * np.maximum(r2, 0.0) / self.nu))
        return np.asarray(logdet + (logdet_A if self.reml else 0.0) + fit)

    def at(self, ratio: Array, which: NDArray[np.intp] | None = None) -> At:
        """Evaluate each response at its own ratio."""
        chosen: Any = slice(None) if which is None else which
        Y = self.Y[:, chosen]
        d = self.values[:, None] * ratio  # (l, m)
        d += 1.0
        np.reciprocal(d, out=d)
        dY = d * Y
        A = (d.T @ self.products).reshape(-1, self.p, self.p) + self.inner_XX
        b = self.X.T @ dY + self.inner_Xy[:, chosen]
        beta = np.linalg.solve(A, b.T[:, :, None])[:, :, 0].T
        r2: Array = np.einsum("lm,lm->m", dY, Y) + self.inner_yy[chosen] - np.sum(b * beta, axis=0)
        value = self._value(-np.log(d).sum(axis=0), np.linalg.slogdet(A)[1], r2)
        slope = self.values @ d
        error = np.subtract(Y, self.X @ beta, out=dY)
        error *= d
        slope -= self.nu * (self.values @ np.square(error, out=error)) / np.maximum(r2, 1e-300)
        if self.reml:
            bent = np.square(d, out=d)
            B = ((self.values[:, None] * self.products).T @ bent).T.reshape(-1, self.p, self.p)
            slope -= np.trace(np.linalg.solve(A, B), axis1=1, axis2=2)
        self.evaluations += 1
        return At(value, np.asarray(slope), r2, np.asarray(beta), np.asarray(A))

    def best(self) -> Best:
        """Ratios of the lowest minima, the outcomes of the searches, and what is there."""
        unit = max(float(self.values.mean()), 1e-300)
        found = self.grid(np.r_[0.0, np.exp(GRID) / unit])
        found = np.where(np.isnan(found), np.inf, found)
        k = np.argmin(found[1:], axis=0)
        ratio = np.exp(self._refined(k, found[1:], unit)) / unit
        inside = self.at(ratio)
        none = np.flatnonzero(found[0] <= inside.value + 1e-9)
        ended = np.full(self.m, CONVERGED, dtype=np.int32)
        if len(none):
            zero = self.at(np.zeros(len(none)), none)
            inside = inside.where(zero, none)
            ratio[none] = 0.0
            ended[none[zero.slope < -1e-6 * self.nu]] = STALLED
        return ratio, ended, inside

    def _refined(self, k: NDArray[np.intp], found: Array, unit: float) -> Array:
        """Find where the slope passes zero beside the lowest points ``k`` of the grid.

        Steps are Newton's by the bend of the grid, then secants, kept between the neighbours.
        """
        low = GRID[np.maximum(k - 1, 0)].astype(float)
        high = GRID[np.minimum(k + 1, len(GRID) - 1)].astype(float)
        t, bend = parabola(k, found)
        active = np.arange(self.m)
        before_t, before_s = np.full((2, self.m), np.nan)
        for _ in range(STEPS):
            ratio = np.exp(t[active]) / unit
            slope = self.at(ratio, active).slope * ratio
            low[active] = np.where(slope < 0.0, t[active], low[active])
            high[active] = np.where(slope >= 0.0, t[active], high[active])
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = (slope - before_s[active]) / (t[active] - before_t[active])
                curved = np.where(np.isnan(before_t[active]), bend[active], secant)
                moved = t[active] - slope / curved
            middle = 0.5 * (low[active] + high[active])
            safe = np.isfinite(moved) & (moved > low[active]) & (moved < high[active])
            moved = np.where(safe, moved, middle)
            before_t[active], before_s[active] = t[active], slope
            change = np.abs(moved - t[active])
            t[active] = moved
            active = active[change > TOLERANCE]
            if not len(active):
                break
        return t


def joined(found: Sequence[Best]) -> Best:
    """Lay the results of several searches side by side."""
    ratio, ended, at = zip(*found, strict=True)
    whole = {name: np.concatenate([getattr(one, name) for one in at]) for name in OF_RESPONSES}
    beta = np.concatenate([one.beta for one in at], axis=1)
    return np.concatenate(ratio), np.concatenate(ended), At(beta=beta, **whole)


def parabola(k: NDArray[np.intp], found: Array) -> tuple[Array, Array]:
    """Place and bend of the parabola through the lowest points of a grid and their neighbours.

    At an end of the grid, and where a neighbour is not finite, the place is the point itself, and
    the bend NaN.
    """
    inner = np.clip(k, 1, len(GRID) - 2)
    columns = np.arange(len(k))
    t = [GRID[inner + j] for j in (-1, 0, 1)]
    f = [found[inner + j, columns] for j in (-1, 0, 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (f[1] - f[0]) / (t[1] - t[0]), (f[2] - f[1]) / (t[2] - t[1])
        bend = 2.0 * (right - left) / (t[2] - t[0])
        place = 0.5 * (t[0] + t[1]) - left / bend
    usable = (inner == k) & np.isfinite(bend) & (bend > 0.0) & (place > t[0]) & (place < t[2])
    return np.where(usable, place, GRID[k]), np.where(usable, bend, np.nan)
