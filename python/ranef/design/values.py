"""One variable on all rows: numbers, or codes of levels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ..errors import DataError

__all__ = [
    "Categories",
    "Codes",
    "Numbers",
    "Value",
    "drop_unused",
    "find_levels",
    "float_array",
    "is_numbers",
    "native",
    "read_codes",
    "read_series",
]

Codes: TypeAlias = NDArray[np.integer[Any]]

DATES = "make it a number first, such as days since the start: ({0} - {0}.min()).dt.days"


@dataclass(frozen=True)
class Numbers:
    """A numeric variable, of one column or several (a polynomial, a spline).

    Attributes
    ----------
    arrays : tuple of ndarray of shape (n,)
        The columns, contiguous float64, NaN where missing.
    labels : tuple
        Names of the columns within the variable; empty for a single unnamed column.
    spans_intercept : bool
        Whether the columns add up to a constant.
    dropped : int
        The column to leave out if there is already a constant.
    """

    arrays: tuple[NDArray[np.float64], ...]
    labels: tuple[Any, ...] = ()
    spans_intercept: bool = False
    dropped: int = 0

    def take(self, keep: NDArray[np.bool_]) -> Numbers:
        """Keep some of the rows."""
        return replace(self, arrays=tuple(array[keep] for array in self.arrays))


@dataclass(frozen=True)
class Categories:
    """A categorical variable.

    Attributes
    ----------
    codes : ndarray of shape (n,), integer
        Position in ``levels``; -1 where missing.
    levels : Index
        The levels, in order.
    contrasts : object
        How to code the levels, None for treatment contrasts.
    spans_intercept : bool
        Whether the full coding adds up to a constant.
    """

    codes: Codes
    levels: pd.Index[Any]
    contrasts: Any = None
    spans_intercept: bool = True

    def take(self, keep: NDArray[np.bool_]) -> Categories:
        """Keep some of the rows."""
        return replace(self, codes=self.codes[keep])

    def compressed(self) -> Categories:
        """Drop levels that do not occur."""
        codes, levels = drop_unused(self.codes, self.levels)
        return replace(self, codes=codes, levels=levels)


Value = Numbers | Categories


def read_series(series: pd.Series[Any], name: str) -> Value:
    """Read a column for use in a model matrix: numbers stay numbers; anything else has levels."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        return Numbers((float_array(series, name),))
    if isinstance(dtype, pd.CategoricalDtype):
        return Categories(*categorical_codes(series))
    reject(series, name)
    if is_decimal(dtype) or (types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype)):
        return Numbers((float_array(series, name),))
    return text_or_numbers(series, name)


def categorical_codes(series: pd.Series[Any]) -> tuple[Codes, pd.Index[Any]]:
    """Return a categorical's own codes and categories."""
    values = series.array
    assert isinstance(values, pd.Categorical)
    return values.codes, values.categories


def reject(series: pd.Series[Any], name: str) -> None:
    """Raise for a kind of column that no model matrix can hold."""
    dtype = series.dtype
    if types.is_complex_dtype(dtype):
        raise DataError(f"column {name!r} is complex; take its real part or modulus", name)
    temporal = types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype)
    if temporal or isinstance(dtype, pd.PeriodDtype):
        raise DataError(
            f"column {name!r} contains dates or times ({dtype}); {DATES.format(name)}", name
        )


def is_decimal(dtype: Any) -> bool:
    """Return whether a type is an Arrow decimal."""
    return isinstance(dtype, pd.ArrowDtype) and "decimal" in str(dtype)


def is_numbers(series: pd.Series[Any], name: str) -> bool:
    """Return whether a column is read as numbers, however stored."""
    try:
        return isinstance(read_series(series, name), Numbers)
    except DataError:
        return False


