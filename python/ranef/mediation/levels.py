"""Values of treatment and mediator: what is compared, and the unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import DataError

__all__ = ["contrast_of", "filled", "is_number", "mediator_steps", "moderator"]


def is_number(column: pd.Series[Any]) -> bool:
    """Return whether a column holds numbers; True and False are levels."""
    kind = column.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def filled(column: pd.Series[Any], value: Any) -> pd.Series[Any]:
    """Return a column of one value, of the same kind."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical([value] * len(column), dtype=column.dtype))
    return pd.Series([value] * len(column), dtype=float if is_number(column) else column.dtype)


def contrast_of(column: pd.Series[Any], name: str, asked: Sequence[Any] | None) -> tuple[Any, Any]:
    """Choose control and treatment.

    Raises
    ------
    ValueError
        If two values must be named, or those named do not occur.
    """
    if is_number(column):
        values = column.to_numpy(float)
        if np.ptp(values) == 0.0:
            raise DataError(f"treatment {name!r} has the same value in every row", name)
        if asked is None:
            low, high = values.min(), values.max()
            if low <= 0.0 and high >= 1.0:
                return 0.0, 1.0
            middle = float(values.mean())
            return middle, middle + 1.0
        control, treated = (number(value, "contrast", name) for value in pair(asked))
        return control, treated
    levels = levels_of(column)
    if asked is None:
        if len(levels) != 2:
            raise ValueError(
                f"treatment {name!r} has {counted(len(levels), 'level')}, "
                f"{', '.join(map(repr, levels[:8]))}; name two of them by contrast=(control, "
                "treatment)"
            )
        return levels[0], levels[1]
    for value in pair(asked):
        if value not in levels:
            raise ValueError(
                f"contrast names {value!r}, which is not a level of {name!r}: {levels}"
            )
    control, treated = pair(asked)
    return control, treated


def number(value: Any, word: str, name: str) -> float:
    """Read a value of a numeric column."""
    try:
        out = float(value)
    except (TypeError, ValueError):
        out = np.nan
    if not np.isfinite(out):
        raise ValueError(f"{word} takes numbers for {name!r}, not {value!r}")
    return out


def moderator(column: pd.Series[Any], name: str, value: Any) -> Any:
    """Read the value that a moderator is held at.

    Raises
    ------
    ValueError
        If it is not a number where one is needed, or a level that does not occur.
    """
    if is_number(column):
        return number(value, "at", name)
    if value not in (levels := levels_of(column)):
        shown = ", ".join(map(repr, levels[:8]))
        raise ValueError(f"at= sets {name!r} to {value!r}, which is not one of its levels: {shown}")
    return value


def pair(asked: Sequence[Any]) -> tuple[Any, Any]:
    """Read two different values."""
    if isinstance(asked, str) or len(asked) != 2 or asked[0] == asked[1]:
        raise ValueError(f"contrast is (control, treatment), two different values, not {asked!r}")
    return asked[0], asked[1]


def levels_of(column: pd.Series[Any]) -> list[Any]:
    """Levels that occur, in order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories().cat.categories.tolist()
    return sorted(pd.unique(column.dropna()).tolist())


def mediator_steps(column: pd.Series[Any], name: str) -> tuple[tuple[Any, ...], Any, float]:
    """Columns of the mediator where it is, a step away, and two, whatever its unit.

    Returns
    -------
    tuple
        Columns, the values (n,) that the first of them stands for, and the length of a step. Of
        two levels the first is 0, the second 1.
    """
    if is_number(column):
        values = column.astype(float)
        spread = float(values.std(ddof=0))
        step = 2.0 ** round(np.log2(spread)) if spread > 0.0 and np.isfinite(spread) else 1.0
        return (values, values + step, values + 2.0 * step), values.to_numpy(), step
    levels = levels_of(column)
    if len(levels) != 2:
        raise DataError(
            f"mediator {name!r} has {counted(len(levels), 'level')}; it must be a number, or have "
            "two",
            name,
        )
    return tuple(filled(column, level) for level in levels), np.zeros(len(column)), 1.0
