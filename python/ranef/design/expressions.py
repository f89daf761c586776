"""Python expressions of columns, evaluated on a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError, FormulaError, RanefError, shortened
from ..formula import SAFE, Evaluation
from .compiled import Compiled, compiled
from .frame import Frame
from .hints import unknown_function
from .interpreter import interpret
from .rowwise import check_rows, is_tried, note_rows
from .transforms import BUILTINS, CONTEXT, Marked
from .trusted import Trusted, run, trusted
from .values import Categories, Numbers, Value, float_array, read_codes, read_series

__all__ = ["columns_of", "evaluate", "strict_columns"]


def columns_of(expr: str, frame: Frame, evaluation: Evaluation = SAFE) -> list[str]:
    """Columns of the frame that an expression uses; raise for an unknown name."""
    parts = parsed(expr, evaluation)
    known = {*CONTEXT, *BUILTINS, *evaluation.named}
    out = []
    for name in parts.names.values():
        if name in frame:
            out.append(name)
        elif name not in known:
            whole = [d for d in parts.dotted if d.split(".")[0] == name and d in frame]
            if whole:
                message = f"write {whole[0]} in backquotes inside {shortened(expr)!r}: `{whole[0]}`"
                raise DataError(message, whole[0])
            frame.check(name)
    for name in parts.calls:
        if name not in known:
            raise FormulaError(unknown_function(name, expr))
    if isinstance(parts, Compiled) and parts.unknown:
        raise FormulaError(parts.unknown[0])
    return out


def parsed(expr: str, evaluation: Evaluation) -> Compiled | Trusted:
    """Read an expression as its formula is to be evaluated."""
    if evaluation.trusted:
        try:
            return trusted(expr)
        except RecursionError:
            raise FormulaError(f"{shortened(expr)} is too long; compute the column first") from None
    return compiled(expr, frozenset(evaluation.named))


def strict_columns(expr: str, evaluation: Evaluation) -> frozenset[str]:
    """Names whose missing values an expression does not handle itself."""
    return parsed(expr, evaluation).strict


def evaluate(
    expr: str, frame: Frame, state: dict[str, Any], evaluation: Evaluation = SAFE
) -> Value:
    """Evaluate an expression; ``state`` is filled by the first call and read by later ones.

    Numbers computed from all rows of the fit, such as a mean, are kept in ``state`` and used
    for new rows. An expression whose value in a row still depends on other rows can be fitted, and
    is refused for new rows.

    Raises
    ------
    DataError
        If the expression cannot be computed, or not for these rows alone.
    """
    parts = parsed(expr, evaluation)
    if isinstance(parts, Compiled) and (numbers := laid_side_by_side(parts, frame)) is not None:
        return numbers
    columns = {
        alias: plain_series(frame.series(n)) for alias, n in parts.names.items() if n in frame
    }
    try:
        result = computed(parts, columns, state, evaluation)
        if isinstance(parts, Compiled):
            check_labels(result)
        value = read_result(result, expr, frame.n_rows)
    except RanefError:
        raise
    except Exception as error:
        raise DataError(f"cannot compute {shortened(expr)}: {reason(error)}", expr) from error
    if isinstance(parts, Trusted) or not parts.by_row:
        again = partial(again_on_rows, parts, columns, state, evaluation, expr)
        if is_tried(state):
            check_rows(expr, columns, state)
        else:
            note_rows(value, again, columns, state)
    return value


def laid_side_by_side(parts: Compiled, frame: Frame) -> Numbers | None:
    """Read ``cbind`` of plain columns of numbers, the usual binomial response, at once."""
    arrays = []
    for name in parts.bound:
        dtype = frame.series(name).dtype if name in frame else None
        if not isinstance(dtype, np.dtype) or dtype.kind not in "fiu":
            return None
        arrays.append(np.array(frame.series(name).to_numpy(), dtype=np.float64))
    return Numbers(tuple(arrays), tuple(range(len(arrays)))) if arrays else None


def check_labels(result: Any) -> None:
    """Refuse a series that is not by row, such as counts by value."""
    if isinstance(result, pd.Series) and not isinstance(result.index, pd.RangeIndex):
        raise TypeError(
            "it returns values by level, or for selected rows, and not one for each row"
        )


def again_on_rows(
    parts: Compiled | Trusted,
    columns: Mapping[str, pd.Series[Any]],
    state: dict[str, Any],
    evaluation: Evaluation,
    expr: str,
    rows: NDArray[np.intp],
) -> Value:
    """Evaluate an expression on some of the rows, as if they were new."""
    some = {alias: series.iloc[rows].reset_index(drop=True) for alias, series in columns.items()}
    known = {key: dict(value) for key, value in state.items()}
    return read_result(computed(parts, some, known, evaluation), expr, len(rows))


def computed(
    parts: Compiled | Trusted,
    columns: Mapping[str, pd.Series[Any]],
    state: dict[str, dict[str, Any]],
    evaluation: Evaluation,
) -> Any:
    """Compute an expression on columns by alias."""
    if isinstance(parts, Trusted):
        return run(parts, columns, state, evaluation.named)
    return interpret(parts, columns, state, evaluation.named)


def reason(error: Exception) -> str:
    """State what went wrong, in one line."""
    if isinstance(error, RecursionError):
        return "it nests too deep"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return shortened(str(error).partition("\n")[0] or type(error).__name__, 300)


def plain_series(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as expressions expect it: full width, gaps as NaN, rows counted."""
    if series.dtype == object:
        series = numbers_of_objects(series)
    if not counts_rows(series.index):
        series = series.set_axis(pd.RangeIndex(len(series)))
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype):
        return series
    if pd.api.types.is_complex_dtype(dtype) or dtype in (np.float64, np.int64, np.uint64):
        return series
    if series.hasnans or not pd.api.types.is_integer_dtype(dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = series.to_numpy(dtype=np.int64)
    return pd.Series(values, index=series.index, copy=False)


def counts_rows(index: pd.Index[Any]) -> bool:
    """Return whether row labels are 0, 1, 2, ..."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def numbers_of_objects(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert a column of numbers kept as objects."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "integer" and not series.hasnans:
        try:
            return series.astype(np.int64)
        except OverflowError:
            pass
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return pd.Series(float_array(series, str(series.name)), index=series.index)
    return series


def read_result(result: Any, expr: str, n_rows: int) -> Value:
    """Turn an expression's result into a value."""
    if isinstance(result, Marked):
        return read_marked(result, expr, n_rows)
    meta = getattr(result, "__formulaic_metadata__", None)
    inner = getattr(result, "__wrapped__", result) if meta is not None else result
    if isinstance(inner, pd.DataFrame):
        inner = {name: column.to_numpy() for name, column in inner.items()}
    if isinstance(inner, np.ndarray) and inner.ndim == 2:
        names = getattr(meta, "column_names", None) or range(inner.shape[1])
        inner = dict(zip(names, inner.T, strict=True))
    if isinstance(inner, dict):
        return read_columns(inner, meta, expr, n_rows)
    return read_series(as_rows(inner, expr, n_rows), expr)


def read_columns(columns: dict[Any, Any], meta: Any, expr: str, n_rows: int) -> Numbers:
    """Read a transform with several columns."""
    kept = {k: v for k, v in columns.items() if not str(k).startswith("__")}
    arrays = []
    for values in kept.values():
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu":
            check_length(values, expr, n_rows)
            arrays.append(np.ascontiguousarray(values, dtype=np.float64))
            continue
        value = read_series(as_rows(values, expr, n_rows), expr)
        if isinstance(value, Categories):
            raise DataError(f"{expr} returns several columns that are not all numbers", expr)
        arrays.append(value.arrays[0])
    if not arrays:
        raise DataError(f"{expr} returns no column", expr)
    spans = bool(getattr(meta, "spans_intercept", False))
    dropped = list(kept).index(meta.drop_field) if spans else 0
    return Numbers(tuple(arrays), tuple(kept), spans, dropped)


def read_marked(marked: Marked, expr: str, n_rows: int) -> Categories:
    """Read what ``C()`` marked."""
    if isinstance(marked.values, Marked):
        raise FormulaError(f"{expr!r} marks a factor as a factor twice")
    series = as_rows(marked.values, expr, n_rows)
    codes, levels = read_codes(series, expr)
    value = Categories(codes, levels, marked.contrasts, marked.spans_intercept)
    if marked.levels is None:
        return value
    wanted = pd.Index(list(marked.levels))
    position = wanted.get_indexer(levels).astype(np.int32)
    moved = np.append(position, np.int32(-1))[codes]
    return replace(value, codes=moved, levels=wanted)


def as_rows(values: Any, expr: str, n_rows: int) -> pd.Series[Any]:
    """Return a series of one value a row."""
    if np.ndim(values) == 0 and not isinstance(values, pd.Series):
        raise DataError(f"{expr} is a single value, not one for each row", expr)
    series = values if isinstance(values, pd.Series) else pd.Series(unwrapped(values), copy=False)
    check_length(series, expr, n_rows)
    return series


def check_length(values: Sized, expr: str, n_rows: int) -> None:
    """Refuse values that are not one for each row."""
    if len(values) != n_rows:
        raise DataError(
            f"{expr} gives {counted(len(values), 'value')} for {counted(n_rows, 'row')}", expr
        )


def unwrapped(values: Any) -> NDArray[Any] | pd.Categorical | list[Any]:
    """Take the array out of formulaic's wrapper."""
    if isinstance(values, pd.Categorical | list):
        return values
    return np.asarray(values)