def text_or_numbers(series: pd.Series[Any], name: str) -> Value:
    """Read a column whose kind only its values show."""
    kind = types.infer_dtype(series, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return Numbers((float_array(series, name),))
    if kind in ("string", "boolean", "empty", "categorical"):
        return Categories(*read_codes(series, name))
    if kind in ("datetime", "datetime64", "date", "timedelta", "timedelta64", "time", "period"):
        raise DataError(f"column {name!r} contains dates or times; {DATES.format(name)}", name)
    raise DataError(mixed_message(series, name), name)


def mixed_message(series: pd.Series[Any], name: str) -> str:
    """State which types of value a column mixes."""
    kinds = sorted({type(v).__name__ for v in series.dropna()})
    return (
        f"column {name!r} contains values of different or unusable types ({', '.join(kinds[:4])}); "
        f"make it all numbers or all text, e.g. with astype(str) or pd.to_numeric"
    )


def float_array(series: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """Return contiguous float64, without a copy if the column already is that."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        return np.ascontiguousarray(series.to_numpy(), dtype=np.float64)
    try:
        return np.ascontiguousarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise DataError(f"column {name!r} cannot be read as numbers: {error}", name) from None


def read_codes(series: pd.Series[Any], name: str) -> tuple[Codes, pd.Index[Any]]:
    """Code a column by its levels: categories in their order, anything else sorted.

    Levels that do not occur may be among them; missing values have the code -1.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return categorical_codes(series)
    if dtype == np.float16:
        series = series.astype(np.float32)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        found = small_range(series.to_numpy())
        if found is not None:
            return found
    try:
        codes, levels = pd.factorize(series, sort=True)
    except TypeError:
        raise DataError(mixed_message(series, name), name) from None
    levels = pd.Index(levels)
    if levels.dtype == object and types.infer_dtype(levels).startswith("mixed"):
        kinds = {type(level) for level in levels}
        if len(kinds) > 1 or kinds <= {tuple, dict, list}:
            raise DataError(mixed_message(series, name), name)
    return codes.astype(np.int32), whole(levels, name)


def native(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert numbers to this machine's byte order; pandas cannot look up others."""
    dtype = series.dtype
    if not isinstance(dtype, np.dtype) or dtype.isnative:
        return series
    return pd.Series(series.to_numpy().astype(dtype.newbyteorder("=")), index=series.index)


def small_range(
    values: NDArray[Any],
) -> tuple[Codes, pd.Index[Any]] | None:
    """Code integers by their distance from the smallest, if they lie close together."""
    if len(values) == 0:
        return None
    low, high = int(values.min()), int(values.max())
    if high - low >= min(4 * len(values) + 1000, 2**31 - 1) or high >= 2**63 - 1:
        return None
    wide = values if values.dtype.itemsize >= 4 else values.astype(np.int32)
    codes = (wide - wide.dtype.type(low)).astype(np.int32, copy=False)
    return codes, pd.RangeIndex(low, high + 1)


def whole(levels: pd.Index[Any], name: str) -> pd.Index[Any]:
    """Turn whole float levels into integers; refuse infinite ones."""
    if levels.dtype.kind != "f":
        return levels
    values = levels.to_numpy()
    if not np.isfinite(values).all():
        raise DataError(f"column {name!r} has infinite values", name)
    if (values == np.round(values)).all() and (np.abs(values) < 2**53).all():
        return pd.Index(values.astype(np.int64))
    return levels


def find_levels(levels: pd.Index[Any], values: pd.Index[Any]) -> NDArray[np.intp]:
    """Find the level of each value, -1 if none; numbers and texts match if they read the same."""
    place = levels.get_indexer(values)
    alike = types.is_numeric_dtype(levels.dtype) == types.is_numeric_dtype(values.dtype)
    if alike or (place >= 0).any():
        return place
    texts = pd.Index([str(level) for level in levels.tolist()])
    return texts.get_indexer(pd.Index([str(value) for value in values.tolist()]))


def drop_unused(codes: Codes, levels: pd.Index[Any]) -> tuple[Codes, pd.Index[Any]]:
    """Renumber codes (none missing) so that each level occurs."""
    used = np.zeros(len(levels), dtype=bool)
    step = max(1 << 16, 4 * len(levels))  # of many rows, a few have all levels
    for start in range(0, len(codes), step):
        used[codes[start : start + step]] = True
        if used.all():
            return codes, levels
    return (np.cumsum(used, dtype=np.int32) - np.int32(1))[codes], levels[used]
