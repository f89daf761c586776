"""Thin plate regression splines."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, gamma

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...errors import DataError
from .basis import Powers, monomials
from .cubic import natural

__all__ = ["ThinPlate", "usual_order"]

#: Distinct places up to which each is a knot; beyond that, knots for one variable and for several.
MOST_KNOTS, LINE_KNOTS, PLANE_KNOTS = 2000, 500, 1000
#: Places up to which all eigenvectors are computed.
SMALL = 400
#: Elements of a matrix of distances that are held at once.
AT_ONCE = 4_000_000


@dataclass(frozen=True)
class ThinPlate:
    """The part of the thin plate spline basis of the data that matters most.

    Attributes
    ----------
    centre : ndarray of shape (d,)
        Subtracted from the variables.
    points : ndarray of shape (N, d)
        Distinct places, centred.
    weights : ndarray of shape (N, k - M)
        Columns of the radial functions' coefficients, orthogonal to the polynomials.
    values : ndarray of shape (N, k - M)
        The functions at the points.
    roots : ndarray of shape (k - M, k - M)
        Penalty on their coefficients.
    order : int
        Order m of the derivatives that are penalised.

    Notes
    -----
    With E the radial functions between the places and E = U D U', the basis is U_k D_k Z for the k
    eigenvalues of largest size, Z orthogonal to the polynomials of degree below m, with penalty
    Z'D_k Z, and the polynomials [1]_. In one dimension with m = 2 the functions are natural cubic
    splines with a knot at each place, and are evaluated as such.

    References
    ----------
    .. [1] Wood (2003), J. R. Stat. Soc. B 65, 95-114.
    """

    centre: Array
    points: Array
    weights: Array
    values: Array
    roots: Array
    order: int
    has_values = False

    @classmethod
    def over(cls, x: Array, k: int, order: int) -> ThinPlate:
        """Learn the basis of k functions from x of shape (n, d)."""
        centre = x.mean(axis=0)
        points = _places(x - centre)
        d = points.shape[1]
        n_null = comb(order + d - 1, d)
        if k <= n_null:
            raise ValueError(f"k={k} is too small; k={n_null + 1} is the smallest")
        E = _radial(points, points, order)
        values, vectors = _largest(E, k)
        T = _polynomials(points, order)
        Z = np.linalg.qr((T.T @ vectors)[:, ::-1].T, mode="complete")[0][::-1, : n_null - 1 : -1]
        U = vectors @ Z
        return cls(centre, points, U, (vectors * values) @ Z, Z.T @ (values[:, None] * Z), order)

    @property
    def null(self) -> tuple[Powers, ...]:
        """Polynomials of degree below the order."""
        return monomials(self.order - 1, self.points.shape[1])

    @property
    def penalty(self) -> Array:
        """Penalty of all coefficients, the polynomials' last."""
        q, k = len(self.roots), len(self.roots) + len(self.null)
        out = np.zeros((k, k))
        out[:q, :q] = self.roots
        return out

    def __call__(self, x: Array) -> Array:
        """Evaluate the basis at x of shape (n, d); returns shape (n, k)."""
        at = x - self.centre
        if at.shape[1] == 1 and self.order == 2:
            curved = natural(self.points[:, 0], self.values, at[:, 0])
        else:
            step = max(1, AT_ONCE // len(self.points))
            parts = [
                _radial(at[i : i + step], self.points, self.order) @ self.weights
                for i in range(0, max(len(at), 1), step)
            ]
            curved = np.concatenate(parts)
        return np.hstack([curved, _polynomials(at, self.order)])


def usual_order(dimension: int) -> int:
    """Return the least order with a continuous first derivative, 2m > d + 1."""
    return (dimension + 1) // 2 + 1


def _places(x: Array) -> Array:
    """Distinct rows, or a part of many: ascending in one dimension, drawn by a seed in more."""
    distinct = np.unique(x[:, 0])[:, None] if x.shape[1] == 1 else np.unique(x, axis=0)
    if len(distinct) <= MOST_KNOTS:
        return np.asarray(distinct)
    if x.shape[1] == 1:
        at = np.linspace(0, len(distinct) - 1, LINE_KNOTS).round().astype(int)
    else:
        at = np.sort(np.random.default_rng(0).choice(len(distinct), PLANE_KNOTS, replace=False))
    return np.asarray(distinct[at])


def _radial(x: Array, points: Array, order: int) -> Array:
    """Evaluate the radial functions of the points, (n, N)."""
    d = points.shape[1]
    if d == 1:
        r2 = (x - points.T) ** 2
    else:
        r2 = np.zeros((len(x), len(points)))
        for j in range(d):
            r2 += (x[:, j, None] - points[:, j]) ** 2
    if d % 2:
        scale = gamma(d / 2 - order) / (2 ** (2 * order) * np.pi ** (d / 2) * gamma(order))
        return np.asarray(scale * r2 ** (order - d / 2))
    scale = (-1) ** (order + 1 + d // 2) / (
        2 ** (2 * order - 1) * np.pi ** (d / 2) * gamma(order) * gamma(order - d // 2 + 1)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        out = scale * r2 ** (order - d // 2) * 0.5 * np.log(r2)
    out[r2 == 0.0] = 0.0
    return np.asarray(out)


def _polynomials(x: Array, order: int) -> Array:
    """Evaluate the monomials of degree below the order, (n, M)."""
    powers = monomials(order - 1, x.shape[1])
    return np.column_stack([np.prod(x ** np.array(p), axis=1) for p in powers])


def _largest(E: Array, k: int) -> tuple[Array, Array]:
    """Eigenvalues of largest size, descending, and their vectors."""
    if k > len(E):
        raise DataError(f"k={k} is more than the {counted(len(E), 'distinct place')}")
    if len(E) <= SMALL or k > len(E) // 4:
        values, vectors = np.linalg.eigh(E)
    else:
        from scipy.sparse.linalg import eigsh

        start = np.random.default_rng(0).standard_normal(len(E))
        values, vectors = eigsh(E, k, which="LM", v0=start, ncv=max(2 * k + 1, 20))
    chosen = np.argsort(-np.abs(values), kind="stable")[:k]
    chosen = chosen[np.argsort(-values[chosen], kind="stable")]
    return values[chosen], vectors[:, chosen]
