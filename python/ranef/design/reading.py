"""Read the variables of a formula from a frame, and find the rows that can be used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError
from ..formula import SAFE, Evaluation, Factor, FactorKind
from .aligned import check_rows
from .frame import Frame, row_labels
from .values import Categories, Numbers, Value, read_codes, read_series

__all__ = ["Reading", "read_argument", "read_factor", "read_group", "rows_to_keep", "union"]

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A sum of squares below this has lost digits if some value is not zero.
SMALLEST = 1e-290


@dataclass(frozen=True)
class Reading:
    """Variables read so far, on all rows, and what is missing in them.

    Attributes
    ----------
    frame : Frame
        Where they are read from.
    values : dict of str to value
        Factors by expression.
    groups : dict of str to (codes, levels)
        Grouping columns.
    states : dict of str to dict
        What the stateful transforms of an expression learned.
    missing : dict of str to mask
        Rows missing in a column, or in an expression but not in its columns.
    infinite : dict of str to mask
        Rows that are infinite in a column or expression.
    evaluation : Evaluation
        What expressions may do.
    members : dict of str to Membership
        Groupings with several levels per row, by label.
    """

    frame: Frame
    values: dict[str, Value] = field(default_factory=dict)
    groups: dict[str, tuple[Any, pd.Index[Any]]] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, Mask] = field(default_factory=dict)
    infinite: dict[str, Mask] = field(default_factory=dict)
    evaluation: Evaluation = SAFE
    members: dict[str, Any] = field(default_factory=dict)


def read_factor(factor: Factor, reading: Reading) -> None:
    """Read one factor and note what is missing."""
    expr = factor.expr
    if expr in reading.values:
        return
    if factor.kind is FactorKind.NAME:
        copied = reading.frame.arrays.get(expr)
        value = (
            Numbers((copied,))
            if copied is not None
            else read_series(reading.frame.series(expr), expr)
        )
        note(expr, value, reading)
    else:
        from .expressions import columns_of, evaluate, strict_columns

        allowed = reading.evaluation
        sources = columns_of(expr, reading.frame, allowed)
        value = evaluate(expr, reading.frame, reading.states.setdefault(expr, {}), allowed)
        strict = strict_columns(expr, allowed)
        for name in sources:
            if name in strict:
                note_source(name, reading)
        note(expr, value, reading, sources)
    reading.values[expr] = value


def note(name: str, value: Value, reading: Reading, sources: Iterable[str] = ()) -> None:
    """Note rows that are missing or infinite in a variable; those of its sources are known."""
    if isinstance(value, Categories):
        gaps = value.codes < 0
    else:
        doubtful = [a for a in value.arrays if not has_usual_size(a, name)]
        if not doubtful:
            return
        infinite = union(np.isinf(a) for a in doubtful)
        if infinite is not None:
            reading.infinite[name] = infinite
        gaps = np.logical_or.reduce([np.isnan(a) for a in doubtful])
    for source in sources:
        if source in reading.missing:
            gaps = gaps & ~reading.missing[source]
    if gaps.any():
        reading.missing[name] = gaps


def has_usual_size(a: Vector, name: str) -> bool:
    """Whether the squares of all values add up; False if some value is missing or infinite.

    Raises
    ------
    DataError
        If squares of finite values overflow, or vanish.
    """
    squares = float(np.einsum("i,i->", a, a))  # without the threads of a BLAS, or a warning
    usual = math.isfinite(squares)
    finite = a if usual else a[np.isfinite(a)]
    squares = squares if usual else float(np.einsum("i,i->", finite, finite))
    if not math.isfinite(squares) or (squares < SMALLEST and finite.any()):
        size = float(np.abs(finite).max())
        raise DataError(
            f"the largest value of {name!r} is {size:.3g}, and its square "
            "overflows; use another unit",
            name,
        )
    return usual


def note_source(name: str, reading: Reading) -> None:
    """Note rows in which a column that an expression uses is missing."""
    if name not in reading.missing and name not in reading.values:
        series = reading.frame.series(name)
        kind = series.dtype.kind if isinstance(series.dtype, np.dtype) else "O"
        if kind in "iub":
            return
        gaps = np.isnan(series.to_numpy()) if kind == "f" else series.isna().to_numpy()
        if gaps.any():
            reading.missing[name] = gaps


def read_group(name: str, reading: Reading) -> None:
    """Read one grouping column and note what is missing."""
    if name not in reading.groups:
        codes, levels = read_codes(reading.frame.series(name), name)
        reading.groups[name] = codes, levels
        gaps = codes < 0
        if gaps.any():
            reading.missing[name] = gaps


def read_argument(asked: Any, role: str, reading: Reading) -> Vector | None:
    """Read weights or an offset given as a column's name or as an array."""
    if asked is None:
        return None
    if isinstance(asked, str):
        name, series = asked, reading.frame.series(asked)
    else:
        name, series = role, series_of(asked, role, reading.frame)
    value = read_series(series, name)
    if not isinstance(value, Numbers):
        raise DataError(f"{role} must be numbers; {name!r} is not", name)
    note(name, value, reading)
    return value.arrays[0]


def series_of(asked: Any, role: str, frame: Frame) -> pd.Series[Any]:
    """Turn an array given for the rows into a series."""
    if isinstance(asked, pd.Series):
        check_rows(asked, role, frame.index, frame.n_rows)
        series = asked
    else:
        values = np.asarray(asked)
        if values.ndim != 1:
            raise DataError(f"{role} must be a column's name or an array of one value a row", role)
        series = pd.Series(values, copy=True)
    if len(series) != frame.n_rows:
        raise DataError(
            f"{role} has {counted(len(series), 'value')} for "
            f"{counted(frame.n_rows, 'row')} of data",
            role,
        )
    return series


def union(masks: Iterable[Mask]) -> Mask | None:
    """Join masks; None if all are empty."""
    out: Mask | None = None
    for mask in masks:
        if mask.any():
            out = mask if out is None else out | mask
    return out


def rows_to_keep(reading: Reading, missing: str) -> Mask | None:
    """Find the rows without missing values, None if all; refuse infinite values in them."""
    gaps = union(reading.missing.values())
    if gaps is not None:
        check_gaps(gaps, reading, missing)
    for name, infinite in reading.infinite.items():
        bad = np.flatnonzero(infinite if gaps is None else infinite & ~gaps)
        if len(bad):
            where = row_labels(bad, reading.frame.index)
            raise DataError(f"{name!r} is infinite in {where}; drop or correct these rows", name)
    return None if gaps is None else ~gaps


def check_gaps(gaps: Mask, reading: Reading, missing: str) -> None:
    """Raise if missing values are not allowed, or leave no row."""
    counts = ", ".join(f"{name!r} {int(m.sum())}" for name, m in reading.missing.items())
    lost = int(gaps.sum())
    if missing == "raise":
        rows = counted(lost, "row has", "rows have")
        raise DataError(f"{rows} missing values, by column: {counts}")
    if lost == len(gaps):
        raise DataError(f"all {lost} rows have missing values, by column: {counts}")
