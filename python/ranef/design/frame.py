"""The caller's data of any kind: columns by name, as pandas series."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError, shortened
from .values import native

__all__ = [
    "Frame",
    "copies_on_write",
    "copy_strided",
    "did_you_mean",
    "is_frame",
    "open_frame",
    "owners",
    "row_labels",
    "to_pandas",
    "used_instead",
]

#: From pandas 3 on.
ALWAYS_COPIES = int(pd.__version__.partition(".")[0]) >= 3

#: Rows of a block, and the number of columns from which blocks pay off.
BLOCK = 2048
FEW = 4
MOST_IN_16_BITS = 32767


@dataclass(frozen=True)
class Frame:
    """A table that returns its columns one by one.

    Attributes
    ----------
    names : tuple
        Column names, in order.
    n_rows : int
        Number of rows.
    index : Index or None
        Row labels, when the table is a pandas frame.
    fetch : callable
        Returns the column of a name as a pandas series.
    cache : dict of str to series
        Columns fetched before; all have the same index.
    arrays : dict of str to array of shape (n,)
        Columns copied by `copy_strided`.
    """

    names: tuple[Any, ...]
    n_rows: int
    index: pd.Index[Any] | None
    fetch: Callable[[str], pd.Series[Any]]
    cache: dict[str, pd.Series[Any]] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.cache or name in self.names

    def series(self, name: str) -> pd.Series[Any]:
        """Return a column; raise `DataError` unless exactly one has that name."""
        found = self.cache.get(name)
        if found is None:
            self.check(name)
            found = self.fetch(name)
            if not getattr(found.dtype, "isnative", True):
                found = native(found)
            self.cache[name] = found
        return found

    def check(self, name: str) -> None:
        """Raise unless exactly one column has this name."""
        count = self.names.count(name)
        if count == 0:
            raise DataError(
                f"the data have no column {shortened(str(name))!r}{self.hint(name)}",
                name,
                self.names,
            )
        if count > 1:
            raise DataError(
                f"{counted(count, 'column')} of the data are called {name!r}; rename them", name
            )

    def hint(self, name: str) -> str:
        """Say where a name that is not a column may be found."""
        if self.index is not None and name in self.index.names:
            return "; it is in the index: call reset_index() on the data first"
        return did_you_mean(name, self.names)


def open_frame(data: Any) -> Frame:
    """Take a pandas, polars or Arrow table, or a mapping of names to arrays."""
    if isinstance(data, pd.DataFrame):
        names = tuple(data.columns.tolist())
        return Frame(names, len(data), data.index, pandas_column(data, names))
    if isinstance(data, Mapping):
        return mapping_frame(data)
    if isinstance(data, np.ndarray) and data.dtype.names:
        return mapping_frame({name: data[name] for name in data.dtype.names})
    return narwhals_frame(data)


def to_pandas(data: Any) -> pd.DataFrame:
    """Make a pandas frame of whatever ``open_frame`` takes."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame({name: as_series(name, values) for name, values in data.items()})
    if isinstance(data, np.ndarray) and data.dtype.names:
        return pd.DataFrame({name: data[name] for name in data.dtype.names})
    import narwhals as nw

    frame: pd.DataFrame = nw.from_native(data, eager_only=True).to_pandas()
    return frame


def is_frame(data: Any) -> bool:
    """Return whether data are a table in memory, or a mapping of columns."""
    if isinstance(data, (pd.DataFrame, Mapping)):
        return True
    if isinstance(data, np.ndarray):
        return bool(data.dtype.names)
    import narwhals as nw

    return bool(nw.dependencies.is_into_dataframe(data))


def pandas_column(data: pd.DataFrame, names: tuple[Any, ...]) -> Callable[[str], pd.Series[Any]]:
    """Return columns that later changes of the frame cannot reach: views if pandas ensures it."""
    if not copies_on_write():
        return lambda name: data[name].copy()
    try:  # three times as fast as data[name], which looks the name up and builds it anew
        inside: Any = data._mgr  # noqa: SLF001
        made: Any = getattr(pd.Series, "_from_mgr")  # noqa: B009
        take = inside.iget
    except AttributeError:  # another pandas
        return lambda name: data[name]

    def column(name: str) -> pd.Series[Any]:
        found = take(names.index(name))
        series: pd.Series[Any] = made(found, axes=found.axes)
        object.__setattr__(series, "_name", name)
        return series

    return column


