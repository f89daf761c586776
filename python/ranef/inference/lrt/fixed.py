"""Fixed parts compared as column spaces on the same rows, whatever their columns are called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..._typing import Array
from ...design.design import Design, assemble

__all__ = ["FixedSpace", "coding_shift", "contains", "fixed_space"]


#: A column whose part outside a space is smaller, relative to its length, lies in the space.
TOLERANCE = 1e-7


@dataclass(frozen=True)
class FixedSpace:
    """The means that a fixed part can give: offset + span(X).

    Attributes
    ----------
    columns : ndarray of shape (n, p)
        Columns of X that are not aliased; centred when the constant lies in their span.
    basis : ndarray of shape (n, r)
        Orthonormal basis of ``columns``.
    has_constant : bool
        Whether the constant lies in the span; it is not part of ``basis`` then.
    offset : ndarray of shape (n,) or None
        Known part of the mean.
    logdet : float
        log|X'X| of the columns as the formula codes them.
    """

    columns: Array
    basis: Array
    has_constant: bool
    offset: Array | None
    logdet: float


def fixed_space(design: Design, kept: NDArray[np.intp]) -> FixedSpace:
    """Find the column space of a design's fixed part.

    Parameters
    ----------
    design : Design
        The design.
    kept : ndarray of int
        Positions in ``design.fixed`` of the columns that are not aliased.

    Returns
    -------
    FixedSpace
        The space, in a basis that location and scale of the columns do not spoil.
    """
    X = assemble(design.columns, tuple(design.fixed[j] for j in kept), design.n_obs)
    scale = np.linalg.norm(X, axis=0)
    Q, R = linalg.qr(X / scale, mode="economic")
    logdet = 2.0 * float(np.log(np.abs(np.diag(R))).sum() + np.log(scale).sum())
    ones = np.full((design.n_obs, 1), 1.0 / np.sqrt(design.n_obs))
    has_constant = bool(np.linalg.norm(ones - Q @ (Q.T @ ones)) < TOLERANCE)
    columns = X - X.mean(axis=0) if has_constant else X
    return FixedSpace(columns, _orthonormal(columns, scale), has_constant, design.offset, logdet)


def _orthonormal(columns: Array, scale: Array) -> Array:
    """Orthonormal basis of columns, those that are nothing but rounding left out."""
    length = np.linalg.norm(columns, axis=0)
    moving = columns[:, length > 1e-12 * scale]
    if not moving.shape[1]:
        return np.empty((len(columns), 0))
    Q, R, _ = linalg.qr(moving / np.linalg.norm(moving, axis=0), mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(R)) > TOLERANCE * abs(R[0, 0])).sum())
    return np.asarray(Q[:, :rank])


def contains(large: FixedSpace, small: FixedSpace) -> bool:
    """Return whether every mean of ``small`` is a mean of ``large``."""
    if small.has_constant and not large.has_constant:
        return False
    columns = small.columns
    if small.offset is not None or large.offset is not None:
        gap = (0.0 if small.offset is None else small.offset) - (
            0.0 if large.offset is None else large.offset
        )
        columns = np.column_stack([columns, gap])
    if large.has_constant:
        scale = np.linalg.norm(columns, axis=0)
        columns = columns - columns.mean(axis=0)
        columns = columns[:, np.linalg.norm(columns, axis=0) > 1e-12 * scale]
    length = np.linalg.norm(columns, axis=0)
    columns = columns[:, length > 0.0] / length[length > 0.0]
    outside = columns - large.basis @ (large.basis.T @ columns)
    return bool((np.linalg.norm(outside, axis=0) < TOLERANCE).all())


def coding_shift(first: FixedSpace, other: FixedSpace) -> float:
    """Return the part of -2 restricted log-likelihood that the coding of X alone moves.

    Notes
    -----
    With X2 = X1 T, -2 log of the restricted likelihood of the second is that of the first plus
    2 log|det T| = log|X2'X2| - log|X1'X1|, whatever the covariance.
    """
    return other.logdet - first.logdet
