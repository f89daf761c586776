"""P-splines: B-splines on equal steps with a penalty on differences of coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from .basis import Powers

__all__ = ["PSpline"]

#: The range of the data is widened by this share on both sides.
WIDER = 1e-3


@dataclass(frozen=True)
class PSpline:
    """B-splines on equally spaced knots.

    Attributes
    ----------
    knots : ndarray of shape (k + degree + 1,)
        All knots.
    degree : int
        Degree of the splines.
    order : int
        Order of the differences that are penalised.

    References
    ----------
    Eilers and Marx (1996), Statistical Science 11, 89-121.
    """

    knots: Array
    degree: int
    order: int
    has_values = False

    @classmethod
    def over(cls, low: float, high: float, k: int, degree: int, order: int) -> PSpline:
        """Lay knots over a range so that there are k splines."""
        width = WIDER * (high - low)
        inner = k - degree + 1
        step = (high - low + 2.0 * width) / (inner - 1)
        first = low - width - degree * step
        knots = np.asarray(first + step * np.arange(inner + 2 * degree), dtype=np.float64)
        return cls(knots, degree, order)

    @property
    def null(self) -> tuple[Powers, ...]:
        """Polynomials that the penalty ignores."""
        return tuple((j,) for j in range(self.order))

    @property
    def penalty(self) -> Array:
        """Squared differences of coefficients."""
        count = len(self.knots) - self.degree - 1
        D = np.diff(np.eye(count), self.order, axis=0)
        return np.asarray(D.T @ D)

    def __call__(self, x: Array) -> Array:
        """Evaluate the basis at x of shape (n, 1), shape (n, k); straight lines go on beyond."""
        from scipy.interpolate import BSpline

        v = x[:, 0]
        count = len(self.knots) - self.degree - 1
        low, high = self.knots[self.degree], self.knots[count]
        inside = np.clip(v, low, high)
        out = BSpline.design_matrix(inside, self.knots, self.degree).toarray()
        beyond = inside != v
        if beyond.any():
            slope = BSpline(self.knots, np.eye(count), self.degree)(inside[beyond], 1)
            out[beyond] += (v - inside)[beyond, None] * slope
        return np.asarray(out)
