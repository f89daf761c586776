"""A function that is called with the progress of long runs."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..parallel.progress import Listener, listening
from ..words.answers import answering

__all__ = ["on_progress"]


@answering
def on_progress(listener: Listener) -> AbstractContextManager[None]:
    """Report the progress of runs in a ``with`` block to a function.

    Parameters
    ----------
    listener : callable
        Called with the units done, the units in total (None if unknown) and their name, every
        second of a run that takes longer than one, and at its end.

    Returns
    -------
    context manager
        Runs inside the block call the function, whether or not they show a bar.

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
