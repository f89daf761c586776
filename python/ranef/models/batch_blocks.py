"""Long runs in short blocks: progress between them, and an interrupt keeps what is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Progress", "run_blocks"]

#: Seconds that one block of work should take.
BLOCK_SECONDS = 0.4
#: A run that ends sooner shows nothing.
QUIET_SECONDS = 1.0


class Progress:
    """A bar on a terminal or in a notebook that tells how far a run is.

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
        self._bar: Any = None
        if shown:
            from tqdm.auto import tqdm

            unit = f" {unit}"
            self._bar = tqdm(total=total, unit=unit, disable=None, delay=QUIET_SECONDS)

    def advance(self, count: int) -> None:
        """Count work that is done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        if self.after is not None:
            self.after()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let an interrupt from the keyboard end what is inside, and note it."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def run_blocks(count: int, work: Callable[[int, int], None], progress: Progress) -> None:
    """Call ``work(start, stop)`` on consecutive parts of range(count), sized by the time they take.

    Between two parts the keyboard can interrupt; the first is one fit, which may be a slow one.
    """
    start, size = 0, 1
    while start < count:
        stop = min(count, start + size)
        began = time.perf_counter()
        work(start, stop)
        taken = time.perf_counter() - began
        progress.advance(stop - start)
        start = stop
        size = int(min(16 * size, max(1, size * BLOCK_SECONDS / max(taken, 1e-9))))
