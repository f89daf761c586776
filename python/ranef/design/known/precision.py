"""Known covariances of the levels of a grouping factor, stored as inverses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import _core
from ..._counted import counted
from ...errors import DataError
from .labels import named, unique_labels
from .positive import dense, is_sparse, refuse_indefinite

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["KnownCovariance", "Precision", "Triangle", "triangle_of"]

Vector = NDArray[np.float64]
#: Lower triangle of a symmetric matrix by columns: starts, rows, values.
Triangle = tuple[NDArray[np.int64], NDArray[np.int32], Vector]

#: How far from symmetric a matrix may be, relative to its largest element.
ASYMMETRY = 1e-8


@dataclass(frozen=True, eq=False, repr=False)
class KnownCovariance:
    """A covariance of levels known up to scale: A of var(b) = A x variance.

    Attributes
    ----------
    labels : Index of length l
        The levels.
    triangle : tuple of ndarray
        Lower triangle of the inverse of A, by columns: starts, rows, values.
    diagonal : ndarray of shape (l,)
        Diagonal of A.
    new_level : float
        Diagonal assumed for a level that A does not have.
    """

    labels: pd.Index[Any]
    triangle: Triangle
    diagonal: Vector
    new_level: float = 1.0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "factor"}

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> float:
        """Mean of the diagonal of A."""
        return float(self.diagonal.mean())

    @property
    def is_diagonal(self) -> bool:
        """Whether levels are independent."""
        return len(self.triangle[2]) == len(self)

    @cached_property
    def factor(self) -> _core.PrecisionFactor:
        """Cholesky factor of the inverse."""
        return _core.PrecisionFactor(self.triangle)

    @property
    def precision(self) -> csc_array:
        """The inverse of A, sparse, shape (l, l), in the order of ``labels``."""
        from scipy.sparse import csc_array, tril

        start, row, value = self.triangle
        lower = csc_array((value, row, start), shape=(len(self), len(self)))
        return csc_array(lower + tril(lower, -1).T)

    def draw(self, rng: np.random.Generator, n_cols: int) -> Vector:
        """Draw values with the covariance A, shape (l, n_cols), columns independent."""
        return np.asarray(self.factor.spread(rng.standard_normal((len(self), n_cols))))

    def __repr__(self) -> str:
        entries = len(self.triangle[2])
        return f"<{type(self).__name__} of {len(self):,} levels, {entries:,} entries>"


class Precision(KnownCovariance):
    """A known precision matrix: the inverse of the covariance of levels, up to its size.

    Parameters
    ----------
    Q : array-like, sparse matrix or DataFrame of shape (l, l)
        Symmetric and positive definite.
    labels : sequence of length l, optional
        The levels, in the order of the rows of ``Q``; by default those of a DataFrame.

    Raises
    ------
    DataError
        If ``Q`` is not square, symmetric, finite or positive definite, or labels repeat.

    Examples
    --------
    Neighbours along a line, by differences:

    >>> import numpy as np
    >>> import ranef
    >>> Q = 2.0 * np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1)
    >>> ranef.Precision(Q, ["a", "b", "c", "d"])
    <Precision of 4 levels, 7 entries>
    """

    def __init__(self, Q: Any, labels: Sequence[Any] | None = None):
        if labels is None:
            if not isinstance(Q, pd.DataFrame):
                raise DataError("Precision needs the labels of the levels: Precision(Q, labels)")
            labels = Q.index.tolist()
        known = unique_labels(labels, "Precision")
        triangle = triangle_of(Q, known, "the precision matrix")
        factor = _core.PrecisionFactor(triangle)
        if not factor.is_positive:
            refuse_indefinite(Q, known, "the precision matrix")
        diagonal = factor.diagonal()
        super().__init__(known, triangle, diagonal, float(diagonal.mean()))


def triangle_of(Q: Any, labels: pd.Index[Any], what: str) -> Triangle:
    """Lay out the lower triangle of a symmetric matrix, dense or sparse; zeros are left out."""
    from scipy import sparse

    if not is_sparse(Q):
        try:
            Q = np.asarray(Q, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{what} has elements that are not numbers") from None
    n = len(labels)
    if Q.shape != (n, n):
        raise DataError(
            f"{what} has shape {Q.shape} for {counted(n, 'label')}; it must be {n} x {n}"
        )
    check_symmetric(Q, labels, what)
    lower = sparse.csc_array(sparse.tril(Q, format="csc"))
    lower.eliminate_zeros()
    lower.sort_indices()
    return (
        lower.indptr.astype(np.int64),
        lower.indices.astype(np.int32),
        np.ascontiguousarray(lower.data, dtype=np.float64),
    )


def check_symmetric(Q: Any, labels: pd.Index[Any], what: str) -> None:
    """Refuse a matrix that is not finite, or not its own transpose."""
    if not np.isfinite(Q.data if is_sparse(Q) else Q).all():
        raise DataError(f"{what} has missing or infinite elements")
    off = abs(Q - Q.T)
    largest = float(off.max())
    if largest > ASYMMETRY * float(abs(Q).max()):
        i, j = divmod(int(np.argmax(dense(off))), len(labels))
        raise DataError(
            f"{what} is not symmetric: its elements for {named(labels, [i, j])} differ by "
            f"{largest:.3g} from those the other way round"
        )
