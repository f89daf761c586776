"""Bootstrap of a mixed model: the same results for any number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...errors import RanefError
from ...models import lmm
from ...models.batch.blocks import Progress
from ...models.batch.estimate import STATUSES, BatchEstimate, Settings
from ...models.batch.fits import fit_responses
from ...models.lmm import LmmEstimate
from ...parallel.progress import bar
from ..profile.targets import Target, values
from .draws import Draw

__all__ = ["Fit", "Measure", "Runs", "run", "run_responses"]


#: Fits one data set.
Fit = Callable[[Design, _core.Lmm], LmmEstimate]
#: Returns the numbers of interest from one fit.
Measure = Callable[[Design, LmmEstimate, _core.Lmm], Array]

#: Rows that a thread takes at a time, in replicates, and the most replicates.
ROWS_AT_ONCE, MOST_AT_ONCE = 20_000, 25
#: Numbers of simulated responses that are kept at a time, which bounds the memory.
NUMBERS_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Runs:
    """Numbers of every replicate.

    Attributes
    ----------
    values : ndarray of shape (n, k)
        One row per replicate; NaN where the fit failed.
    failed, singular, stopped : ndarray of shape (n,), bool
        Whether the fit failed, is singular, or stopped before it converged.
    message : str
        The message of the first failure.
    """

    values: Array
    failed: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    stopped: NDArray[np.bool_]
    message: str


def run(
    draw: Draw,
    fit: Fit,
    measure: Measure,
    width: int,
    seeds: list[np.random.SeedSequence],
    *,
    n_obs: int,
    workers: int,
    progress: bool,
) -> Runs:
    """Draw, fit and measure once for each seed, one data set at a time.

    Each replicate has its own seed and starts from the same estimate, so that neither the order
    nor the number of workers matters.
    """
    n = len(seeds)
    numbers = np.full((n, width), np.nan)
    failed, singular, stopped = (np.zeros(n, dtype=bool) for _ in range(3))
    messages: dict[int, str] = {}
    size = int(np.clip(ROWS_AT_ONCE // n_obs, 1, MOST_AT_ONCE))

    def block(first: int) -> int:
        last = min(first + size, n)
        for i in range(first, last):
            design = draw(np.random.default_rng(seeds[i]))
            try:
                core = lmm.kernel(design)
                estimate = fit(design, core)
                numbers[i] = measure(design, estimate, core)
            except (RanefError, np.linalg.LinAlgError) as error:
                failed[i], messages[i] = True, str(error)
                continue
            singular[i], stopped[i] = estimate.is_singular, not estimate.converged
        return last - first

    with bar(n, "fits", shown=progress) as advance:
        for done in _each(block, range(0, n, size), workers):
            advance(done)
    message = messages[min(messages)] if messages else ""
    return Runs(numbers, failed, singular, stopped, message)


def _each(work: Callable[[int], int], items: range, workers: int) -> Iterator[int]:
    """Results of the work in the order in which it is done; what is left is dropped at an error."""
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        for done in as_completed([pool.submit(work, item) for item in items]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def run_responses(
    design: Design,
    draw: Draw,
    listed: list[Target],
    seeds: list[np.random.SeedSequence],
    settings: Settings,
    *,
    progress: bool,
) -> Runs:
    """Draw a response for each seed, fit all of them to one design, and take their parameters.

    For draws that change nothing but the response; many times faster than ``run``.
    """
    size = max(1, NUMBERS_AT_ONCE // design.n_obs)
    parts = []
    with Progress(len(seeds), "fits", shown=progress) as line:
        for first in range(0, len(seeds), size):
            some = seeds[first : first + size]
            Y = np.column_stack([draw(np.random.default_rng(seed)).y for seed in some])
            found = fit_responses(design, Y, settings, progress=line)
            if line.interrupted:
                raise KeyboardInterrupt
            parts.append(_runs(design, listed, found))
    numbers, failed, singular, stopped = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("values", "failed", "singular", "stopped")
    )
    message = next((part.message for part in parts if part.message), "")
    return Runs(numbers, failed, singular, stopped, message)


def _runs(design: Design, listed: list[Target], found: BatchEstimate) -> Runs:
    """Parameters of a batch of fits, and what became of them."""
    failed = found.outcome > STATUSES.index("stalled")
    numbers = values(listed, _covariances(design, found), found.sigma, found.estimate[:, : found.p])
    numbers[failed] = np.nan
    first = STATUSES[found.outcome[failed][0]] if failed.any() else ""
    return Runs(numbers, failed, found.is_singular & ~failed, (found.outcome > 0) & ~failed, first)


def _covariances(design: Design, found: BatchEstimate) -> list[Array]:
    """Covariance matrices of each term, (m, s, s), from lower triangles column by column."""
    out, taken = [], 0
    for term in design.random:
        s = term.n_cols
        columns, rows = np.triu_indices(s)
        lower = np.zeros((len(found.sigma), s, s))
        lower[:, rows, columns] = found.factors[:, taken : taken + len(rows)]
        taken += len(rows)
        out.append(found.sigma[:, None, None] ** 2 * (lower @ lower.transpose(0, 2, 1)))
    return out
