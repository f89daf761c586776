"""Whether a matrix is a covariance, and how far from one it is."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import DataError
from .labels import named

__all__ = ["dense", "inverse_by_parts", "is_sparse", "refuse_indefinite"]

#: Number of levels up to which a message includes an eigenvalue.
MOST_EIGEN = 3000
#: Smallest eigenvalue of a covariance, relative to its largest, for which it is inverted.
SINGULAR = 1e-12


def is_sparse(A: Any) -> bool:
    """Return whether a matrix is a scipy sparse matrix."""
    from scipy import sparse

    return bool(sparse.issparse(A))


def dense(A: Any) -> NDArray[np.float64]:
    """Lay out a matrix in full."""
    return np.asarray(A.toarray() if is_sparse(A) else A, dtype=np.float64)


def refuse_indefinite(A: Any, labels: pd.Index[Any], what: str) -> NoReturn:
    """Raise for a matrix that is not positive definite, saying by how much and for which levels.

    Raises
    ------
    DataError
        Always.
    """
    cure = (
        "; a small ridge, A + 1e-6 * I, makes a matrix definite that only rounding or duplicates "
        "(clones, the same sample twice) make singular"
    )
    if len(labels) > MOST_EIGEN:
        raise DataError(f"{what} is not positive definite{cure}")
    values, vectors = np.linalg.eigh(dense(A))
    negative = int((values < -SINGULAR * values[-1]).sum())
    weight = np.abs(vectors[:, 0])
    blamed = [int(i) for i in np.argsort(-weight, kind="stable") if weight[i] > 0.25 * weight.max()]
    few = "1 eigenvalue is" if negative == 1 else f"{negative} eigenvalues are"
    kind = f"{few} negative" if negative else "it is singular"
    raise DataError(
        f"{what} is not positive definite: {kind}, the smallest is {values[0]:.3g} and the largest "
        f"{values[-1]:.3g}. Its direction is mostly of {named(labels, blamed)}{cure}"
    )


def inverse_by_parts(A: Any, labels: pd.Index[Any]) -> Any:
    """Invert a covariance, each connected part of its levels separately; sparse if there are any.

    Raises
    ------
    DataError
        If it is not positive definite.
    """
    from scipy import sparse

    count, part = sparse.csgraph.connected_components(sparse.csr_array(A), directed=False)
    if count == 1:
        return _inverse(dense(A), labels)
    A = sparse.csr_array(A)
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part))
    blocks, start = [], 0
    for end in ends:
        rows = order[start:end]
        blocks.append(_inverse(A[rows][:, rows].toarray(), labels.take(rows)))
        start = end
    back = np.argsort(order, kind="stable")
    return sparse.csc_array(sparse.block_diag(blocks, format="csc"))[back][:, back]


def _inverse(A: NDArray[np.float64], labels: pd.Index[Any]) -> NDArray[np.float64]:
    from scipy.linalg import lapack

    factor, info = lapack.dpotrf(A, lower=1)
    if info == 0:
        diagonal = np.diag(factor)
        if (diagonal.min() / diagonal.max()) ** 2 > SINGULAR:
            inverse, _ = lapack.dpotri(factor, lower=1)
            return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)
    refuse_indefinite(A, labels, "the covariance")
