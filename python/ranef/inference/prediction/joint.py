"""Covariances of the errors of random effects that include the uncertainty of the coefficients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...design.encode import NewRows, NewTerm

__all__ = ["joint_covariances"]

#: Numbers in the columns of the rows that are asked about at once.
AT_ONCE = 2_000_000


def joint_covariances(design: Design, variances: Callable[[NewRows, str], Array]) -> list[Array]:
    """Covariance of b - b^ of each level, (levels, s, s) for each term that is no smooth.

    Parameters
    ----------
    design : Design
        The model.
    variances : callable
        Gives the variance of the error of x'beta + z'b for rows that one grouping factor takes part
        in, shape (m,).

    Notes
    -----
    Rows with x = 0 and z = e_i ask for variances, those with z = e_i + e_j for covariances.
    """
    out = []
    for t, term in enumerate(design.random):
        if term.smooth is not None:
            continue
        s = term.n_cols
        rows, columns = np.tril_indices(s)
        z = np.zeros((len(rows), s))
        z[np.arange(len(rows)), rows] = 1.0
        z[np.arange(len(rows)), columns] = 1.0
        found = np.empty((term.n_levels, s, s))
        step = max(1, AT_ONCE // z.size)
        for start in range(0, term.n_levels, step):
            levels = np.arange(start, min(start + step, term.n_levels), dtype=np.int32)
            asked = _rows(design, t, term, np.repeat(levels, len(z)), np.tile(z, (len(levels), 1)))
            found[levels] = _matrices(variances(asked, term.group).reshape(len(levels), -1), s)
        out.append(found)
    return out


def _rows(design: Design, t: int, term: RandomTerm, codes: NDArray[np.int32], z: Array) -> NewRows:
    """Rows of one term alone."""
    new = NewTerm(term.group, codes, np.asfortranarray(z))
    return NewRows(
        X=np.zeros((len(z), len(design.fixed)), order="F"),
        offset=None,
        terms=tuple(new if i == t else None for i in range(len(design.random))),
        missing=np.zeros(len(z), dtype=bool),
        index=None,
    )


def _matrices(values: Array, s: int) -> Array:
    """Covariances from variances of e_i and of e_i + e_j, by rows of the lower triangle."""
    i, j = np.tril_indices(s)
    own = values[:, i == j]
    out = np.empty((len(values), s, s))
    between = np.where(i == j, values, 0.5 * (values - own[:, i] - own[:, j]))
    out[:, i, j] = between
    out[:, j, i] = between
    return out
