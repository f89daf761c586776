"""Contrasts of named coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._counted import counted
from .._typing import Array
from ..design.aligned import by_name

__all__ = ["contrast_matrix", "full_matrix"]


def contrast_matrix(
    what: str | Sequence[str] | ArrayLike,
    names: Sequence[str],
    kept: NDArray[np.bool_],
    terms: Sequence[tuple[str, tuple[int, ...]]],
) -> Array:
    """Return contrasts of the kept coefficients from names of coefficients or terms, or a matrix.

    Parameters
    ----------
    what : str, sequence of str or array_like of shape (q, p)
        Coefficients or terms that are tested against zero together, or the contrasts themselves.
    names : sequence of str, length p
        Names of all coefficients.
    kept : ndarray of shape (p,), bool
        Those with an estimate.
    terms : sequence of (str, tuple of int)
        Terms of the formula and the positions of their columns.

    Returns
    -------
    ndarray of shape (q, r)
    """
    if isinstance(what, str):
        what = [what]
    asked = list(what) if isinstance(what, (list, tuple)) else []
    if asked and all(isinstance(item, str) for item in asked):
        places = [j for item in asked for j in _positions(str(item), names, dict(terms))]
        rows = np.eye(len(names))[[j for j in dict.fromkeys(places) if kept[j]]]
    else:
        rows = np.atleast_2d(np.asarray(by_name(what, names, "contrasts"), float))
        if rows.shape[1] != len(names):
            raise ValueError(
                f"contrasts have {counted(rows.shape[1], 'column')} for "
                f"{counted(len(names), 'coefficient')}"
            )
        if np.any(rows[:, ~kept]):
            raise ValueError("a contrast uses a coefficient that is aliased")
    rows = rows[:, kept]
    if np.linalg.matrix_rank(rows) < max(1, len(rows)):
        raise ValueError("the contrasts are linearly dependent, or none of them can be estimated")
    return rows


def _positions(
    item: str, names: Sequence[str], terms: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Find the coefficients of a coefficient's or term's name."""
    if item in names:
        return (list(names).index(item),)
    if item in terms:
        return terms[item]
    raise ValueError(f"no coefficient or term {item!r}; there are {', '.join(names)}")


def full_matrix(cov: Array, kept: NDArray[np.bool_]) -> Array:
    """Put a covariance of the kept coefficients into a matrix of all, NaN for aliased ones."""
    out = np.full((len(kept), len(kept)), np.nan)
    out[np.ix_(kept, kept)] = cov
    return out
