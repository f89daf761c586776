"""Attributes, methods and items of each kind of value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pandas.core.arrays.categorical import CategoricalAccessor
from pandas.core.groupby import SeriesGroupBy
from pandas.core.indexes.accessors import Properties
from pandas.core.strings.accessor import StringMethods
from pandas.core.window import Expanding, ExponentialMovingWindow, Rolling

from .._counted import counted
from . import language
from .arithmetic import as_float, check_rows_agree, is_whole, operate
from .calls import ADDING, check_options

__all__ = ["attribute", "call_method", "item"]

#: Most characters of one row of text, and of all rows together.
LONGEST = 1000
MOST_TEXT = 100_000_000

#: Methods that are operators by another name.
SIGNS = {
    "add": "+",
    "sub": "-",
    "subtract": "-",
    "mul": "*",
    "multiply": "*",
    "div": "/",
    "divide": "/",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
}
REFLECTED = {f"r{name}": sign for name, sign in SIGNS.items()}

PATTERNS = frozenset(["contains", "match", "fullmatch", "count", "extract"])
FREQUENCY = re.compile(r"\d{0,4}(D|h|min|s|ms|us|ns)")
QUANTIFIERS = re.compile(r"(?<!\\)(?:\\\\)*[*+?{]")


def attribute(value: Any, name: str) -> Any:
    """Take an attribute that is not called."""
    if isinstance(value, pd.Series) and name in ("str", "dt", "cat", "values", "iloc"):
        return Positions(value) if name == "iloc" else getattr(value, name)
    if isinstance(value, Properties) and name in language.DT_PARTS:
        return getattr(value, name)
    if isinstance(value, CategoricalAccessor) and name == "codes":
        return value.codes
    if isinstance(value, pd.Timestamp | pd.Timedelta) and name in language.DT_PARTS:
        return getattr(value, name)
    if isinstance(value, pd.DataFrame) and name in ("year", "week", "day"):
        return value[name]
    raise TypeError(f".{name} is not an attribute of {kind_of(value)} in formulas")


class Positions:
    """Rows of a column by their positions."""

    def __init__(self, series: pd.Series[Any]) -> None:
        self.series = series


def item(value: Any, index: Any) -> Any:
    """Take an item, a slice, or the rows that a condition chooses."""
    if isinstance(index, pd.Series | np.ndarray | list | tuple):
        check_selection(value, index)
    if isinstance(value, Positions):
        if not isinstance(index, int | slice):
            raise TypeError("iloc takes a number or a slice in formulas")
        return value.series.iloc[index]
    if isinstance(value, StringMethods):
        text: Any = value
        return text[index]
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, pd.Series | np.ndarray | list | tuple | dict | pd.Index | str):
        return value[index]
    raise TypeError(f"{kind_of(value)} has no items")


def check_selection(value: Any, index: Any) -> None:
    """Refuse an index that returns more rows than there are."""
    if isinstance(index, tuple) and isinstance(value, np.ndarray):
        if all(isinstance(part, int | slice) for part in index):
            return
    elif np.ndim(index) == 1 and np.asarray(index).dtype == bool:
        return
    raise TypeError("an index is a number, a slice or a condition")


def call_method(
    value: Any, name: str, args: list[Any], options: dict[str, Any], own: set[int]
) -> Any:
    """Call a method of a value.

    Parameters
    ----------
    value : object
        The value.
    name : str
        The method.
    args, options : list, dict
        Its arguments.
    own : set of int
        Identities of the user's functions, which map() and its like may be given.
    """
    check_options(options)
    check_arguments([*args, *options.values()], name, own)
    for kind, names, call in KINDS:
        if isinstance(value, kind):
            if name not in names:
                break
            return call(value, name, args, options)
    if isinstance(value, CategoricalAccessor) and name in language.CAT_METHODS:
        return getattr(value, name)(*args, **options)
    raise TypeError(f".{name}() is not a method of {kind_of(value)} in formulas")


def check_arguments(values: list[Any], name: str, own: set[int]) -> None:
    """Refuse functions as arguments, other than the user's in map() and transform()."""
    for value in values:
        if not callable(value) or (name == "astype" and value in (float, int, bool, str)):
            continue
        if not (name in ("map", "transform", "agg", "aggregate") and id(value) in own):
            raise TypeError(
                f".{name}() takes no function in a formula, unless it is one that was given as "
                'functions={"f": f}'
            )


