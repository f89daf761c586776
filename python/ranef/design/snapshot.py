"""The data of a fit as they were, whatever the caller does to the table later."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .frame import copies_on_write

__all__ = ["Kept", "held_bytes", "rows_dropped", "snapshot"]


#: Where a model notes the caller's frame, which it does not keep alive, and how long it was.
WATCHED = "_callers_frame"


class Kept:
    """An attribute that keeps a table by value: see `snapshot`, which runs when it is first read.

    The contents of a pandas frame are noted in microseconds; the table is made from them when
    it is first needed.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, model: Any, data: Any) -> None:
        model.__dict__[self.name] = hold(data)
        if isinstance(data, pd.DataFrame):
            own = weakref.ref(data), len(data)
            model.__dict__[WATCHED] = data.__dict__.get(WATCHED, own)

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return None
        held = model.__dict__.get(self.name)
        if isinstance(held, Held):
            held = model.__dict__[self.name] = native(held.table())
            object.__setattr__(held, WATCHED, model.__dict__[WATCHED])  # for models made of it
        return held


def rows_dropped(model: Any) -> tuple[int, int] | None:
    """Return whether rows were dropped from the caller's frame in place since the fit.

    Parameters
    ----------
    model : object
        What has a `Kept` attribute.

    Returns
    -------
    tuple of int, or None
        Rows of the frame now and at the fit; None if it has as many, or is gone.
    """
    frame, at_fit = model.__dict__.get(WATCHED, (lambda: None, 0))
    left = frame()
    return None if left is None or len(left) >= at_fit else (len(left), at_fit)


class Held:
    """A table that can be made when needed."""

    def __init__(self, table: Callable[[], Any]) -> None:
        self.table = table


def hold(data: Any) -> Any:
    """Note what a table holds now, without copying it."""
    if not isinstance(data, pd.DataFrame) or not copies_on_write():
        return snapshot(data)
    try:
        manager: Any = data._mgr  # noqa: SLF001
        blocks = tuple([block.copy(deep=False) for block in manager.blocks])
        axes, kind = list(manager.axes), type(manager)
        made: Any = getattr(pd.DataFrame, "_from_mgr")  # noqa: B009
    except (AttributeError, TypeError):  # another pandas: the public way, a little slower
        return snapshot(data)
    return Held(lambda: made(kind(blocks, axes), axes=axes))


def snapshot(data: Any) -> Any:
    """Return the caller's table as it is now; no later change of it is seen.

    A pandas frame shares its columns with the caller's until one of the two changes them, so that
    nothing is copied now; a pandas that cannot do that copies. Arrays in a mapping are copied.
    Tables of polars and Arrow have columns that cannot change. Anything else, such as the path of
    a file, is returned as it is.

    Parameters
    ----------
    data : object
        What a model was fitted to.

    Returns
    -------
    object
        A table of the same kind, with the same rows and labels.
    """
    if isinstance(data, pd.DataFrame):
        return native(data.copy(deep=not copies_on_write()))
    if isinstance(data, Mapping):
        return {name: by_value(values) for name, values in data.items()}
    if isinstance(data, np.ndarray):
        return data.copy()
    kind = type(data)
    if kind.__module__.startswith("polars.") and kind.__name__ == "DataFrame":
        return data.clone()  # the columns cannot change, but the table can gain others
    return data


def native(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns to this machine's byte order, without which pandas cannot select rows."""
    swapped = [getattr(kind, "isnative", True) is False for kind in frame.dtypes]
    if not any(swapped):
        return frame
    columns = [
        column.astype(np.dtype(column.dtype.name)) if foreign else column
        for foreign, (_, column) in zip(swapped, frame.items(), strict=True)
    ]
    out = pd.concat(columns, axis=1)
    out.columns = frame.columns
    return out


def by_value(values: Any) -> Any:
    """Copy what can change in place."""
    if isinstance(values, pd.Series | pd.Index):
        return values.copy(deep=not copies_on_write())
    copy = getattr(values, "copy", None)
    return copy() if callable(copy) else values


def held_bytes(data: Any) -> int:
    """Count the bytes that a model's data keep alive, including those shared with the caller."""
    if isinstance(data, pd.DataFrame):
        return int(data.memory_usage(index=True, deep=True).sum())
    if isinstance(data, Mapping):
        return sum(int(np.asarray(values).nbytes) for values in data.values())
    for name in ("nbytes", "estimated_size"):
        size = getattr(data, name, None)
        if size is not None:
            return int(size() if callable(size) else size)
    return 0
