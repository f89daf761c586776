"""Figures of results: bootstraps, optimisers, rankings, predictions of left-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .base import MARKERS, Panels, finish, legend, one, panels, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "bootstrap_figure",
    "crossval_axes",
    "optimiser_axes",
    "predictive_axes",
    "ranking_axes",
    "starts_axes",
]

#: Differences of -2 log-likelihood that a logarithmic axis does not tell apart.
FLOOR = 1e-8


def bootstrap_figure(
    replicates: pd.DataFrame,
    estimate: pd.Series,
    limits: pd.DataFrame,
    parameters: Sequence[str] | None,
    level: float,
    axes: object = None,
) -> Panels:
    """Draw the distribution of each parameter's replicates, its estimate and its interval."""
    known = [str(name) for name in replicates.columns]
    names = known if parameters is None else list(parameters)
    for name in names:
        if name not in known:
            raise ValueError(f"the bootstrap has no {name!r}; it has {', '.join(known)}")
    columns, look = min(3, len(names)), theme()
    shape = (ceil(len(names) / columns), columns)
    figure, shown = panels(*shape, 3.2, 2.6, axes=axes, used=len(names))
    for axis, name in zip(shown, names, strict=True):
        values = replicates[name].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        low, high = (float(limits[side][name]) for side in ("lower", "upper"))
        axis.axvspan(low, high, color=look.faint, alpha=0.5, linewidth=0.0)
        axis.hist(values, bins=min(40, max(8, len(values) // 12)), color=look.accent, alpha=0.75)
        axis.axvline(float(estimate[name]), color=look.second, linewidth=2.0, linestyle="--")
        axis.set_title(name, fontsize="medium")
        axis.set_ylabel("fits")
    title = f"Replicates; dashed: the fit, shaded: {level:.0%} interval"
    return finish(figure, title, shown, axes)


def optimiser_axes(table: pd.DataFrame, gaps: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how far each optimiser's coefficients are from the best fit's, in standard errors."""
    height = 1.4 + 0.34 * len(gaps)
    axis, look = one(ax, 6.4, float(np.clip(height, 2.4, 9.0))), theme()
    axis.axvline(0.0, color=look.grey, linewidth=1.0)
    for j, name in enumerate(gaps.columns):
        place = np.arange(len(gaps)) + 0.5 * (j - 0.5 * (len(gaps.columns) - 1)) / max(
            len(gaps.columns), 2
        )
        mark = MARKERS[j % len(MARKERS)]
        axis.plot(gaps[name], place, mark, color=look.colour(j), markersize=5.0, label=name)
    above = table["above_best"]
    names = [f"{name}  (+{above[name]:.1g})" for name in gaps.index]
    axis.set_yticks(np.arange(len(gaps)), names)
    axis.set_ylim(len(gaps) - 0.4, -0.6)
    widest = float(np.nanmax(np.abs(gaps.to_numpy()), initial=0.0))
    axis.set_xlim(*(np.array([-1.1, 1.1]) * max(widest, 0.01)))
    axis.set_xlabel("coefficient minus that of the best fit, in standard errors")
    if len(gaps.columns) <= 8:
        legend(axis, "", ax is None)
    return titled(axis, "Optimisers; in brackets: -2 log-likelihood above the best")


def ranking_axes(table: pd.DataFrame, by: str, name: str, ax: Axes | None = None) -> Axes:
    """Draw how far each model's criterion is above the lowest, with the weights."""
    axis, look = one(ax, 6.4, float(np.clip(1.4 + 0.36 * len(table), 2.2, 9.0))), theme()
    place = np.arange(len(table))
    axis.hlines(place, 0.0, table["delta"], color=look.grey, linewidth=1.2)
    axis.plot(table["delta"], place, "o", color=look.accent, markersize=7.0)
    for y, (delta, weight) in enumerate(zip(table["delta"], table["weight"], strict=True)):
        axis.annotate(
            f"{weight:.2f}",
            (delta, y),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axis.set_yticks(place, [str(label) for label in table.index])
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.margins(x=0.12)
    axis.set_xlabel(f"{name} above the lowest" + ("" if by == name.lower() else f" ({by})"))
    return titled(axis, f"Models by {name}; numbers: weights")


def predictive_axes(table: pd.DataFrame, scheme: str, errors: float, ax: Axes | None) -> Axes:
    """Draw differences of predictive densities from the best model's, with standard errors."""
    axis, look = one(ax, 6.4, float(np.clip(1.5 + 0.36 * len(table), 2.2, 9.0))), theme()
    place = np.arange(len(table))
    if "difference" in table:
        half = errors * table["difference_se"].to_numpy(float)
        axis.axvline(0.0, color=look.grey, linewidth=1.0)
        values, label = table["difference"], "expected log density minus that of the best"
    else:
        half, values, label = None, table["rmse"], "root mean squared error"
    axis.errorbar(
        values.to_numpy(float), place, xerr=half, fmt="o", color=look.accent, markersize=6.0
    )
    axis.set_yticks(place, [str(name) for name in table.index])
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.set_xlabel(label)
    shown = f"; lines: {errors:g} standard errors" if half is not None else ""
    return titled(axis, f"Left out: {scheme}{shown}")


def starts_axes(table: pd.DataFrame, criterion: float, ax: Axes | None) -> Axes:
    """Draw where searches from random starts ended, lowest first, and the model itself."""
    axis, look = one(ax, 6.4, 3.4), theme()
    best = min(criterion, float(table["criterion"].min()))
    rows = table.sort_values("criterion", kind="stable")
    above = np.maximum(rows["criterion"].to_numpy(float) - best, FLOOR)
    place, ended = np.arange(1, len(rows) + 1), rows["converged"].to_numpy(bool)
    for chosen, mark, colour, label in (
        (ended, "o", look.accent, "converged"),
        (~ended, "s", look.second, "not converged"),
    ):
        if chosen.any():
            axis.plot(place[chosen], above[chosen], mark, color=colour, markersize=5.0, label=label)
    own = max(criterion - best, FLOOR)
    axis.axhline(own, color=look.grey, linewidth=1.0, linestyle="--", label="the model")
    axis.set_yscale("log")
    axis.set_ylim(0.3 * FLOOR, max(1.0, 3.0 * float(np.nanmax(above, initial=own))))
    axis.set(xlabel="random starts, best first", ylabel="-2 log-likelihood above the lowest")
    axis.locator_params(axis="x", integer=True)
    legend(axis, "", ax is None)
    return titled(axis, f"Ends of searches; {FLOOR:g} and less are drawn as {FLOOR:g}")


def crossval_axes(rows: pd.DataFrame, scheme: str, ax: Axes | None = None) -> Axes:
    """Draw left-out responses against their predictions, with the line of equality."""
    axis, look = one(ax, 6.4, 4.4), theme()
    known = rows[rows["mean"].notna()]
    axis.axline((float(known["mean"].mean()),) * 2, slope=1.0, color=look.grey, linewidth=1.0)
    size = 4.0 if len(known) < 1000 else 1.5
    inside = known.get("inside")
    if inside is None:
        inside = (known["y"] - known["mean"]).abs() <= 1.959963984540054 * known["sd"]
    inside = inside.astype(bool)
    for chosen, mark, colour, label in (
        (inside, "o", look.accent, "within its 95 % interval"),
        (~inside, "s", look.second, "outside"),
    ):
        axis.plot(
            known["mean"][chosen],
            known["y"][chosen],
            mark,
            color=colour,
            markersize=size,
            alpha=0.6,
            label=f"{label} ({int(chosen.sum())})",
        )
    axis.set(xlabel="predicted", ylabel="observed")
    legend(axis, "", ax is None)
    return titled(axis, f"Left-out rows: {scheme}")
