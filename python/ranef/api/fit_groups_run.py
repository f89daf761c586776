"""Run one formula over many groups: at once, or block by block into a folder."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import design as designs
from ..design.design import Design
from ..design.frame import open_frame
from ..design.reading import Reading, read_factor
from ..design.values import Categories
from ..errors import DataError, DroppedRowsWarning, RanefError, RanefWarning
from ..formula import parse
from ..models import batch, batch_estimate
from ..models.batch_blocks import Progress
from ..models.batch_estimate import ERROR, NOT_RUN, BatchEstimate, Settings
from ..models.batch_groups import fit_own, slices
from .batch_folder import BatchFolder
from .batch_result import BatchResult, Labels
from .fit_many_run import call_plan, terms_plan, warn_interrupted
from .fitted import Call
from .group_sources import Columns, GroupRows, Rows
from .lmer import fit_call
from .mixed_model import LinearMixedModel
from .stored_batch import StoredBatch, by_name

__all__ = ["GroupRun", "try_build"]

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class GroupRun:
    """One formula, and the groups of rows that it is fitted to.

    Attributes
    ----------
    whole : Design
        A design of the formula in which every level occurs; it names coefficients and random
        effects.
    settings : Settings
        How to fit.
    groups : GroupRows
        The groups.
    by : tuple of str
        The columns that make them.
    call : Call
        The call that is made for one group.
    ddf : str
        Kind of degrees of freedom.
    """

    whole: Design
    settings: Settings
    groups: GroupRows
    by: tuple[str, ...]
    call: Call
    ddf: str

    def in_memory(self, line: Progress) -> BatchResult:
        """Fit all groups and keep the results."""
        parts: list[BatchEstimate] = []
        messages: dict[int, str] = {}
        dropped: dict[str, int] = {}
        bounds = self.groups.bounds
        for block, (first, last) in enumerate(pairwise(bounds)):
            parts.append(batch_estimate.empty_estimate(last - first, self.whole, self.settings))
            with line.interruptible():
                if not line.interrupted:
                    found = self.fit(self.groups.read(block), parts[-1], line, dropped)
                    messages.update({first + i: text for i, text in found.items()})
        if line.interrupted:
            warn_interrupted(line, len(self.groups.labels))
        warn_dropped({**dropped, "by": self.groups.missing})
        estimate = batch_estimate.joined(parts, self.whole, self.settings)
        return self.result(self.groups.labels, estimate, messages, line)

    def stored(self, out: Any, line: Progress) -> StoredBatch:
        """Write results to a folder, block by block, and go on where an earlier run stopped."""
        folder = BatchFolder(out, self.plan())
        dropped: dict[str, int] = {}
        with line.interruptible():
            for block in range(len(self.groups.bounds) - 1):
                self.part(folder, block, line, dropped)
                if line.interrupted:
                    break
            else:
                folder.finish(len(self.groups.bounds) - 1)
        if line.interrupted:
            warnings.warn(
                f"interrupted after {line.done} of {len(self.groups.labels)} groups; the same call "
                f"with out={folder.path!r} goes on from there",
                RanefWarning,
                stacklevel=3,
            )
        warn_dropped({**dropped, "by": self.groups.missing})
        single = by_name(self.groups.labels, self.single)
        return StoredBatch(folder.path, single=single, interrupted=line.interrupted)

    def part(
        self, folder: BatchFolder, block: int, line: Progress, dropped: dict[str, int]
    ) -> None:
        """Fit one block of groups and write it, unless that is done."""
        first, last = self.groups.bounds[block : block + 2]
        stamp = self.groups.stamp
        if folder.digest(block) is not None:
            return line.advance(last - first)
        estimate = batch_estimate.empty_estimate(last - first, self.whole, self.settings)
        line.advance(folder.restore(block, estimate, stamp))
        line.after = folder.saver(block, estimate, stamp)
        try:
            rows = self.groups.read(block)
            messages = self.fit(rows, estimate, line, dropped)
            line.after = None
            if not line.interrupted:
                messages.update(self.explain(rows, estimate, messages))
                labels = self.groups.labels[first:last]
                tables = self.result(labels, estimate, messages, line)._parts()
                told = [messages.get(i, "") for i in range(last - first)]
                tables["fits"] = tables["fits"].assign(message=told)
                return folder.write(block, tables, stamp)
        except KeyboardInterrupt:
            line.interrupted = True
        finally:
            line.after = None
        estimate.blank()
        folder.save(block, estimate, stamp)

    def fit(
        self, rows: Rows, out: BatchEstimate, line: Progress, dropped: dict[str, int]
    ) -> dict[int, str]:
        """Fit a block of groups; what is wrong with a group's own design is its message."""
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
        """Build a group's own design and fit it; what is wrong with it becomes its status."""
        try:
            fit_own(build(self.call, columns), self.whole, self.settings, out, at)
        except RanefError as error:
            out.outcome[at] = ERROR
            messages[at] = str(error)

    def explain(
        self, rows: Rows, out: BatchEstimate, messages: Mapping[int, str]
    ) -> dict[int, str]:
        """Say again what was wrong with groups that an earlier, stopped run came to."""
        found: dict[int, str] = {}
        for i in np.flatnonzero(out.outcome == ERROR).tolist():
            if i not in messages:
                mine = of_rows(rows.columns, np.flatnonzero(rows.codes == i))
                try:
                    build(self.call, mine)
                except RanefError as error:
                    found[i] = str(error)
        return found

    def single(self, i: int) -> LinearMixedModel:
        """Fit one group in full."""
        block = int(np.searchsorted(self.groups.bounds, i, side="right")) - 1
        rows = self.groups.read(block)
        at = np.flatnonzero(rows.codes == i - self.groups.bounds[block])
        return fit_call(self.call, of_rows(rows.columns, at))

    def result(
        self,
        labels: pd.Index[Any],
        estimate: BatchEstimate,
        messages: dict[int, str],
        line: Progress,
    ) -> BatchResult:
        """Name the estimates."""
        return BatchResult(
            Labels(self.by, labels, self.whole.fixed_names),
            estimate,
            self.whole,
            self.single,
            ddf=self.ddf,
            interrupted=line.interrupted,
            messages=messages,
        )

    def plan(self) -> dict[str, Any]:
        """Give all that the results depend on."""
        names = hashlib.sha256(repr(list(self.groups.labels)).encode()).hexdigest()[:16]
        return {
            "function": "fit_groups",
            **call_plan(self.call, self.settings, self.ddf),
            "data": self.groups.stamp,
            "groups": f"{len(self.groups.labels)} {names}",
            "key": list(self.by),
            **terms_plan(self.whole, self.settings),
        }


