"""A function that is told how far long runs are."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..parallel.progress import Listener, listening
from ..words.answers import answering

__all__ = ["on_progress"]


@answering
def on_progress(listener: Listener) -> AbstractContextManager[None]:
    """Tell a function how far the runs are that are started in a ``with`` block.

    Parameters
    ----------
    listener : callable
        Takes units done, units in all (None where that is not known) and what they are called, each
        second of a run that takes longer than one, and at its end.

    Returns
    -------
    context manager
        Runs that are started inside tell the function, whether or not they show a bar.

    Notes
    -----
    The same goes to ``logging.getLogger("ranef")``: progress as DEBUG, the end of a run as INFO.

    Examples
    --------
    >>> import ranef
    >>> dyes = ranef.datasets.load("Dyestuff")
    >>> model = ranef.lmer("Yield ~ 1 + (1 | Batch)", dyes)
    >>> with ranef.on_progress(lambda done, total, unit: print(f"{done} of {total} {unit}")):
    ...     found = model.bootstrap(100, seed=1, progress=False)
    """
    return listening(listener)
