"""Run one formula over many groups: at once, or block by block into a folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from .._caller import warn_caller
from ..design.design import Design
from ..errors import DroppedRowsWarning, RanefError
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.model import fit_model as fit_glmer_call
from ..fitted.kinds import Model
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import fit_model as fit_call
from ..models.batch import estimate as batch_estimate
from ..models.batch.blocks import Progress
from ..models.batch.estimate import ERROR, BatchEstimate, Settings
from .folder import BatchFolder
from .group_rows import GroupFits, build, cut, fit_piece, of_rows, take
from .group_sources import GroupRows
from .many_run import call_plan, terms_plan, warn_interrupted
from .parts import Part, fit_here, fit_on
from .result import BatchResult, Labels
from .stored import StoredBatch, by_name, opened

__all__ = ["GroupRun"]


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
    call : Call or GlmerCall
        The call that is made for one group.
    ddf : str
        Kind of degrees of freedom.
    executor : object or None
        Where to fit, as in ``run_tasks``; None for this process.
    """

    whole: Design
    settings: Settings
    groups: GroupRows
    by: tuple[str, ...]
    call: Call | GlmerCall
    ddf: str
    executor: Any = None

    def in_memory(self, line: Progress) -> BatchResult:
        """Fit all groups and keep the results."""
        parts = list(self.opened())
        with line.interruptible():
            for _ in self.fitted(parts, line):
                pass
        if line.interrupted:
            warn_interrupted(line, len(self.groups.labels))
        self.warn_dropped(parts)
        estimate = batch_estimate.joined(
            [part.estimate for part in parts], self.whole, self.settings
        )
        messages = {part.first + i: text for part in parts for i, text in part.messages.items()}
        return self.result(self.groups.labels, estimate, messages, line)

    def stored(self, out: Any, line: Progress) -> StoredBatch:
        """Write results to a folder, block by block, resuming where an earlier run stopped."""
        parts = list(self.opened())
        with BatchFolder(out, self.plan()) as folder, line.interruptible():
            for part in self.fitted(folder.unfinished(parts, line), line):
                folder.keep(part, lambda part=part: self.tables(part, line))  # type: ignore[misc]
            if not line.interrupted:
                folder.finish("there are no groups")
        self.warn_dropped(parts)
        return opened(folder, by_name(self.groups.labels, self.single), line)

    def opened(self) -> Iterator[Part]:
        """Return the blocks of groups, none of them fitted yet."""
        for index, (first, last) in enumerate(pairwise(self.groups.bounds)):
            yield Part(
                index,
                first,
                self.groups.labels[first:last],
                batch_estimate.empty_estimate(last - first, self.whole, self.settings),
                partial(self.groups.read, index),
                self.groups.stamp,
            )

    def fitted(self, parts: Iterable[Part], line: Progress) -> Iterator[Part]:
        """Fit blocks, here or on the executor."""
        if self.executor is not None:
            names_only = take(replace(self.whole, encoder=None), np.arange(0))
            work = partial(fit_piece, GroupFits(names_only, self.settings, self.call))
            return fit_on(self.executor, parts, cut, work, line)
        fits = GroupFits(self.whole, self.settings, self.call)

        def fit(part: Part) -> None:
            part.messages.update(fits.fit(part.load(), part.estimate, line, part.dropped))

        return fit_here(parts, fit, line)

    def tables(self, part: Part, line: Progress) -> dict[str, pd.DataFrame]:
        """Lay out the results of a block."""
        messages = {**part.messages, **self.explain(part)}
        tables = self.result(part.labels, part.estimate, messages, line).parts.tables()
        told = [messages.get(i, "") for i in range(len(part.labels))]
        tables["fits"] = tables["fits"].assign(message=told)
        return tables

    def warn_dropped(self, parts: Iterable[Part]) -> None:
        """State which rows belong to no group or have a missing value."""
        lost: Counter[str] = Counter()
        for part in parts:
            lost.update(part.dropped)
        lost["by"] += self.groups.missing
        where = ", ".join(f"{column} ({count})" for column, count in lost.items() if count)
        if where:
            warn_caller(
                DroppedRowsWarning(f"rows were dropped because values are missing in {where}")
            )

    def explain(self, part: Part) -> dict[int, str]:
        """Repeat what was wrong with groups that an earlier, stopped run reached."""
        found: dict[int, str] = {}
        wrong = np.flatnonzero(part.estimate.outcome == ERROR).tolist()
        rows = part.load() if set(wrong) - set(part.messages) else None
        for i in wrong:
            if rows is not None and i not in part.messages:
                mine = of_rows(rows.columns, np.flatnonzero(rows.codes == i))
                try:
                    build(self.call, mine)
                except RanefError as error:
                    found[i] = str(error)
        return found

    def single(self, i: int) -> Model:
        """Fit one group in full."""
        block = int(np.searchsorted(self.groups.bounds, i, side="right")) - 1
        rows = self.groups.read(block)
        at = np.flatnonzero(rows.codes == i - self.groups.bounds[block])
        mine = of_rows(rows.columns, at)
        if isinstance(self.call, GlmerCall):
            return fit_glmer_call(self.call, mine)
        return fit_call(self.call, mine)

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
        """Return all that the results depend on."""
        names = hashlib.sha256(repr(list(self.groups.labels)).encode()).hexdigest()[:16]
        return {
            "function": "fit_groups",
            **call_plan(self.call, self.settings, self.ddf),
            "data": self.groups.stamp(),
            "groups": f"{len(self.groups.labels)} {names}",
            "key": list(self.by),
            **terms_plan(self.whole, self.settings),
        }
