"""Likelihood ratios of responses that the smaller of two models makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..design.design import Design
from ..errors import RanefError, UnsupportedError
from ..models import lmm
from ..models.lmm import Control, LmmEstimate
from .predict import simulate

__all__ = ["Refitter", "bootstrap_ratios", "simulated_pvalue"]

Array = NDArray[np.float64]

#: Likelihood ratios that differ by less are equal; a fit at the boundary gives 1e-13 for zero.
ROUNDING = 1e-8


@dataclass(frozen=True)
class Refitter:
    """Draws a response from the smaller model and differences the criteria of both.

    Attributes
    ----------
    small, large : Design
        The designs.
    truth : LmmEstimate
        The smaller model's estimate, which makes the responses.
    reml : bool
        The criterion.
    control : Control
        Settings of the search.
    """

    small: Design
    large: Design
    truth: LmmEstimate
    reml: bool
    control: Control

    def __call__(self, seed: np.random.SeedSequence) -> tuple[float, bool]:
        """One likelihood ratio and whether both fits converged; NaN when one failed."""
        y = np.ascontiguousarray(simulate(self.small, self.truth, 1, seed)[:, 0])
        try:
            low, high = self._fit(self.small, y), self._fit(self.large, y)
        except (RanefError, ArithmeticError, np.linalg.LinAlgError):
            return np.nan, False
        return low.objective - high.objective, low.converged and high.converged

    def _fit(self, design: Design, y: Array) -> LmmEstimate:
        design = replace(design, y=y)
        return lmm.fit(design, lmm.kernel(design), reml=self.reml, control=self.control)


def bootstrap_ratios(refitter: Refitter, n: int, seed: Any, workers: int) -> tuple[Array, int]:
    """Draw likelihood ratios under the smaller model.

    Parameters
    ----------
    refitter : Refitter
        The two models.
    n : int
        Number of draws.
    seed : int or None
        Each draw has a seed of its own that follows from this one, so that the number of workers
        does not matter.
    workers : int
        Processes.

    Returns
    -------
    ratios : ndarray of shape (n,)
        NaN where a fit failed.
    not_converged : int
        Draws in which a fit stopped short.
    """
    seeds = np.random.SeedSequence(seed).spawn(n)
    pairs = _mapped(refitter, seeds, workers)
    ratios = np.array([ratio for ratio, _ in pairs])
    stopped = sum(not converged for ratio, converged in pairs if not np.isnan(ratio))
    return ratios, stopped


def _mapped(
    function: Callable[[Any], tuple[float, bool]], items: list[Any], workers: int
) -> list[tuple[float, bool]]:
    """Apply a function to all items, in this process or in several."""
    if workers == 1:
        return [function(item) for item in items]
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise UnsupportedError(
            "several workers need joblib: pip install 'ranef[parallel]', or leave out workers"
        ) from error
    chunks = np.array_split(np.arange(len(items)), 4 * workers)
    parts = Parallel(n_jobs=workers)(
        delayed(_chunk)(function, [items[i] for i in chunk]) for chunk in chunks if len(chunk)
    )
    return [pair for part in parts for pair in part]


def _chunk(
    function: Callable[[Any], tuple[float, bool]], items: list[Any]
) -> list[tuple[float, bool]]:
    """Apply a function to some items in a worker."""
    return [function(item) for item in items]


def simulated_pvalue(observed: float, draws: Array) -> float:
    """Give (1 + draws as large as observed) / (1 + draws), which is never zero."""
    return float((1 + (draws >= observed - ROUNDING).sum()) / (1 + len(draws)))
