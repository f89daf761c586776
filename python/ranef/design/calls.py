"""Call the functions of the language: transforms, numpy's, builtins, contrasts."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .arithmetic import as_float, check_rows_agree, is_truth, is_whole, operate, plain
from .language import CONTRASTS, KEYWORDS, NUMPY
from .transforms import BUILTINS, CONTEXT, MODULES, is_stateful

__all__ = ["call_builtin", "call_contrasts", "call_numpy", "call_transform", "check_options"]

#: numpy's integer arithmetic wraps around; ours does not.
SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "true_divide": "/",
    "floor_divide": "//",
    "mod": "%",
    "remainder": "%",
    "power": "**",
}

#: Functions that may add up or multiply whole numbers.
ADDING = frozenset(
    [
        "sum",
        "nansum",
        "prod",
        "nanprod",
        "cumsum",
        "var",
        "std",
        "nanvar",
        "nanstd",
        "mean",
        "average",
        "square",
        "linalg.norm",
    ]
)

#: Most columns that one transform may make, and most values it may be given as knots or levels.
MOST_COLUMNS = 500
MOST_VALUES = 100_000
HIGHEST_DEGREE = 50

SPLINES = frozenset(["poly", "bs", "ns", "cr", "cc", "cs"])

#: Contrasts that C() may be given uncalled.
CONTRAST_CLASSES = (
    *(getattr(MODULES["contr"], name) for name in CONTRASTS),
    *(CONTEXT[name] for name in ("Treatment", "Poly", "Sum", "Helmert", "Diff")),
)

#: Functions whose second argument is a table, not a row's value.
TABLES = frozenset(["digitize", "searchsorted", "interp", "isin", "select"])


def check_options(options: dict[str, Any]) -> None:
    """Refuse arguments that may write into a column or elsewhere."""
    for name in options:
        if name not in KEYWORDS:
            raise TypeError(f"the argument {name!r} is not part of the language of formulas")


def call_numpy(name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call one of numpy's functions."""
    check_options(options)
    if len(args) > NUMPY[name]:
        raise TypeError(f"np.{name}() takes {arguments(NUMPY[name])} in a formula{base(name)}")
    values = [checked_value(plain(arg)) for arg in args]
    if name in SIGNS and len(values) == 2 and not options:
        return operate(SIGNS[name], *values)
    if name not in TABLES:
        check_rows_agree(*values)
    if name in ("linspace", "arange"):
        check_count(name, values)
    if name in ADDING:
        values = [as_float(v) if is_whole(v) and np.ndim(v) else v for v in values]
    function = np.linalg.norm if name == "linalg.norm" else getattr(np, name)
    return function(*values, **{n: checked_value(plain(v)) for n, v in options.items()})


def arguments(count: int) -> str:
    """State how many arguments a function takes."""
    return "one argument" if count == 1 else f"{counted(count, 'argument')}"


def base(name: str) -> str:
    """Describe how a logarithm to another base is written."""
    if name != "log":
        return ""
    return (
        "; the logarithm to base 2 is np.log2(x), to base 10 np.log10(x), to base b log(x) / log(b)"
    )


def checked_value(value: Any) -> Any:
    """Refuse functions among values, and lists of lists that make tables."""
    if callable(value) and value not in (float, int, bool, str):
        raise TypeError("a function is not a value; call it on a column")
    if isinstance(value, np.ndarray) and value.ndim > 2:
        raise TypeError("a table of three dimensions is not a variable")
    return value


def check_count(name: str, values: list[Any]) -> None:
    """Refuse sequences whose length does not depend on the data."""
    numbers = [float(v) for v in values]
    if name == "linspace":
        count = numbers[2] if len(numbers) > 2 else 50.0
    else:
        start, stop = (0.0, numbers[0]) if len(numbers) == 1 else numbers[:2]
        count = (stop - start) / (numbers[2] if len(numbers) > 2 else 1.0)
    if not count <= MOST_VALUES:
        raise ValueError(f"np.{name} would make more than {MOST_VALUES:,} values")


