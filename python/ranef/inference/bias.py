"""How far the estimates of standard deviations are off, by simulation from the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import _core
from .._typing import Array
from ..design.design import Design
from ..models import lmm
from ..models.lmm import LmmEstimate
from ..parallel.progress import tracked
from .prediction.predict import simulate

__all__ = ["bias_of_replicates", "bias_table"]


#: A standard deviation below this share of the true one counts as zero.
ZERO = 1e-3


def bias_table(
    design: Design,
    estimate: LmmEstimate,
    fit: Callable[[Design, _core.Lmm], LmmEstimate],
    *,
    n: int,
    seed: int,
    progress: bool = False,
) -> pd.DataFrame:
    """Simulate from a fit, fit again, and compare the standard deviations.

    Parameters
    ----------
    design, estimate
        The fit, which is the truth of the simulation.
    fit : callable
        Fits a design as the model was fitted.
    n : int
        Simulated data sets.
    seed : int
        Makes them repeatable.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    DataFrame
        One row per standard deviation: estimate, mean of the simulated estimates, its monte_carlo
        error, ratio of the mean to the truth, share at zero, and corrected, the estimate over the
        ratio.
    """
    found = []
    for y in tracked(simulate(design, estimate, n, seed).T, n, "fits", shown=progress):
        core = lmm.kernel(design, y)
        found.append([*_sds(fit(replace(design, y=y), core))])
    names = [f"sd_{name}|{term.group}" for term in design.random for name in term.names]
    truth = np.array([*_sds(estimate)])
    return table_of(np.array(found), truth, [*names, "sigma"], ZERO * estimate.sigma)


def bias_of_replicates(replicates: pd.DataFrame, estimate: pd.Series) -> pd.DataFrame:
    """Compare the standard deviations of a fit with those of its parametric bootstrap."""
    names = [name for name in replicates.columns if name.startswith("sd_")]
    draws = replicates[names].dropna().to_numpy()
    return table_of(draws, estimate[names].to_numpy(), names, ZERO)


def table_of(draws: Array, truth: Array, names: list[str], unit: float) -> pd.DataFrame:
    """Lay simulated standard deviations (n, k) beside the true ones; zeros are below ``unit``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = draws.mean(axis=0) / truth
        corrected = np.where(truth > 0, truth / ratio, truth)
    return pd.DataFrame(
        {
            "estimate": truth,
            "mean": draws.mean(axis=0),
            "monte_carlo": draws.std(axis=0, ddof=1) / np.sqrt(len(draws)),
            "ratio": ratio,
            "zero": (draws < ZERO * np.maximum(truth, unit)).mean(axis=0),
            "corrected": corrected,
        },
        index=names,
    )


def _sds(estimate: LmmEstimate) -> Iterator[float]:
    """Return the standard deviations of all columns of all terms, and sigma."""
    for cov in estimate.sigmas:
        yield from np.sqrt(np.diag(cov)).tolist()
    yield estimate.sigma