def call_series(series: pd.Series[Any], name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call a method of a column."""
    if name in SIGNS | REFLECTED and len(args) == 1 and not options:
        pair = (series, args[0]) if name in SIGNS else (args[0], series)
        return operate((SIGNS | REFLECTED)[name], *pair)
    if name in MOST_ARGUMENTS and len(args) > MOST_ARGUMENTS[name]:
        raise TypeError(f".{name}() takes {counted(MOST_ARGUMENTS[name], 'argument')} in a formula")
    if (name == "interpolate" and options) or "regex" in options:
        raise TypeError(f".{name}() takes no {next(iter(options))} in a formula")
    if name == "groupby":
        return grouped(series, args, options)
    if name != "map":
        check_rows_agree(series, *args, *options.values())
    if name in ("agg", "aggregate", "transform"):
        check_aggregate(name, args, options)
    if name == "astype":
        check_dtype([*args, *options.values()])
    if name in ADDING | {"product", "cumprod", "dot"} and is_whole(series):
        series = as_float(series)
    return getattr(series, name)(*args, **options)


#: Positional arguments of methods: pandas has further ones that change the column in place.
MOST_ARGUMENTS = dict.fromkeys(language.ROW_METHODS | language.WHOLE_METHODS, 2) | {
    "astype": 1,
    "fillna": 1,
    "round": 1,
    "interpolate": 0,
    "ffill": 0,
    "bfill": 0,
    "to_numpy": 0,
    "between": 3,
    "mode": 0,
    "rank": 0,
    "agg": 1,
    "aggregate": 1,
    "transform": 1,
    "groupby": 1,
    "factorize": 0,
    "value_counts": 2,
    "unique": 0,
    "shift": 1,
    "diff": 1,
}


def grouped(series: pd.Series[Any], args: list[Any], options: dict[str, Any]) -> Any:
    """Group a column by others, for the combinations that occur."""
    by: Any = args[0] if len(args) == 1 else None
    keys: Any = by if isinstance(by, list | tuple) else [by]
    if options or not all(isinstance(key, pd.Series | np.ndarray) for key in keys):
        raise TypeError("groupby() takes a column, or a list of columns, in a formula")
    check_rows_agree(series, *keys)
    return series.groupby(list(keys) if len(keys) > 1 else keys[0], observed=True)


def check_aggregate(name: str, args: list[Any], options: dict[str, Any]) -> None:
    """Refuse to call just any method by its name."""
    if options or len(args) != 1 or not (callable(args[0]) or args[0] in language.AGGREGATES):
        known = ", ".join(sorted(language.AGGREGATES))
        raise TypeError(f".{name}() takes one of {known} in a formula")


def check_dtype(wanted: list[Any]) -> None:
    """Refuse kinds of column other than the usual ones."""
    if len(wanted) != 1 or getattr(wanted[0], "__name__", wanted[0]) not in language.DTYPES:
        raise TypeError(f"astype() takes one of {', '.join(sorted(language.DTYPES))} in a formula")


def call_text(value: Any, name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call a method of a column of text."""
    texts = [a for a in [*args, *options.values()] if isinstance(a, str)]
    if any(len(text) > LONGEST for text in texts):
        raise ValueError(f"a text given to .str.{name}() has more than {LONGEST} characters")
    if name in PATTERNS and options.get("regex", True):
        for text in texts:
            check_pattern(text)
    if name in ("replace", "split", "rsplit"):
        if options.get("regex") or options.get("expand"):
            raise TypeError(f".str.{name}() takes plain text in a formula")
        options = {**options, "regex": False} if name != "rsplit" else options
    if name == "cat":
        others = [*args, *options.values()]
        check_rows_agree(value.len(), *(o for o in others if not isinstance(o, list)))
    if name == "replace":
        check_growth(value, args, options)
    if name == "extract":
        options = {"expand": False, **options}
    if name == "zfill" and not (len(args) == 1 and args[0] <= LONGEST):
        raise ValueError(f".str.zfill() takes widths up to {LONGEST}")
    return getattr(value, name)(*args, **options)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that may take time beyond the length of the text."""
    repeats = len(QUANTIFIERS.findall(pattern))
    if repeats > 2 or re.search(r"\)[*+?{]|\\\d|\(\?", pattern):
        raise ValueError(
            f"the pattern {pattern!r} repeats more than a formula may; compute the column in the "
            "data"
        )


def check_growth(value: Any, args: list[Any], options: dict[str, Any]) -> None:
    """Refuse replacements that make text grow without bound."""
    found = dict(zip(("pat", "repl"), args, strict=False)) | options
    old, new = found.get("pat"), found.get("repl")
    if not isinstance(old, str) or not isinstance(new, str) or not old:
        raise TypeError(".str.replace() takes two texts in a formula")
    size = float(value.len().sum()) * max(1.0, len(new) / len(old))
    if size > MOST_TEXT:
        raise ValueError(f".str.replace() would make more than {MOST_TEXT:,} characters")


def call_dates(value: Any, name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call a method of a column of dates."""
    if name in ("floor", "ceil", "round"):
        if options or len(args) != 1 or not FREQUENCY.fullmatch(str(args[0])):
            raise TypeError(f".dt.{name}() takes D, h, min or s in a formula")
    elif args or options:
        raise TypeError(f".dt.{name}() takes no arguments in a formula")
    return getattr(value, name)(*args)


def call_groups(value: Any, name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call a method of grouped columns."""
    if name in ("agg", "aggregate", "transform"):
        check_aggregate(name, args, options)
    elif len(args) > 1 or not set(options) <= {"ddof", "q", "pct", "ascending", "periods"}:
        raise TypeError(f".{name}() takes one number in a formula")
    return getattr(value, name)(*args, **options)


def call_array(
    array: np.ndarray[Any, Any], name: str, args: list[Any], options: dict[str, Any]
) -> Any:
    """Call a method of an array."""
    if name == "to_numpy":
        return array
    if name == "astype":
        check_dtype([*args, *options.values()])
    elif len(args) > (2 if name == "clip" else 1) or not set(options) <= {"ddof", "axis"}:
        raise TypeError(f".{name}() takes one number in a formula")
    if name in ADDING and is_whole(array):
        array = as_float(array)
    return getattr(array, name)(*args, **options)


ARRAY_METHODS = language.words(
    "mean std var min max sum prod cumsum round clip astype any all to_numpy"
)
WINDOWS = (Rolling, Expanding, ExponentialMovingWindow)
Call = Callable[[Any, str, list[Any], dict[str, Any]], Any]
KINDS: tuple[tuple[Any, frozenset[str], Call], ...] = (
    (pd.Series, language.ROW_METHODS | language.WHOLE_METHODS, call_series),
    (SeriesGroupBy, language.GROUP_METHODS, call_groups),
    (WINDOWS, language.WINDOW_METHODS, call_groups),
    (StringMethods, language.STR_METHODS, call_text),
    (Properties, language.DT_METHODS, call_dates),
    (np.ndarray, ARRAY_METHODS, call_array),
)


def kind_of(value: Any) -> str:
    """State what a value is."""
    if isinstance(value, pd.Series):
        return f"a column ({value.dtype})"
    return f"a {type(value).__name__}"
