"""Wide data, one row per unit and one column per wave, as rows of occasions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ...design.frame import to_pandas
from ...errors import DataError, RanefWarning
from ..warned import tell

__all__ = ["Long", "column_named", "common_start", "long_rows", "waves_of"]


@dataclass(frozen=True)
class Long:
    """Long rows, and what their columns are called."""

    frame: pd.DataFrame
    outcome: str
    time: str
    groups: str


def long_rows(
    columns: Sequence[str],
    data: Any,
    time: Any,
    groups: str | None,
    varying: Mapping[str, Sequence[str]],
) -> Long:
    """Stack the waves of wide data.

    Parameters
    ----------
    columns : sequence of str
        The outcome's columns, a wave each.
    data : DataFrame
        One row per unit.
    time : sequence of float, mapping of str to float, or None
        Time of each column; by default the numbers at the ends of their names.
    groups : str or None
        A column that names the units; the rows themselves by default.
    varying : mapping of str to sequence of str
        Columns, a wave each, of covariates that vary in time.

    Raises
    ------
    DataError
        If columns are missing or given twice, or units occur twice.
    ValueError
        If there is not one time for each column.

    Warns
    -----
    RanefWarning
        If times are read from names, and waves between are missing or out of order.
    """
    if len(columns) < 2:
        raise ValueError("a growth curve of wide data needs the columns of at least two waves")
    wide = to_pandas(data)
    names = [*columns, *(name for own in varying.values() for name in own)]
    for name in names:
        if name not in wide.columns:
            raise DataError(f"the data have no column {name!r}", name, tuple(wide.columns))
        if names.count(name) > 1:
            raise DataError(f"{name!r} is given for two waves", name)
    for key, own in varying.items():
        if len(own) != len(columns):
            raise ValueError(
                f"time_varying={key!r} has {counted(len(own), 'column')} for "
                f"{counted(len(columns), 'wave')}; pass one for each, in the order of the outcome's"
            )
    for name in columns:
        if not is_numbers(wide[name]):
            raise DataError(f"{name!r} is a wave of the outcome and is not numeric", name)
    times = times_of(columns, time)
    unit = "unit" if groups is None else groups
    ids = np.arange(len(wide)) if groups is None else wide[groups].to_numpy()
    if pd.isna(ids).any():
        raise DataError(
            f"{groups!r} is missing in {counted(int(pd.isna(ids).sum()), 'row')}, whose units have "
            "no name; leave these rows out, or groups= if every row is a unit",
            groups,
        )
    if pd.Series(ids).duplicated().any():
        raise DataError(
            f"{groups!r} names the same unit in two rows; wide data have one row for each unit",
            groups,
        )
    taken = {*wide.columns, *varying}
    outcome = free(common_start(columns) or "outcome", taken)
    clock = free("time", {*taken, outcome})
    rest = wide.drop(columns=[*names, *([] if groups is None else [groups])])
    blocks = []
    for i, at in enumerate(times):
        new = {unit: ids, clock: at, outcome: wide[columns[i]].to_numpy()}
        new |= {key: wide[own[i]].to_numpy() for key, own in varying.items()}
        blocks.append(rest.assign(**new))
    return Long(pd.concat(blocks, ignore_index=True), outcome, clock, unit)


def is_numbers(column: pd.Series[Any]) -> bool:
    """Return whether a wave holds numbers, or objects that are such."""
    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind):
        return True
    return pd.api.types.is_object_dtype(kind) and bool(
        pd.to_numeric(column, errors="coerce").eq(column).any()
    )


def common_start(names: Sequence[str]) -> str:
    """Find the common start of all names, without a number or separator at its end."""
    out = ""
    for letters in zip(*names, strict=False):
        if len(set(letters)) > 1:
            break
        out += letters[0]
    return out.rstrip("_. 0123456789")


def column_named(word: str, given: Any) -> str:
    """Read the name of a column of long data."""
    if not isinstance(given, str):
        raise ValueError(
            f"{word}= names a column of long data, not {given!r}; for wide data give the outcome "
            "as a list of columns"
        )
    return given


def waves_of(varying: Any) -> Mapping[str, Sequence[str]]:
    """Read the columns of covariates that vary in time, of wide data."""
    if isinstance(varying, Mapping):
        return {str(name): list(own) for name, own in varying.items()}
    if len(varying) > 0:
        raise ValueError(
            'for wide data time_varying= names the column of each wave: {"x": ["x_0", "x_1", ...]}'
        )
    return {}


def free(name: str, taken: set[str]) -> str:
    """Return a name that no column has."""
    while name in taken:
        name += "_"
    return name


def times_of(columns: Sequence[str], time: Any) -> list[float]:
    """Find the time of each wave."""
    if isinstance(time, str):
        raise ValueError(
            f"the outcome is {counted(len(columns), 'column')} of wide data, whose times are "
            f"numbers: time=[0, 1, ...], not the column {time!r}"
        )
    if time is None:
        times = times_in_names(columns)
    elif isinstance(time, Mapping):
        if gone := [name for name in columns if name not in time]:
            raise ValueError(f"time= has no time for {gone[0]!r}")
        times = [float(time[name]) for name in columns]
    else:
        times = [float(value) for value in time]
        if len(times) != len(columns):
            raise ValueError(
                f"time= has {counted(len(times), 'value')} for {counted(len(columns), 'column')}"
            )
    if not np.isfinite(times).all():
        raise ValueError("times must be finite numbers")
    if len(set(times)) < len(times):
        twice = next(t for t in times if times.count(t) > 1)
        both = [name for name, t in zip(columns, times, strict=True) if t == twice]
        raise DataError(f"{' and '.join(both)} have the same time, {twice:g}", both[0])
    return times


def times_in_names(columns: Sequence[str]) -> list[float]:
    """Read the numbers at the ends of names, and report gaps and their order."""
    ends = [re.search(r"(\d+(?:\.\d+)?)$", name) for name in columns]
    if gone := [name for name, end in zip(columns, ends, strict=True) if end is None]:
        raise ValueError(
            f"{gone[0]!r} does not end in a number, from which its time could be read; pass the "
            "times: time=[0, 1, ...]"
        )
    times = [float(end[1]) for end in ends if end is not None]
    notes = []
    if times != sorted(times):
        shown = ", ".join(columns)
        notes.append(f"the waves are given out of order ({shown}); their times are those in names")
    steps = np.diff(sorted(times))
    if len(steps) and steps.max() > steps.min() + 1e-9:
        listed = ", ".join(f"{t:g}" for t in sorted(times))
        notes.append(
            f"the waves have gaps: their times are taken to be {listed}; pass others as time="
        )
    tell(tuple(RanefWarning(note) for note in notes))
    return times
