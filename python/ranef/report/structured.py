"""Correlations and variances of residuals, labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .numbers import in_one_scale

__all__ = ["correlation_labels", "correlation_text", "variance_table", "variance_text"]


def correlation_labels(corr: str, size: int, times: Sequence[Any]) -> list[str]:
    """Name the parameters of a correlation.

    Parameters
    ----------
    corr : str
        The correlation.
    size : int
        Number of parameters.
    times : sequence
        Labels of the distinct times.
    """
    if corr == "toeplitz":
        return [f"lag {k + 1}" for k in range(size)]
    if corr == "unstructured":
        T = len(times)
        return [f"{times[j]}, {times[i]}" for j in range(T) for i in range(j + 1, T)]
    return ["rho" if corr == "exchangeable" else "phi"][:size]


def variance_table(
    levels: Sequence[Any], sds: NDArray[np.float64], counts: NDArray[np.int_]
) -> pd.DataFrame:
    """Lay out residual standard deviations by level: columns sd, variance, ratio, rows."""
    return pd.DataFrame(
        {"sd": sds, "variance": sds**2, "ratio": sds / sds[0], "rows": counts},
        index=pd.Index(levels),
    )


def correlation_text(corr: str, estimates: pd.Series[Any], most: int = 6) -> str:
    """Write the correlation in a line."""
    if corr == "independence":
        return "none"
    shown = [f"{label} = {value:.4f}" for label, value in estimates.iloc[:most].items()]
    more = f", ... ({len(estimates)} in all)" if len(estimates) > most else ""
    joined = "; ".join(shown) if corr == "unstructured" else ", ".join(shown)
    return f"{corr}: {joined}{more}"


def variance_text(sds: pd.Series[Any], most: int = 8) -> str:
    """Write the standard deviations of levels in a line."""
    written = in_one_scale(sds, sds)
    shown = [f"{label}: {sd}" for label, sd in zip(sds.index[:most], written, strict=False)]
    return ", ".join(shown) + (f", ... ({len(sds)} in all)" if len(sds) > most else "")
