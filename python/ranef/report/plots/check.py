"""The figure of all checks of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._counted import counted
from .base import Panels, finish, panels, theme
from .residuals import ResidualPlots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..checks.residuals import SimulatedResiduals

__all__ = ["check_figure"]


def check_figure(residuals: SimulatedResiduals, given: Any = None) -> Panels:
    """Draw distribution, curvature, spread, responses, groups or neighbours, and all tests."""
    figure, axes = panels(2, 3, 4.0, 3.4, axes=given)
    draw = ResidualPlots(residuals)
    draw.qq(axes[0])
    draw.against(ax=axes[1])
    draw.spread(ax=axes[2])
    draw.responses(axes[3])
    if residuals.groups:
        draw.groups(ax=axes[4])
    else:
        draw.time(ax=axes[4])
    _tests(axes[5], residuals)
    n, m = residuals.simulated.shape
    return finish(
        figure,
        f"{residuals.kind.capitalize()} residuals of {n:,} rows; grey: 95 % of "
        f"{counted(m, 'simulated fit')}",
        axes,
        given,
    )


def _tests(axis: Axes, residuals: SimulatedResiduals) -> None:
    """Draw the p-value of each test."""
    table = residuals.table[::-1]
    p, place = np.maximum(table["pvalue"].to_numpy(), 1e-4), np.arange(len(table))
    look = theme()
    axis.axvline(0.05, color=look.grey, linewidth=1.0)
    axis.scatter(
        p,
        place,
        c=[look.second if value < 0.05 else look.accent for value in p],
        s=24,
        zorder=3,
    )
    axis.set_xscale("log")
    axis.set_yticks(place, list(table.index), fontsize="small", color=look.ink)
    axis.set(xlim=(5e-5, 1.5), xlabel="p", title="Tests; line at 0.05")
