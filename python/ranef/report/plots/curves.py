"""Figures of predicted means along variables of the fixed part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.encode import encode
from ...design.frame import open_frame, used_instead
from ...errors import UnsupportedError
from ...families.links import link_named
from ...inference.coverage import check_level, t_quantile
from ...inference.emmeans import crossed, marginal_rows, reference_grid
from ...inference.hypotheses.linear import not_estimable
from ..augment import used_rows
from .base import MARKERS, Panels, finish, legend, one, panels, theme, titled
from .drawn import Drawn, drawn_terms, predicted_label, response_label
from .random import term_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effects_figure", "predictions_axes"]

#: Points of a curve; values of a number drawn as they are; most groups with lines.
STEPS, FEW, MOST_LINES = 60, 5, 60


@dataclass(frozen=True)
class Curves:
    """Predicted means over a grid of two variables.

    Attributes
    ----------
    grid : dict of str to Series
        Values of every variable.
    x : Series of length m
        Values along the axis.
    levels : list
        Values of the other variable; one that is None without one.
    is_numeric : bool
        Whether the axis is one of numbers; those that ``C()`` marks are categories.
    eta, lower, upper : ndarray of shape (levels, m)
        Predictors, and limits of the means.
    """

    grid: dict[str, pd.Series[Any]]
    x: pd.Series[Any]
    levels: list[Any]
    is_numeric: bool
    eta: Array
    lower: Array
    upper: Array

    @property
    def places(self) -> Array:
        """Where the values stand on the axis."""
        if self.is_numeric:
            return self.x.to_numpy(dtype=float)
        return np.arange(len(self.x), dtype=float)


def is_number(values: pd.Series[Any]) -> bool:
    """Tell numbers from categories and truth values."""
    dtype = values.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def curves_of(
    model: Drawn, x: str, by: str | None, at: Mapping[str, Any], level: float, steps: int = STEPS
) -> Curves:
    """Predict means along a variable for each value of another."""
    parts, design = model.parts, model.parts.design
    check_level(level)
    check_means(parts)
    if getattr(parts.estimate, "absorption", None) is not None:
        raise UnsupportedError(
            "means depend on the absorbed effects, which have no level in the population; "
            "plot.coefficients() shows slopes, and ranef.lmer predicts means"
        )
    data = parts.training_data("fit again by model.update(data=...) to draw predictions")
    start = reference_grid(design, data, at)
    for name in (x,) if by is None else (x, by):
        if name not in start:
            raise ValueError(f"the fixed part does not use {name!r}{used_instead(name, start)}")
    if x == by:
        raise ValueError(f"x and by are both {x!r}; by is another variable")
    used = used_rows(design, data)
    values = {x: spread_out(used[x], start[x], steps), **dict(at)}
    if by is not None and by not in at:
        values[by] = few_of(used[by], start[by])
    grid = reference_grid(design, data, values)
    keep = [x] if by is None else [x, by]
    cells, L, offset = marginal_rows(design, grid, keep)
    m = len(grid[x])
    levels = [None] if by is None else list(grid[by])
    eta, lower, upper = (
        part.reshape(len(levels), m) for part in limits_of_rows(parts, L, offset, level)
    )
    numeric = is_number(start[x]) and len(start[x]) == 1
    places = cells[x].iloc[:m].reset_index(drop=True)
    return Curves(grid, places, levels, numeric, eta, lower, upper)


def check_means(parts: Any) -> None:
    """Refuse a model whose means are not those of the formula's variables alone."""
    if parts.no_means:
        raise UnsupportedError(f"means along a variable are not predicted: {parts.no_means}")


def spread_out(used: pd.Series[Any], values: pd.Series[Any], steps: int) -> list[Any]:
    """Values along the axis: all levels, or steps over the range of a number."""
    if not is_number(values) or len(values) > 1:
        return values.tolist()
    numbers = used.to_numpy(dtype=float, na_value=np.nan)
    return list(np.linspace(np.nanmin(numbers), np.nanmax(numbers), steps))


