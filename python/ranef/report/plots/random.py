"""Figures of random effects: caterpillars and shrinkage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._options import check_name
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...inference.coverage import t_quantile
from ...inference.prediction.predict import fixed_part, random_part
from ..effects import RandomEffects
from .base import Panels, finish, legend, panels, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["caterpillar_figure", "shrinkage_axes", "term_of"]

#: Levels above which none is named.
MOST_LABELS = 60


def term_of(terms: Sequence[RandomTerm], group: str | None) -> tuple[RandomTerm, int]:
    """Find the term of a grouping factor, the first by default, and its place."""
    known = [term.group for term in terms]
    if group is None:
        return terms[0], 0
    place = known.index(check_name("group", group, known))
    return terms[place], place


def caterpillar_figure(
    effects: RandomEffects, term: RandomTerm, level: float, axes: Any = None
) -> Panels:
    """Draw conditional modes in order, with intervals."""
    frame, cov, look = effects[term.group], effects.cov[term.group], theme()
    z = float(t_quantile(level))
    height = float(np.clip(0.16 * term.n_levels + 1.2, 3.0, 11.0))
    thick = float(np.clip(50.0 * height / term.n_levels, 0.3, 1.2))  # points a level, 3/4 of it
    figure, shown = panels(1, term.n_cols, 3.4, height, axes=axes)
    places = np.arange(term.n_levels)
    few = term.n_levels <= MOST_LABELS
    for j, (name, axis) in enumerate(zip(term.names, shown, strict=True)):
        modes, sd = frame.iloc[:, j].to_numpy(), np.sqrt(cov[:, j, j])
        order = np.argsort(modes, kind="stable")
        clear = np.abs(modes[order]) > z * sd[order]
        axis.axvline(0.0, color=look.faint, linewidth=1.0)
        for chosen, colour, mark in ((clear, look.accent, "o"), (~clear, look.grey, "s")):
            axis.errorbar(
                modes[order][chosen],
                places[chosen],
                xerr=z * sd[order][chosen],
                fmt=mark,
                markersize=min(3.5, 4.0 * thick),
                linewidth=thick,
                color=colour,
            )
        axis.set_yticks(places if few else [])
        axis.set_yticklabels(
            [str(term.levels[i]) for i in order] if few else [], fontsize="x-small"
        )
        axis.set_ylim(-0.8, term.n_levels - 0.2)
        axis.set_title(name, fontsize="medium")
        axis.set_xlabel("conditional mode")
    shown[0].set_ylabel(f"{term.group}, in order of the mode")
    return finish(figure, f"Random effects of {term.group}, {level:.0%} intervals", shown, axes)


def shrinkage_axes(parts: Any, term: RandomTerm, t: int, ax: Axes | None = None) -> Axes:
    """Draw how far each level's own least-squares estimate is shrunk to the population's."""
    design, modes, look = parts.design, parts.estimate.modes[t], theme()
    raw = unpooled(design, parts.estimate, term, t)
    axis = panels(1, 1, 5.8, 5.0, axes=ax)[1][0]
    if term.n_cols == 1:
        order = np.argsort(modes[:, 0], kind="stable")
        place = np.argsort(order)
        raw, modes = (np.column_stack([b[:, 0], place]) for b in (raw, modes))
        axis.set(ylabel=f"{term.group}, in order of the mode", yticks=[])
        if term.n_levels <= MOST_LABELS:
            names = [str(term.levels[i]) for i in order]
            axis.set_yticks(range(term.n_levels), names, fontsize="x-small")
    else:
        raw, modes = raw[:, :2], modes[:, :2]
        axis.axhline(0.0, color=look.faint, linewidth=1.0)
        axis.set_ylabel(f"{term.names[1]}, deviation")
    axis.set_xlabel(f"{term.names[0]}, deviation")
    axis.axvline(0.0, color=look.faint, linewidth=1.0)
    usable = np.isfinite(raw).all(axis=1)
    start, moves = raw[usable], modes[usable] - raw[usable]
    axis.quiver(
        *start.T,
        *moves.T,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        width=0.0025,
        headwidth=5.0,
        color=look.grey,
        zorder=3,
    )
    size = 4.5 if term.n_levels <= 100 else 2.0
    axis.plot(*start.T, "s", color=look.second, markersize=size, label="each level alone")
    axis.plot(*modes.T, "o", color=look.accent, markersize=size, label="mixed model")
    legend(axis, "", False)
    return titled(axis, f"Shrinkage of {term.group}")


def unpooled(design: Design, estimate: Any, term: RandomTerm, t: int) -> Array:
    """Fit each level alone, as deviations; NaN where its rows do not determine it."""
    others = [b if i != t else np.zeros_like(b) for i, b in enumerate(estimate.modes)]
    rest = design.y - fixed_part(design, estimate) - random_part(design, tuple(others))
    z = design.z(term)
    root = np.ones(len(z)) if design.weights is None else np.sqrt(design.weights)
    order = np.argsort(term.codes, kind="stable")
    ends = np.cumsum(np.bincount(term.codes, minlength=term.n_levels))[:-1]
    out = np.full((term.n_levels, term.n_cols), np.nan)
    for level, rows in enumerate(np.split(order, ends)):
        scaled = root[rows, None] * z[rows]
        b, _, rank, _ = np.linalg.lstsq(scaled, root[rows] * rest[rows], rcond=None)
        if rank == term.n_cols:
            out[level] = b
    return out
