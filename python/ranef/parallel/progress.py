"""Progress bars of long runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["bar", "open_bar", "tracked"]

T = TypeVar("T")

#: A run that ends sooner, in seconds, shows nothing.
QUIET_SECONDS = 1.0


def open_bar(total: int | None, unit: str, *, shown: bool = True, scaled: bool = False) -> Any:
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
    tqdm
        With ``update(count)`` and ``close()``.
    """
    from tqdm.auto import tqdm

    # disable=None is silence unless the output is a terminal, which a notebook's never is.
    notebook = any(kind.__name__ == "tqdm_notebook" for kind in tqdm.__mro__)
    disable = (False if notebook else None) if shown else True
    return tqdm(
        total=total,
        unit=f" {unit}",
        unit_scale=scaled,
        delay=QUIET_SECONDS,
        leave=False,
        disable=disable,
    )


@contextmanager
def bar(total: int, unit: str, *, shown: bool = True) -> Iterator[Callable[[int], Any]]:
    """Show how far a run is while what is inside goes on; yields what counts units of work."""
    with open_bar(total, unit, shown=shown) as line:
        yield line.update


def tracked(items: Iterable[T], total: int, unit: str, *, shown: bool = True) -> Iterator[T]:
    """Return the items one by one, with a bar that counts those that are done with."""
    with bar(total, unit, shown=shown) as advance:
        for item in items:
            yield item
            advance(1)
