"""Figures of a fitted model; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..._html import Preformatted
from ...errors import UnsupportedError
from ...words.answers import Spoken
from ..coefficients import interval_table
from .base import Panels
from .curves import effects_figure, predictions_axes
from .drawn import Drawn, drawn_terms
from .lines import lines_figure
from .random import caterpillar_figure, shrinkage_axes, term_of
from .residual_panels import residual_figure
from .smooths import smooths_figure
from .tables import coefficient_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ModelPlots"]


class ModelPlots(Spoken, Preformatted):
    """Figures of one fit.

    ``coefficients``, ``residuals``, ``predictions``, ``effects``; and of random effects
    ``caterpillar``, ``lines``, ``shrinkage``; and of smooth terms ``smooths``.

    A figure of one panel takes ``ax=`` and returns it. One of several takes ``axes=`` and returns
    them as :class:`ranef.Panels`. Colours follow the style in use.
    """

    def __init__(self, model: Drawn):
        self._model = model

    def __repr__(self) -> str:
        named = "coefficients(), residuals(), predictions(x, by), effects()"
        if drawn_terms(self._model):
            named += ", caterpillar(), lines(), shrinkage()"
        return f"<figures: {named}>"

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Raise: a model has several figures, each with a name."""
        raise TypeError(
            "model.plot has several figures; name one, such as model.plot.residuals(), "
            'model.plot.predictions("x") or model.plot.coefficients()'
        )

    def coefficients(self, level: float = 0.95, *, ax: Axes | None = None) -> Axes:
        """Draw the coefficients with intervals on the degrees of freedom of their tests.

        Parameters
        ----------
        level : float
            Coverage of the intervals.
        ax : Axes, optional
            Where to draw; a new figure by default.
        """
        table = self._model.parts.coef_table()
        known = table[table["estimate"].notna()]
        limits = interval_table(
            list(known.index), known["estimate"], known["se"], known["df"], level
        )
        rows = limits.assign(estimate=known["estimate"])[["estimate", "lower", "upper"]]
        return coefficient_axes({"": rows}, None, ax, f"Coefficients, {level:.0%} intervals")

    def check(self, *args: Any, **kwargs: Any) -> Panels:
        """Draw one figure of all checks; arguments are those of ``model.check``."""
        figure: Panels = self._model.check(*args, **kwargs)  # type: ignore[attr-defined]
        return figure

    def residuals(self, *, axes: Any = None) -> Panels:
        """Draw residuals against fitted values, their spread, and normal quantiles.

        Parameters
        ----------
        axes : sequence of Axes, optional
            Where to draw: 4 of a model with random effects, 3 of others.
        """
        return residual_figure(self._model, axes)

    def predictions(
        self,
        x: str,
        by: str | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        group: str | None = None,
        lines: bool = True,
        points: bool = True,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw predicted means along a variable, with intervals, lines of groups and the data.

        Parameters
        ----------
        x : str
            A variable of the fixed part, along the axis.
        by : str, optional
            Another, with a line for each level; of many numbers, for the mean and a standard
            deviation either way. Or a grouping factor, whose levels then have the thin lines, as
            with ``group``.
        at : mapping of str to value, optional
            Values of other variables. By default, means are averaged over the levels of
            categorical ones with equal weights, and numeric ones are at their mean.
        group : str, optional
            The grouping factor whose levels have lines; the first by default.
        lines, points : bool
            Whether to draw the lines of up to 60 groups, over the rows that they have; and the
            data.
        level : float
            Coverage of the intervals of the means.
        ax : Axes, optional
            Where to draw; a new figure by default.

        Notes
        -----
        Means of a generalised model are those of a level whose random effects are zero: averaged on
        the scale of the link, and turned back.
        """
        return predictions_axes(
            self._model,
            x,
            by,
            at=at or {},
            group=group,
            lines=lines,
            points=points,
            level=level,
            ax=ax,
        )

    def effects(self, *, level: float = 0.95, points: bool = True, axes: Any = None) -> Panels:
        """Draw the predicted means along every term of the fixed part, one panel per term.

        Parameters
        ----------
        level : float
            Coverage of the intervals.
        points : bool
            Whether to draw the data.
        axes : sequence of Axes, optional
            Where to draw; as many as there are terms that no larger term contains.
        """
        return effects_figure(self._model, level, points, axes)

    def caterpillar(
        self, group: str | None = None, level: float = 0.95, *, axes: Any = None
    ) -> Panels:
        """Draw the conditional modes of one grouping factor in order, with intervals.

        Parameters
        ----------
        group : str, optional
            The grouping factor; the first by default.
        level : float
            Coverage of the intervals, given the estimated parameters.
        axes : sequence of Axes, optional
            Where to draw; one for each column of the term.
        """
        term, _ = self._term(group, "caterpillar")
        return caterpillar_figure(self._model.ranef(), term, level, axes)

    def lines(
        self,
        x: str | None = None,
        group: str | None = None,
        most: int = 20,
        *,
        axes: Any = None,
    ) -> Panels:
        """Draw data, fitted values and the population's line of each level over one covariate.

        Parameters
        ----------
        x : str, optional
            A column of the model or of the data, numeric or not; by default the first variable of
            the model that varies within the levels.
        group : str, optional
            The grouping factor; the first by default.
        most : int
            Levels to draw; of more, evenly chosen ones in the order of their modes.
        axes : sequence of Axes, optional
            Where to draw; one for each level drawn.
        """
        _, t = self._term(group, "lines")
        return lines_figure(self._model, t, x, most, axes)

    def shrinkage(self, group: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw how far each level's own least-squares estimate is shrunk to the population's.

        Parameters
        ----------
        group : str, optional
            The grouping factor; the first by default. Its first two columns are drawn.
        ax : Axes, optional
            Where to draw; a new figure by default.
        """
        term, t = self._term(group, "shrinkage")
        parts = self._model.parts
        if parts.link != "identity" or not parts.draws_points:
            raise UnsupportedError(
                "shrinkage compares with least squares of each level, which is for normal "
                "responses; plot.caterpillar() shows the random effects"
            )
        return shrinkage_axes(parts, term, t, ax)

    def smooths(
        self, terms: str | Sequence[str] | None = None, level: float = 0.95, *, axes: Any = None
    ) -> Panels:
        """Draw the smooth terms, a panel each.

        A curve has two bands, the darker one pointwise and the lighter one simultaneous, and marks
        at the values that occur; a surface has contours and the rows. Of more than two variables
        the others are at their means. A smooth for each level of a factor has one line per level.

        Parameters
        ----------
        terms : str or sequence of str, optional
            Names of terms; all by default.
        level : float
            Coverage of the bands.
        axes : sequence of Axes, optional
            Where to draw; one for each term.
        """
        design = self._model.parts.design
        if all(term.smooth is None for term in design.random):
            raise UnsupportedError(
                "plot.smooths draws smooth terms, which this model does not have; write s(x) in "
                "the formula of lmer or glmer"
            )
        return smooths_figure(self._model.parts.smoothed, terms, level, axes)

    def _term(self, group: str | None, figure: str) -> tuple[Any, int]:
        terms = drawn_terms(self._model)
        if not terms:
            raise UnsupportedError(
                f"plot.{figure} draws random effects, which this model does not have; "
                "plot.coefficients() draws the fixed effects"
            )
        return term_of(terms, group)
