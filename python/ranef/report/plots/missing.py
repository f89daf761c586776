"""Figures of missing values and of imputations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._counted import counted
from .base import one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dropout_axes", "imputed_axes", "pattern_axes"]

#: Patterns that fit a figure, and times that are all written on its axis.
MOST, MOST_TICKS = 12, 12


def pattern_axes(patterns: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw patterns as rows of filled (observed) and open (missing) squares."""
    names = [name for name in patterns.columns if name != "n"]
    shown = patterns.head(MOST)
    look = theme()
    axis = one(ax, 1.6 + 0.75 * len(names), 1.4 + 0.32 * len(shown))
    for i, row in enumerate(shown.itertuples(index=False)):
        for j, seen in enumerate(list(row)[:-1]):
            axis.plot(
                j,
                i,
                "s",
                markersize=13,
                color=look.accent,
                markerfacecolor=look.accent if seen else "none",
            )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="left")
    axis.xaxis.tick_top()
    axis.set_yticks(range(len(shown)), [counted(n, "row") for n in shown["n"]])
    axis.set(xlim=(-0.6, len(names) - 0.4), ylim=(len(shown) - 0.4, -0.6))
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    rest = len(patterns) - len(shown)
    more = f"; {rest} rarer patterns are not shown" if rest else ""
    axis.set_xlabel(f"filled: observed, open: missing{more}", fontsize="small")
    return titled(axis, "Patterns of missing values")


def dropout_axes(dropout: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many units leave after each time, and the outcome of leavers and stayers."""
    look = theme()
    axis = one(ax, 4.6, 3.2)
    x = dropout.index.to_numpy()
    axis.plot(x, dropout["outcome of stayers"], "o-", color=look.ink, label="stay")
    axis.plot(
        x, dropout["outcome of leavers"], "s--", color=look.second, label="leave after this time"
    )
    both = dropout[["leave", "outcome of leavers", "outcome of stayers"]]
    for t, (leave, y, stay) in zip(x, both.itertuples(index=False), strict=True):
        if leave and np.isfinite(y):
            above = not y < stay  # on the side where the other line is not
            axis.annotate(
                f"{leave}",
                (t, y),
                xytext=(0, 7 if above else -7),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize="small",
                color=look.second,
            )
    if len(x) <= MOST_TICKS and pd.api.types.is_numeric_dtype(dropout.index):
        axis.set_xticks(x)
    axis.margins(y=0.15)
    axis.set(xlabel=str(dropout.index.name or "time"), ylabel="mean outcome")
    axis.legend(frameon=False, fontsize="small")
    return titled(axis, "Outcome before leaving, and how many leave")


def imputed_axes(
    name: str, frames: Sequence[pd.Series[Any]], gaps: Any, *, ax: Axes | None = None
) -> Axes:
    """Draw the distribution of observed values, and of imputed ones for each imputation."""
    look = theme()
    axis = one(ax, 4.6, 3.2)
    first = frames[0]
    if pd.api.types.is_numeric_dtype(first) and not pd.api.types.is_bool_dtype(first):
        seen = first[~gaps].to_numpy(float)
        new = [frame[gaps].to_numpy(float) for frame in frames]
        edges = np.histogram_bin_edges(np.concatenate([seen, *new]), bins="auto")
        bins = np.linspace(edges[0], edges[-1], 25).tolist()
        for i, values in enumerate(new[:20]):
            label = "imputed, each set" if i == 0 else None
            axis.hist(
                values,
                bins,
                density=True,
                histtype="step",
                color=look.second,
                alpha=0.5,
                label=label,
            )
        axis.hist(
            seen,
            bins,
            density=True,
            histtype="step",
            color=look.ink,
            linewidth=2,
            label="observed",
        )
        axis.set(xlabel=name, ylabel="density")
    else:
        share = first[~gaps].value_counts(normalize=True)
        new = [frame[gaps].value_counts(normalize=True).reindex(share.index) for frame in frames]
        x = np.arange(len(share))
        axis.bar(x, share, width=0.6, color=look.faint, label="observed")
        for i, values in enumerate(new):
            label = "imputed, each set" if i == 0 else None
            axis.plot(x, values.fillna(0.0), "o", color=look.second, alpha=0.5, label=label)
        axis.set_xticks(x, [str(level) for level in share.index])
        axis.set(xlabel=name, ylabel="share")
    axis.legend(frameon=False, fontsize="small")
    return titled(axis, f"Observed and imputed values of {name}")
