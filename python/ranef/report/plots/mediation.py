"""Effects of a mediation with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .base import one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effects_axes"]


def effects_axes(table: pd.DataFrame, title: str, *, ax: Axes | None = None) -> Axes:
    """Draw one row per effect: the estimate as a point, its interval as a line."""
    axis, look = one(ax, 5.2, 1.1 + 0.42 * len(table)), theme()
    colours = {"indirect": look.accent, "direct": look.second}
    y = np.arange(len(table))[::-1]
    axis.axvline(0.0, color=look.grey, linewidth=1.0)
    for place, (name, row) in zip(y, table.iterrows(), strict=True):
        colour = colours.get(str(name).split()[0], look.ink)
        axis.plot([row["lower"], row["upper"]], [place, place], color=colour, linewidth=2.0)
        axis.plot(row["estimate"], place, "o", color=colour, markersize=6)
    axis.set_yticks(y, [str(name) for name in table.index])
    axis.set_ylim(-0.6, len(table) - 0.4)
    axis.set_xlabel("effect")
    return titled(axis, title)