def call_builtin(name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Call one of Python's own functions."""
    if options:
        raise TypeError(f"{name}() takes no arguments by name in a formula")
    values = [checked_value(arg) for arg in args]
    if name == "pow":
        if len(values) != 2:
            raise TypeError("pow() takes two numbers or columns")
        return operate("**", *values)
    if name == "range":
        numbers = range(*values)
        if not -MOST_VALUES <= numbers.stop - numbers.start <= MOST_VALUES:
            raise ValueError(f"range() would make more than {MOST_VALUES:,} values")
        return list(numbers)
    if name == "sum" and len(values) != 1:
        raise TypeError("sum() takes one column")
    if name == "int" and not (len(values) == 1 and isinstance(values[0], int | float | np.number)):
        raise TypeError("int() takes a number; for a column use np.floor(x)")
    return BUILTINS[name](*values)


def call_contrasts(name: str, args: list[Any], options: dict[str, Any]) -> Any:
    """Make contrasts such as ``contr.treatment(base="a")``."""
    if name not in CONTRASTS:
        raise TypeError(f"there are no contrasts contr.{name}")
    return getattr(MODULES["contr"], name)(*args, **options)


@lru_cache(maxsize=128)
def options_of(name: str) -> frozenset[str]:
    """Names of the arguments that a transform may be given."""
    parameters = inspect.signature(CONTEXT[name]).parameters
    return frozenset(option for option in parameters if not option.startswith("_"))


def call_transform(
    name: str, args: list[Any], options: dict[str, Any], state: dict[str, Any]
) -> Any:
    """Call a transform of the formula language, with what it remembers."""
    function = CONTEXT[name]
    if isinstance(function, np.ufunc):
        return call_numpy(name, args, options)
    if not callable(function) or isinstance(function, type(np)):
        raise TypeError(f"{name} is not a function")
    if not isinstance(function, type):
        unknown = [option for option in options if option not in options_of(name)]
        if unknown:
            raise TypeError(f"{name}() has no argument {unknown[0]!r}")
    for value in [*args, *options.values()]:
        if callable(value) and not any(value is known for known in CONTRAST_CLASSES):
            raise TypeError(f"{name}() takes columns and numbers, not functions")
    check_sizes(name, [*args[1:], *options.values()])
    if name in SPLINES:
        check_spline(name, args, options)
    args = [transformed(name, arg) for arg in args]
    if is_stateful(name):
        return function(*args, **options, _state=state)
    return function(*args, **options)


def transformed(name: str, value: Any) -> Any:
    """Give a transform a column in the form it expects."""
    if name in ("C", "factor", "I"):
        return value
    value = plain(value)
    return value.astype(np.float64) if is_truth(value) and np.ndim(value) else value


def check_sizes(name: str, values: list[Any]) -> None:
    """Refuse more columns, knots or levels than a formula can sensibly have."""
    most = MOST_VALUES if name in ("C", "factor") else MOST_COLUMNS
    if name == "cbind":
        return
    for value in values:
        if isinstance(value, list | tuple | np.ndarray | pd.Index) and len(value) > most:
            raise ValueError(f"{name}() is given {len(value):,} values; it takes {most:,}")


def check_spline(name: str, args: list[Any], options: dict[str, Any]) -> None:
    """Refuse splines and polynomials of absurdly many columns, or degrees."""
    columns: Any = args[1] if len(args) > 1 else options.get("df", options.get("degree", 1))
    if isinstance(columns, int | float | np.number) and not abs(float(columns)) <= MOST_COLUMNS:
        raise ValueError(f"{name}() with {columns!r} would make more than {MOST_COLUMNS} columns")
    place: int = {"poly": 1, "bs": 3}.get(name, len(args))
    degree: Any = args[place] if len(args) > place else options.get("degree", 1)
    if isinstance(degree, int | float | np.number) and not float(degree) <= HIGHEST_DEGREE:
        raise ValueError(f"{name}() takes degrees up to {HIGHEST_DEGREE}, not {degree}")