def copies_on_write() -> bool:
    """Return whether pandas copies a shared column before it changes."""
    return ALWAYS_COPIES or pd.get_option("mode.copy_on_write") is True


def copy_strided(frame: Frame, names: Iterable[str]) -> None:
    """Copy number columns that are not contiguous float64, all at once if there are several.

    Rows of a table in C order are contiguous, so that reading one column reads all of it: blocks
    of rows that fit the cache are taken apart instead.
    """
    names = list(names)
    if len(names) < FEW:
        return
    columns = {}
    for name in names:
        dtype = frame.series(name).dtype
        if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
            values = frame.series(name).to_numpy()
            if dtype != np.float64 or not values.flags.c_contiguous:
                columns[name] = values
    if not columns:
        return
    out = np.empty((len(columns), frame.n_rows))
    for start in range(0, frame.n_rows, BLOCK):
        rows = slice(start, start + BLOCK)
        for row, values in zip(out, columns.values(), strict=True):
            row[rows] = values[rows]
    frame.arrays.update(zip(columns, out, strict=True))


def owners(frame: Frame, arrays: Iterable[NDArray[Any] | None]) -> tuple[pd.Series[Any], ...]:
    """Return the columns of the frame that arrays are views of."""
    able = [s for s in frame.cache.values() if may_be_viewed(s)]
    places = {address(array) for array in arrays if array is not None} if able else ()
    return tuple(s for s in able if address(stored(s)) in places)


def may_be_viewed(series: pd.Series[Any]) -> bool:
    """Return whether a column is stored as a design stores it, and so may not be a copy."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):  # codes of 16 bits or fewer are copied
        return len(dtype.categories) > MOST_IN_16_BITS
    return isinstance(dtype, np.dtype) and dtype.kind in "fi"


def stored(series: pd.Series[Any]) -> NDArray[Any]:
    """Return the array in which a column is kept, or an empty one."""
    if isinstance(series.array, pd.Categorical):
        return series.array.codes
    return series.to_numpy() if isinstance(series.dtype, np.dtype) else np.empty(0)


def address(array: NDArray[Any]) -> int:
    """Return where an array is in memory."""
    return int(array.__array_interface__["data"][0])


def mapping_frame(data: Mapping[str, Any]) -> Frame:
    """Read a mapping of column names to arrays or single values, which are copied."""
    columns = {name: as_series(name, values) for name, values in data.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        told = ", ".join(f"{name!r} has {len(column)}" for name, column in columns.items())
        raise DataError(f"the columns differ in length: {told}")
    return Frame(tuple(columns), lengths.pop() if lengths else 0, None, columns.__getitem__)


def as_series(name: str, values: Any) -> pd.Series[Any]:
    """Copy the values of one column."""
    if (np.ndim(values) == 0 and not isinstance(values, Iterable)) or isinstance(values, str):
        values = [values]
    try:
        return pd.Series(values, copy=True).reset_index(drop=True)
    except ValueError as error:
        raise DataError(f"column {name!r} cannot be read: {error}", name) from error


def narwhals_frame(data: Any) -> Frame:
    """Read a table of any library that narwhals knows."""
    import narwhals as nw

    try:
        table = nw.from_native(data, eager_only=True)
    except TypeError:
        raise DataError(lazy_or_unknown(data)) from None
    names = tuple(table.columns)
    return Frame(names, len(table), None, lambda name: narwhals_series(table[name]))


def lazy_or_unknown(data: Any) -> str:
    """Explain why a table cannot be read."""
    kind = f"{type(data).__module__}.{type(data).__qualname__}"
    if hasattr(data, "collect"):
        return f"data is a {kind}, which holds no rows yet; call its collect() first"
    return f"data is a {kind}; pass a pandas, polars or Arrow table or a dict of arrays"


def narwhals_series(column: Any) -> pd.Series[Any]:
    """Turn a narwhals series into a pandas series, numbers without a copy where possible."""
    import narwhals as nw

    is_text = column.dtype == nw.String and column.implementation.is_polars()
    if is_text or column.dtype in (nw.Categorical, nw.Enum):
        return pd.Series(narwhals_categorical(column), copy=False)
    if column.dtype in (nw.Int128, nw.UInt128):
        return wide_integers(column)
    values = column.to_numpy()
    if values.dtype.kind == "T":  # numpy's variable-width text
        values = values.astype(object)
    if values.ndim != 1:
        name = column.name
        raise DataError(f"column {name!r} contains {column.dtype}, not one value a row", name)
    return pd.Series(values, copy=False)


def wide_integers(column: Any) -> pd.Series[Any]:
    """Convert 128-bit numbers to 64 bits where they fit, else to Python's integers."""
    import narwhals as nw

    for kind in (nw.Int64, nw.UInt64):
        low, high = (0, 2**64 - 1) if kind is nw.UInt64 else (-(2**63), 2**63 - 1)
        if column.len() and low <= (column.min() or 0) and (column.max() or 0) <= high:
            return pd.Series(column.cast(kind).to_numpy(), copy=False)
    return pd.Series(column.to_list(), dtype=object)


