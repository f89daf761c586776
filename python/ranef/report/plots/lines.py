"""Fitted lines of the levels of a grouping factor over one variable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...families.links import link_named
from ...inference.prediction.predict import fixed_part, random_part
from ..augment import used_rows
from .base import Panels, finish, panels, theme
from .drawn import Drawn, response_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["lines_figure"]


#: A column with fewer values is an indicator, over which a line says little.
FEW_VALUES = 3


@dataclass(frozen=True)
class Abscissa:
    """What the lines are drawn over.

    Attributes
    ----------
    name : str
        Its name.
    values : ndarray of shape (n,)
        Numbers, or positions in ``labels``.
    labels : tuple of str
        Values of a categorical variable, else empty.
    """

    name: str
    values: Array
    labels: tuple[str, ...] = ()


def lines_figure(model: Drawn, t: int, x: str | None, most: int, given: Any = None) -> Panels:
    """Draw data, fitted values and the population's line level by level of term ``t``."""
    if most < 1:
        raise ValueError(f"most is a number of levels, 1 or more, not {most}")
    parts, look = model.parts, theme()
    design, estimate = parts.design, parts.estimate
    term, over, link = design.random[t], _abscissa(design, parts.data, t, x), link_named(parts.link)
    fixed = fixed_part(design, estimate)
    fixed, fitted = link.mean(fixed), link.mean(fixed + random_part(design, estimate.modes))
    order = np.argsort(estimate.modes[t][:, 0], kind="stable")
    chosen = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).astype(int))
    population: dict[str, Any] = {"linestyle": "--", "color": look.grey, "linewidth": 1.5}
    level: dict[str, Any] = {"color": look.accent, "linewidth": 1.8}
    columns = min(5, len(chosen))
    height = 2.1 if over.labels else 1.9
    shape = (ceil(len(chosen) / columns), columns)
    used = len(chosen)
    figure, axes = panels(*shape, 2.0, height, shared=True, axes=given, used=used)
    for axis, code in zip(axes, order[chosen], strict=True):
        rows = np.flatnonzero(term.codes == code)
        rows = rows[np.argsort(over.values[rows], kind="stable")]
        places = np.unique(over.values[rows])
        for means, style in ((fixed, population), (fitted, level)):
            axis.plot(places, _mean_at(places, over.values[rows], means[rows]), **style)
        if parts.draws_points:
            axis.plot(over.values[rows], design.y[rows], "o", color=look.ink, markersize=2.5)
        axis.set_title(str(term.levels[code]), fontsize="small")
        axis.tick_params(labelsize="small")
    _finish_grid(axes, columns, over.labels)
    labels = ["population", "level", "data"][: len(axes[0].lines)]
    if given is None:
        figure.supxlabel(over.name)
        figure.supylabel(response_label(model))
        figure.legend(axes[0].lines, labels, ncols=3, loc="outside lower right", frameon=False)
    shown = (
        "" if len(chosen) == len(order) else f" ({len(chosen)} of {counted(len(order), 'level')})"
    )
    return finish(figure, f"Fitted by {term.group}{shown}", axes, given)


def _mean_at(places: Array, x: Array, means: Array) -> Array:
    """Average over the rows at each place, so that a line has one height there."""
    at = np.searchsorted(places, x)
    return np.bincount(at, means, len(places)) / np.bincount(at, minlength=len(places))


def _finish_grid(axes: list[Axes], columns: int, labels: tuple[str, ...]) -> None:
    """Write numbers below the lowest panel of each column."""
    for axis in axes[max(0, len(axes) - columns) :]:
        axis.tick_params(labelbottom=True)
        if labels:
            axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")


def _abscissa(design: Design, data: Any, t: int, x: str | None) -> Abscissa:
    """Find the variable that was asked for, or one that varies within the levels."""
    if x is None:
        return _default(design, data, t)
    for over in _numeric(design, t):
        if over.name == x:
            return over
    frame = None if data is None else used_rows(design, data)
    if frame is not None and x in frame.columns:
        return _column(frame, x)
    known = [over.name for over in _numeric(design, t)]
    known += [] if frame is None else map(str, frame.columns)
    raise ValueError(f"x must be one of {', '.join(dict.fromkeys(known))}, not {x!r}")


def _default(design: Design, data: Any, t: int) -> Abscissa:
    """Take the first variable that varies within levels: numeric, else categorical, else any."""
    term, numeric = design.random[t], list(_numeric(design, t))
    for over in numeric:
        if _varies(over.values, term) and _spread(over.values, term) >= FEW_VALUES:
            return over
    if data is not None:
        frame = used_rows(design, data)
        for name, _ in design.fixed_terms:
            if name in frame.columns and _varies((over := _column(frame, name)).values, term):
                return over
    if not numeric:
        raise ValueError("the model has no covariate to draw over; name a column of the data by x=")
    return numeric[0]


def _numeric(design: Design, t: int) -> Iterator[Abscissa]:
    """Columns of the model by the names that they have there, those of the term first."""
    term = design.random[t]
    names = [*term.names, *design.fixed_names]
    references = [*term.columns, *design.fixed]
    for name, reference in zip(names, references, strict=True):
        if reference >= 0:
            yield Abscissa(name, design.columns[reference])


def _column(frame: pd.DataFrame, name: str) -> Abscissa:
    """Read a column of the data."""
    values = frame[name]
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return Abscissa(name, values.to_numpy(dtype=np.float64, na_value=np.nan))
    levels = pd.Categorical(values)
    codes = np.where(levels.codes < 0, np.nan, levels.codes)
    return Abscissa(name, codes, tuple(map(str, levels.categories)))


def _spread(values: Array, term: RandomTerm) -> float:
    """Count the distinct values of the level that has most."""
    pairs = np.unique(np.column_stack([term.codes, values]), axis=0)
    return float(np.bincount(pairs[:, 0].astype(np.intp)).max())


def _varies(values: Array, term: RandomTerm) -> bool:
    """Whether values differ within some level."""
    _, first = np.unique(term.codes, return_index=True)
    return bool(np.any(values != values[first][term.codes]))
