"""Rows that fixed effects separate perfectly, and what the others tell."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...families.registry import lookup

__all__ = ["separated_rows", "untold"]


#: Different rows up to which the linear programme is solved.
MOST_ROWS = 20_000
#: Part of a column's length that is rounding.
ROUNDING = 1e-9


def separated_rows(design: Design, family: str, kept: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Find the rows whose fitted means go to the edge of their range, shape (n,).

    Parameters
    ----------
    design : Design
        The rows.
    family : str
        The distribution; responses at an edge are 0 and 1 of a binomial and 0 of counts.
    kept : sequence of int
        Columns of X that stand on their own.

    Notes
    -----
    A direction v of the coefficients separates if x'v moves every response at an edge towards it or
    not at all, and no other: the likelihood then rises along v whatever the random effects are. The
    rows that any such direction moves are the support of a linear programme, maximal sum of t for
    0 <= t <= 1 and t <= s x'v [1]_.

    References
    ----------
    .. [1] Konis (2007), Linear programming algorithms for detecting separated data in binary
       logistic regression models, DPhil thesis, University of Oxford.
    """
    sign = _edges(design.y, family)
    if not sign.any() or _differ_widely(design, kept):
        return np.zeros(len(sign), dtype=bool)
    X = design.X[:, kept]
    X = X / np.linalg.norm(X, axis=0)
    rows, back = np.unique(np.column_stack([sign, X]), axis=0, return_inverse=True)
    if len(rows) > MOST_ROWS:
        return np.zeros(len(sign), dtype=bool)
    back = np.ravel(back)
    at_edge = rows[:, 0] != 0.0
    s, Z = rows[at_edge, :1], rows[at_edge, 1:]
    q, p = Z.shape
    fixed = rows[~at_edge, 1:]
    found = scipy.optimize.linprog(
        np.r_[np.zeros(p), -np.ones(q)],
        A_ub=scipy.sparse.hstack([-s * Z, scipy.sparse.eye(q)]).tocsr(),
        b_ub=np.zeros(q),
        A_eq=np.hstack([fixed, np.zeros((len(fixed), q))]) if len(fixed) else None,
        b_eq=np.zeros(len(fixed)) if len(fixed) else None,
        bounds=[(None, None)] * p + [(0.0, 1.0)] * q,
        method="highs",
    )
    moved = np.zeros(len(rows), dtype=bool)
    if found.status == 0 and found.x is not None:
        moved[at_edge] = found.x[p:] > 0.5
    return np.asarray(moved[back])


def _differ_widely(design: Design, kept: NDArray[np.intp]) -> bool:
    """Return whether the first rows of one column alone differ more often than is worked on."""
    columns = [design.fixed[j] for j in kept if design.fixed[j] >= 0]
    first = slice(2 * MOST_ROWS)
    return any(len(np.unique(design.columns[at][first])) > MOST_ROWS for at in columns)


def _edges(y: Array, family: str) -> Array:
    """Direction in which a response is at the edge of its range: 1, -1, or 0 inside."""
    known = lookup(family)
    if known.has_trials:
        return np.where(y == 1.0, 1.0, np.where(y == 0.0, -1.0, 0.0))
    if known.support.discrete:
        return np.where(y == 0.0, -1.0, 0.0)
    return np.zeros(len(y))


def untold(design: Design, rows: NDArray[np.bool_], kept: NDArray[np.intp]) -> tuple[int, ...]:
    """Positions of the kept columns that some rows alone do not identify."""
    X = design.X[:, kept]
    X = X[rows] / np.linalg.norm(X, axis=0)
    _, d, Vt = np.linalg.svd(X)
    rank = int((d > ROUNDING * d.max(initial=0.0)).sum())
    lost = np.abs(Vt[rank:]).max(axis=0, initial=0.0) > 1e-6
    return tuple(int(j) for j in kept[lost])
