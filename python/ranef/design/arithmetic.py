"""Operators of expressions: exact for whole numbers where they can be, and bounded."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["COMPARISONS", "OPERATORS", "UNARY", "check_rows_agree", "operate"]

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.MatMult: "@",
}
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "@": operator.matmul,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}

#: Whole numbers up to here are held exactly by float64, and by int64.
EXACT = 2**53
WIDEST = 2**63 - 1

TEXT = (str, bytes, list, tuple, dict, set)


def operate(symbol: str, left: Any, right: Any) -> Any:
    """Apply an operator to two values of an expression.

    Whole numbers stay whole while the result is sure to fit 64 bits; otherwise, and in powers and
    quotients always, they are taken as float64, which does not wrap around.

    Raises
    ------
    TypeError
        If text or lists are multiplied, or numbers are joined by ``|`` or ``&``.
    """
    left, right = plain(left), plain(right)
    check_kinds(symbol, left, right)
    check_rows_agree(left, right)
    if symbol in ("&", "|", "@"):
        return FUNCTIONS[symbol](left, right)
    left, right = counted(left), counted(right)
    if is_whole(left) and is_whole(right):
        return whole_numbers(symbol, left, right)
    return FUNCTIONS[symbol](left, right)


def plain(value: Any) -> Any:
    """Unwrap a transform's result; numbers kept as objects become float64."""
    value = getattr(value, "__wrapped__", value)
    dtype: Any = getattr(value, "dtype", None)
    if dtype is not None and pd.api.types.is_object_dtype(dtype):
        try:
            return value.astype(np.float64)
        except (TypeError, ValueError):
            return value
    return value


def counted(value: Any) -> Any:
    """Take conditions as 0 and 1."""
    if not is_truth(value):
        return value
    return int(value) if np.ndim(value) == 0 else value.astype(np.int64)


def check_kinds(symbol: str, left: Any, right: Any) -> None:
    """Refuse an operator that does not make sense for these values."""
    if symbol in ("&", "|") and not (is_truth(left) and is_truth(right)):
        raise TypeError(
            f"{symbol} joins conditions, as in (x > 1) {symbol} (z > 2), and not numbers or text"
        )
    if symbol == "@" and not (np.ndim(left) == 1 == np.ndim(right)):
        raise TypeError("@ takes two columns")
    if symbol == "+" and not isinstance(left, TEXT[1:]) and not isinstance(right, TEXT[1:]):
        return
    for value in (left, right):
        if isinstance(value, TEXT) or is_text_column(value):
            raise TypeError(f"{symbol} is for numbers, not for text or lists")


def is_truth(value: Any) -> bool:
    """Return whether values are conditions, not numbers."""
    if isinstance(value, bool | np.bool_):
        return True
    dtype = getattr(value, "dtype", None)
    return dtype is not None and pd.api.types.is_bool_dtype(dtype)


def is_text_column(value: Any) -> bool:
    """Return whether a column is not numbers, truth values or dates."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return False
    if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype):
        return True
    return getattr(dtype, "kind", "") in ("S", "U")


def check_rows_agree(*values: Any) -> None:
    """Refuse two columns whose rows differ, which pandas would align."""
    indices = [v.index for v in values if isinstance(v, pd.Series)]
    for other in indices[1:]:
        if other is not indices[0] and not other.equals(indices[0]):
            raise TypeError("two columns of different rows cannot be combined")


def is_whole(value: Any) -> bool:
    """Return whether values are whole numbers, alone or in a column."""
    if isinstance(value, bool | np.bool_):
        return False
    if isinstance(value, int | np.integer):
        return True
    dtype = getattr(value, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind in "iu"


def whole_numbers(symbol: str, left: Any, right: Any) -> Any:
    """Apply an operator to whole numbers."""
    if np.ndim(left) == 0 and np.ndim(right) == 0:
        return of_two_numbers(symbol, int(left), int(right))
    if symbol not in ("+", "-", "*"):
        return FUNCTIONS[symbol](as_float(left), as_float(right))
    (a, c), (b, d) = bounds(left), bounds(right)
    ends = extremes(symbol, a, b, c, d)
    if min(ends) < -WIDEST or max(ends) > WIDEST:
        return FUNCTIONS[symbol](as_float(left), as_float(right))
    if max(c, d) > WIDEST:  # unsigned, though the difference fits
        return difference(left, right)
    return FUNCTIONS[symbol](as_int(left), as_int(right))


def of_two_numbers(symbol: str, left: int, right: int) -> Any:
    """Apply an operator to two numbers; a result beyond 64 bits is a float."""
    if symbol == "**":
        result = math.pow(left, right)
        return int(result) if right >= 0 and abs(result) <= EXACT else result
    result = FUNCTIONS[symbol](left, right)
    return result if abs(result) <= WIDEST else float(result)


def bounds(value: Any) -> tuple[int, int]:
    """Return the smallest and the largest of whole numbers."""
    if np.ndim(value) == 0:
        return int(value), int(value)
    values = np.asarray(value)
    return (int(values.min()), int(values.max())) if len(values) else (0, 0)


def extremes(symbol: str, a: int, b: int, c: int, d: int) -> tuple[int, ...]:
    """Bound the operands and the result for a <= left <= c and b <= right <= d."""
    if symbol == "+":
        return a, b, c, d, a + b, c + d
    if symbol == "-":
        return a - d, c - b
    return a, b, c, d, a * b, a * d, c * b, c * d


def difference(left: Any, right: Any) -> Any:
    """Subtract unsigned numbers whose differences fit int64."""
    a, b = (np.asarray(v).astype(np.uint64) for v in (left, right))
    with np.errstate(over="ignore"):
        result = np.subtract(a, b).astype(np.int64)
    column = left if np.ndim(left) else right
    return pd.Series(result, index=column.index) if isinstance(column, pd.Series) else result


def as_float(value: Any) -> Any:
    """Take whole numbers as float64."""
    return float(value) if np.ndim(value) == 0 else value.astype(np.float64)


def as_int(value: Any) -> Any:
    """Take whole numbers as int64."""
    if np.ndim(value) == 0:
        return int(value)
    return value if value.dtype == np.int64 else value.astype(np.int64)
