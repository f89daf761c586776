"""Figures of profiles and of the coefficients of several models."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...inference.coverage import t_quantile
from .base import ACCENT, FAINT, INK, PALETTE, finish, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["coefficient_figure", "profile_figure"]


def profile_figure(profile: Any, parameters: Sequence[str] | None) -> Figure:
    """Draw zeta of each parameter, with intervals as brackets; see ``Profile.plot``."""
    paths = {path.name: path for path in profile.paths}
    names = list(paths) if parameters is None else list(parameters)
    for name in names:
        if name not in paths:
            raise ValueError(f"the profile has no parameter {name!r}; it has {', '.join(paths)}")
    columns = min(3, len(names))
    figure, axes = panels(ceil(len(names) / columns), columns, 3.2, 2.7)
    levels = [level for level in (0.5, 0.8, 0.9, 0.95, 0.99) if level <= profile.level]
    limits = {level: profile.conf_int(level) for level in levels}
    for axis, name in zip(axes, names, strict=False):
        path = paths[name]
        centre = float(path.value[int(np.argmin(np.abs(path.zeta)))])
        axis.axhline(0.0, color=FAINT, linewidth=1.0)
        axis.axvline(centre, color=FAINT, linewidth=1.0)
        for level in levels:
            low, high = limits[level].loc[name].to_numpy(dtype=float).tolist()
            z = float(t_quantile(level))
            axis.vlines([low, high], [-z, 0.0], [0.0, z], color=ACCENT, linewidth=1.0)
            axis.hlines(0.0, low, high, color=ACCENT, linewidth=1.0)
        axis.plot(path.value, path.zeta, color=INK, linewidth=1.4)
        axis.plot(path.value, path.zeta, "o", color=INK, markersize=2.5)
        axis.set_title(name, fontsize=9)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.supylabel("zeta", fontsize=10)
    shown = ", ".join(f"{100 * level:.0f}" for level in levels)
    return finish(figure, f"Profiles, with {shown} % intervals")


def coefficient_figure(tables: dict[str, pd.DataFrame], names: Sequence[str] | None) -> Figure:
    """Draw estimates with intervals, models side by side; columns estimate, lower, upper."""
    known = list(dict.fromkeys(str(name) for table in tables.values() for name in table.index))
    chosen = [name for name in known if name != "Intercept"] if names is None else list(names)
    chosen = chosen or known
    for name in chosen:
        if name not in known:
            raise ValueError(f"no model has a coefficient {name!r}; there are {', '.join(known)}")
    height = 1.2 + 0.28 * len(chosen) * max(2, len(tables))
    figure, axes = panels(1, 1, 6.4, float(np.clip(height, 2.2, 12.0)))
    axis = axes[0]
    axis.axvline(0.0, color=FAINT, linewidth=1.0)
    step = 0.7 / max(len(tables), 1)
    for m, (label, table) in enumerate(tables.items()):
        rows = table.reindex(chosen)
        places = np.arange(len(chosen)) + step * (m - 0.5 * (len(tables) - 1))
        middle = rows["estimate"].to_numpy()
        spread = np.abs(np.vstack([middle - rows["lower"], rows["upper"] - middle]))
        axis.errorbar(
            middle,
            places,
            xerr=spread,
            fmt="o",
            markersize=4.5,
            linewidth=1.5,
            color=PALETTE[m % len(PALETTE)],
            label=label,
        )
    axis.set_yticks(np.arange(len(chosen)), chosen)
    axis.set_ylim(len(chosen) - 0.4, -0.6)
    axis.set_xlabel("estimate")
    if len(tables) > 1:
        figure.legend(frameon=False, fontsize=8, loc="outside lower left")
    return finish(figure, "Coefficients")
