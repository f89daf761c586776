"""The value of ``covariance={...}`` for a grouping factor, as a known covariance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ...errors import DataError
from ..frame import did_you_mean
from .labels import named, unique_labels
from .positive import inverse_by_parts
from .precision import KnownCovariance, check_symmetric, triangle_of

__all__ = ["known_covariances", "of_matrix"]

HOW = (
    "give a DataFrame that is labelled by level on both sides, ranef.pedigree(id, sire, dam), or "
    "ranef.Precision(Q, labels)"
)


def known_covariances(given: Any, groups: list[str]) -> dict[str, KnownCovariance]:
    """Read ``covariance=``: a mapping of grouping factors to what is known about their levels.

    Raises
    ------
    DataError
        If a key is not a grouping factor of the formula, or a value is not a covariance.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"covariance is a mapping, {{'animal': A}}, not {type(given).__name__}")
    for group in given:
        if group not in groups:
            hint = did_you_mean(str(group), groups)
            raise DataError(
                f"covariance is given for {group!r}, which is not a grouping factor of the formula"
                f"{hint}; it has {', '.join(groups) or 'none'}",
                str(group),
            )
    return {str(group): _known(value, str(group)) for group, value in given.items()}


def _known(value: Any, group: str) -> KnownCovariance:
    if isinstance(value, KnownCovariance):
        return value
    if isinstance(value, pd.DataFrame):
        return of_matrix(value, group)
    raise DataError(
        f"covariance[{group!r}] is {type(value).__name__}, which does not say whose rows they are; "
        f"{HOW}",
        group,
    )


def of_matrix(A: pd.DataFrame, group: str) -> KnownCovariance:
    """Take a labelled covariance matrix.

    Raises
    ------
    DataError
        If it is not square, its two sides have different labels, or it is not positive definite.
    """
    what = f"covariance[{group!r}]"
    rows = unique_labels(A.index, what)
    columns = unique_labels(A.columns, what)
    if A.shape[0] != A.shape[1]:
        raise DataError(
            f"{what} has {counted(A.shape[0], 'row')} and {counted(A.shape[1], 'column')}; {HOW}",
            group,
        )
    if not rows.equals(columns):
        if set(rows) != set(columns):
            other = [i for i, label in enumerate(rows) if label not in set(columns)]
            raise DataError(
                f"{what} is labelled differently on its two sides: {named(rows, other)} are rows "
                "and no columns (read a file with its first column as the index)",
                group,
            )
        A = A.loc[:, rows]
    try:
        matrix = np.ascontiguousarray(A.to_numpy(dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"{what} has elements that are not numbers", group) from None
    check_symmetric(matrix, rows, what)
    Q = inverse_by_parts(matrix, rows)
    diagonal = np.diag(matrix).copy()
    triangle = triangle_of(_even(Q), rows, what)
    return KnownCovariance(rows, triangle, diagonal, float(diagonal.mean()))


def _even(Q: Any) -> Any:
    return 0.5 * (Q + Q.T)
