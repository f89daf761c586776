"""Likelihood ratios of responses that the smaller of two models makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...errors import RanefError
from ...models import lmm
from ...models.batch.blocks import Progress
from ...models.batch.estimate import Settings
from ...models.batch.fits import fit_responses
from ...models.lmm import LmmEstimate
from ..optimum.optimum import judged
from ..prediction.predict import simulate

__all__ = ["NUMBERS_AT_ONCE", "bootstrap_ratios", "objectives", "simulated_pvalue"]


#: Likelihood ratios that differ by less are equal; a fit at the boundary gives 1e-13 for zero.
ROUNDING = 1e-8
#: Numbers of simulated responses that are kept at a time, which bounds the memory.
NUMBERS_AT_ONCE = 8_000_000


def bootstrap_ratios(
    small: Design,
    large: Design,
    truth: LmmEstimate,
    n: int,
    seed: Any,
    settings: Settings,
    *,
    progress: bool,
) -> tuple[Array, int]:
    """Draw likelihood ratios under the smaller model.

    Parameters
    ----------
    small, large : Design
        The designs of the two models.
    truth : LmmEstimate
        The smaller model's estimate, which makes the responses.
    n : int
        Number of draws.
    seed : int or None
        Each draw has a seed of its own that follows from this one.
    settings : Settings
        Criterion, threads and search. The number of threads does not change the results.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ratios : ndarray of shape (n,)
        NaN where a fit failed.
    not_converged : int
        Draws in which a fit stopped short.
    """
    seeds = np.random.SeedSequence(seed).spawn(n)
    size = max(1, NUMBERS_AT_ONCE // small.n_obs)
    with Progress(2 * n, "fits", shown=progress) as line:
        parts = [
            _ratios(small, large, truth, seeds[first : first + size], settings, line)
            for first in range(0, n, size)
        ]
    ratios = np.concatenate([ratio for ratio, _ in parts])
    return ratios, sum(stopped for _, stopped in parts)


def _ratios(
    small: Design,
    large: Design,
    truth: LmmEstimate,
    seeds: list[np.random.SeedSequence],
    settings: Settings,
    line: Progress,
) -> tuple[Array, int]:
    """Likelihood ratios of one response for each seed, and how many fits stopped short."""
    Y = np.column_stack([simulate(small, truth, 1, seed) for seed in seeds])
    (low, stopped_low), (high, stopped_high) = (
        objectives(design, Y, settings, line) for design in (small, large)
    )
    ratios = low - high
    stopped = (stopped_low | stopped_high) & ~np.isnan(ratios)
    return ratios, int(stopped.sum())


def objectives(
    design: Design, Y: Array, settings: Settings, line: Progress
) -> tuple[Array, NDArray[np.bool_]]:
    """-2 log-likelihood of each response, NaN where it has none, and whether its fit stopped."""
    if all(term.is_plain and not term.is_structured for term in design.random):
        found = fit_responses(design, Y, settings, progress=line)
        if line.interrupted:
            raise KeyboardInterrupt
        return np.where(found.outcome <= 2, found.objective, np.nan), found.outcome > 0
    out, stopped = np.full(Y.shape[1], np.nan), np.zeros(Y.shape[1], dtype=bool)
    for i, y in enumerate(Y.T):
        own = replace(design, y=np.ascontiguousarray(y))
        try:
            core = lmm.kernel(own)
            fit = lmm.fit(own, core, reml=settings.reml, control=settings.control)
            fit = fit if fit.converged else judged(own, core, fit)
        except RanefError:
            continue
        finally:
            line.advance(1)
        out[i], stopped[i] = fit.objective, not fit.converged
    return out, stopped


def simulated_pvalue(observed: float, draws: Array) -> float:
    """Return (1 + draws as large as observed) / (1 + draws), which is never zero."""
    return float((1 + (draws >= observed - ROUNDING).sum()) / (1 + len(draws)))
