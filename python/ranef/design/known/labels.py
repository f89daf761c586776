"""Labels of the levels of a known covariance, and the levels of a column among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._counted import counted
from ...errors import DataError
from ..values import find_levels

__all__ = ["named", "places_among", "unique_labels"]

#: Most labels that a message names.
NAMED = 5


def named(labels: pd.Index[Any], places: Iterable[int]) -> str:
    """Name some labels, the first few of many."""
    places = list(places)
    shown = ", ".join(repr(label) for label in labels.take(places[:NAMED]).tolist())
    return f"{shown} and {len(places) - NAMED} more" if len(places) > NAMED else shown


def unique_labels(labels: Sequence[Any] | pd.Index[Any], what: str) -> pd.Index[Any]:
    """Refuse labels that are missing or repeat."""
    index: pd.Index[Any] = pd.Index(labels)
    if index.isna().any():
        raise DataError(
            f"{what}: {counted(np.sum(index.isna()), 'label is', 'labels are')} missing"
        )
    twice = np.flatnonzero(index.duplicated())
    if len(twice):
        raise DataError(f"{what}: each level has one label, and {named(index, twice)} repeat")
    return index


def places_among(labels: pd.Index[Any], levels: pd.Index[Any], group: str) -> NDArray[np.intp]:
    """Find each level of a grouping factor among the labels of its known covariance.

    Raises
    ------
    DataError
        If some are absent; the message names them.
    """
    places = np.asarray(find_levels(labels, levels), dtype=np.intp)
    absent = np.flatnonzero(places < 0)
    if len(absent):
        raise DataError(
            f"covariance[{group!r}] has no row for {len(absent)} of the "
            f"{counted(len(levels), 'level')} of {group}: {named(levels, absent)}; it needs one "
            "for every level that has records",
            group,
        )
    return places
