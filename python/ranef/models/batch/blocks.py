"""Long runs in short blocks: progress between them, and an interrupt keeps finished work.

The threads of a run are the same in all of its blocks, and end with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ... import _core
from ...parallel.progress import open_bar

__all__ = ["Progress", "run_blocks"]

#: Seconds that one block of work should take.
BLOCK_SECONDS = 0.4


class Progress:
    """How far a run is, on a bar on a terminal or in a notebook, and the threads it works with.

    Use it in a ``with`` statement, at whose end the bar and the threads are gone.

    Parameters
    ----------
    total : int or None
        Units of work, None where that is not known beforehand.
    unit : str
        What they are called.
    shown : bool
        Whether to show anything.
    """

    def __init__(self, total: int | None, unit: str, *, shown: bool):
        self.total = total
        self.unit = unit
        self.done = 0
        self.interrupted = False
        #: Called after each block of work.
        self.after: Callable[[], object] | None = None
        self._bar = open_bar(total, unit, shown=shown)
        self._team: _core.Team | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def team(self, workers: int) -> _core.Team:
        """Return the threads of the run; later calls return the same ones."""
        if self._team is None:
            self._team = _core.Team(workers)
        return self._team

    def advance(self, count: int) -> None:
        """Count work that is done."""
        self.done += count
        self._bar.update(count)
        if self.after is not None:
            self.after()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a keyboard interrupt end the enclosed work, and note it."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def close(self) -> None:
        """End the bar and the threads."""
        self._bar.close()
        if self._team is not None:
            self._team.close()


def run_blocks(
    count: int,
    work: Callable[[int, int], None],
    progress: Progress,
    *,
    first: int,
    least: int = 1,
) -> None:
    """Call ``work(start, stop)`` on consecutive parts of range(count), sized by the time they take.

    The keyboard can interrupt between two parts; the first has size ``first``, one fit per thread
    since a fit may be a slow one; none is smaller than ``least``.
    """
    start, size = 0, max(first, least)
    while start < count:
        stop = min(count, start + size)
        began = time.perf_counter()
        work(start, stop)
        taken = time.perf_counter() - began
        progress.advance(stop - start)
        start = stop
        size = int(min(16 * size, max(least, size * BLOCK_SECONDS / max(taken, 1e-9))))