def few_of(used: pd.Series[Any], values: pd.Series[Any]) -> list[Any]:
    """Values for lines: all levels; of a number its few values, or mean and one sd either way."""
    if not is_number(values) or len(values) > 1:
        return values.tolist()
    numbers = used.to_numpy(dtype=float, na_value=np.nan)
    distinct = np.unique(numbers[np.isfinite(numbers)])
    if len(distinct) <= FEW:
        return list(distinct)
    mean, sd = float(np.nanmean(numbers)), float(np.nanstd(numbers))
    return [mean - sd, mean, mean + sd]


def limits_of_rows(parts: Any, L: Array, offset: Array, level: float) -> tuple[Array, Array, Array]:
    """Predictors of rows of the fixed part, and limits of their means; NaN where not estimable."""
    positions = getattr(parts.estimate, "positions", None)
    if positions is not None:  # least squares leaves columns out of its coefficients
        L = L[:, np.asarray(positions)]
    kept = parts.kept[parts.kept < L.shape[1]]
    rows = L[:, kept]
    approximation = parts.approximation()
    cov = approximation.cov[: len(kept), : len(kept)]
    eta = rows @ parts.beta[kept] + offset
    half = np.sqrt(np.einsum("ij,jk,ik->i", rows, cov, rows))
    whole = approximation.cov.shape[0]
    padded = np.column_stack([rows, np.zeros((len(rows), whole - len(kept)))])
    df = np.asarray(approximation.df(padded), float)
    half = np.asarray(t_quantile(level, df)) * half
    if len(kept) < L.shape[1] and hasattr(parts, "aliasing"):
        lost = not_estimable(L, kept, *parts.aliasing())
        eta = np.where(lost, np.nan, eta)
    link = link_named(parts.link)
    lower, upper = link.limits(eta, half)
    return eta, lower, upper


# ------------------------------------------------------------------ drawing


def predictions_axes(
    model: Drawn,
    x: str,
    by: str | None,
    *,
    at: Mapping[str, Any],
    group: str | None,
    lines: bool,
    points: bool,
    level: float,
    ax: Axes | None,
) -> Axes:
    """Draw predicted means along a variable; see ``ModelPlots.predictions``."""
    if group is None and by in {term.group for term in model.parts.design.random}:
        by, group = groups_alone(model, by)
    curves = curves_of(model, x, by, at, level)
    axis = one(ax, 6.0 if by else 5.2, 3.8)
    used = used_rows(model.parts.design, model.parts.data)
    if points and model.parts.draws_points:
        draw_points(axis, model, curves, used, x, by)
    terms = drawn_terms(model)
    encoded = len(model.parts.design.encoder.random) == len(terms)
    grouped = bool(lines and terms and encoded)
    if grouped and term_of(model.parts.design.random, group)[0].is_single:
        grouped = draw_groups(axis, model, curves, used, x, by, group)
    draw_curves(axis, model, curves, by)
    axis.set(xlabel=x, ylabel=response_label(model))
    if by is not None:
        legend(axis, by, ax is None)
    shown = f"{predicted_label(model)} along {x}, {level:.0%} intervals"
    if grouped:
        shown += f"; thin lines: {term_of(terms, group)[0].group}"
    return titled(axis, shown)


def groups_alone(model: Drawn, by: str | None) -> tuple[str | None, str | None]:
    """Take ``by`` for the factor whose levels have lines, unless the fixed part uses it too."""
    parts = model.parts
    used = reference_grid(parts.design, parts.training_data("fit again to draw predictions"), {})
    return (by, None) if by in used else (None, by)


def named(level: Any) -> str:
    """Write a level for a legend."""
    is_real = isinstance(level, float | np.floating)
    return f"{level:.4g}" if is_real else str(level)


