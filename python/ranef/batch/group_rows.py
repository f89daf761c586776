"""The rows of some groups, and their fits: slices of one design, or each with its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import design as designs
from .._typing import Positions
from ..design.design import Design
from ..design.frame import open_frame
from ..design.reading import Reading, read_factor
from ..design.values import Categories
from ..errors import DataError, RanefError
from ..fitted.glmm.call import GlmerCall
from ..fitted.lmm.call import Call
from ..formula import parse
from ..models.batch import fits as batch
from ..models.batch.blocks import Progress
from ..models.batch.estimate import ERROR, NOT_RUN, BatchEstimate, Settings, empty_estimate
from ..models.batch.groups import fit_own, slices
from .group_sources import Columns, Rows
from .parts import Part, Result

__all__ = ["GroupFits", "build", "cut", "fit_piece", "of_rows", "take", "try_build"]

Codes = NDArray[np.intp]
#: Rows, and how many groups they belong to.
Task = tuple[Rows, int]


@dataclass(frozen=True)
class GroupFits:
    """What the fits of groups need.

    Attributes
    ----------
    whole : Design
        Names the coefficients and random effects; its rows are not read.
    settings : Settings
        How to fit.
    call : Call or GlmerCall
        The call that is made for one group.
    """

    whole: Design
    settings: Settings
    call: Call | GlmerCall

    def fit(
        self, rows: Rows, out: BatchEstimate, line: Progress, dropped: dict[str, int]
    ) -> dict[int, str]:
        """Fit a block of groups; an error in a group's own design becomes its message."""
        count = len(out.outcome)
        design = try_build(self.call, rows.columns)
        shared = np.zeros(count, dtype=bool)
        if design is not None:
            for name, lost in design.dropped.items():
                dropped[name] = dropped.get(name, 0) + lost
            if shape(design) == shape(self.whole):
                used = np.arange(design.n_data) if design.rows is None else design.rows
                codes = rows.codes[used]
                shared = shared_groups(design, rows.columns, codes, count)
                inside = np.flatnonzero((codes >= 0) & shared[codes])
                order, start = slices(codes[inside], count)
                batch.fit_slices(
                    take(design, inside[order]),
                    start.tolist(),
                    self.settings,
                    members=shared,
                    progress=line,
                    out=out,
                )
        messages: dict[int, str] = {}
        with line.interruptible():
            own = np.flatnonzero(~shared & (out.outcome == NOT_RUN))
            known = np.flatnonzero(rows.codes >= 0)
            order, start = slices(rows.codes[known], count)
            for i in [] if line.interrupted else own.tolist():
                mine = of_rows(rows.columns, known[order[start[i] : start[i + 1]]])
                self.fit_own(mine, out, i, messages)
                line.advance(1)
        return messages

    def fit_own(
        self, columns: Columns, out: BatchEstimate, at: int, messages: dict[int, str]
    ) -> None:
        """Build a group's own design and fit it; an error in it becomes its status."""
        try:
            fit_own(build(self.call, columns), self.whole, self.settings, out, at)
        except RanefError as error:
            out.outcome[at] = ERROR
            messages[at] = str(error)


def cut(part: Part, pieces: list[Positions]) -> Iterator[Task]:
    """Return the rows of some groups of a block, the groups numbered again."""
    rows: Rows = part.load()
    for at in pieces:
        number = np.full(len(part.labels), -1, dtype=np.intp)
        number[at] = np.arange(len(at))
        codes = np.where(rows.codes < 0, -1, number[rows.codes])
        inside = np.flatnonzero(codes >= 0)
        yield Rows(of_rows(rows.columns, inside), codes[inside]), len(at)


def fit_piece(fits: GroupFits, task: Task) -> Result:
    """Fit a piece of a block of groups, wherever this runs."""
    rows, count = task
    out = empty_estimate(count, fits.whole, fits.settings)
    dropped: dict[str, int] = {}
    with Progress(count, "groups", shown=False) as line:
        messages = fits.fit(rows, out, line, dropped)
    if line.interrupted:
        raise KeyboardInterrupt
    return Result(out, messages, dropped)


def build(call: Call | GlmerCall, columns: Any) -> Design:
    """Build the design of a call."""
    spec = call.spec if isinstance(call, GlmerCall) else None
    has_trials = spec is not None and spec.distribution.has_trials
    return designs.build(
        parse(call.formula),
        columns,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        response="counts" if has_trials else "numeric",
    )


def try_build(call: Call | GlmerCall, columns: Any) -> Design | None:
    """Build a design of rows; None if some group's rows do not allow it."""
    try:
        return build(call, columns)
    except DataError:
        return None


def shape(design: Design) -> tuple[Any, ...]:
    """Find which coefficients and random effects a design has."""
    random = tuple((term.group, term.names, term.blocks) for term in design.random)
    return design.fixed_names, random


def of_rows(columns: Mapping[str, pd.Series[Any]], rows: Codes) -> Columns:
    """Take some rows of each column."""
    return {name: column.iloc[rows] for name, column in columns.items()}


def shared_groups(
    design: Design, columns: Mapping[str, Any], codes: Codes, n_groups: int
) -> NDArray[np.bool_]:
    """Find which groups' own designs are slices of the whole design."""
    factors = design.encoder.factors
    if any(any(fitted.state.values()) for fitted in factors.values()):
        return np.zeros(n_groups, dtype=bool)
    shared = several_levels(design, codes, n_groups)
    formula = design.encoder.formula
    reading = Reading(open_frame(columns), evaluation=formula.evaluation)
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    for factor in {f.expr: f for term in terms for f in term.factors}.values():
        if not factors[factor.expr].is_categorical:
            continue
        read_factor(factor, reading)
        value = reading.values[factor.expr]
        assert isinstance(value, Categories)
        levels = value.codes if design.rows is None else value.codes[design.rows]
        inside = codes >= 0
        pairs = np.unique(np.stack([codes[inside], levels[inside]], axis=1), axis=0)
        found = np.bincount(pairs[:, 0], minlength=n_groups)
        shared &= found == len(np.unique(levels))
    return shared


def several_levels(design: Design, codes: Codes, n_groups: int) -> NDArray[np.bool_]:
    """Find which groups have rows, and two levels or more of every grouping factor in them."""
    inside = np.flatnonzero(codes >= 0)
    order, start = slices(codes[inside], n_groups)
    present = np.flatnonzero(np.diff(start))
    out = np.zeros(n_groups, dtype=bool)
    out[present] = True
    for term in design.random if len(present) else ():
        levels = term.codes[inside[order]]
        first = start[present]
        out[present] &= np.maximum.reduceat(levels, first) > np.minimum.reduceat(levels, first)
    return out


def take(design: Design, order: Codes) -> Design:
    """Reorder the rows of a design; levels that no longer occur stay."""
    random = tuple(replace(term, codes=term.codes[order]) for term in design.random)
    return design.take(order, random)
