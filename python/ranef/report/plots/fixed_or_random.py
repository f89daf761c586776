"""Figure of effects of groups as fixed and as random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .base import legend, one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["both_axes"]


def both_axes(effects: pd.DataFrame, group: str, ax: Axes | None = None) -> Axes:
    """Draw random effects with standard errors against fixed ones; larger marks, more rows."""
    axis, look = one(ax, 5.6, 4.6), theme()
    axis.axhline(0.0, color=look.faint, linewidth=1.0)
    axis.axline((0.0, 0.0), slope=1.0, color=look.grey, linewidth=1.0, label="nothing is shrunk")
    share = np.sqrt(effects["rows"].to_numpy(float) / effects["rows"].max())
    few = 1.0 if len(effects) <= 100 else 0.4
    axis.errorbar(
        effects["fixed"],
        effects["total"],
        yerr=effects["random_se"],
        fmt="none",
        ecolor=look.accent,
        elinewidth=0.8 * few,
        alpha=0.5,
    )
    axis.scatter(
        effects["fixed"],
        effects["total"],
        s=few * 60.0 * share**2 + 4.0,
        color=look.accent,
        zorder=3,
        label=f"level of {group}, ± 1 standard error",
    )
    axis.set_xlabel("fixed effect, from the mean of the levels")
    axis.set_ylabel("random effect, and what constant predictors explain")
    legend(axis, "", False)
    return titled(axis, f"Effects of {group}: fixed and random")
