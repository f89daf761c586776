"""Figures of marginal means and their contrasts."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import MARKERS, finish, legend, one, panels, theme, titled
from .curves import is_number, name_places, named
from .tables import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["contrast_axes", "means_figure"]


def means_figure(
    frame: pd.DataFrame,
    variables: list[str],
    by: list[str],
    what: str,
    note: str,
    axes: Any,
    *,
    label: str,
) -> Any:
    """Draw means with intervals: the first variable along, one line per level of the second.

    A panel for each combination of ``by``.
    """
    if not variables:
        frame, variables = frame.assign(**{"": "all"}), [""]
    families = list(frame.groupby(by, sort=False, observed=True)) if by else [((), frame)]
    x, others = variables[0], variables[1:]
    columns = min(3, len(families))
    wide = 5.4 if len(families) == 1 else 3.4
    shape = (ceil(len(families) / columns), columns)
    figure, shown = panels(*shape, wide, 3.4, axes=axes, used=len(families))
    for axis, (key, part) in zip(shown, families, strict=True):
        draw_means(axis, part, x, others, what)
        axis.set(xlabel=x, ylabel=label)
        values = key if isinstance(key, tuple) else (key,)
        if by:
            text = [f"{n} = {named(v)}" for n, v in zip(by, values, strict=True)]
            axis.set_title(", ".join(text), fontsize="medium")
    if others:
        legend(shown[columns - 1], ", ".join(others), axes is None)
    if len(families) == 1 and not by:
        return titled(shown[0], note)
    if len({axis.get_ylim() for axis in shown}) > 1:
        low, high = np.array([axis.get_ylim() for axis in shown]).T
        for axis in shown:
            axis.set_ylim(low.min(), high.max())
    return finish(figure, note, shown, axes)


def draw_means(axis: Axes, frame: pd.DataFrame, x: str, others: list[str], what: str) -> None:
    """Draw one panel of means."""
    look = theme()
    values = list(dict.fromkeys(frame[x]))
    numeric = is_number(frame[x]) and len(values) > 1
    lines = list(frame.groupby(others, sort=False, observed=True)) if others else [((), frame)]
    spread = 0.0
    if len(lines) > 1:
        gap = float(np.diff(np.sort(np.array(values, float))).min()) if numeric else 1.0
        spread = 0.5 * gap / len(lines)
    for i, (key, part) in enumerate(lines):
        place = part[x].to_numpy(float) if numeric else [values.index(v) for v in part[x]]
        place = np.asarray(place, float) + spread * (i - 0.5 * (len(lines) - 1))
        mean = part[what].to_numpy(float)
        error = np.abs(np.vstack([mean - part["lower"], part["upper"] - mean]))
        keys = key if isinstance(key, tuple) else (key,)
        axis.errorbar(
            place,
            mean,
            yerr=error,
            fmt=MARKERS[i % len(MARKERS)] + ("-" if len(lines) > 1 or numeric else ""),
            color=look.colour(i),
            markersize=6.0,
            linewidth=1.6,
            label=", ".join(map(named, keys)),
        )
    if not numeric:
        name_places(axis, values)
    elif len(values) <= 8:
        axis.set_xticks(values, [named(value) for value in values])


def contrast_axes(frame: pd.DataFrame, names: list[str], note: str, ax: Axes | None) -> Axes:
    """Draw contrasts with their intervals, and the value of no difference."""
    column = next(c for c in ("estimate", "ratio", "odds_ratio") if c in frame)
    height = float(np.clip(1.5 + 0.28 * len(frame), 2.4, 14.0))
    axis, look = one(ax, 6.4, height), theme()
    ratio = column != "estimate"
    axis.axvline(1.0 if ratio else 0.0, color=look.grey, linewidth=1.0, linestyle="--")
    rows = frame.rename(columns={column: "estimate"})
    intervals(axis, rows, np.arange(len(rows)))
    labels = frame[names].astype(str).agg(", ".join, axis=1)
    axis.set_yticks(np.arange(len(rows)), list(labels))
    axis.set_ylim(len(rows) - 0.4, -0.6)
    if ratio:
        from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(column.replace("_", " "))
    return titled(axis, note)
