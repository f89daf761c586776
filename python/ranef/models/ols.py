"""Weighted least squares on arrays; earlier columns take precedence in deciding rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from .._typing import Array
from ..errors import ModelError

__all__ = ["Basis", "OlsEstimate", "column_lengths", "fit_ols", "orthonormal_basis"]


#: A column is aliased when less than this part of its length is left after the earlier columns.
ALIAS_TOLERANCE = 1e-7

#: Parts of a column's length that centring and absorption leave behind as rounding.
CENTRE_FLOOR = 1e-12
ABSORB_FLOOR = 1e-8


@dataclass(frozen=True)
class Basis:
    """Columns B = X[:, kept] @ root with B'WB = I, and the map back to the columns of X.

    Attributes
    ----------
    columns : ndarray of shape (n, r), Fortran order
        The orthonormal columns B.
    root : ndarray of shape (r, r)
        ``root @ root.T`` is the inverse of X'WX over the columns that are kept.
    kept : ndarray of shape (p,), bool
        Columns of X that are not combinations of earlier ones.
    """

    columns: Array
    root: Array
    kept: NDArray[np.bool_]


@dataclass(frozen=True)
class OlsEstimate:
    """A least squares fit: arrays only.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Coefficients, NaN where a column is aliased.
    basis : Basis
        The columns made orthonormal, and which of them have a coefficient.
    fitted, resid : ndarray of shape (n,)
        Fitted values and residuals on the scale of the response.
    ssr : float
        Weighted sum of squared residuals.
    df_resid : int
        Rows minus coefficients minus absorbed effects.
    """

    beta: Array
    basis: Basis
    fitted: Array
    resid: Array
    ssr: float
    df_resid: int

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Columns that have a coefficient, shape (p,)."""
        return self.basis.kept

    @property
    def cov_unscaled(self) -> Array:
        """Inverse of X'WX over the kept columns, shape (r, r)."""
        return self.basis.root @ self.basis.root.T

    @property
    def sigma2(self) -> float:
        """Residual variance."""
        return self.ssr / self.df_resid if self.df_resid > 0 else float("nan")


def fit_ols(
    y: Array,
    X: Array,
    weights: Array | None = None,
    offset: Array | None = None,
    *,
    scale: Array | None = None,
    df_absorbed: int = 0,
) -> OlsEstimate:
    """Fit y on X by weighted least squares.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Response.
    X : ndarray of shape (n, p)
        Columns; a constant one makes the others be centred first.
    weights : ndarray of shape (n,), optional
        Positive weights.
    offset : ndarray of shape (n,), optional
        Known part of the mean.
    scale : ndarray of shape (p,), optional
        Lengths of the columns before absorption, see `orthonormal_basis`.
    df_absorbed : int
        Degrees of freedom already taken from y and X by absorbed effects.

    Returns
    -------
    OlsEstimate
    """
    target = y if offset is None else y - offset
    basis = orthonormal_basis(X, weights, scale)
    r = int(basis.kept.sum())
    if len(y) < r + df_absorbed:
        raise ModelError(
            f"{counted(len(y), 'row is', 'rows are')} too few for {counted(r, 'coefficient')} and "
            f"{counted(df_absorbed, 'absorbed effect')}"
        )
    kept = X if basis.kept.all() else X[:, basis.kept]
    beta, linear = np.zeros(r), np.zeros(len(y))
    for _ in range(2):  # the second round refines the first
        left = target - linear
        beta = beta + basis.root @ (basis.columns.T @ _weighted(left, weights))
        linear = kept @ beta
    resid = target - linear
    full = np.full(X.shape[1], np.nan)
    full[basis.kept] = beta
    return OlsEstimate(
        beta=full,
        basis=basis,
        fitted=y - resid,
        resid=resid,
        ssr=float(resid @ _weighted(resid, weights)),
        df_resid=len(y) - r - df_absorbed,
    )


def orthonormal_basis(X: Array, weights: Array | None = None, scale: Array | None = None) -> Basis:
    """Orthonormalise the columns of X in the metric of the weights.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Columns, in order of precedence; a constant first one makes the others be centred.
    weights : ndarray of shape (n,), optional
        Positive weights.
    scale : ndarray of shape (p,), optional
        Lengths the columns had before absorption, which leaves ``ABSORB_FLOOR`` of them as noise.

    Returns
    -------
    Basis
    """
    n, p = X.shape
    floor = CENTRE_FLOOR if scale is None else ABSORB_FLOOR
    centred, shift = _centre(X, weights)
    scaled = centred if weights is None else centred * np.sqrt(weights)[:, None]
    length = column_lengths(scaled)
    before = column_lengths(X, weights) if scale is None else scale
    noise = floor * before
    length = np.where(length > 0.0, length, 1.0)
    R = _triangle(scaled / length) if n >= p else scaled / length
    kept = _independent(R, np.maximum(ALIAS_TOLERANCE, noise / length))
    if not kept.all():
        R = _triangle(scaled[:, kept] / length[kept])
    inverse = np.linalg.inv(R) / length[kept][:, None]
    used = centred if kept.all() else centred[:, kept]
    columns = np.asfortranarray((inverse.T @ used.T).T)  # laid out by columns as it comes
    return Basis(columns=columns, root=(shift[:, kept] @ inverse)[kept], kept=kept)


def column_lengths(X: Array, weights: Array | None = None) -> Array:
    """Return the Euclidean length of each column in the metric of the weights, shape (p,)."""
    squares = np.einsum("ij,ij->j", X if weights is None else weights[:, None] * X, X)
    return np.asarray(np.sqrt(squares))


def _triangle(A: Array) -> Array:
    """Return the triangle R of A = QR."""
    return np.asarray(np.linalg.qr(A, mode="r"), float)


def _centre(X: Array, weights: Array | None) -> tuple[Array, Array]:
    """Centre X around a constant first column; X_centred = X @ shift, shift (p, p)."""
    n, p = X.shape
    shift = np.eye(p)
    if n == 0 or p == 0 or X[0, 0] == 0.0 or np.any(X[:, 0] != X[0, 0]):
        return X, shift
    total = float(n) if weights is None else float(weights.sum())
    mean = (X.sum(axis=0) if weights is None else weights @ X) / total
    mean[0] = 0.0
    shift[0] -= mean / X[0, 0]
    return X - mean, shift


def _independent(R: Array, limit: Array) -> NDArray[np.bool_]:
    """Mark the columns of R with more than ``limit`` left after the marked ones before them."""
    kept = np.zeros(R.shape[1], bool)
    found: list[Array] = []
    for j in range(R.shape[1]):
        v = R[:, j].copy()
        for _ in range(2):
            for q in found:
                v -= (q @ v) * q
        length = float(np.linalg.norm(v))
        if length > limit[j]:
            kept[j] = True
            found.append(v / length)
    return kept


def _weighted(v: Array, weights: Array | None) -> Array:
    """Multiply by the weights, if there are any."""
    return v if weights is None else weights * v
