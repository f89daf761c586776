"""Posteriors of quantities that follow from the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...parallel.progress import tracked

__all__ = ["described", "ranks", "statistics_at"]


def statistics_at(
    statistic: Callable[[Any], Any],
    model_at: Callable[[int], Any],
    chosen: Sequence[int],
    progress: bool,
) -> pd.DataFrame:
    """Ask the model of each chosen draw, a row each."""
    every = tracked(chosen, len(chosen), "draws", shown=progress)
    return pd.DataFrame([_named(statistic(model_at(s))) for s in every])


def _named(value: Any) -> dict[Any, float]:
    """Name the numbers of a statistic."""
    if isinstance(value, pd.Series | Mapping):
        return {name: float(number) for name, number in value.items()}
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim == 0:
        return {"statistic": float(numbers)}
    return dict(enumerate(numbers.ravel().tolist()))


def described(found: pd.DataFrame, prob: float) -> pd.DataFrame:
    """Describe draws of each column: moments and equal-tailed limits."""
    tail = 0.5 * (1.0 - prob)
    return pd.DataFrame(
        {
            "mean": found.mean(),
            "sd": found.std(ddof=1),
            "lower": found.quantile(tail),
            "median": found.median(),
            "upper": found.quantile(1.0 - tail),
        }
    )


def ranks(effects: Array, levels: pd.Index[Any]) -> pd.DataFrame:
    """Describe the ranks of levels, 1 the largest, over draws of shape (S, l)."""
    place = np.argsort(np.argsort(-effects, axis=1), axis=1) + 1
    lower, median, upper = np.quantile(place, [0.025, 0.5, 0.975], axis=0)
    return pd.DataFrame(
        {
            "mean": place.mean(axis=0),
            "lower": lower,
            "median": median,
            "upper": upper,
            "first": (place == 1).mean(axis=0),
        },
        index=levels,
    )