def build(call: Call, columns: Any) -> Design:
    """Build the design of a call."""
    return designs.build(
        parse(call.formula),
        columns,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
    )


def try_build(call: Call, columns: Any) -> Design | None:
    """Build a design of rows, None where some group's rows do not allow it."""
    try:
        return build(call, columns)
    except DataError:
        return None


def shape(design: Design) -> tuple[Any, ...]:
    """Tell which coefficients and random effects a design has."""
    random = tuple((term.group, term.names, term.blocks) for term in design.random)
    return design.fixed_names, random


def of_rows(columns: Mapping[str, pd.Series[Any]], rows: Codes) -> Columns:
    """Take some rows of each column."""
    return {name: column.iloc[rows] for name, column in columns.items()}


def warn_dropped(dropped: Mapping[str, int]) -> None:
    """Say which rows belong to no group or miss a value."""
    where = ", ".join(f"{column} ({count})" for column, count in dropped.items() if count)
    if where:
        warnings.warn(
            DroppedRowsWarning(f"rows are left out because values are missing in {where}"),
            stacklevel=4,
        )


def shared_groups(
    design: Design, columns: Mapping[str, Any], codes: Codes, n_groups: int
) -> NDArray[np.bool_]:
    """Tell which groups' own designs are slices of the whole design."""
    factors = design.encoder.factors
    if any(fitted.state for fitted in factors.values()):
        return np.zeros(n_groups, dtype=bool)
    shared = np.ones(n_groups, dtype=bool)
    reading = Reading(open_frame(columns))
    formula = design.encoder.formula
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


def take(design: Design, order: Codes) -> Design:
    """Reorder the rows of a design; levels that no longer occur stay."""
    return replace(
        design,
        y=design.y[order],
        columns=tuple(column[order] for column in design.columns),
        random=tuple(replace(term, codes=term.codes[order]) for term in design.random),
        weights=None if design.weights is None else design.weights[order],
        offset=None if design.offset is None else design.offset[order],
    )
