"""Values given by rows or by names: labels decide, never position alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError

__all__ = [
    "by_name",
    "check_rows",
    "matrix_by_name",
    "one_a_row",
    "rows_by_name",
    "side_by_side",
]


def check_rows(given: Any, role: str, index: pd.Index[Any] | None, n_rows: int) -> None:
    """Refuse a pandas object whose row labels are not those of the data, in their order.

    Parameters
    ----------
    given : object
        What the caller gave; anything without row labels passes.
    role : str
        The argument's name.
    index : Index or None
        Row labels of the data, None where they have none.
    n_rows : int
        Number of rows.

    Raises
    ------
    DataError
        If labels differ, or stand in another order.
    """
    if not isinstance(given, pd.Series | pd.DataFrame) or len(given) != n_rows:
        return
    own = given.index
    if index is None:
        index = pd.RangeIndex(n_rows)
        if not (own.dtype.kind in "iu" and own.isin(index).all()):
            return  # labels that unlabelled rows cannot have
    if own.equals(index):
        return
    raise DataError(f"the index of {role} differs from that of the data; {_cure(own, index)}", role)


def _cure(own: pd.Index[Any], index: pd.Index[Any]) -> str:
    """Advise what to do about labels that differ."""
    if own.is_unique and index.is_unique and own.isin(index).all():
        return (
            "it has the same labels in another order: use .loc[data.index], or .to_numpy() to go "
            "by position"
        )
    return "use .to_numpy() if the rows are the same nevertheless, in the same order"


def one_a_row(
    values: Any,
    role: str,
    index: pd.Index[Any] | None,
    n_data: int,
    rows: NDArray[np.intp] | None = None,
) -> pd.Series[Any]:
    """Read one value for each row that a fit uses, given for these rows or for all of the data.

    Parameters
    ----------
    values : Series, array_like
        The values.
    role : str
        The argument's name.
    index : Index or None
        Row labels of the data.
    n_data : int
        Rows of the data.
    rows : ndarray of int, optional
        Positions of the rows used; all by default.

    Returns
    -------
    Series
        By position, with a new index.

    Raises
    ------
    DataError
        If the number of values is that of neither, or labels differ.
    """
    series = values if isinstance(values, pd.Series) else pd.Series(_flat(values, role))
    if len(series) == n_data:
        check_rows(values, role, index, n_data)
        taken = series if rows is None else series.iloc[rows]
        return taken.reset_index(drop=True)
    used = n_data if rows is None else len(rows)
    if len(series) != used or rows is None:
        raise DataError(
            f"{role} has {counted(len(series), 'value')} for {counted(n_data, 'row')} of data", role
        )
    check_rows(values, role, None if index is None else index[rows], used)
    return series.reset_index(drop=True)


def _flat(values: Any, role: str) -> Any:
    """Return a vector; a matrix of one column counts as one."""
    if isinstance(values, pd.DataFrame) or np.ndim(values) == 2:
        raise DataError(f"{role} must have one value a row; pass a vector, or a Series", role)
    array = np.asarray(values) if not hasattr(values, "to_numpy") else values.to_numpy()
    if array.ndim != 1:
        raise DataError(
            f"{role} must have one value a row, not {counted(array.ndim, 'dimension')}", role
        )
    return array


def by_name(values: Any, names: Sequence[str], role: str) -> Any:
    """Put what is labelled by names into their order: a Series, or the columns of a frame.

    Parameters
    ----------
    values : object
        A Series by name, a frame with a column for each name, a list of Series, or anything else,
        which is returned as it is.
    names : sequence of str
        The names.
    role : str
        The argument's name.

    Raises
    ------
    ValueError
        If a label is no name. Names that are not mentioned are zero.
    """
    if isinstance(values, list | tuple) and values and isinstance(values[0], pd.Series):
        values = pd.DataFrame([_named(v, names, role) for v in values])
    if isinstance(values, pd.Series):
        return _named(values, names, role).to_numpy(dtype=float)
    if not isinstance(values, pd.DataFrame):
        return values
    if _by_position(values.columns):
        return values.to_numpy(dtype=float)
    _check_names(values.columns, names, role)
    return values.reindex(columns=pd.Index(names), fill_value=0.0).to_numpy(dtype=float)


def _named(values: pd.Series[Any], names: Sequence[str], role: str) -> pd.Series[Any]:
    """Put a Series in the order of the names."""
    if _by_position(values.index):
        return values
    _check_names(values.index, names, role)
    return values.reindex(pd.Index(names), fill_value=0.0)


def _by_position(labels: pd.Index[Any]) -> bool:
    """Return whether labels are just 0, 1, 2, ..., which pandas makes by default."""
    return labels.equals(pd.RangeIndex(len(labels)))


def _check_names(labels: pd.Index[Any], names: Sequence[str], role: str) -> None:
    """Refuse labels that are not names, or that repeat."""
    if not labels.is_unique:
        raise ValueError(f"{role} has a label twice: {labels[labels.duplicated()][0]!r}")
    unknown = [label for label in labels if label not in names]
    if unknown:
        raise ValueError(
            f"{role} is labelled {unknown[0]!r}, which is not one of the names {', '.join(names)}"
        )


def matrix_by_name(values: Any, names: Sequence[Any], role: str) -> Any:
    """Put a labelled symmetric matrix into the order of names, both ways.

    Parameters
    ----------
    values : object
        A frame, or anything else, which is returned as it is.
    names : sequence
        The labels in order.
    role : str
        The argument's name.

    Raises
    ------
    ValueError
        If rows and columns are not labelled by these names.
    """
    if not isinstance(values, pd.DataFrame):
        return values
    if _by_position(values.columns) and _by_position(values.index):
        return values.to_numpy()
    wanted = pd.Index(names)
    for labels in (values.index, values.columns):
        if len(labels) != len(wanted) or not labels.is_unique or not labels.isin(wanted).all():
            raise ValueError(
                f"{role} must be labelled by {', '.join(map(str, names))} in rows and columns"
            )
    return values.reindex(index=wanted, columns=wanted).to_numpy()


def rows_by_name(values: Any, names: Sequence[Any], role: str) -> Any:
    """Put the rows of a frame labelled by names into their order; anything else stays.

    Parameters
    ----------
    values : object
        A frame with a row for each name, or anything else.
    names : sequence
        The labels in order.
    role : str
        What the values are, for messages.

    Raises
    ------
    DataError
        If the rows are not labelled by these names.
    """
    if not isinstance(values, pd.DataFrame) or _by_position(values.index):
        return values
    wanted = pd.Index(names)
    if len(values) != len(wanted) or not values.index.is_unique:
        raise DataError(f"{role} must have one row for each of {', '.join(map(str, names))}", role)
    if not wanted.isin(values.index).all():
        raise DataError(
            f"the rows of {role} are labelled {', '.join(map(str, values.index))}, not "
            f"{', '.join(map(str, names))}",
            role,
        )
    return values.loc[wanted]


def side_by_side(values: Any, role: str) -> Any:
    """Join a list of Series to the frame that it means; anything else stays.

    Raises
    ------
    DataError
        If their row labels differ, or some items of the list are not Series.
    """
    if not (isinstance(values, list | tuple) and any(isinstance(v, pd.Series) for v in values)):
        return values
    if not all(isinstance(v, pd.Series) for v in values):
        raise DataError(f"{role} mixes Series with other things; pass a frame or a matrix", role)
    if any(not v.index.equals(values[0].index) for v in values):
        raise DataError(f"the Series of {role} differ in their index", role)
    names = [j if v.name is None else v.name for j, v in enumerate(values)]
    return pd.concat(list(values), axis=1, keys=names)