def narwhals_categorical(column: Any) -> pd.Categorical:
    """Turn a categorical into codes with its own library, which keeps missing values."""
    if column.implementation.is_polars():
        return polars_categorical(column)
    native = column.to_native()
    return pd.Categorical(native.to_pandas() if hasattr(native, "to_pandas") else native)


def polars_categorical(column: Any) -> pd.Categorical:
    """Turn a categorical or text of polars into codes; levels in their own order, or sorted."""
    import narwhals as nw

    if column.dtype == nw.String:
        column = column.cast(nw.Categorical)
    physical = nw.from_native(column.to_native().to_physical(), series_only=True)
    codes = physical.cast(nw.Int64).fill_null(-1).to_numpy()
    if column.dtype == nw.Enum:
        return pd.Categorical.from_codes(codes, categories=pd.Index(column.dtype.categories))
    found, present = pd.factorize(codes, sort=True)
    found -= int(len(present) > 0 and present[0] < 0)
    first = np.empty(int(found.max(initial=-1)) + 1, dtype=np.intp)
    known = np.flatnonzero(found >= 0)[::-1]
    first[found[known]] = known
    labels = column[first].cast(nw.String)
    order = labels.to_native().arg_sort().to_numpy()
    rank = np.full(len(order) + 1, -1)
    rank[order] = np.arange(len(order))
    levels = pd.Index(labels[order].to_list(), dtype=object)
    return pd.Categorical.from_codes(rank[found], categories=levels)


def used_instead(name: str, known: Iterable[Any]) -> str:
    """Return what follows "... does not use NAME": the nearest name, if any, and all names."""
    names = list(known)
    nearest = did_you_mean(name, names)
    listed = ", ".join(map(str, names)) or "no variable"
    return f"{nearest} It uses {listed}" if nearest else f"; it uses {listed}"


def did_you_mean(name: str, known: Iterable[Any]) -> str:
    """Name the nearest of the known names, if one is near."""
    texts = [k for k in known if isinstance(k, str)]
    folded = [k for k in texts if k.casefold() == str(name).casefold()]
    near = folded or difflib.get_close_matches(str(name), texts, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def row_labels(positions: NDArray[np.intp], index: pd.Index[Any] | None, most: int = 5) -> str:
    """Name the first few rows by the caller's labels."""
    first: Sequence[Any] = positions[:most].tolist()
    if index is not None:
        first = index[positions[:most]].tolist()
    more = f" and {len(positions) - most} more" if len(positions) > most else ""
    rows = "row" if len(positions) == 1 else "rows"
    return f"{rows} {', '.join(str(label) for label in first)}{more}"
