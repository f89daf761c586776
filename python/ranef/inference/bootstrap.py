"""Bootstrap of a mixed model: the same results for any number of workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from ..errors import RanefError
from ..models import lmm
from ..models.lmm import Control, LmmEstimate
from .bootstrap_draws import Draw

__all__ = ["Measure", "Runs", "run"]

Array = NDArray[np.float64]

#: Gives the numbers of interest of one fit.
Measure = Callable[[Design, LmmEstimate, _core.Lmm], Array]

#: Replicates between two reports of progress, the share of work that a thread takes at a time.
BLOCK = 25


@dataclass(frozen=True)
class Runs:
    """Numbers of every replicate.

    Attributes
    ----------
    values : ndarray of shape (n, k)
        A row a replicate; NaN where the fit failed.
    failed, singular, stopped : ndarray of shape (n,), bool
        Whether the fit failed, is singular, or stopped before it converged.
    message : str
        What the first failure said.
    """

    values: Array
    failed: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    stopped: NDArray[np.bool_]
    message: str


def run(
    draw: Draw,
    measure: Measure,
    width: int,
    seeds: list[np.random.SeedSequence],
    *,
    reml: bool,
    start: tuple[Array, ...],
    workers: int,
    progress: bool,
) -> Runs:
    """Draw, fit and measure once for each seed.

    Each replicate has its own seed and starts from the same estimate, so that neither the order
    nor the number of workers matters.
    """
    n = len(seeds)
    values = np.full((n, width), np.nan)
    failed, singular, stopped = (np.zeros(n, dtype=bool) for _ in range(3))
    messages: dict[int, str] = {}
    control = Control(start=start)

    def block(first: int) -> int:
        last = min(first + BLOCK, n)
        for i in range(first, last):
            design = draw(np.random.default_rng(seeds[i]))
            try:
                core = lmm.kernel(design)
                estimate = lmm.fit(design, core, reml=reml, control=control)
                values[i] = measure(design, estimate, core)
            except (RanefError, np.linalg.LinAlgError) as error:
                failed[i], messages[i] = True, str(error)
                continue
            singular[i], stopped[i] = estimate.is_singular, not estimate.converged
        return last - first

    blocks = range(0, n, BLOCK)
    with _bar(n, progress) as bar:
        if workers == 1:
            for first in blocks:
                bar.update(block(first))
        else:
            with ThreadPoolExecutor(workers) as pool:
                for done in as_completed([pool.submit(block, first) for first in blocks]):
                    bar.update(done.result())
    message = messages[min(messages)] if messages else ""
    return Runs(values, failed, singular, stopped, message)


class _Silent:
    """A progress bar that shows nothing."""

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def update(self, done: int) -> None:
        """Take note of nothing."""


def _bar(total: int, progress: bool) -> Any:
    """Show progress by tqdm, on a terminal or in a notebook, when it is installed."""
    if not progress:
        return _Silent()
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Silent()
    return tqdm(total=total, unit="fit", disable=None)
