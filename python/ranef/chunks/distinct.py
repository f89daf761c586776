"""The distinct rows of data that come in chunks, and how often each occurs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..design.expressions import columns_of, strict_columns
from ..design.frame import Frame, open_frame
from ..design.values import float_array
from ..errors import DataError, UnsupportedError
from ..formula import Factor, FactorKind, Formula
from ..parallel.engines import frame_kind
from ..parallel.progress import open_bar
from .source import open_steadily

__all__ = ["COUNT", "MOST_DISTINCT", "Distinct", "distinct_rows"]

#: Most distinct rows that are kept.
MOST_DISTINCT = 2_000_000
#: Rows gathered before repetitions among them are sought.
GATHERED = 500_000
#: Name of the column that counts.
COUNT = "rows that are alike"


@dataclass
class Distinct:
    """Distinct rows so far.

    Attributes
    ----------
    keys : list of str
        Columns in which rows that are alike agree.
    strict : frozenset of str
        Those of them that must not be missing.
    weights : str or None
        The column that says how often a row counts.
    parts : list of DataFrame
        Distinct rows of some chunks, with their counts.
    n_read : int
        Rows without missing values that were read.
    dropped : Counter
        Rows with missing values, by column.
    """

    keys: list[str]
    strict: frozenset[str]
    weights: str | None = None
    parts: list[pd.DataFrame] = field(default_factory=list)
    n_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Any) -> int:
        """Add the rows of a chunk, and return how many there were."""
        frame = open_frame(chunk)
        names = dict.fromkeys([*self.keys, *([] if self.weights is None else [self.weights])])
        rows = pd.DataFrame({name: frame.series(name).reset_index(drop=True) for name in names})
        gaps = rows[[name for name in names if name in self.strict or name == self.weights]].isna()
        self.dropped.update({str(name): int(gaps[name].sum()) for name in gaps})
        rows = rows[~gaps.any(axis=1)]
        self.n_read += len(rows)
        self.parts.append(self.alike(rows, self.count_of(rows)))
        if sum(map(len, self.parts)) > GATHERED + 2 * len(self.parts[0]):
            self.merge()
        return frame.n_rows

    def count_of(self, rows: pd.DataFrame) -> Any:
        """Return how often each row counts.

        Raises
        ------
        DataError
            If a weight is not above zero, which the sum with others would hide.
        """
        if self.weights is None:
            return 1.0
        count = float_array(rows[self.weights], self.weights)
        if wrong := int((~(np.isfinite(count) & (count > 0.0))).sum()):
            raise DataError(
                f"weights must be above zero and finite; {self.weights!r} is not in "
                f"{counted(wrong, 'row')} of a chunk; drop these rows first",
                self.weights,
            )
        return count

    def alike(self, rows: pd.DataFrame, count: Any) -> pd.DataFrame:
        """Merge rows that are alike."""
        given = rows[self.keys].assign(**{COUNT: count})
        alike = given.groupby(self.keys, observed=True, sort=False, dropna=False)
        total: pd.Series[Any] = alike[COUNT].sum()
        return total.reset_index()

    def merge(self) -> pd.DataFrame:
        """Merge rows that are alike in all chunks so far.

        Raises
        ------
        DataError
            If too many are left.
        """
        whole = pd.concat(self.parts, ignore_index=True)
        whole = self.alike(whole, whole[COUNT])
        if len(whole) > MOST_DISTINCT:
            most = max(whole.columns.drop(COUNT), key=lambda name: whole[name].nunique())
            raise DataError(
                f"{self.n_read:,} rows of the data have over {MOST_DISTINCT:,} distinct ones, "
                f"and glmer keeps the distinct rows of data in chunks; {most!r} has the most "
                "values: round it or cut it into classes, or read the columns into a frame if they "
                "fit in memory",
                most,
            )
        self.parts = [whole]
        return whole


def columns_of_model(
    formula: Formula, frame: Frame, offset: str | None
) -> tuple[list[str], frozenset[str]]:
    """Name the columns that a formula and an offset use, and those that must not be missing."""
    factors = [*all_factors(formula), *formula.offsets, formula.left]
    plain = [factor.expr for factor in factors if factor.kind is FactorKind.NAME]
    plain += [name for bar in formula.random for name in bar.factors]
    strict = set(plain) | ({offset} if offset is not None else set())
    named = dict.fromkeys(plain)
    for factor in factors:
        if factor.kind is not FactorKind.NAME:
            named.update(dict.fromkeys(columns_of(factor.expr, frame, formula.evaluation)))
            strict |= strict_columns(factor.expr, formula.evaluation)
    if offset is not None:
        named[offset] = None
    for name in named:
        frame.check(name)
    return list(named), frozenset(strict)


def all_factors(formula: Formula) -> list[Factor]:
    """Variables of the terms, of the smooths and of the left sides of all bars."""
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    smooth = [f for s in formula.smooths for f in (*s.variables, *([s.by] if s.by else []))]
    return [*(factor for term in terms for factor in term.factors), *smooth]


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
        If there are too many or none, or if some have missing values that are not allowed.
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
                found = Distinct(*columns_of_model(formula, open_frame(chunk), offset), weights)
            bar.update(found.add(chunk))
    if found is None or not found.n_read:
        raise DataError("the data have no row without missing values")
    if missing == "raise" and +found.dropped:
        raise DataError(f"rows have missing values, by column: {dict(+found.dropped)}")
    return found, found.merge()
