"""Grouping factors as integer codes, interactions included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .values import Codes, categorical_codes, drop_unused, find_levels

__all__ = ["Crossing", "Grouping", "codes_of_new", "group_codes"]


@dataclass(frozen=True)
class Crossing:
    """One step of an interaction: codes so far times the levels of one more column.

    Attributes
    ----------
    n_levels : int
        Levels of the column.
    keys : ndarray of int64, or None
        The combinations that occur, code * n_levels + level, ascending; None if all occur.
    """

    n_levels: int
    keys: NDArray[np.int64] | None


@dataclass(frozen=True)
class Grouping:
    """What a grouping factor learned: levels of its columns and combinations of them.

    Attributes
    ----------
    names : tuple of str
        The columns.
    parts : tuple of Index
        Levels of each column, used ones only.
    crossings : tuple of Crossing
        How the columns after the first are joined.
    n_levels : int
        Number of levels of the factor.
    """

    names: tuple[str, ...]
    parts: tuple[pd.Index[Any], ...]
    crossings: tuple[Crossing, ...]
    n_levels: int

    @property
    def levels(self) -> pd.Index[Any]:
        """Labels of the levels, spelled anew; those of an interaction are ``a:b``."""
        out = self.parts[0]
        for crossing, levels in zip(self.crossings, self.parts[1:], strict=True):
            out = cross_labels(out, levels, crossing)
        return out


def group_codes(
    names: tuple[str, ...], columns: Sequence[tuple[Codes, pd.Index[Any]]]
) -> tuple[NDArray[np.int32], Grouping]:
    """Join columns without missing values into one grouping factor.

    Parameters
    ----------
    names : tuple of str
        The columns' names.
    columns : sequence of (codes, levels)
        The columns on the rows used.

    Returns
    -------
    codes : ndarray of shape (n,), int32
        Level of each row.
    grouping : Grouping
        The levels, sorted by the first column, then by the second, and so on.
    """
    used = [drop_unused(codes, levels) for codes, levels in columns]
    codes: Codes
    codes, first = used[0]
    n_levels = len(first)
    crossings = []
    for other, levels in used[1:]:
        codes, crossing = cross(codes, n_levels, other, len(levels))
        n_levels = n_levels * len(levels) if crossing.keys is None else len(crossing.keys)
        crossings.append(crossing)
    parts = tuple(levels for _, levels in used)
    result = np.ascontiguousarray(codes, dtype=np.int32)
    return result, Grouping(names, parts, tuple(crossings), n_levels)


def cross(codes: Codes, n_levels: int, other: Codes, n_other: int) -> tuple[Codes, Crossing]:
    """Give each occurring combination of two codes a code, in order."""
    size = n_levels * n_other
    small = size < 2**31
    kind = np.int32 if small else np.int64
    keys: NDArray[Any] = codes.astype(kind)
    keys *= n_other
    keys += other.astype(kind)
    if size > 4 * len(keys) + 1000:
        found, occurring = pd.factorize(keys, sort=True)
        return found, Crossing(n_other, np.asarray(occurring, dtype=np.int64))
    joined, kept = drop_unused(keys, pd.RangeIndex(size))
    return joined, Crossing(n_other, None if len(kept) == size else kept.to_numpy(dtype=np.int64))


def cross_labels(first: pd.Index[Any], second: pd.Index[Any], crossing: Crossing) -> pd.Index[Any]:
    """Label combinations ``a:b``."""
    keys = crossing.keys
    if keys is None:
        keys = np.arange(len(first) * len(second))
    left, right = texts(first), texts(second)
    labels: pd.Index[Any] = pd.Index(left[keys // len(second)] + ":" + right[keys % len(second)])
    return labels


def texts(levels: pd.Index[Any]) -> NDArray[np.object_]:
    """Spell levels as text."""
    return np.array([str(level) for level in levels.tolist()], dtype=object)


def codes_of_new(grouping: Grouping, columns: Sequence[pd.Series[Any]]) -> NDArray[np.int32]:
    """Code new rows by known levels; -1 for a combination not seen in the fit."""
    codes: Codes = positions(grouping.parts[0], columns[0])
    for crossing, levels, column in zip(
        grouping.crossings, grouping.parts[1:], columns[1:], strict=True
    ):
        other = positions(levels, column)
        keys = codes.astype(np.int64) * crossing.n_levels + other
        known = (codes >= 0) & (other >= 0)
        if crossing.keys is None:
            codes = np.where(known, keys, -1)
            continue
        at = np.minimum(np.searchsorted(crossing.keys, keys), len(crossing.keys) - 1)
        codes = np.where(known & (crossing.keys[at] == keys), at, -1)
    return np.ascontiguousarray(codes, dtype=np.int32)


def positions(levels: pd.Index[Any], column: pd.Series[Any]) -> Codes:
    """Find the level of each value; -1 if it is not a level."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, categories = categorical_codes(column)
        return np.append(find_levels(levels, categories), -1)[codes]
    if column.dtype == np.float16:
        column = column.astype(np.float32)
    gaps = column.isna().to_numpy()
    return np.where(gaps, -1, find_levels(levels, pd.Index(column)))
