"""Turn the coefficients of a basis so that its penalty is diagonal."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from .basis import Basis

__all__ = ["by_groups", "centred", "eigenvalues", "separated", "values_at_even_steps"]


def _descending(S: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(0.5 * (S + S.T))
    return values[::-1], vectors[:, ::-1]


def centred(basis: Basis, X: Array, constrained: bool) -> Array:
    """Turn coefficients into those of the penalised functions, with penalty one, (k, q).

    With ``constrained`` the functions add up to zero over the rows of X.
    """
    S, n_null = basis.penalty, len(basis.null)
    Z = np.eye(len(S))
    if constrained:
        Z = np.linalg.qr(X.mean(axis=0)[:, None], mode="complete")[0][:, 1:]
        n_null -= 1
    values, vectors = _descending(Z.T @ S @ Z)
    q = len(values) - n_null
    return np.asarray(Z @ (vectors[:, :q] / np.sqrt(values[:q])), np.float64)


def values_at_even_steps(basis: Basis, x: Array) -> Array:
    """Turn coefficients into function values at even steps over x of shape (n, 1), (k, k)."""
    k = len(basis.penalty)
    at: Array = np.linspace(float(x.min()), float(x.max()), k)[:, None]
    return np.asarray(np.linalg.inv(basis(at)), dtype=np.float64)


def eigenvalues(S: Array, n_null: int) -> tuple[Array, Array]:
    """Eigenvectors and eigenvalues of a penalty, the largest scaled to one, zeros made exact."""
    values, vectors = _descending(S)
    values = values / values[0]
    values[len(values) - n_null :] = 0.0
    return vectors, values


def separated(basis: Basis, X: Array) -> tuple[Array, int]:
    """Turn coefficients into penalised ones of penalty one, then the others; also their number q.

    Notes
    -----
    Functions that are not penalised have the same sum of squares over the rows of X, and those of
    both kinds a mean square of one: what ``t2`` multiplies [1]_.

    References
    ----------
    .. [1] Wood, Scheipl and Faraway (2013), Stat. Comput. 23, 341-360.
    """
    S, n_null = basis.penalty, len(basis.null)
    values, vectors = _descending(S)
    q = len(values) - n_null
    turn = vectors.copy()
    turn[:, :q] /= np.sqrt(values[:q])
    turn[:, q:] = _free_directions(vectors[:, q:])
    sizes = np.mean((X @ turn) ** 2, axis=0)
    turn[:, :q] /= np.sqrt(sizes[:q].mean())
    turn[:, q:] /= np.sqrt(sizes[q:])
    return turn, q


def _free_directions(null: Array) -> Array:
    """Turn an orthonormal basis, (k, M), into one whose later functions lack the first coordinates.

    Where directions that are not penalised have a standard deviation each, a model depends on the
    choice of them. This is the choice of the usual eigenvector routine.
    """
    return np.asarray(null @ np.linalg.qr(null[: null.shape[1]].T)[0])


def by_groups(basis: Basis, X: Array) -> tuple[Array, int]:
    """Turn coefficients to what varies over the levels of a factor, (k, k).

    Parameters
    ----------
    basis : Basis
        The basis, not constrained.
    X : ndarray of shape (n, k)
        The basis on the rows.

    Returns
    -------
    turn : ndarray of shape (k, k)
        To functions that are orthogonal over the rows: penalised ones of penalty one, then others
        of mean square one.
    q : int
        Number of the former.
    """
    inverse = np.linalg.inv(np.linalg.qr(X, mode="r"))
    values, vectors = _descending(inverse.T @ basis.penalty @ inverse)
    q = len(values) - len(basis.null)
    free = _free_directions(vectors[:, q:]) * np.sqrt(len(X))
    return inverse @ np.hstack([vectors[:, :q] / np.sqrt(values[:q]), free]), q
