"""The distinct rows of data that come in chunks, and how often each occurs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..design.frame import open_frame
from ..errors import DataError, UnsupportedError
from ..formula import Formula
from ..parallel.engines import frame_kind
from ..parallel.progress import open_bar
from .source import open_steadily

__all__ = ["COUNT", "MOST_DISTINCT", "Distinct", "distinct_rows"]

#: Distinct rows that are kept, at most.
MOST_DISTINCT = 2_000_000
#: Rows that are gathered before repetitions are looked for among them.
GATHERED = 500_000
#: Name of the column that counts.
COUNT = "rows that are alike"


@dataclass
class Distinct:
    """Distinct rows so far.

    Attributes
    ----------
    names : list of str
        Columns that the model uses.
    weights : str or None
        The one of them that says how often a row counts.
    parts : list of DataFrame
        Distinct rows of some chunks, with their counts.
    n_read : int
        Rows without missing values that were read.
    dropped : Counter
        Rows with missing values, by column.
    """

    names: list[str]
    weights: str | None
    parts: list[pd.DataFrame] = field(default_factory=list)
    n_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Any) -> int:
        """Add the rows of a chunk, and return how many there were."""
        frame = open_frame(chunk)
        columns = {name: frame.series(name).reset_index(drop=True) for name in self.names}
        rows = pd.DataFrame(columns)
        gaps = rows.isna()
        self.dropped.update({name: int(gaps[name].sum()) for name in self.names})
        rows = rows[~gaps.any(axis=1)]
        self.n_read += len(rows)
        self.parts.append(self.counted(rows, 1.0 if self.weights is None else rows[self.weights]))
        if sum(map(len, self.parts)) > GATHERED + 2 * len(self.parts[0]):
            self.merge()
        return frame.n_rows

    def counted(self, rows: pd.DataFrame, count: Any) -> pd.DataFrame:
        """Make one row of those that are alike."""
        keys = [name for name in rows if name not in (COUNT, self.weights)]
        grouped = rows.assign(**{COUNT: count}).groupby(keys, observed=True, sort=False)
        return grouped[COUNT].sum().reset_index()

    def merge(self) -> pd.DataFrame:
        """Make one row of those that are alike in all chunks so far.

        Raises
        ------
        DataError
            If too many are left.
        """
        whole = pd.concat(self.parts, ignore_index=True)
        whole = self.counted(whole, whole[COUNT])
        if len(whole) > MOST_DISTINCT:
            most = max(whole.columns.drop(COUNT), key=lambda name: whole[name].nunique())
            raise DataError(
                f"{self.n_read:,} rows of the data hold over {MOST_DISTINCT:,} distinct ones, and "
                f"glmer keeps the distinct rows of data in chunks; {most!r} has the most values: "
                "round it or cut it into classes, or read the columns into a frame if they fit in "
                "memory",
                most,
            )
        self.parts = [whole]
        return whole


def distinct_rows(
    formula: Formula, data: Any, weights: Any, offset: Any, missing: str
) -> tuple[Distinct, pd.DataFrame]:
    """Read all chunks, one after the other, and keep their distinct rows with a count.

    Rows are alike if they have the same values in every column that the formula, the weights or the
    offset name, the response included, so that the likelihood of the counted rows is that of all.

    Raises
    ------
    UnsupportedError
        If weights or offset are arrays, or the data are on an engine of their own.
    DataError
        If there are too many, none, or some have missing values and may not.
    """
    for name, value in (("weights", weights), ("offset", offset)):
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(f"{name} must be a column's name where data are read in chunks")
    if frame_kind(data) is not None:
        raise UnsupportedError(
            f"glmer does not read a {type(data).__name__}; write it to parquet and give the path"
        )
    asked = [name for name in (weights, offset) if name is not None]

    def asks_for(name: str) -> bool:
        return name in asked or bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", formula.text))

    passes = open_steadily(data, asks_for)
    found: Distinct | None = None
    with open_bar(None, "rows", shown=True, scaled=True) as bar:
        for chunk in passes():
            if found is None:
                listed = [name for name in map(str, open_frame(chunk).names) if asks_for(name)]
                found = Distinct(listed, weights)
            bar.update(found.add(chunk))
    if found is None or not found.n_read:
        raise DataError("the data have no row without missing values")
    if missing == "raise" and +found.dropped:
        raise DataError(f"rows have missing values, by column: {dict(+found.dropped)}")
    return found, found.merge()
