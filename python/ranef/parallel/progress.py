"""Progress bars of long runs."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeAlias, TypeVar

__all__ = ["Line", "Listener", "bar", "listening", "open_bar", "tracked"]

T = TypeVar("T")

#: Takes units done, units in all (None if unknown), and their name.
Listener: TypeAlias = Callable[[int, int | None, str], object]

#: Seconds before a run shows anything, and between two events.
QUIET_SECONDS = 1.0

LOG = logging.getLogger("ranef")
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report to a function the progress of runs started inside the block."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


class Line:
    """Progress of one run: on a bar, to listeners, and in the log."""

    def __init__(self, shown: Any, total: int | None, unit: str):
        self._bar, self.total, self.unit = shown, total, unit
        self._listener = _LISTENER.get()
        self._start = self._told = time.monotonic()
        self.done, self._last = 0, -1

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """Count work that is done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        now = time.monotonic()
        if now - self._told >= QUIET_SECONDS:
            self._told = now
            self._tell(logging.DEBUG)

    def close(self) -> None:
        """End the bar, and report the end of a run that took a while."""
        if self._bar is not None:
            self._bar.close()
        if self._told > self._start:
            self._tell(logging.INFO)

    def _tell(self, level: int) -> None:
        taken = time.monotonic() - self._start
        of = "" if self.total is None else f" of {self.total:,}"
        LOG.log(level, "%s%s %s in %.1f s", f"{self.done:,}", of, self.unit, taken)
        if self._listener is not None and self.done != self._last:
            self._last = self.done
            self._listener(self.done, self.total, self.unit)


def open_bar(total: int | None, unit: str, *, shown: bool = True, scaled: bool = False) -> Line:
    """Open a bar of tqdm's that is seen on a terminal or in a notebook, and not in a file.

    Parameters
    ----------
    total : int or None
        Units of work, None where that is not known beforehand.
    unit : str
        What they are called.
    shown : bool
        Whether to show anything.
    scaled : bool
        Whether to count in thousands and millions.

    Returns
    -------
    Line
        With ``update(count)`` and ``close()``.
    """
    if not shown:  # tqdm would start a thread even for a bar that is not seen
        return Line(None, total, unit)
    tqdm = _tqdm()
    # disable=None is silence unless the output is a terminal, which a notebook's never is.
    notebook = any(kind.__name__ == "tqdm_notebook" for kind in tqdm.__mro__)
    disable = False if notebook else None
    shown_bar = tqdm(
        total=total,
        unit=f" {unit}",
        unit_scale=scaled,
        delay=QUIET_SECONDS,
        leave=False,
        disable=disable,
    )
    return Line(shown_bar, total, unit)


def _tqdm() -> Any:
    """Import the tqdm for this environment, without its warning about notebooks without widgets."""
    if "tqdm.auto" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("tqdm.auto")
    return sys.modules["tqdm.auto"].tqdm


@contextmanager
def bar(total: int, unit: str, *, shown: bool = True) -> Iterator[Callable[[int], Any]]:
    """Show the progress of a run while its block runs; yield the counter of units of work."""
    with open_bar(total, unit, shown=shown) as line:
        yield line.update


def tracked(items: Iterable[T], total: int, unit: str, *, shown: bool = True) -> Iterator[T]:
    """Yield the items, with a bar that counts those processed."""
    with bar(total, unit, shown=shown) as advance:
        for item in items:
            yield item
            advance(1)
