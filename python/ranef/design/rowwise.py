"""Whether an expression's value in a row depends on that row only, found by trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, shortened
from .values import Categories, Value

__all__ = ["check_rows", "is_tried", "note_rows"]

#: Key of a state whose expression uses rows jointly; no part has this spelling.
TOGETHER = "rows together"

Columns: TypeAlias = "Mapping[str, pd.Series[Any]]"


def is_tried(state: Mapping[str, Any]) -> bool:
    """Return whether the rows of the fit were examined before."""
    return TOGETHER in state


def note_rows(
    value: Value,
    again: Callable[[NDArray[np.intp]], Value],
    columns: Columns,
    state: dict[str, Any],
) -> None:
    """Evaluate an expression on some of the rows, and remember if that gives something else.

    Parameters
    ----------
    value : Numbers or Categories
        The expression on all rows.
    again : callable
        Evaluates it on the rows at some positions.
    columns : mapping of str to Series
        What it was computed from.
    state : dict
        What it remembers; if the rows belong together, a digest of these rows is put there.
    """
    state[TOGETHER] = {}
    whole = as_columns(value)
    for rows in samples(whole):
        try:
            part = as_columns(again(rows))
            alike = same(whole, part, rows)
        except Exception:  # what fails on fewer rows is not computed row by row
            alike = False
        if not alike:
            state[TOGETHER] = {"digest": digest(columns)}
            return


def check_rows(expr: str, columns: Columns, state: dict[str, Any]) -> None:
    """Refuse new rows for an expression that uses rows jointly; the fit's own are not new."""
    known = state[TOGETHER]
    if known and known["digest"] != digest(columns):
        raise DataError(
            f"{shortened(expr)} cannot be computed for new rows: its value in a row depends on the "
            "other rows, as a rank or a group's mean does; compute it as a column of the data "
            "before the fit, and give the new data that column",
            expr,
        )


def as_columns(value: Value) -> list[NDArray[Any]]:
    """Return the values of a variable, levels as labels."""
    if isinstance(value, Categories):
        labels = np.empty(len(value.levels) + 1, dtype=object)
        labels[:-1] = value.levels.astype(object)
        return [labels[value.codes]]
    return list(value.arrays)


def samples(whole: list[NDArray[Any]]) -> list[NDArray[np.intp]]:
    """Choose rows: half of them backwards, and a few alone, the outermost values among them."""
    n = len(whole[0])
    if n < 2:
        return []
    alone = {0, n // 3, n - 1}
    first = whole[0]
    if first.dtype.kind == "f" and not np.isnan(first).all():
        alone |= {int(np.nanargmin(first)), int(np.nanargmax(first))}
    elif first.dtype == object:
        changed = np.flatnonzero(first != first[0])
        alone |= {int(changed[0])} if len(changed) else set()
    half = np.arange(n - 1, -1, -2)[: max(n // 2, 1)]
    return [*(np.array([row]) for row in sorted(alone)), half]


def same(whole: list[NDArray[Any]], part: list[NDArray[Any]], rows: NDArray[np.intp]) -> bool:
    """Return whether some rows have the values that they have among all."""
    if len(whole) != len(part):
        return False
    for all_rows, some in zip(whole, part, strict=True):
        expected = all_rows[rows]
        if expected.dtype.kind == "f" and some.dtype.kind == "f":
            size = np.nanmax(np.abs(all_rows), initial=0.0)
            if not np.allclose(expected, some, rtol=1e-9, atol=1e-12 * size, equal_nan=True):
                return False
        elif not all(a is b or a == b for a, b in zip(expected, some, strict=True)):
            return False
    return True


def digest(columns: Columns) -> int:
    """Sum up the values of columns in their rows."""
    parts = []
    for alias in sorted(columns):
        hashes = pd.util.hash_pandas_object(columns[alias], index=True)
        parts += [len(hashes), int(hashes.sum())]
    return hash(tuple(parts))
