"""What all figures share: panels, colours, quantiles and trends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from ..._typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "FAINT",
    "INK",
    "PALETTE",
    "SECOND",
    "finish",
    "panels",
    "quantiles",
    "trend",
]


INK, FAINT, ACCENT, SECOND = "#222222", "#b8b8b8", "#1f6fb2", "#d1602b"
PALETTE = (ACCENT, SECOND, "#3a8f5c", "#7d5ba6", "#b08f26", "#5f6b73")


def panels(
    rows: int, columns: int, width: float, height: float, *, shared: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure and its axes, row by row."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib: pip install 'ranef[plot]' or pip install matplotlib"
        ) from error
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        squeeze=False,
        sharex=shared,
        sharey=shared,
        layout="constrained",
    )
    flat = list(axes.ravel())
    for axis in flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, flat


def finish(figure: Figure, title: str) -> Figure:
    """Return the figure its title, larger than those of its panels."""
    figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    for axis in figure.axes:
        axis.title.set_fontsize(min(10.0, axis.title.get_fontsize()))
    return figure


def quantiles(
    axis: Axes, values: Array, size: float, colour: str = INK, label: str | None = None
) -> None:
    """Ordered values against normal quantiles, with the line of equality."""
    n = len(values)
    normal = scipy.special.ndtri((np.arange(n) + 0.5) / n)
    axis.axline((0.0, 0.0), slope=1.0, color=FAINT, linewidth=1.0)
    axis.plot(normal, np.sort(values), "o", color=colour, markersize=size, alpha=0.7, label=label)
    axis.set(xlabel="normal quantile", ylabel="residual / sigma")


def trend(axis: Axes, x: Any, y: Any) -> None:
    """Medians over tenths of x."""
    edges = np.unique(np.quantile(x, np.linspace(0.0, 1.0, 11)))
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    if len(edges) < 4:
        return
    middle = [(np.median(x[place == i]), np.median(y[place == i])) for i in range(len(edges) - 1)]
    axis.plot(*np.array(middle).T, color=SECOND, linewidth=1.5)
