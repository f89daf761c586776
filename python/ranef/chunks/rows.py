"""Rows of a chunk in terms of a design learned earlier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array
from ..design import build
from ..design.build import read_all, response_vector
from ..design.design import Design
from ..design.encode import Encoder, all_terms, read_known
from ..design.frame import Frame, open_frame
from ..design.matrix import Store
from ..design.reading import Reading, read_argument, read_factor, read_group, union
from ..design.smooths.terms import evaluated
from ..design.values import Categories, Numbers
from ..errors import DataError, UnsupportedError
from ..formula import Factor, Formula
from .curves import Extremes, Kept
from .places import Places, check_places, has_places

__all__ = ["ChunkRows", "Sample", "learn", "read_chunk"]

Series = "pd.Series[Any]"

#: Rows of the first chunk that the design is learned from, besides those with a new level.
SAMPLE_ROWS = 50


@dataclass(frozen=True)
class ChunkRows:
    """The usable rows of a chunk.

    Attributes
    ----------
    y : ndarray of shape (m,)
        Response minus offset.
    columns : list of ndarray of shape (m,)
        The distinct columns, in the design's order.
    groups : dict of str to (codes, levels)
        Grouping columns.
    weights : ndarray of shape (m,) or None
        Precision weights.
    n_read : int
        Rows of the chunk.
    dropped : dict of str to int
        Rows with missing values, by column.
    """

    y: Array
    columns: list[Array]
    groups: dict[str, tuple[NDArray[Any], pd.Index[Any]]]
    weights: Array | None
    n_read: int
    dropped: dict[str, int]


class Sample:
    """Rows that show every level of the predictors, enough to learn a design from."""

    def __init__(self, formula: Formula, weights: str | None, offset: str | None):
        self.formula = formula
        self.arguments = [name for name in (weights, offset) if name is not None]
        self.seen: dict[str, set[Any]] = {}
        self.rows: list[dict[str, Any]] = []
        self.extremes = Extremes()
        self.kept = Kept() if formula.smooths else None
        self.places = Places() if has_places(formula) else None

    def add(self, chunk: Any) -> None:
        """Keep the rows of a chunk that show something new."""
        frame = open_frame(chunk)
        if frame.n_rows == 0:
            return
        reading = Reading(frame, evaluation=self.formula.evaluation)
        read_all(self.formula, reading)
        for name in self.arguments:
            read_argument(name, name, reading)
        gaps = union(reading.missing.values())
        usable = np.arange(frame.n_rows) if gaps is None else np.flatnonzero(~gaps)
        few = self.rows or self.kept is not None
        wanted = [] if few else usable[:SAMPLE_ROWS].tolist()
        for factor in variables(self.formula):
            wanted += self.new_levels(factor.expr, reading.values[factor.expr], usable)
        wanted += [] if self.places is None else self.places.new(self.formula, reading, usable)
        if wanted:
            at = sorted(set(wanted))
            self.rows.append({name: frame.series(name).iloc[at] for name in self.names(frame)})
        if self.kept is not None and len(usable):
            self.extremes.add(self.formula, reading, self.names(frame), usable)
            self.kept.add(frame, self.names(frame), usable)

    @property
    def is_complete(self) -> bool:
        """Whether more rows cannot add anything: there are some, without factors and the like."""
        return bool(self.rows) and not self.seen and self.kept is None and self.places is None

    def names(self, frame: Frame) -> list[str]:
        """Columns that the formula's text or an argument may mention."""
        return [
            name
            for name in dict.fromkeys(frame.names)
            if isinstance(name, str) and (name in self.formula.text or name in self.arguments)
        ]

    def new_levels(self, expr: str, value: Any, usable: NDArray[np.intp]) -> list[int]:
        """Find rows that show a level for the first time."""
        if not isinstance(value, Categories):
            return []
        seen = self.seen.setdefault(expr, set())
        codes, first = np.unique(value.codes[usable], return_index=True)
        fresh = [i for i, code in enumerate(codes) if value.levels[code] not in seen]
        seen.update(value.levels[codes[i]] for i in fresh)
        return [int(usable[first[i]]) for i in fresh]

    def frame(self) -> dict[str, Any]:
        """Return the rows as columns."""
        parts = self.parts()
        if not parts:
            raise DataError("the data have no row without missing values")
        return {
            name: pd.concat([rows[name] for rows in parts], ignore_index=True) for name in parts[0]
        }

    def parts(self) -> list[dict[str, Any]]:
        """Return the rows in pieces: those with a new level, and those smooths learn from."""
        if self.kept is None or not self.kept.n_read:
            return self.rows
        kept = self.kept.thin()
        return [*self.rows, *self.extremes.rows.values(), kept] if self.kept.is_part else [kept]