def draw_curves(axis: Axes, model: Drawn, curves: Curves, by: str | None) -> None:
    """Draw means with their limits: bands along numbers, bars of categories."""
    link, look = link_named(model.parts.link), theme()
    k = len(curves.levels)
    for i, level in enumerate(curves.levels):
        mean, colour = link.mean(curves.eta[i]), look.colour(i)
        label = None if by is None else named(level)
        mark = MARKERS[i % len(MARKERS)]
        if curves.is_numeric:
            x = curves.places
            axis.fill_between(
                x,
                curves.lower[i],
                curves.upper[i],
                color=colour,
                alpha=0.3,
                linewidth=0.0,
                zorder=3,
            )
            every = max(1, len(x) // 6)
            axis.plot(
                x,
                mean,
                color=colour,
                linewidth=2.2,
                marker=mark if k > 1 else "",
                markevery=every,
                markersize=5.0,
                label=label,
                zorder=4,
            )
            continue
        place = curves.places + 0.5 * (i - 0.5 * (k - 1)) / max(k, 2)
        error = np.abs(np.vstack([mean - curves.lower[i], curves.upper[i] - mean]))
        axis.errorbar(
            place,
            mean,
            yerr=error,
            fmt=mark + ("-" if k > 1 else ""),
            color=colour,
            markersize=6.0,
            linewidth=1.8,
            label=label,
            zorder=4,
        )
    if not curves.is_numeric:
        name_places(axis, curves.x)


def name_places(axis: Axes, values: Sequence[Any] | pd.Series[Any]) -> None:
    """Write categories below an axis, aslant if they are long."""
    names = [str(value) for value in values]
    aslant = sum(map(len, names)) > 45
    axis.set_xticks(
        range(len(names)),
        names,
        rotation=40 if aslant else 0,
        ha="right" if aslant else "center",
    )
    axis.set_xlim(-0.6, len(names) - 0.4)


def line_of(curves: Curves, used: pd.DataFrame, by: str | None) -> Array:
    """Which of the lines each row belongs to: of a number the nearest."""
    if by is None:
        return np.zeros(len(used), dtype=int)
    values = used[by]
    if is_number(values):
        levels = np.array(curves.levels, float)
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        return np.asarray(np.abs(numbers[:, None] - levels).argmin(axis=1))
    place = {level: i for i, level in enumerate(curves.levels)}
    return np.array([place.get(value, -1) for value in values])


def abscissa(curves: Curves, used: pd.DataFrame, x: str) -> Array:
    """Where the rows stand on the axis."""
    if curves.is_numeric:
        return used[x].to_numpy(dtype=float, na_value=np.nan)
    place = {value: i for i, value in enumerate(curves.x)}
    return np.array([place.get(value, np.nan) for value in used[x]], dtype=float)


def draw_points(
    axis: Axes, model: Drawn, curves: Curves, used: pd.DataFrame, x: str, by: str | None
) -> None:
    """Draw the responses; those at categories a little apart."""
    look, y = theme(), model.parts.design.y
    lines, place = line_of(curves, used, by), abscissa(curves, used, x)
    k = len(curves.levels)
    if not curves.is_numeric:
        jitter = np.random.default_rng(0).uniform(-0.08, 0.08, len(place))
        place = place + 0.5 * (lines - 0.5 * (k - 1)) / max(k, 2) + jitter
    size = 3.5 if len(y) < 500 else 2.0 if len(y) < 5000 else 1.0
    for i in range(k):
        rows = lines == i
        axis.plot(
            place[rows],
            y[rows],
            MARKERS[i % len(MARKERS)],
            color=look.grey if by is None else look.colour(i),
            markersize=size,
            markeredgewidth=0.0,
            alpha=0.45,
            zorder=1,
        )


def draw_groups(
    axis: Axes,
    model: Drawn,
    curves: Curves,
    used: pd.DataFrame,
    x: str,
    by: str | None,
    group: str | None,
) -> bool:
    """Draw the line of each group over the rows that it has; whether there is any.

    There is none where the fixed part lacks a variable of the term, or no group has two rows there.
    """
    design, link, look = model.parts.design, link_named(model.parts.link), theme()
    term, t = term_of(design.random, group)
    z = group_rows(model, curves, x, by, t)  # (lines, m, s)
    if z is None:
        return False
    modes = model.parts.estimate.modes[t]
    lines, place, at = line_of(curves, used, by), abscissa(curves, used, x), curves.places
    chosen = np.unique(
        np.linspace(0, term.n_levels - 1, min(MOST_LINES, term.n_levels)).astype(int)
    )
    thin, drawn = float(np.clip(12.0 / len(chosen), 0.35, 0.8)), False
    order = np.argsort(term.codes, kind="stable")
    ends = np.cumsum(np.bincount(term.codes, minlength=term.n_levels))
    for code in chosen:
        rows = order[ends[code - 1] if code else 0 : ends[code]]
        for i in np.unique(lines[rows]):
            own = place[rows[lines[rows] == i]]
            own = own[np.isfinite(own)]
            if i < 0 or len(np.unique(own)) < 2:
                continue
            seen, drawn = (at >= own.min()) & (at <= own.max()), True
            mean = link.mean(curves.eta[i] + z[i] @ modes[code])
            axis.plot(
                at[seen],
                mean[seen],
                color=look.grey if by is None else look.colour(int(i)),
                linewidth=thin,
                alpha=0.6,
                zorder=2,
            )
    return drawn


def group_rows(model: Drawn, curves: Curves, x: str, by: str | None, t: int) -> Array | None:
    """Columns of a random-effects term over the grid, averaged as the fixed part is.

    None where the term has a variable that the fixed part has not.
    """
    design = model.parts.design
    keep = [x] if by is None else [x, by]
    table = crossed({name: curves.grid[name] for name in keep} | dict(curves.grid))
    term = design.random[t]
    needed = {name for part in design.encoder.random[t] for name, _ in part.parts}
    frame = open_frame(table)
    if not all(name in frame for name in needed if name.isidentifier()):
        return None
    found = encode(design, table, random=[term.group], coded=False).terms[t]
    assert found is not None
    size = len(curves.levels) * len(curves.x)
    mean = found.z.reshape(-1, size, term.n_cols).mean(axis=0)
    return np.asarray(mean.reshape(len(curves.levels), len(curves.x), term.n_cols))


# ------------------------------------------------------------------ effects


def effects_figure(model: Drawn, level: float, points: bool, axes: Any = None) -> Panels:
    """Draw a panel for each term of the fixed part that no larger term contains."""
    chosen = largest_terms(model)
    if not chosen:
        raise ValueError("the fixed part has no variable to draw over")
    columns = min(3, len(chosen))
    rows = ceil(len(chosen) / columns)
    wide = any(len(term) > 1 for term in chosen)
    used = used_rows(model.parts.design, model.parts.data)
    figure, shown = panels(rows, columns, 4.4 if wide else 3.6, 3.2, axes=axes, used=len(chosen))
    for axis, term in zip(shown, chosen, strict=True):
        x, by = term[0], term[1] if len(term) > 1 else None
        curves = curves_of(model, x, by, {}, level)
        if points and model.parts.draws_points:
            draw_points(axis, model, curves, used, x, by)
        draw_curves(axis, model, curves, by)
        axis.set(xlabel=x, ylabel=response_label(model))
        if by is not None:
            legend(axis, by, axes is None)
        over = f" (averaged over {', '.join(term[2:])})" if len(term) > 2 else ""
        axis.set_title(" by ".join(term[:2]) + over, fontsize="medium")
    return finish(figure, f"Effects, {level:.0%} intervals", shown, axes)


def largest_terms(model: Drawn) -> list[list[str]]:
    """Variables of the terms that no larger term contains, numbers of many values first."""
    from ...design.expressions import columns_of

    parts = model.parts
    check_means(parts)
    design, data = parts.design, parts.training_data("give a model with its data")
    frame, start = open_frame(data), reference_grid(design, data, {})
    found: list[set[str]] = []
    encoder = design.encoder
    for term in encoder.formula.terms:
        names: set[str] = set()
        for factor in term.factors:
            if factor.expr in start:
                names.add(factor.expr)
            else:
                names |= set(columns_of(factor.expr, frame, encoder.formula.evaluation))
        found.append({name for name in names if name in start})
    largest = [s for s in found if s and not any(s < other for other in found)]
    order = list(start)
    distinct = [s for i, s in enumerate(largest) if s not in largest[:i]]
    distinct.sort(key=lambda names: min(map(order.index, names)))

    def rank(name: str) -> tuple[bool, int]:
        many = is_number(start[name]) and frame.series(name).nunique() > FEW
        return (not many, order.index(name))

    return [sorted(names, key=rank) for names in distinct]
