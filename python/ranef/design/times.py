"""Times of rows, from the labels of a time column."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._caller import warn_caller
from ..errors import RanefWarning
from .design import RandomTerm

__all__ = ["times_of"]

Times = NDArray[np.float64]

#: A label with one number in it, such as V10 or week 2.
NUMBERED = re.compile(r"(\D*?)(-?\d+(?:\.\d+)?)(\D*)")


def times_of(term: RandomTerm, *, warn: bool = False) -> Times:
    """Return the time of each row from the codes of a time column, shape (n,).

    Numbers keep their distances, those written as text too, dates, periods and durations count in
    days. Categories count 1, 2, ... in their order, those that do not occur included; other text
    counts 1, 2, ... in its order, and labels that differ by a number only, such as V8, V9, V10, in
    the order of the numbers.

    Parameters
    ----------
    term : RandomTerm
        The time column.
    warn : bool
        Whether to warn of numbers in labels that leave gaps, which the count closes.
    """
    return times_of_levels(term, warn)[term.codes]


def times_of_levels(term: RandomTerm, warn: bool) -> Times:
    """Return the time of each level."""
    levels = term.levels
    found = days(levels)
    if found is None:
        found = numbers(levels)
    if found is not None:
        return found
    if term.places is not None:
        return np.asarray(term.places, dtype=np.float64) + 1.0
    inside = numbers_in(levels)
    if inside is None:
        return np.arange(len(levels), dtype=np.float64) + 1.0
    order = np.argsort(np.argsort(inside, kind="stable"), kind="stable")
    steps = np.diff(np.sort(inside))
    if warn and len(steps) and not np.allclose(steps, steps[0]):
        at = int(np.argmax(~np.isclose(steps, steps.min())))
        before, after = levels[np.argsort(inside)[[at, at + 1]]]
        warn_caller(
            RanefWarning(
                f"the times in {term.group!r} are text and are counted 1, 2, 3, ..., so that "
                f"{after!r} follows {before!r} at once; pass times as numbers to keep "
                "their distances"
            )
        )
    return order.astype(np.float64) + 1.0


def days(levels: pd.Index[Any]) -> Times | None:
    """Count days since the first date; None for anything but dates and durations."""
    if levels.dtype == object and pd.api.types.infer_dtype(levels) == "date":
        levels = pd.DatetimeIndex(levels)
    if isinstance(levels, pd.PeriodIndex):
        levels = levels.to_timestamp()
    if not isinstance(levels, pd.DatetimeIndex | pd.TimedeltaIndex):
        return None
    since: Any = levels - levels.min()
    return np.asarray(since / np.timedelta64(1, "D"), dtype=np.float64)


def numbers(levels: pd.Index[Any]) -> Times | None:
    """Read numbers, also those written as text; None for anything else."""
    if levels.dtype.kind in "iuf":
        return np.asarray(levels, dtype=np.float64)
    read = pd.to_numeric(pd.Series(levels.astype(str)), errors="coerce").to_numpy(np.float64)
    return read if np.isfinite(read).all() else None


def numbers_in(levels: pd.Index[Any]) -> Times | None:
    """Numbers in labels that differ only by them; None for other labels."""
    found = [NUMBERED.fullmatch(str(level)) for level in levels]
    parts = [match.groups() for match in found if match is not None]
    if len(parts) < len(levels) or len({(before, after) for before, _, after in parts}) > 1:
        return None
    return np.array([float(number) for _, number, _ in parts])
