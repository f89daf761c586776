"""Whether chains have found a posterior, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from .extras import array_stats

__all__ = ["summary_table", "verdict"]

#: Limits of a posterior to be trusted: Vehtari and others (2021).
LARGEST_RHAT, FEWEST = 1.01, 100


def summary_table(draws: Array, names: Sequence[str], prob: float) -> pd.DataFrame:
    """Describe draws of shape (C, N, k): moments, equal-tailed limits, rhat and ess.

    ``ess`` is the smaller of the bulk's and the tails'.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667-718.
    """
    flat = draws.reshape(-1, draws.shape[2])
    tail = 0.5 * (1.0 - prob)
    lower, median, upper = np.quantile(flat, [tail, 0.5, 1.0 - tail], axis=0)
    rhat, ess = diagnostics(draws)
    sd = flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(len(names), np.nan)
    return pd.DataFrame(
        {
            "mean": flat.mean(axis=0),
            "sd": sd,
            "lower": lower,
            "median": median,
            "upper": upper,
            "rhat": rhat,
            "ess": ess,
        },
        index=pd.Index(list(names)),
    )


def diagnostics(draws: Array) -> tuple[Array, Array]:
    """Rank-normalised rhat and effective sample size of draws of shape (C, N, k)."""
    package = array_stats()
    k = draws.shape[2]
    if draws.shape[1] < 4:
        return np.full(k, np.nan), np.full(k, np.nan)
    axes = {"chain_axis": 0, "draw_axis": 1}
    varies = np.ptp(draws, axis=(0, 1)) > 0.0
    rhat, ess = np.full(k, np.nan), np.full(k, np.nan)
    if varies.any():
        chosen = draws[:, :, varies]
        with np.errstate(all="ignore"):
            rhat[varies] = package.rhat(chosen, method="rank", **axes)
            bulk = package.ess(chosen, method="bulk", **axes)
            ess[varies] = np.minimum(
                bulk, package.ess(chosen, method="tail", prob=(0.05, 0.95), **axes)
            )
    return rhat, ess


def verdict(
    table: pd.DataFrame, chains: int, divergences: int, still: Sequence[int]
) -> tuple[bool, str]:
    """Return whether the draws can be trusted, and what to do if not."""
    more = "Sample longer (draws=, warmup=), or give narrower priors."
    if still:
        which = ", ".join(map(str, still))
        return False, f"Not to be used: chain {which} never moved. {more}"
    rhat, ess = table["rhat"], table["ess"]
    if rhat.isna().all():
        return False, "Too few draws to tell whether the chains agree. " + more
    if float(rhat.max()) > LARGEST_RHAT:
        return False, (
            f"Not to be used: the chains disagree about {rhat.idxmax()!r} (rhat "
            f"{rhat.max():.3f}, which should be below {LARGEST_RHAT}). {more}"
        )
    if divergences:
        return False, (
            f"Doubtful: {counted(divergences, 'transition')} diverged, so part of the posterior "
            "may be missing. Give narrower priors of the standard deviations, or sample longer."
        )
    few = FEWEST * chains
    if float(ess.min()) < few:
        return False, (
            f"Coarse: {ess.idxmin()!r} has an effective sample size of {ess.min():.0f}, below "
            f"{few}; its limits are rough. {more}"
        )
    return True, (
        f"The chains agree: rhat at most {rhat.max():.3f}, effective sample size at least "
        f"{ess.min():,.0f}."
    )
