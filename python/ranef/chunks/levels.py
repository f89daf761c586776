"""Levels of grouping factors in chunks of rows, numbered as they appear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ..design.groups import Grouping, group_codes
from ..errors import DataError

__all__ = ["LevelTable"]

Codes = NDArray[np.int64]

#: An interaction's key is the number of the combination so far times this, plus the next level's.
STEP = 2**32


class Numbered:
    """Distinct values in the order in which they appeared."""

    def __init__(self) -> None:
        self.values: pd.Index[Any] = pd.Index([])

    def __len__(self) -> int:
        return len(self.values)

    def number(self, values: pd.Index[Any], name: str) -> Codes:
        """Return the number of each distinct value; new values get the next numbers."""
        if len(self.values) == 0:
            self.values = values
            return np.arange(len(values))
        if types.is_numeric_dtype(values.dtype) != types.is_numeric_dtype(self.values.dtype):
            raise DataError(
                f"grouping column {name!r} is {self.values.dtype} in the first chunk and "
                f"{values.dtype} in a later one; convert it to one type",
                name,
            )
        place = np.asarray(self.values.get_indexer(values), dtype=np.int64)
        new = np.flatnonzero(place < 0)
        if len(new):
            place[new] = len(self.values) + np.arange(len(new))
            self.values = self.values.append(values[new])
        return place


class LevelTable:
    """The levels of one grouping factor so far.

    Parameters
    ----------
    names : tuple of str
        Its columns.
    """

    def __init__(self, names: tuple[str, ...]):
        self.names = names
        self.columns = [Numbered() for _ in names]
        self.joined = [Numbered() for _ in names[1:]]

    def copy(self) -> LevelTable:
        """Return a table that grows on its own."""
        out = LevelTable(self.names)
        for fresh, table in zip(
            [*out.columns, *out.joined], [*self.columns, *self.joined], strict=True
        ):
            fresh.values = table.values
        return out

    @property
    def n_levels(self) -> int:
        """Number of levels so far."""
        return len(self.joined[-1] if self.joined else self.columns[0])

    def number(self, columns: Sequence[tuple[NDArray[Any], pd.Index[Any]]]) -> NDArray[np.int32]:
        """Return numbers of rows given as codes and levels of each column, none missing."""
        parts = [
            self._column(table, codes, levels, name)
            for table, (codes, levels), name in zip(self.columns, columns, self.names, strict=True)
        ]
        codes: NDArray[Any] = parts[0]
        for table, other in zip(self.joined, parts[1:], strict=True):
            keys = codes.astype(np.int64) * STEP + other
            found, inverse = np.unique(keys, return_inverse=True)
            codes = table.number(pd.Index(found), ":".join(self.names))[inverse]
        return np.ascontiguousarray(codes, dtype=np.int32)

    @staticmethod
    def _column(
        table: Numbered, codes: NDArray[Any], levels: pd.Index[Any], name: str
    ) -> NDArray[np.int32]:
        used = np.zeros(len(levels), dtype=bool)
        used[codes] = True
        place = np.full(len(levels), -1, dtype=np.int32)
        place[used] = table.number(levels[used], name)
        return np.take(place, codes)

    def parts(self) -> list[tuple[Codes, pd.Index[Any]]]:
        """Return codes and levels of each column for every level of the factor."""
        codes = np.arange(self.n_levels)
        out: list[tuple[Codes, pd.Index[Any]]] = []
        for table, column in zip(self.joined[::-1], self.columns[:0:-1], strict=True):
            codes, other = np.divmod(table.values.to_numpy()[codes], STEP)
            out.insert(0, (other, column.values))
        return [(codes, self.columns[0].values), *out]

    def sort(self) -> tuple[NDArray[np.int32], Grouping]:
        """Sort the levels; return the new number of each, and the grouping."""
        parts = []
        for codes, levels in self.parts():
            order = levels.argsort()
            rank = np.empty(len(order), dtype=np.int64)
            rank[order] = np.arange(len(order))
            parts.append((rank[codes], levels[order]))
        number, grouping = group_codes(self.names, parts)
        arranged = np.argsort(number)
        fresh = LevelTable(self.names)
        fresh.number([(codes[arranged], levels) for codes, levels in parts])
        self.columns, self.joined = fresh.columns, fresh.joined
        return number, grouping
