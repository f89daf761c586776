"""Parts of a batch, one after the other: fitted here, or in pieces on an executor.

A fit depends only on its own rows and response, so that the combined pieces are the same, to the
last bit, as a part that was fitted in this process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Positions
from ..models.batch.blocks import Progress
from ..models.batch.estimate import NOT_RUN, BatchEstimate
from ..parallel.engines import run_tasks

__all__ = ["Part", "Positions", "Result", "fit_here", "fit_on"]

#: Most pieces that a part is cut into on an executor.
PIECES = 16


@dataclass
class Part:
    """Consecutive fits of a batch.

    Attributes
    ----------
    index : int
        Number of the part.
    first : int
        Position of its first fit among all.
    labels : Index of length m
        Names of the fits.
    estimate : BatchEstimate
        Their results, including what was restored from an earlier run.
    load : callable
        Reads what they are fitted to.
    digest : callable
        Identifies that by a short text.
    after : callable or None
        Called after each block of work.
    messages : dict of int to str
        What was wrong with a fit, by position in the part.
    dropped : dict of str to int
        Rows that were left out because a value is missing, by column.
    """

    index: int
    first: int
    labels: pd.Index[Any]
    estimate: BatchEstimate
    load: Callable[[], Any]
    digest: Callable[[], str]
    after: Callable[[], object] | None = None
    messages: dict[int, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all fits are done."""
        return not (self.estimate.outcome == NOT_RUN).any()

    def pieces(self) -> list[Positions]:
        """Cut the unfinished fits into pieces, by position in the part."""
        left = np.flatnonzero(self.estimate.outcome == NOT_RUN)
        return np.array_split(left, min(PIECES, len(left))) if len(left) else []

    def take(self, at: Positions, result: Result) -> None:
        """Take the results of a piece."""
        self.estimate.place(at, result.estimate)
        self.messages.update({int(at[i]): text for i, text in result.messages.items()})
        self.drop(result.dropped)

    def drop(self, dropped: Mapping[str, int]) -> None:
        """Count rows that were left out."""
        for name, count in dropped.items():
            self.dropped[name] = self.dropped.get(name, 0) + count


@dataclass(frozen=True)
class Result:
    """What a piece returns; attributes as in ``Part``."""

    estimate: BatchEstimate
    messages: Mapping[int, str] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


def fit_here(parts: Iterable[Part], fit: Callable[[Part], None], line: Progress) -> Iterator[Part]:
    """Fit parts in this process; the last one is not finished where ``line`` is interrupted."""
    for part in parts:
        line.after = part.after
        try:
            fit(part)
        except KeyboardInterrupt:
            line.interrupted = True
        finally:
            line.after = None
        yield part
        if line.interrupted:
            return


def fit_on(
    executor: Any,
    parts: Iterable[Part],
    cut: Callable[[Part, list[Positions]], Iterator[Any]],
    work: Callable[[Any], Result],
    line: Progress,
) -> Iterator[Part]:
    """Fit parts on an executor; the last one is not finished where ``line`` is interrupted.

    Parameters
    ----------
    executor : Executor, callable, Client or module
        As of ``run_tasks``.
    parts : iterable of Part
        Read while earlier ones are fitted. What goes wrong there is raised when those are done.
    cut : callable
        Gives what each piece of a part is fitted to.
    work : callable
        Fits a piece; must pickle.
    line : Progress
        Called with every piece that has come.
    """
    under_way: deque[tuple[Part, deque[Positions]]] = deque()
    failure: list[Exception] = []

    def tasks() -> Iterator[Any]:
        try:
            for part in parts:
                pieces = part.pieces()
                under_way.append((part, deque(pieces)))
                yield from cut(part, pieces)
        except Exception as error:
            failure.append(error)

    def finished() -> Iterator[Part]:
        while under_way and not under_way[0][1]:
            yield under_way.popleft()[0]

    try:
        for result in run_tasks(executor, work, tasks()):
            yield from finished()
            part, waiting = under_way[0]
            at = waiting.popleft()
            part.take(at, result)
            line.after = part.after
            line.advance(len(at))
            line.after = None
            yield from finished()
    except KeyboardInterrupt:
        line.interrupted = True
    yield from finished()
    if failure:
        raise failure[0]
    if line.interrupted and under_way:
        yield under_way[0][0]
