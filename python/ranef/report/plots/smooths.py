"""Figures of smooth terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._typing import Array
from ...design.design import RandomTerm
from ...design.smooths.fitted import FittedSmooth
from ...inference.coverage import check_level
from ...inference.smooths.curve import curve_of
from ...inference.smooths.table import Fitted
from .base import Panels, finish, panels, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["smooths_figure"]

#: Points of a curve, and along each side of a surface.
POINTS, SIDE = 150, 40
#: Panels in a row, and levels of which each has a curve of its own colour.
ACROSS, FEW = 3, 10


def smooths_figure(
    fit: Fitted,
    terms: str | Sequence[str] | None = None,
    level: float = 0.95,
    axes: Any = None,
) -> Panels:
    """Draw smooth terms, a panel each.

    Parameters
    ----------
    fit : Fitted
        The fit.
    terms : str or sequence of str, optional
        Names of terms; all by default.
    level : float
        Coverage of the bands: the darker one is pointwise, the lighter one simultaneous.
    axes : sequence of Axes, optional
        Where to draw; one for each term.

    Notes
    -----
    A curve has marks at the values that occur; a surface, contours and the rows. Of more than two
    variables the others are at their means. A smooth for each level of a factor has one line per
    level.
    """
    known = {t.group: i for i, t in enumerate(fit.design.random) if t.smooth is not None}
    chosen = list(known) if terms is None else [terms] if isinstance(terms, str) else list(terms)
    for name in chosen:
        if name not in known:
            raise ValueError(f"terms must be among {', '.join(map(repr, known))}, not {name!r}")
    check_level(level)
    across = min(ACROSS, len(chosen))
    rows = -(-len(chosen) // across)
    figure, shown = panels(rows, across, 3.9, 3.2, axes=axes, used=len(chosen))
    for name, axis in zip(chosen, shown, strict=False):
        _draw(axis, fit, known[name], level)
    smooths = [fit.design.random[known[name]].smooth for name in chosen]
    bands = any(s is not None and s.is_curve and len(s.variables) == 1 for s in smooths)
    title = f"Smooth terms, {level:.0%} bands" if bands else "Smooth terms"
    return finish(figure, title, shown, axes)


def _draw(axis: Axes, fit: Fitted, t: int, level: float) -> None:
    """Draw one term."""
    term = fit.design.random[t]
    smooth = term.smooth
    assert smooth is not None
    if not smooth.is_curve:
        _levels(axis, fit, t, term, smooth)
    elif len(smooth.variables) == 1:
        _curve(axis, fit, t, smooth, level)
    else:
        _surface(axis, fit, t, smooth)
    axis.set_title(smooth.label, loc="left")


def _data(fit: Fitted, smooth: FittedSmooth, name: str) -> Array:
    """Values of a variable in the rows of the fit, as far as its columns tell them."""
    design = fit.design
    centre = smooth.centre[smooth.variables.index(name)]
    label = f"{smooth.label}[{name}]"
    if label in design.fixed_names and smooth.smooth.by is None:
        return np.asarray(design.columns[design.fixed[design.fixed_names.index(label)]] + centre)
    return np.empty(0)


def _grid(smooth: FittedSmooth, count: int) -> list[Array]:
    return [np.linspace(low, high, count) for low, high in smooth.ranges]


def _curve(axis: Axes, fit: Fitted, t: int, smooth: FittedSmooth, level: float) -> None:
    """Draw a curve with its bands."""
    name, (x,) = smooth.variables[0], _grid(smooth, POINTS)
    curve = curve_of(fit, t, x[:, None], None)
    for band, alpha in (("simultaneous", 0.15), ("pointwise", 0.25)):
        half = curve.half_width(band, level, 0)
        axis.fill_between(
            x, curve.fit - half, curve.fit + half, color=theme().accent, alpha=alpha, linewidth=0
        )
    axis.axhline(0.0, color=theme().faint, linewidth=1.0)
    axis.plot(x, curve.fit, color=theme().accent, linewidth=1.8)
    at = np.unique(_data(fit, smooth, name))
    if len(at):
        marks = axis.get_xaxis_transform()
        axis.plot(
            at, np.zeros(len(at)), "|", color=theme().ink, markersize=7, alpha=0.5, transform=marks
        )
    joint = fit.joint
    edf = float(joint.edf()[fit.places(t, joint)].sum())
    axis.set(xlabel=name, ylabel=f"{smooth.label}, edf {edf:.1f}")


def _surface(axis: Axes, fit: Fitted, t: int, smooth: FittedSmooth) -> None:
    """Draw a surface by contours."""
    from matplotlib.ticker import MaxNLocator

    first, second, *rest = smooth.variables
    a, b = _grid(smooth, SIDE)[:2]
    A, B = np.meshgrid(a, b)
    means = [np.full(A.size, smooth.centre[j + 2]) for j in range(len(rest))]
    x = np.column_stack([A.ravel(), B.ravel(), *means])
    z = curve_of(fit, t, x, None).fit.reshape(A.shape)
    largest = float(np.abs(z).max()) or 1.0
    filled = axis.contourf(A, B, z, levels=np.linspace(-largest, largest, 21), cmap="RdBu_r")
    axis.contour(A, B, z, levels=8, colors=theme().ink, linewidths=0.5)
    rows = [_data(fit, smooth, name) for name in (first, second)]
    if len(rows[0]) and len(rows[1]):
        axis.plot(*rows, ".", color=theme().ink, markersize=2, alpha=0.4)
    bar = axis.figure.colorbar(filled, ax=axis, ticks=MaxNLocator(8))
    bar.ax.tick_params(labelsize=7)
    held = "".join(f", {n} = {smooth.centre[j + 2]:.3g}" for j, n in enumerate(rest))
    axis.set(xlabel=first + held, ylabel=second)


def _levels(axis: Axes, fit: Fitted, t: int, term: RandomTerm, smooth: FittedSmooth) -> None:
    """Draw the curve of each level."""
    (x,) = _grid(smooth, POINTS)
    random = smooth.columns(x[:, None])[1]
    few = term.n_levels <= FEW
    colours = [theme().colour(i) if few else theme().accent for i in range(term.n_levels)]
    axis.axhline(0.0, color=theme().faint, linewidth=1.0)
    for level, modes, colour in zip(term.levels, fit.modes[t], colours, strict=True):
        label = str(level) if term.n_levels <= FEW else None
        axis.plot(x, random @ modes, color=colour, linewidth=1.2, alpha=0.8, label=label)
    if term.n_levels <= FEW:
        axis.legend(frameon=False, fontsize=7, title=smooth.group, title_fontsize=7)
    axis.set(xlabel=smooth.variables[0], ylabel=smooth.label)
