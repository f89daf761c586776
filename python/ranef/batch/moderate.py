"""Moderated dispersions of a batch: profiles, a prior, and fits at the shrunk dispersions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array
from ..design.design import Design
from ..inference.hypotheses.dispersions import Profiles, pilot_trend, shrink_dispersions
from ..models.batch.blocks import Progress
from ..models.batch.estimate import BatchEstimate, empty_estimate
from ..models.batch.known import KnownDispersions, log_means

__all__ = ["Blocks", "Moderated", "moderated_dispersions"]

#: Points of a profile, in standard errors about the estimate, and about the trend of a fit that
#: has no estimate; errors up to which an estimate is one.
ABOUT_ESTIMATE, ABOUT_TREND, LARGEST_SE = (-3.0, -1.2, 1.2, 3.0), (-2.5, -0.8, 0.8, 2.5), 1.2
#: Log dispersions that counts cannot tell from none, and the largest.
LOWEST, HIGHEST = -15.0, 12.0

#: Passes over the responses: places of a block among all, and the block on the used rows.
Blocks = Callable[[], Iterator[tuple[slice, NDArray[np.floating[Any]]]]]


@dataclass(frozen=True)
class Moderated:
    """Fits at dispersions that are shrunk.

    Attributes
    ----------
    estimate : BatchEstimate
        The fits.
    dispersion, trend : ndarray of shape (m,)
        Where they were made, and the mean of the prior; NaN where there was no fit to begin with.
    prior_sd : float
        Standard deviation of the prior of log dispersions.
    """

    estimate: BatchEstimate
    dispersion: Array
    trend: Array
    prior_sd: float

    def added_to(self, table: pd.DataFrame, at: int) -> pd.DataFrame:
        """Put the dispersions into a table with the same number of rows for each fit."""
        rows = len(table) // max(len(self.dispersion), 1)
        table.insert(at, "dispersion", np.repeat(self.dispersion, rows))
        table.insert(at + 1, "trend", np.repeat(self.trend, rows))
        table.attrs.update(prior_sd=self.prior_sd)
        return table


def moderated_dispersions(
    own: BatchEstimate, design: Design, blocks: Blocks, line: Progress
) -> Moderated:
    """Fit a batch again, with dispersions moved towards their trend in the means.

    Parameters
    ----------
    own : BatchEstimate
        The fits with a dispersion of their own each.
    design : Design
        That of all of them.
    blocks : callable
        Starts a pass over the responses.
    line : Progress
        Told of every fit, in each of two passes.
    """
    fits = KnownDispersions(design, own.settings, line)
    level = all_log_means(blocks, design, len(own.outcome))
    log, se, sign = estimates(own, level)
    trend = np.full(len(log), np.nan)
    known = np.isfinite(log)
    trend[known] = pilot_trend(log[known], se[known], level[known])
    at = points(log, se, trend)
    value, slope = (np.full(at.shape, np.nan) for _ in range(2))
    for these, Y in blocks():
        value[these], slope[these] = fits.profile(Y, np.exp(sign * at[these]))
    used = np.isfinite(value).all(axis=1) & np.isfinite(slope).all(axis=1)
    top = np.where(np.isfinite(se), log, np.maximum(log, LOWEST))
    profiles = with_top(at, -0.5 * value, -0.5 * sign * slope, top, -0.5 * own.objective, used)
    found = shrink_dispersions(profiles, level[used], trend[used])
    shrunk, prior = (np.full(len(log), np.nan) for _ in range(2))
    shrunk[used], prior[used] = np.exp(sign * found.mode), np.exp(sign * found.trend)
    again = empty_estimate(len(log), design, own.settings)
    for these, Y in blocks():
        fits.refit(Y, shrunk[these], again.part(these.start, these.stop))
    return Moderated(again, shrunk, prior, found.prior_sd)


def all_log_means(blocks: Blocks, design: Design, count: int) -> Array:
    """Return the log mean of each response."""
    out = np.full(count, np.nan)
    for these, Y in blocks():
        out[these] = log_means(Y, design.offset)
    return out


def estimates(own: BatchEstimate, level: Array) -> tuple[Array, Array, float]:
    """Return logs of what makes responses vary more, standard errors, and the sign of the power.

    The log is NaN where there is no fit to begin with; the error also where nearly all that is
    known is that the quantity is small.
    """
    spec = own.settings.spec
    assert spec is not None
    sign = spec.distribution.dispersion_sign
    good = (own.outcome == 0) & np.isfinite(level)
    with np.errstate(invalid="ignore"):
        log = np.where(good, sign * np.log(own.dispersion), np.nan)
        se = np.where((log > LOWEST) & (own.dispersion_error > 0.0), own.dispersion_error, np.nan)
        se[~(se < LARGEST_SE)] = np.nan
    return log, se, sign


def points(log: Array, se: Array, trend: Array) -> Array:
    """Choose where to look at the profile of each log dispersion, shape (m, 4); NaN for none."""
    about = np.where(np.isfinite(se), log, trend)[:, None]
    offsets = np.where(
        np.isfinite(se)[:, None],
        np.nan_to_num(se)[:, None] * np.array(ABOUT_ESTIMATE),
        np.array(ABOUT_TREND),
    )
    return np.asarray(np.clip(about + offsets, LOWEST + 1.0 + 1e-3 * np.arange(4), HIGHEST))


def with_top(
    at: Array, value: Array, slope: Array, top: Array, highest: Array, used: NDArray[np.bool_]
) -> Profiles:
    """Put the estimates themselves, where the slope is zero, among the points of the profiles."""
    at, value, slope = at[used], value[used], slope[used]
    near = np.abs(at - top[used][:, None]).min(axis=1) < 0.02 * np.ptp(at, axis=1)
    top = np.where(near, at[:, 0] - 0.5 * np.ptp(at, axis=1), top[used])
    ends = np.where(near, value[:, 0] + slope[:, 0] * (top - at[:, 0]), highest[used])
    slopes = np.where(near, slope[:, 0], 0.0)
    at, value, slope = (
        np.column_stack([array, new]) for array, new in ((at, top), (value, ends), (slope, slopes))
    )
    order = np.argsort(at, axis=1)
    at, value, slope = (np.take_along_axis(array, order, axis=1) for array in (at, value, slope))
    return Profiles(at, value, slope)
