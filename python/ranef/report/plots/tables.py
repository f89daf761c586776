"""Figures of profiles and of the coefficients of several models."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...inference.coverage import t_quantile
from .base import MARKERS, Panels, finish, panels, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coefficient_axes", "intervals", "profile_figure"]


def profile_figure(profile: Any, parameters: Sequence[str] | None, axes: Any = None) -> Panels:
    """Draw zeta of each parameter, with intervals as brackets; see ``Profile.plot``."""
    paths = {path.name: path for path in profile.paths}
    names = list(paths) if parameters is None else list(parameters)
    for name in names:
        if name not in paths:
            raise ValueError(f"the profile has no parameter {name!r}; it has {', '.join(paths)}")
    columns, look = min(3, len(names)), theme()
    rows = ceil(len(names) / columns)
    figure, shown = panels(rows, columns, 3.2, 2.7, axes=axes, used=len(names))
    levels = [level for level in (0.5, 0.8, 0.9, 0.95, 0.99) if level <= profile.level]
    limits = {level: profile.conf_int(level) for level in levels}
    for axis, name in zip(shown, names, strict=True):
        path = paths[name]
        centre = float(path.value[int(np.argmin(np.abs(path.zeta)))])
        axis.axhline(0.0, color=look.faint, linewidth=1.0)
        axis.axvline(centre, color=look.faint, linewidth=1.0)
        for level in levels:
            low, high = limits[level].loc[name].to_numpy(dtype=float).tolist()
            z = float(t_quantile(level))
            axis.vlines([low, high], [-z, 0.0], [0.0, z], color=look.accent, linewidth=1.0)
            axis.hlines(0.0, low, high, color=look.accent, linewidth=1.0)
        axis.plot(path.value, path.zeta, color=look.ink, linewidth=1.4)
        axis.plot(path.value, path.zeta, "o", color=look.ink, markersize=2.5)
        axis.set_title(name, fontsize="medium")
        axis.set_ylabel("zeta")
        axis.label_outer(remove_inner_ticks=False)
        axis.tick_params(labelbottom=True, labelleft=True)
    text = ", ".join(f"{100 * level:.0f}" for level in levels)
    return finish(figure, f"Profiles, with {text} % intervals", shown, axes)


def coefficient_axes(
    tables: dict[str, pd.DataFrame],
    names: Sequence[str] | None,
    ax: Axes | None = None,
    title: str = "Coefficients",
    label: str = "estimate",
) -> Axes:
    """Draw estimates with intervals, models side by side; columns estimate, lower, upper."""
    known = list(dict.fromkeys(str(name) for table in tables.values() for name in table.index))
    chosen = [name for name in known if name != "Intercept"] if names is None else list(names)
    chosen = chosen or known
    for name in chosen:
        if name not in known:
            raise ValueError(f"no model has a coefficient {name!r}; there are {', '.join(known)}")
    height = 1.3 + 0.26 * len(chosen) * max(1.4, len(tables))
    figure, made = panels(1, 1, 6.4, float(np.clip(height, 2.4, 14.0)), axes=ax)
    axis, look = made[0], theme()
    axis.axvline(0.0, color=look.grey, linewidth=1.0)
    step = 0.7 / max(len(tables), 1)
    for m, (name, table) in enumerate(tables.items()):
        rows = table.reindex(chosen)
        places = np.arange(len(chosen)) + step * (m - 0.5 * (len(tables) - 1))
        intervals(axis, rows, places, m, name if len(tables) > 1 else None)
    axis.set_yticks(np.arange(len(chosen)), chosen)
    axis.set_ylim(len(chosen) - 0.4, -0.6)
    axis.set_xlabel(label)
    if len(tables) > 1 and ax is None:
        figure.legend(loc="outside lower left", frameon=False, ncols=2, fontsize="small")
    elif len(tables) > 1:
        axis.legend(fontsize="small")
    return titled(axis, title)


def intervals(
    axis: Axes, rows: pd.DataFrame, places: Any, i: int = 0, label: str | None = None
) -> None:
    """Draw estimates with their limits from left to right, the i-th of several sets."""
    middle = rows["estimate"].to_numpy(dtype=float)
    spread = np.abs(np.vstack([middle - rows["lower"], rows["upper"] - middle]))
    axis.errorbar(
        middle,
        places,
        xerr=spread,
        fmt=MARKERS[i % len(MARKERS)],
        markersize=5.0,
        linewidth=1.5,
        color=theme().colour(i),
        label=label,
    )
