"""Rows of units in a standardised basis, and the way back from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Array, Positions

__all__ = ["MixtureRows", "Standard"]


@dataclass(frozen=True)
class MixtureRows:
    """Rows that are sorted by unit.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        Powers of time.
    y : ndarray of shape (n,)
        Responses.
    start : ndarray of shape (units + 1,)
        First row of each unit, and the end.
    """

    X: Array
    y: Array
    start: Positions

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.start) - 1

    @cached_property
    def unit(self) -> Positions:
        """Unit of each row."""
        return np.repeat(np.arange(self.n_units), np.diff(self.start))


@dataclass(frozen=True)
class Standard:
    """The same rows, with X'X / n = I and, for a normal response, a unit that suits it.

    X = Q R, y = centre + scale z. Neither the origin of time nor any unit reaches the search.

    Attributes
    ----------
    Q, R : ndarray of shape (n, p), (p, p)
        New columns, and the way back.
    z : ndarray of shape (n,)
        New response.
    centre, scale : float
        Origin and unit of the response.
    within : float
        Residual variance of units about curves of their own, in that unit; NaN where no unit has
        more rows than coefficients.
    """

    Q: Array
    R: Array
    z: Array
    centre: float
    scale: float
    within: float

    @classmethod
    def of(cls, rows: MixtureRows, *, normal: bool) -> Standard:
        """Standardise rows; a response of counts stays as it is."""
        Q, R = np.linalg.qr(rows.X)
        root = np.sqrt(len(Q))
        Q, R = np.asfortranarray(Q * root), R / root
        if not normal:
            return cls(Q, R, np.ascontiguousarray(rows.y), 0.0, 1.0, np.nan)
        centre = float(rows.y.mean())
        left = rows.y - centre
        left = left - Q @ (Q.T @ left) / len(Q)
        scale, spread = float(np.sqrt(np.mean(left**2))), float(rows.y.std())
        scale = spread if scale < 1e-9 * spread else scale  # on the curve but for rounding
        z = (rows.y - centre) / scale
        return cls(Q, R, z, centre, scale, within_variance(rows, Q, z))

    def beta(self, beta: Array) -> Array:
        """Coefficients of the powers of time from those of Q, (classes, p)."""
        out = np.linalg.solve(self.R, beta.T).T * self.scale
        out[:, 0] += self.centre
        return np.asarray(out)

    def psi(self, roots: Array) -> Array:
        """Covariance matrices of random effects, (classes, r, r), from their roots."""
        r = roots.shape[-1]
        back = np.linalg.solve(self.R[:r, :r], roots) * self.scale
        return np.asarray(back @ back.transpose(0, 2, 1))


def within_variance(rows: MixtureRows, Q: Array, z: Array) -> float:
    """Pool the residual variances of units about least-squares curves of their own."""
    total, df = 0.0, 0
    for first, last in zip(rows.start[:-1], rows.start[1:], strict=True):
        part, response = Q[first:last], z[first:last]
        found, _, rank, _ = np.linalg.lstsq(part, response, rcond=None)
        if last - first > rank:
            total += float(np.sum((response - part @ found) ** 2))
            df += int(last - first - rank)
    return total / df if df else float("nan")
