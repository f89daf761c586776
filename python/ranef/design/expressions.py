"""Python expressions of columns, evaluated on a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic.materializers.types import FactorValues
from numpy.typing import NDArray

from ..errors import DataError, FormulaError
from .compiled import Compiled, compiled
from .frame import Frame, did_you_mean
from .transforms import BUILTINS, CONTEXT, MODULES, Marked
from .values import Categories, Numbers, Value, read_codes, read_series

__all__ = ["columns_of", "evaluate", "handles_missing"]


def columns_of(expr: str, frame: Frame) -> list[str]:
    """Columns of the frame that an expression uses; an error for a name that is nothing."""
    parts = compiled(expr)
    known = [*CONTEXT, *BUILTINS]
    for name in parts.calls:
        if name not in known:
            raise FormulaError(unknown_function(name, expr))
    out = []
    for name in parts.names.values():
        if name in frame:
            out.append(name)
        elif name not in known:
            whole = [d for d in parts.dotted if d.split(".")[0] == name and d in frame]
            if whole:
                message = f"write {whole[0]} in backquotes inside {expr!r}: `{whole[0]}`"
                raise DataError(message, whole[0])
            frame.check(name)
    return out


def unknown_function(name: str, expr: str) -> str:
    """Say that a function is not known, and what may be meant."""
    hint = did_you_mean(name, [*CONTEXT, *BUILTINS])
    if hasattr(np, name):
        hint = f"; numpy's is at hand as np.{name}"
    elif "|" in expr:
        hint = "; is a + missing before the parenthesis?"
    elif not hint:
        hint = "; compute a column of the data with it, and name that"
    return f"{name}() in {expr!r} is not a function that formulas know{hint}"


def handles_missing(expr: str) -> bool:
    """Tell whether an expression decides itself what is missing."""
    return compiled(expr).handles_missing


class States(dict[str, dict[str, Any]]):
    """State of each stateful call, made when first asked for."""

    def __missing__(self, key: str) -> dict[str, Any]:
        return self.setdefault(key, {})


def evaluate(expr: str, frame: Frame, state: dict[str, Any]) -> Value:
    """Evaluate an expression; ``state`` is filled by the first call and read by later ones.

    Arithmetic on whole numbers is done in float64, which does not overflow, unless what results is
    no number or methods of a column are called.
    """
    parts = compiled(expr)
    columns = {alias: frame.series(n) for alias, n in parts.names.items() if n in frame}
    exact = {alias: plain_series(column) for alias, column in columns.items()}
    if not parts.dotted and any(series.dtype.kind in "iu" for series in exact.values()):
        learned = {call: dict(known) for call, known in state.items()}
        try:
            result = computed(parts, {a: as_float(series) for a, series in exact.items()}, learned)
        except Exception:  # the integers themselves are wanted
            result = None
        if is_number(result):
            state.update(learned)
            return read_result(result, expr, frame.n_rows)
    try:
        result = computed(parts, exact, state)
    except Exception as error:
        raise DataError(f"cannot compute {expr}: {error}", expr) from error
    return read_result(result, expr, frame.n_rows)


def computed(
    parts: Compiled, columns: dict[str, pd.Series[Any]], state: dict[str, dict[str, Any]]
) -> Any:
    """Run a compiled expression on columns by alias."""
    states = States(state)
    scope: dict[str, Any] = {"STATES_": states, "REMEMBERED_": remembered}
    scope |= {f"CALLED_{name}_": CONTEXT.get(name, BUILTINS.get(name)) for name in parts.calls}
    scope |= {f"CALLED_{name}_": module for name, module in MODULES.items()}
    for alias, name in parts.names.items():
        scope[alias] = columns[alias] if alias in columns else CONTEXT.get(name, BUILTINS.get(name))
    with np.errstate(all="ignore"):
        result = eval(parts.code, {"__builtins__": {}, **scope})
    state.update(states)
    return result


def remembered(compute: Callable[[], Any], state: dict[str, Any]) -> Any:
    """Give a number that all rows of the fit gave; what is no single number is computed anew."""
    if "value" in state:
        return state["value"]
    result = compute()
    if np.ndim(result) == 0:
        state["value"] = result
    else:
        state["by row"] = True
    return result


def plain_series(series: pd.Series[Any]) -> pd.Series[Any]:
    """Give a column as expressions expect it: numbers in full width, gaps as NaN."""
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


def as_float(series: pd.Series[Any]) -> pd.Series[Any]:
    """Give integers that float64 holds exactly as such; anything else as it is."""
    if series.dtype.kind not in "iu" or not len(series):
        return series
    held = int(series.min()) >= -(2**53) and int(series.max()) <= 2**53
    return series.astype(np.float64) if held else series


def is_number(result: Any) -> bool:
    """Tell whether an expression gave numbers, not levels or truth values."""
    if isinstance(result, np.ndarray | pd.Series):
        return bool(result.dtype.kind == "f")
    return isinstance(result, FactorValues)


def read_result(result: Any, expr: str, n_rows: int) -> Value:
    """Turn what an expression gave into a value."""
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
        value = read_series(as_rows(values, expr, n_rows), expr)
        if isinstance(value, Categories):
            raise DataError(f"{expr} gives several columns that are not all numbers", expr)
        arrays.append(value.arrays[0])
    if not arrays:
        raise DataError(f"{expr} gives no column", expr)
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
    """Give a series of one value a row."""
    if np.ndim(values) == 0 and not isinstance(values, pd.Series):
        raise DataError(f"{expr} is a single value, not one for each row", expr)
    series = values if isinstance(values, pd.Series) else pd.Series(unwrapped(values), copy=False)
    if len(series) != n_rows:
        raise DataError(f"{expr} gives {len(series)} values for {n_rows} rows", expr)
    return series


def unwrapped(values: Any) -> NDArray[Any] | pd.Categorical | list[Any]:
    """Take the array out of formulaic's wrapper."""
    if isinstance(values, pd.Categorical | list):
        return values
    return np.asarray(values)
