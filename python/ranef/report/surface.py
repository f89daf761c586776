"""Where searches end from many starts, and the likelihood as a surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._html import Preformatted
from ..words.answers import Spoken

__all__ = ["MultiStart", "Surface"]

#: Difference of -2 log-likelihood below which two searches have found the same optimum.
SAME = 1e-5


@dataclass(frozen=True, repr=False)
class MultiStart(Spoken, Preformatted):
    """Searches from random starts.

    Attributes
    ----------
    table : DataFrame
        A row a start: criterion (-2 log-likelihood), above_best, gradients, converged.
    criterion : float
        The model's own.
    """

    table: pd.DataFrame
    criterion: float

    @property
    def reached(self) -> float:
        """Share of the starts that end as low as the lowest of all, the model included."""
        best = min(self.criterion, float(self.table["criterion"].min()))
        return float((self.table["criterion"] < best + SAME).mean())

    @property
    def optima(self) -> list[float]:
        """Criteria of the distinct optima that converged searches found, best first."""
        values = np.sort(self.table.loc[self.table["converged"], "criterion"])
        if not len(values):
            return []
        return [float(v) for v in values[np.r_[True, np.diff(values) > SAME]]]

    def plot(self, *, ax: Any = None) -> Any:
        """Draw where each search ended, in order, above the lowest criterion of all.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from .plots.results import starts_axes

        return starts_axes(self.table, self.criterion, ax)

    def __repr__(self) -> str:
        lower = self.criterion - float(self.table["criterion"].min())
        text = (
            f"{self.reached:.0%} of {counted(len(self.table), 'random start')} reach the best "
            "optimum, "
            f"-2 log-likelihood {min(self.criterion, self.table['criterion'].min()):.6f}."
        )
        if lower > SAME:
            text += f" That is {lower:.3g} below the model's: fit again from there."
        if len(self.optima) > 1:
            text += " Local optima: " + ", ".join(f"{v:.6f}" for v in self.optima[1:]) + "."
        return text


@dataclass(frozen=True, repr=False)
class Surface(Spoken, Preformatted):
    """Log-likelihood on a grid of standard deviations.

    Attributes
    ----------
    names : tuple of str
        One or two of ``sd_TERM|GROUP``.
    table : DataFrame
        A row a grid point: the standard deviations by name, llf, and drop, its distance below the
        model's log-likelihood.
    at : tuple of float
        The model's own values.
    hold : bool
        Whether all else was held at the estimate instead of being chosen again.
    relative : bool
        Whether standard deviations are relative to the residual one.
    """

    names: tuple[str, ...]
    table: pd.DataFrame
    at: tuple[float, ...]
    hold: bool
    relative: bool = True

    def _grid(self) -> pd.DataFrame:
        first, second = self.names
        grid: pd.DataFrame = self.table.pivot(index=second, columns=first, values="llf")
        return grid

    @property
    def maxima(self) -> pd.DataFrame:
        """Grid points that are not below any of their neighbours."""
        if len(self.names) == 1:
            values = self.table["llf"].to_numpy()[None, :]
        else:
            values = self._grid().to_numpy()
        padded = np.pad(values, 1, constant_values=-np.inf)
        rows, columns = values.shape
        around = [
            padded[1 + a : 1 + a + rows, 1 + b : 1 + b + columns]
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            if a or b
        ]
        peaks = values >= np.max(around, axis=0)
        if len(self.names) == 1:
            found: pd.DataFrame = self.table.loc[peaks[0]]
            return found
        above, across = np.nonzero(peaks)
        grid = self._grid()
        chosen = set(zip(grid.columns[across], grid.index[above], strict=True))
        pairs = zip(self.table[self.names[0]], self.table[self.names[1]], strict=True)
        found = self.table.loc[[pair in chosen for pair in pairs]]
        return found

    def __repr__(self) -> str:
        how = "all else held" if self.hold else "all else at its best"
        return f"Log-likelihood over {', '.join(self.names)} ({how})\n\n{self.maxima.to_string()}"

    def plot(self, ax: Any = None) -> Any:
        """Draw a curve, or contours with the model (+) and all maxima of the grid (o) marked.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; new ones by default.

        Returns
        -------
        matplotlib axes
        """
        from .plots.base import one, theme, titled

        look, ax = theme(), one(ax)
        unit = " / sigma" if self.relative else ""
        labels = [f"{name}{unit}" for name in self.names]
        ax.set_xlabel(labels[0])
        if len(self.names) == 1:
            ax.plot(self.table[self.names[0]], self.table["llf"], color=look.accent)
            ax.axvline(self.at[0], color=look.grey, linestyle=":")
            ax.set_ylabel("log-likelihood")
            return titled(ax, f"Log-likelihood along {self.names[0]}")
        grid = self._grid()
        top = float(np.nanmax(grid))
        levels = top - np.array([12.0, 8.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.1])
        drawn = ax.contour(
            grid.columns, grid.index, grid, levels=levels, colors=look.accent, linestyles="solid"
        )
        ax.clabel(drawn, fmt=lambda level: f"{level - top:.1f}", colors=look.ink, fontsize="small")
        ax.plot(*self.at, "+", color=look.ink)
        peaks = self.maxima
        ax.plot(peaks[self.names[0]], peaks[self.names[1]], "o", color=look.ink, fillstyle="none")
        ax.set_ylabel(labels[1])
        how = "all else held" if self.hold else "all else at its best"
        return titled(ax, f"Log-likelihood below its maximum, {how}")
