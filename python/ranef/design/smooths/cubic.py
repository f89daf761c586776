"""Cubic regression splines by their values at the knots, natural and cyclic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from .basis import Powers

__all__ = ["Cubic", "Cyclic", "place_knots"]


def place_knots(x: Array, count: int) -> Array:
    """Place knots evenly among the distinct values of x, the ends included."""
    return np.asarray(np.quantile(np.unique(x), np.linspace(0.0, 1.0, count)))


def curvature(knots: Array, second: Array) -> Array:
    """Integrate products of piecewise linear second derivatives, (k, k).

    Parameters
    ----------
    knots : ndarray of shape (K,)
        Where the pieces meet.
    second : ndarray of shape (K, k)
        Second derivative of each basis function at the knots.
    """
    h = np.diff(knots)[:, None]
    a, b = second[:-1], second[1:]
    out = (h * a).T @ a + (h * b).T @ b
    cross = (h * a).T @ b
    return np.asarray((2.0 * out + cross + cross.T) / 6.0)


@dataclass(frozen=True)
class Cubic:
    """Natural cubic splines; a coefficient is the value at its knot.

    Attributes
    ----------
    knots : ndarray of shape (k,)
        Ascending; straight lines continue the spline beyond them.

    References
    ----------
    Wood (2017), Generalized Additive Models, 2nd ed., section 5.3.1.
    """

    knots: Array
    null: tuple[Powers, ...] = ((0,), (1,))
    #: Whether a tensor product takes the coefficients as they are: values of the function.
    has_values = True

    @property
    def penalty(self) -> Array:
        """Integrated squared second derivative."""
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(self.knots, np.eye(len(self.knots)), bc_type="natural")
        return curvature(self.knots, spline(self.knots, 2))

    def __call__(self, x: Array) -> Array:
        """Evaluate the basis at x of shape (n, 1); returns shape (n, k)."""
        return natural(self.knots, np.eye(len(self.knots)), x[:, 0])


def natural(knots: Array, values: Array, x: Array) -> Array:
    """Evaluate natural cubic splines with given values at the knots, (n, k)."""
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(knots, values, bc_type="natural")
    inside = np.clip(x, knots[0], knots[-1])
    out = np.asarray(spline(inside))
    beyond = inside != x
    if beyond.any():
        out[beyond] += (x - inside)[beyond, None] * spline(inside[beyond], 1)
    return out


@dataclass(frozen=True)
class Cyclic:
    """Periodic cubic splines; a coefficient is the value at its knot.

    Attributes
    ----------
    knots : ndarray of shape (k,)
        Ascending; the first and the last are the same point of the cycle, so that there are k - 1
        coefficients.

    References
    ----------
    Wood (2017), Generalized Additive Models, 2nd ed., section 5.3.2.
    """

    knots: Array
    null: tuple[Powers, ...] = ((0,),)
    has_values = True

    def _spline(self, x: Array, derivative: int) -> Array:
        from scipy.interpolate import CubicSpline

        values = np.eye(len(self.knots) - 1)[[*range(len(self.knots) - 1), 0]]
        return np.asarray(CubicSpline(self.knots, values, bc_type="periodic")(x, derivative))

    @property
    def penalty(self) -> Array:
        """Integrated squared second derivative over one cycle."""
        return curvature(self.knots, self._spline(self.knots, 2))

    def __call__(self, x: Array) -> Array:
        """Evaluate the basis at x of shape (n, 1); returns shape (n, k - 1)."""
        return self._spline(x[:, 0], 0)
