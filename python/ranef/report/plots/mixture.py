"""Curves of classes over the data of their groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mixture_axes"]


def mixture_axes(
    frame: pd.DataFrame,
    names: tuple[str, str, str],
    assigned: pd.Series[Any],
    curves: pd.DataFrame,
    shares: pd.Series[Any],
    *,
    ax: Axes | None = None,
    most: int = 150,
) -> Axes:
    """Draw each group in the colour of its class, and the classes' curves over them.

    Parameters
    ----------
    frame : DataFrame
        Rows sorted by group and time.
    names : tuple of str
        Columns of groups, times and outcome.
    assigned : Series
        Class of each group.
    curves : DataFrame
        Means, one row per time, one column per class.
    shares : Series
        Probability of each class.
    ax : Axes, optional
        Where to draw.
    most : int
        Groups to draw at most.
    """
    if most < 0:
        raise ValueError(f"most is a number of groups, 0 or more, not {most}")
    groups, time, outcome = names
    axis = one(ax, 5.4, 3.8)
    colour = {k: theme().colour(i) for i, k in enumerate(curves.columns)}
    step = max(1, int(np.ceil(len(assigned) / max(most, 1))))
    shown = set(assigned.index[::step][:most])
    classes = assigned.to_dict()
    for label, rows in frame.groupby(groups, sort=False, observed=True):
        if label in shown:
            own = colour[classes[label]]
            axis.plot(rows[time], rows[outcome], color=own, alpha=0.18, linewidth=0.8, marker=".")
    for k in curves.columns:
        label = f"class {k} ({shares[k]:.0%})"
        axis.plot(curves.index, curves[k], color=axis.get_facecolor(), linewidth=5.0)
        axis.plot(curves.index, curves[k], color=colour[k], linewidth=2.8, label=label)
    axis.set(xlabel=time, ylabel=outcome)
    axis.legend(frameon=False, fontsize="small")
    return titled(axis, "Curves of the classes; groups in the colour of their likeliest class")


def criteria_axes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw BIC and ICL by number of classes."""
    look, axis = theme(), one(ax, 4.6, 3.2)
    for name, colour, marker in (
        ("bic", look.accent, "o-"),
        ("icl", look.second, "s--"),
    ):
        axis.plot(table.index, table[name], marker, color=colour, label=name.upper())
    axis.set_xticks(list(table.index))
    axis.set(xlabel="classes", ylabel="criterion (lower is better)")
    axis.legend(frameon=False, fontsize="small")
    return titled(axis, "Criteria by number of classes")
