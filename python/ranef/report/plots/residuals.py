"""Figures of residuals, each with the range of those of simulated fits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ..._html import Preformatted
from ..._typing import Array
from ...errors import ModelError
from ...words.answers import Spoken
from ..checks.residual_tests import columns_of
from .base import one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ResidualPlots"]

#: Share of simulated fits between the ends of a band.
BAND = (0.025, 0.975)
#: Quantiles that are followed along a predictor.
QUANTILES = (0.25, 0.5, 0.75)
#: Values up to which responses are drawn one by one, and bins otherwise.
FEW_VALUES, BINS = 25, 30
#: Groups up to which each has its name, and letters of a category that is written level.
MOST_NAMES, SHORT_NAME = 25, 4


class Drawable(Protocol):
    """Residuals of a fit and of simulated fits."""

    @property
    def z(self) -> Array:
        """Residuals."""

    @property
    def simulated(self) -> Array:
        """Those of simulated fits."""

    @property
    def y(self) -> Array:
        """Responses."""

    @property
    def responses_drawn(self) -> Array:
        """Those that were drawn."""

    @property
    def fitted(self) -> Array:
        """Means."""

    @property
    def fitted_drawn(self) -> Array:
        """Means of simulated fits."""

    @property
    def along(self) -> str:
        """What the means are called."""

    @property
    def categories(self) -> tuple[Any, ...]:
        """Categories whose positions the responses are; none for numbers."""

    @property
    def frame(self) -> pd.DataFrame:
        """Rows of the fit."""

    def neighbours(self, time: Any = None, groups: Any = None) -> tuple[Array, Array]: ...

    def grouped(self, group: Any = None) -> tuple[str, NDArray[np.integer[Any]], pd.Index[Any]]: ...


class ResidualPlots(Spoken, Preformatted):
    """Figures of residuals: each takes ``ax=`` and returns it."""

    def __init__(self, residuals: Drawable):
        self._r = residuals

    def __repr__(self) -> str:
        return "<figures: qq(), against(x), spread(x), time(time), groups(group), responses()>"

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Raise: residuals have several figures, each with a name."""
        raise TypeError(
            "residuals.plot has several figures; name one, such as residuals.plot.qq() or "
            'residuals.plot.against("x"), or draw all by model.check()'
        )

    @property
    def _size(self) -> float:
        return 3.0 if len(self._r.z) < 2000 else 1.0

    def qq(self, ax: Axes | None = None) -> Axes:
        """Draw ordered residuals against normal quantiles, with the range of simulated fits."""
        axis, r = _axis(ax), self._r
        n = len(r.z)
        normal = scipy.special.ndtri((np.arange(n) + 0.5) / n)
        low, high = np.quantile(np.sort(r.simulated, axis=0), BAND, axis=1)
        axis.fill_between(normal, low, high, color=theme().faint, alpha=0.5, linewidth=0.0)
        axis.axline((0.0, 0.0), slope=1.0, color=theme().faint, linewidth=1.0)
        axis.plot(normal, np.sort(r.z), "o", color=theme().ink, markersize=self._size)
        axis.set(xlabel="normal quantile", ylabel="residual")
        return _titled(axis, "Distribution", ax)

    def against(self, x: Any = None, ax: Axes | None = None) -> Axes:
        """Draw residuals along fitted values or a predictor, with their quartiles.

        Parameters
        ----------
        x : str or array-like of shape (n,), optional
            A column of the data, or values; the fitted values by default.
        ax : Axes, optional
            Where to draw.
        """
        axis, r = _axis(ax), self._r
        name, values, drawn = self._along(x)
        axis.plot(values, r.z, "o", color=theme().ink, markersize=self._size, alpha=0.4)
        for q in QUANTILES:
            self._follow(axis, values, drawn, lambda z, q=q: np.quantile(z, q, axis=0))
        axis.set(xlabel=name, ylabel="residual")
        return _titled(axis, f"Quartiles along {name}", ax)

    def spread(self, x: Any = None, ax: Axes | None = None) -> Axes:
        """Draw the size of residuals along fitted values or a predictor, with their mean.

        Parameters
        ----------
        x : str or array-like of shape (n,), optional
            A column of the data, or values; the fitted values by default.
        ax : Axes, optional
            Where to draw.
        """
        axis, r = _axis(ax), self._r
        name, values, drawn = self._along(x)
        axis.plot(values, np.abs(r.z), "o", color=theme().ink, markersize=self._size, alpha=0.4)
        self._follow(axis, values, drawn, lambda z: np.abs(z).mean(axis=0))
        axis.set(xlabel=name, ylabel="|residual|", ylim=(0.0, None))
        return _titled(axis, f"Spread along {name}", ax)

    def time(self, time: Any = None, groups: Any = None, ax: Axes | None = None) -> Axes:
        """Draw each residual against the one before it.

        Parameters
        ----------
        time, groups : str or array-like of shape (n,), optional
            As in ``autocorrelation``.
        ax : Axes, optional
            Where to draw.
        """
        axis = _axis(ax)
        before, after = self._r.neighbours(time, groups)
        axis.axhline(0.0, color=theme().faint, linewidth=1.0)
        axis.axvline(0.0, color=theme().faint, linewidth=1.0)
        axis.plot(before, after, "o", color=theme().ink, markersize=self._size, alpha=0.5)
        r = float(np.corrcoef(before, after)[0, 1])
        axis.set(xlabel="residual before", ylabel="residual")
        return _titled(axis, f"Neighbours, correlation {r:.2f}", ax)

    def groups(self, group: Any = None, ax: Axes | None = None) -> Axes:
        """Draw the root mean square of each group's residuals, in order, and its range.

        Parameters
        ----------
        group : str or array-like of shape (n,), optional
            A column of the data or its values; the first grouping factor by default.
        ax : Axes, optional
            Where to draw.
        """
        axis, r = _axis(ax), self._r
        name, codes, levels = r.grouped(group)
        counts = np.bincount(codes, minlength=len(levels))
        own = np.sqrt(np.bincount(codes, r.z**2, len(levels)) / counts)
        each = [np.bincount(codes, z**2, len(levels)) / counts for z in r.simulated.T]
        low, high = np.quantile(np.sqrt(np.sort(np.array(each), axis=1)), BAND, axis=0)
        order, place = np.argsort(own, kind="stable"), np.arange(len(levels))
        axis.fill_between(place, low, high, color=theme().faint, alpha=0.5, linewidth=0.0)
        axis.plot(place, own[order], "o", color=theme().accent, markersize=4.0)
        axis.set(ylabel="root mean square", ylim=(0.0, None))
        if len(levels) <= MOST_NAMES:
            axis.set_xticks(place, [str(levels[i]) for i in order], rotation=90)
        else:
            axis.set(xlabel=f"{name}, in order", xticks=[])
        return _titled(axis, f"Residuals of each {name}", ax)

    def responses(self, ax: Axes | None = None) -> Axes:
        """Draw the distribution of the responses, with the range of responses drawn."""
        axis, r = _axis(ax), self._r
        known = np.unique(r.y)
        if r.categories or len(known) <= FEW_VALUES:
            values = np.unique(np.concatenate([known, r.responses_drawn[:, 0]]))[:FEW_VALUES]
            if r.categories:
                values = np.arange(len(r.categories), dtype=float)
            middle = 0.5 * (values[1:] + values[:-1])
            edges = np.concatenate([[-np.inf], middle, [np.inf]])
            at: Array = values
        else:
            edges = np.histogram_bin_edges(r.y, min(BINS, 2 * int(np.sqrt(len(r.y))) + 1))
            at = 0.5 * (edges[1:] + edges[:-1])
        own = np.histogram(r.y, edges)[0]
        each = np.array([np.histogram(y, edges)[0] for y in r.responses_drawn.T])
        low, high = np.quantile(each, BAND, axis=0)
        width = 0.8 * float(np.diff(at).min()) if len(at) > 1 else 1.0
        axis.bar(at, own, width, color=theme().faint)
        axis.vlines(at, low, high, color=theme().second, linewidth=2.0)
        axis.set(xlabel="response", ylabel="rows")
        if r.categories:
            names = [str(category) for category in r.categories]
            axis.set_xticks(range(len(names)), names)
            if max(map(len, names)) > SHORT_NAME:
                for label in axis.get_xticklabels():
                    label.set(rotation=30, ha="right", rotation_mode="anchor")
        elif len(known) <= FEW_VALUES and np.all(known == np.round(known)):
            axis.locator_params(axis="x", integer=True)
        return _titled(axis, "Responses, and those drawn", ax)

    # ------------------------------------------------------------------ inner

    def _along(self, x: Any) -> tuple[str, Array, Array | None]:
        """Name and values of what is on the axis; those of simulated fits if they differ."""
        if x is None:
            return self._r.along, self._r.fitted, self._r.fitted_drawn
        name, values = columns_of(self._r.frame, x, len(self._r.z))
        if not pd.api.types.is_numeric_dtype(values):
            raise ModelError(f"{name} is not numeric; groups({name!r}) draws its levels")
        return name, values.to_numpy(dtype=float), None

    def _follow(self, axis: Axes, x: Array, drawn: Array | None, number: Any) -> None:
        """Draw a number along x, and the range of that of simulated fits."""
        r = self._r
        parts = _parts(x)
        if len(parts) < 2:
            return
        at = [float(np.median(x[part])) for part in parts]
        own = [number(r.z[part]) for part in parts]
        if drawn is None:
            each = np.array([number(r.simulated[part]) for part in parts])
        else:
            orders = np.argsort(drawn, axis=0, kind="stable")
            z = np.take_along_axis(r.simulated, orders, axis=0)
            ends = np.cumsum([0, *map(len, parts)])
            each = np.array([number(z[a:b]) for a, b in pairwise(ends)])
        low, high = np.quantile(each, BAND, axis=1)
        axis.fill_between(at, low, high, color=theme().faint, alpha=0.5, linewidth=0.0)
        axis.plot(at, own, color=theme().second, linewidth=1.5)


def _axis(ax: Axes | None) -> Axes:
    return one(ax, 4.4, 3.6)


def _titled(axis: Axes, title: str, ax: Axes | None) -> Axes:
    """Write the title of a figure of its own as other figures have it, or that of a panel."""
    if ax is None:
        return titled(axis, title)
    axis.set_title(title)
    return axis


def _parts(x: Array) -> list[Any]:
    """Rows in order of x, in up to ten parts; equal values stay together."""
    order = np.argsort(x, kind="stable")
    cuts = np.linspace(0, len(x), min(10, max(2, len(x) // 8)) + 1)[1:-1].astype(int)
    new = np.flatnonzero(np.diff(x[order]) > 0) + 1
    if not len(new):
        return [order]
    near = np.unique(new[np.clip(np.searchsorted(new, cuts), 0, len(new) - 1)])
    return list(np.split(order, near))
