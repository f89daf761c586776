"""Long runs in short blocks: progress between them, and an interrupt keeps what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "run_blocks"]

#: Seconds that one block of work should take.
BLOCK_SECONDS = 0.2
#: A run that ends sooner shows nothing.
QUIET_SECONDS = 1.0


class Progress:
    """A line on standard error that tells how far a run is.

    Parameters
    ----------
    total : int
        Units of work.
    unit : str
        What they are called.
    shown : bool
        Whether to write anything.
    """

    def __init__(self, total: int, unit: str, *, shown: bool):
        self.total = total
        self.unit = unit
        self.done = 0
        self.interrupted = False
        self._shown = shown and sys.stderr.isatty()
        self._start = self._last = time.perf_counter()

    def advance(self, count: int) -> None:
        """Count work that is done, and say so now and then."""
        self.done += count
        now = time.perf_counter()
        if self._shown and now - self._start > QUIET_SECONDS and now - self._last > BLOCK_SECONDS:
            self._last = now
            left = (now - self._start) / self.done * (self.total - self.done)
            share = f"{self.done:,} of {self.total:,} {self.unit}"
            sys.stderr.write(f"\r{share}, about {left:,.0f} s left   ")
            sys.stderr.flush()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let an interrupt from the keyboard end what is inside, and note it."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True

    def close(self) -> None:
        """End the line."""
        if self._shown and self._last > self._start:
            sys.stderr.write("\n")


def run_blocks(count: int, work: Callable[[int, int], None], progress: Progress) -> None:
    """Call ``work(start, stop)`` on consecutive parts of range(count), sized by the time they take.

    Between two parts the keyboard can interrupt.
    """
    start, size = 0, 64
    while start < count:
        stop = min(count, start + size)
        began = time.perf_counter()
        work(start, stop)
        taken = time.perf_counter() - began
        progress.advance(stop - start)
        start = stop
        size = int(min(4 * size, max(1, size * BLOCK_SECONDS / max(taken, 1e-9))))