def variables(formula: Formula) -> list[Factor]:
    """Variables of the terms, of the left sides of bars and of smooths."""
    smooth = [factor for one in formula.smooths for factor in one.factors]
    return [*(factor for term in all_terms(formula) for factor in term), *smooth]


def numbered(formula: Formula, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Replace columns that only group by row numbers, which make more than one level.

    The levels of grouping factors are counted while chunks are added up; their type
    does not matter to the design.
    """
    used = " ".join(factor.expr for factor in (*variables(formula), *formula.offsets, formula.left))
    n = len(next(iter(rows.values())))
    again = [*range(n), *([0] if n == 1 else [])]
    out = {name: column.iloc[again] for name, column in rows.items()}
    for name in {name for bar in formula.random for name in bar.factors}:
        if name in out and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", used):
            out[name] = pd.Series(np.arange(len(out[name])))
    return {name: column.reset_index(drop=True) for name, column in out.items()}


def with_levels(sample: Mapping[str, Any], levels: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """Add rows to a sample so that each column named has its levels."""
    out = dict(sample)
    for name, values in levels.items():
        if name not in out:
            raise DataError(f"schema names {name!r}, which is not a column of the model", name)
        known = set(out[name])
        for value in (v for v in values if v not in known):
            for column in out:
                last = out[column].iloc[-1] if column != name else value
                out[column] = pd.concat([out[column].astype(object), pd.Series([last])])
    return {name: column.infer_objects().reset_index(drop=True) for name, column in out.items()}


def learn(
    sample: Sample,
    levels: Mapping[str, Iterable[Any]],
    weights: str | None,
    offset: str | None,
    contrasts: Any,
) -> Design:
    """Build the design that every chunk is read with."""
    rows = numbered(sample.formula, with_levels(sample.frame(), levels))
    options = {"weights": weights, "offset": offset, "contrasts": contrasts, "smooths": True}
    design = build(sample.formula, rows, **options)
    check_by_row(design)
    return design


def check_by_row(design: Design) -> None:
    """Refuse expressions whose value in a row depends on the other rows.

    Raises
    ------
    UnsupportedError
        With the expression, and what to do.
    """
    for expr, fitted in design.encoder.factors.items():
        if any(fitted.state.values()):
            raise UnsupportedError(
                f"{expr} needs all rows at once, which chunks do not provide; compute the "
                "column beforehand, or give its constants in the formula"
            )


def read_chunk(design: Design, chunk: Any, weights: str | None, offset: str | None) -> ChunkRows:
    """Read the usable rows of a chunk with a design.

    Raises
    ------
    DataError
        If a column is absent, or has another type or a level that the design does not know.
    """
    encoder: Encoder = design.encoder
    formula = encoder.formula
    frame = open_frame(chunk)
    reading = Reading(
        frame,
        states={e: f.state for e, f in encoder.factors.items()},
        evaluation=encoder.formula.evaluation,
    )
    factors = {f.expr: f for f in variables(formula)}
    for factor in [*factors.values(), *formula.offsets]:
        read_known(factor, encoder.factors[factor.expr], reading)
    read_factor(formula.left, reading)
    for bar in formula.random:
        for name in bar.factors:
            read_group(name, reading)
    w = read_argument(weights, "weights", reading)
    added = read_argument(offset, "offset", reading)
    gaps = union(reading.missing.values())
    keep = np.ones(frame.n_rows, dtype=bool) if gaps is None else ~gaps
    for name, infinite in reading.infinite.items():
        if (infinite & keep).any():
            raise DataError(f"{name!r} is infinite in a row; drop or correct it", name)
    if w is not None and (w[keep] <= 0).any():
        raise DataError("weights must be above zero", "weights")
    values = {expr: value.take(keep) for expr, value in reading.values.items()}
    for smooth in encoder.smooths:
        values[smooth.label] = evaluated(smooth, values)
    store = Store(values, encoder.factors)
    for column in [*encoder.fixed, *(c for recipe in encoder.random for c in recipe)]:
        store.refer(column)
    columns = [np.ascontiguousarray(c, dtype=np.float64) for c in store.columns.values()]
    check_places(design, columns)
    y = response_vector(formula, values[formula.left.expr], "numeric").copy()
    for factor in formula.offsets:
        value = values[factor.expr]
        assert isinstance(value, Numbers)
        y -= value.arrays[0]
    if added is not None:
        y -= added[keep]
    return ChunkRows(
        y=y,
        columns=columns,
        groups={name: (codes[keep], levels) for name, (codes, levels) in reading.groups.items()},
        weights=None if w is None else np.ascontiguousarray(w[keep]),
        n_read=frame.n_rows,
        dropped={name: int(mask.sum()) for name, mask in reading.missing.items()},
    )
