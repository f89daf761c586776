"""Figures that any fitted model has; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._html import Preformatted
from ..coefficients import interval_table
from .base import FAINT, INK, finish, panels, quantiles, trend
from .tables import coefficient_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PlainPlots"]


class PlainPlots(Preformatted):
    """Figures of one fit: ``coefficients`` and ``residuals``. Each is a matplotlib Figure."""

    def __init__(self, table: pd.DataFrame, fitted: pd.Series[Any], resid: pd.Series[Any]):
        self._table, self._fitted, self._resid = table, fitted, resid

    def coefficients(self, level: float = 0.95) -> Figure:
        """Draw the coefficients with intervals on the degrees of freedom of their tests.

        Parameters
        ----------
        level : float
            Coverage of the intervals.
        """
        known = self._table[self._table["estimate"].notna()]
        limits = interval_table(
            list(known.index), known["estimate"], known["se"], known["df"], level
        )
        table = limits.assign(estimate=known["estimate"])[["estimate", "lower", "upper"]]
        return coefficient_figure({"": table}, None)

    def residuals(self) -> Figure:
        """Draw residuals against fitted values, and against normal quantiles."""
        fitted, resid = np.asarray(self._fitted, float), np.asarray(self._resid, float)
        figure, axes = panels(1, 2, 4.0, 3.4)
        size = 3.0 if len(fitted) < 2000 else 1.0
        axes[0].axhline(0.0, color=FAINT, linewidth=1.0)
        axes[0].plot(fitted, resid, "o", color=INK, markersize=size, alpha=0.6)
        trend(axes[0], fitted, resid)
        axes[0].set(xlabel="fitted", ylabel="residual", title="Residuals")
        quantiles(axes[1], resid, size)
        axes[1].set(title="Residuals, normal quantiles")
        return finish(figure, "Residuals")

    def __repr__(self) -> str:
        return "<figures: coefficients(), residuals()>"
