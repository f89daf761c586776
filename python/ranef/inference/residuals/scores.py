"""Scores of what a model leaves out, standardised by those of simulated fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ..._typing import Array

__all__ = ["Score", "extreme", "quadratic", "score"]


@dataclass(frozen=True)
class Score:
    """A score and its p-value.

    Attributes
    ----------
    t : float
        In standard deviations of simulated fits.
    pvalue : float
        By a distribution with the mean and variance of simulated fits.
    """

    t: float
    pvalue: float


def _standard(own: float, draws: Array) -> float:
    """Return the deviation from simulated scores in their standard deviations."""
    sd = float(draws.std(ddof=1))
    size = float(np.abs(draws).max(initial=0.0))
    if sd <= 1e-10 * max(size, 1e-300):
        return 0.0
    return float((own - draws.mean()) / (sd * np.sqrt(1.0 + 1.0 / len(draws))))


def score(own: float, draws: Array) -> Score:
    """Compare a sum over many rows, normal in large samples, by a t distribution."""
    t = _standard(own, draws)
    return Score(t, float(2.0 * scipy.special.stdtr(len(draws) - 1, -abs(t))))


def quadratic(own: float, draws: Array) -> Score:
    """Compare a sum of squares by a scaled chi-squared distribution of the same two moments."""
    mean, variance = float(draws.mean()), float(draws.var(ddof=1))
    if variance <= (1e-10 * max(mean, 1e-300)) ** 2:
        return Score(0.0, 1.0)
    df = 2.0 * mean**2 / variance
    return Score(_standard(own, draws), float(scipy.special.chdtrc(df, own * df / mean)))


def extreme(own: float, draws: Array) -> Score:
    """Compare a largest value by Gumbel's distribution of the same two moments."""
    scale = float(draws.std(ddof=1)) * np.sqrt(6.0) / np.pi
    if scale <= 0.0:
        return Score(0.0, 1.0)
    place = float(draws.mean()) - np.euler_gamma * scale
    return Score(_standard(own, draws), float(-np.expm1(-np.exp(-(own - place) / scale))))
