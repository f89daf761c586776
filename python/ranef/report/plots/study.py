"""Figures of simulation studies: a measure over the settings."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import MARKERS, Panels, finish, panels, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["study_figure"]

#: What a measure is called along an axis.
LABELS = {
    "power": "power",
    "coverage": "coverage",
    "bias": "bias",
    "sd": "standard deviation of estimates",
    "mean_se": "mean standard error",
    "rmse": "root mean squared error",
}


def study_figure(
    table: pd.DataFrame,
    terms: Sequence[str],
    measure: str,
    axes_: Sequence[str],
    x: str | None,
    line: float | None,
    given: Any = None,
) -> Panels:
    """Draw a measure over one axis, lines for the others, one panel per term.

    Parameters
    ----------
    table : DataFrame
        Columns of the setting, ``term``, the measure, ``low`` and ``high``.
    terms : sequence of str
        The panels.
    measure : str
        The column to draw.
    axes_ : sequence of str
        Columns of the setting.
    x : str or None
        The one along the axis; None for the one with most values.
    line : float or None
        Where to draw a level.
    given : sequence of Axes, optional
        Where to draw.
    """
    varying = [name for name in axes_ if table[name].astype(str).nunique() > 1]
    if x is not None and x not in axes_:
        raise ValueError(f"x must be one of {', '.join(axes_) or 'no column'}, not {x!r}")
    along = x or max(varying, key=lambda name: table[name].nunique(), default=None)
    others = [name for name in varying if name != along]
    columns = min(3, len(terms))
    rows_, wide = ceil(len(terms) / columns), 4.6 if columns == 1 else 3.6
    figure, axes = panels(rows_, columns, wide, 3.0, axes=given, used=len(terms))
    for i, (axis, term) in enumerate(zip(axes, terms, strict=True)):
        rows = table[table["term"] == term]
        if line is not None:
            axis.axhline(line, color=theme().faint, linewidth=1.0, linestyle="--")
        draw_lines(axis, rows, measure, along, others)
        if measure in ("power", "coverage"):
            axis.set_ylim(*limits(rows, measure))
        axis.set_title(term, fontsize="medium")
        axis.set_xlabel(spelled(along) if along else "", fontsize="medium")
        axis.set_ylabel(LABELS[measure] if i % columns == 0 else "", fontsize="medium")
    handles, labels = axes[0].get_legend_handles_labels()
    if others and given is not None:
        axes[0].legend(title=", ".join(map(spelled, others)), fontsize="small")
    elif others:
        figure.legend(
            handles,
            labels,
            title=", ".join(map(spelled, others)),
            loc="outside right upper",
            frameon=False,
            fontsize="small",
            title_fontsize="small",
        )
    return finish(figure, "Simulated " + LABELS[measure], axes, given)


def limits(rows: pd.DataFrame, measure: str) -> tuple[float, float]:
    """Give power the whole range, and coverage what it needs."""
    if measure == "power":
        return -0.02, 1.02
    return min(0.85, float(rows["low"].min()) - 0.01), 1.005


def draw_lines(
    axis: Axes, rows: pd.DataFrame, measure: str, along: str | None, others: Sequence[str]
) -> None:
    """Draw a line for each combination of the other columns."""
    groups: list[tuple[Any, pd.DataFrame]] = [("", rows)]
    if others:
        groups = list(rows.groupby(list(others), sort=False))
    numeric = along is not None and pd.api.types.is_numeric_dtype(rows[along])
    names = [] if along is None else list(dict.fromkeys(rows[along]))
    spread = 0.0
    if numeric and len(groups) > 1:
        values = rows[along].to_numpy(dtype=float)
        spread = 0.006 * float(values.max() - values.min())
    for i, (key, part) in enumerate(groups):
        if numeric and along is not None:
            part = part.sort_values(along)
            place = part[along].to_numpy(dtype=float) + spread * (i - 0.5 * (len(groups) - 1))
        else:
            place = np.array([names.index(value) for value in part[along]] if along else [0.0])
        middle = part[measure].to_numpy(dtype=float)
        error = np.vstack([middle - part["low"], part["high"] - middle])
        axis.errorbar(
            place,
            middle,
            yerr=np.maximum(error, 0.0),
            fmt=MARKERS[i % len(MARKERS)] + "-",
            markersize=3.5,
            linewidth=1.3,
            elinewidth=1.0,
            color=theme().colour(i),
            label=", ".join(map(str, key)) if isinstance(key, tuple) else str(key),
        )
    if along is not None and not numeric:
        axis.set_xticks(range(len(names)), [str(name) for name in names])
    elif numeric and len(names) <= 8:
        axis.set_xticks(sorted(names), [f"{name:g}" for name in sorted(names)])
    elif along is None:
        axis.set_xticks([])


def spelled(column: str) -> str:
    """State what a column of settings is."""
    for prefix, words in (
        ("n_", "levels of {}"),
        ("rows_", "rows of each {}"),
        ("beta_", "effect of {}"),
    ):
        if column.startswith(prefix):
            return words.format(column.removeprefix(prefix))
    return column
