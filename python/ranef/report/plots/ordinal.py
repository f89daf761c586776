"""Figures of a model of ordered categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...design.frame import used_instead
from ...errors import UnsupportedError
from ...formula import unquoted
from ...inference.emmeans import crossed, reference_grid
from ..augment import used_rows
from .base import MARKERS, Panels, legend, one, theme, titled
from .curves import STEPS, is_number, name_places, spread_out
from .model import ModelPlots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["OrdinalPlots"]


class OrdinalPlots(ModelPlots):
    """Figures of one fit: ``coefficients``, ``caterpillar``, ``predictions``, ``check``."""

    def __repr__(self) -> str:
        return "<figures: coefficients(), predictions(x), caterpillar(), check()>"

    def predictions(  # type: ignore[override]
        self,
        x: str,
        *,
        at: Mapping[str, Any] | None = None,
        random: str = "none",
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the probability of each category along a variable.

        Parameters
        ----------
        x : str
            A variable of the formula, along the axis.
        at : mapping of str to value, optional
            Values of other variables. By default, probabilities are averaged over the levels of
            categorical ones with equal weights, and numeric ones are at their mean.
        random : {"none", "integrate"}
            For a level whose random effects are zero, or averaged over their distribution.
        ax : Axes, optional
            Where to draw; a new figure by default.
        """
        model: Any = self._model
        places, probabilities, numeric = self._along(x, dict(at or {}), random)
        axis, look = one(ax, 6.0, 3.8), theme()
        positions = places.to_numpy(dtype=float) if numeric else np.arange(len(places), dtype=float)
        for i, category in enumerate(probabilities.columns):
            axis.plot(
                positions,
                probabilities[category].to_numpy(),
                color=look.colour(i),
                marker=MARKERS[i % len(MARKERS)],
                markevery=max(1, len(positions) // 6),
                markersize=5.0,
                linewidth=2.0 if numeric else 1.0,
                label=str(category),
            )
        if not numeric:
            name_places(axis, places)
        axis.set(xlabel=x, ylabel="probability", ylim=(0.0, None))
        response = unquoted(str(model.parts.design.response))
        legend(axis, response, ax is None)
        return titled(axis, f"Predicted probabilities of {response} along {x}")

    def _along(
        self, x: str, at: dict[str, Any], random: str
    ) -> tuple[pd.Series[Any], pd.DataFrame, bool]:
        """Average predicted probabilities over a grid, for each value of a variable."""
        model: Any = self._model
        design = model.parts.design
        data = model.parts.training_data("fit again by model.update(data=...) to draw predictions")
        start = reference_grid(design, data, at)
        if x not in start:
            raise ValueError(f"the formula does not use {x!r}{used_instead(x, start)}")
        values = {x: spread_out(used_rows(design, data)[x], start[x], STEPS), **at}
        table = crossed(reference_grid(design, data, values))
        found = model.predict(table, kind="prob", random=random).set_axis(range(len(table)))
        order = pd.factorize(table[x])[0]
        means = found.groupby(order).mean()
        places = table[x].drop_duplicates().reset_index(drop=True)
        return places, means, is_number(start[x]) and len(start[x]) == 1

    def _not(self, name: str) -> Panels:
        raise UnsupportedError(
            f"plot.{name} is not available for ordered categories, which have no differences; "
            "plot.predictions(x) draws their probabilities, plot.check() residuals"
        )

    def residuals(self, *, axes: Any = None) -> Panels:
        """Raise: categories have no differences."""
        return self._not("residuals")

    def effects(self, *, level: float = 0.95, points: bool = True, axes: Any = None) -> Panels:
        """Raise: ``predictions`` draws the probabilities along one variable."""
        return self._not("effects")

    def lines(
        self,
        x: str | None = None,
        group: str | None = None,
        most: int = 20,
        *,
        axes: Any = None,
    ) -> Panels:
        """Raise: categories have no lines."""
        return self._not("lines")

    def shrinkage(self, group: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Raise: categories have no least squares."""
        self._not("shrinkage")
        raise AssertionError
