"""Figures of a fitted mixed model; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._html import Preformatted
from ..._typing import Array
from ...design.design import Design, RandomTerm
from ...errors import ModelError
from ...inference.coverage import t_quantile
from ...inference.prediction.predict import fixed_part, random_part
from ...inference.smooths.table import Fitted
from ...models.lmm import LmmEstimate
from ..effects import RandomEffects
from .base import ACCENT, FAINT, INK, PALETTE, SECOND, finish, panels, quantiles, trend
from .lines import lines_figure
from .smooths import smooths_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ModelPlots"]


#: Levels above which none is named.
MOST_LABELS = 60


class ModelPlots(Preformatted):
    """Figures of one fit: ``caterpillar``, ``lines``, ``residuals``, ``shrinkage``, ``smooths``.

    Each gives a matplotlib Figure.
    """

    def __init__(
        self,
        design: Design,
        estimate: LmmEstimate,
        effects: RandomEffects,
        smoothed: Callable[[], Fitted],
        data: Any = None,
    ):
        self._design, self._estimate, self._effects = design, estimate, effects
        self._smoothed, self._data = smoothed, data

    def caterpillar(self, group: str | None = None, level: float = 0.95) -> Figure:
        """Draw the conditional modes of one grouping factor in order, with intervals.

        Parameters
        ----------
        group : str, optional
            The grouping factor; the first by default.
        level : float
            Coverage of the intervals, given the estimated parameters.
        """
        term, _ = self._term(group)
        frame, cov = self._effects[term.group], self._effects.cov[term.group]
        z = float(t_quantile(level))
        height = float(np.clip(0.16 * term.n_levels + 1.2, 3.0, 11.0))
        thick = float(np.clip(50.0 * height / term.n_levels, 0.3, 1.2))  # points a level, 3/4 of it
        figure, axes = panels(1, term.n_cols, 3.4, height)
        for j, (name, axis) in enumerate(zip(term.names, axes, strict=True)):
            modes, sd = frame.iloc[:, j].to_numpy(), np.sqrt(cov[:, j, j])
            order = np.argsort(modes, kind="stable")
            places = np.arange(term.n_levels)
            clear = np.abs(modes[order]) > z * sd[order]
            axis.axvline(0.0, color=FAINT, linewidth=1.0)
            for chosen, colour in ((clear, ACCENT), (~clear, "#8a8a8a")):
                axis.errorbar(
                    modes[order][chosen],
                    places[chosen],
                    xerr=z * sd[order][chosen],
                    fmt="o",
                    markersize=min(3.5, 4.0 * thick),
                    linewidth=thick,
                    color=colour,
                )
            few = term.n_levels <= MOST_LABELS
            axis.set_yticks(places if few else [])
            axis.set_yticklabels([str(term.levels[i]) for i in order] if few else [], fontsize=7)
            axis.set_ylim(-0.8, term.n_levels - 0.2)
            axis.set_title(name)
            axis.set_xlabel("conditional mode")
        axes[0].set_ylabel(f"{term.group}, in order of the mode")
        return finish(figure, f"Random effects of {term.group}, {level:.0%} intervals")

    def lines(self, x: str | None = None, group: str | None = None, most: int = 20) -> Figure:
        """Draw data, fitted values and the population's line of each level over one covariate.

        Parameters
        ----------
        x : str, optional
            A column of the model or of the data, numeric or not; by default the first variable of
            the model that varies within the levels.
        group : str, optional
            The grouping factor; the first by default.
        most : int
            Levels to draw at most, evenly spaced in the order of their first mode.
        """
        _, t = self._term(group)
        return lines_figure(self._design, self._estimate, self._data, t, x, most)

    def residuals(self) -> Figure:
        """Draw residuals against fitted values, their spread, and normal quantile plots."""
        design, estimate = self._design, self._estimate
        fitted = fixed_part(design, estimate) + random_part(design, estimate.modes)
        root = 1.0 if design.weights is None else np.sqrt(design.weights)
        scaled = root * (design.y - fitted) / estimate.sigma
        figure, axes = panels(2, 2, 4.0, 3.2)
        size = 3.0 if len(fitted) < 2000 else 1.0
        axes[0].axhline(0.0, color=FAINT, linewidth=1.0)
        axes[0].plot(fitted, scaled, "o", color=INK, markersize=size, alpha=0.6)
        trend(axes[0], fitted, scaled)
        axes[0].set(xlabel="fitted", ylabel="residual / sigma", title="Residuals")
        axes[1].plot(fitted, np.sqrt(np.abs(scaled)), "o", color=INK, markersize=size, alpha=0.6)
        trend(axes[1], fitted, np.sqrt(np.abs(scaled)))
        axes[1].set(xlabel="fitted", ylabel="sqrt |residual / sigma|", title="Spread")
        quantiles(axes[2], scaled, size)
        axes[2].set(title="Residuals, normal quantiles")
        if not design.bars:
            axes[3].remove()
            return finish(figure, "Residuals given the smooth terms")
        term = design.bars[0]
        modes = estimate.modes[0]
        for j, name in enumerate(term.names):
            sd = modes[:, j].std()
            if sd > 0.0:
                quantiles(axes[3], modes[:, j] / sd, 4.0, PALETTE[j % len(PALETTE)], name)
        axes[3].set(title=f"Modes of {term.group}, normal quantiles", ylabel="mode / sd")
        if term.n_cols > 1:
            axes[3].legend(frameon=False, fontsize=8)
        return finish(figure, "Residuals given the random effects")

    def shrinkage(self, group: str | None = None) -> Figure:
        """Draw how far each level's own least-squares estimate is drawn to the population.

        Parameters
        ----------
        group : str, optional
            The grouping factor; the first by default. Its first two columns are drawn.
        """
        term, t = self._term(group)
        raw = self._unpooled(term, t)
        modes = self._estimate.modes[t]
        figure, axes = panels(1, 1, 5.6, 5.0)
        axis = axes[0]
        if term.n_cols == 1:
            order = np.argsort(modes[:, 0], kind="stable")
            place = np.argsort(order)
            raw2, modes2 = (np.column_stack([b[:, 0], place]) for b in (raw, modes))
            axis.set(ylabel=f"{term.group}, in order of the mode", yticks=[])
            if term.n_levels <= MOST_LABELS:
                axis.set_yticks(range(term.n_levels), [str(term.levels[i]) for i in order])
                axis.tick_params(axis="y", labelsize=7)
        else:
            raw2, modes2 = raw[:, :2], modes[:, :2]
            axis.axhline(0.0, color=FAINT, linewidth=1.0)
            axis.set_ylabel(f"{term.names[1]}, deviation")
        axis.set_xlabel(f"{term.names[0]}, deviation")
        axis.axvline(0.0, color=FAINT, linewidth=1.0)
        usable = np.isfinite(raw2).all(axis=1)
        start, moves = raw2[usable], modes2[usable] - raw2[usable]
        axis.quiver(
            *start.T,
            *moves.T,
            angles="xy",
            scale_units="xy",
            scale=1.0,
            width=0.0025,
            headwidth=5.0,
            color="#8a8a8a",
            zorder=3,
        )
        size = 4.0 if term.n_levels <= 100 else 2.0
        axis.plot(*start.T, "o", color=SECOND, markersize=size, label="each level alone")
        axis.plot(*modes2.T, "o", color=ACCENT, markersize=size, label="mixed model")
        axis.legend(frameon=False)
        return finish(figure, f"Shrinkage of {term.group}")

    def smooths(
        self,
        terms: str | Sequence[str] | None = None,
        level: float = 0.95,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Figure:
        """Draw the smooth terms, a panel each.

        Parameters
        ----------
        terms : str or sequence of str, optional
            Names of terms; all by default.
        level : float
            Coverage of the bands: the darker one is pointwise, the lighter one simultaneous.
        ax : Axes or sequence of Axes, optional
            Where to draw; a new figure by default.
        """
        return smooths_figure(self._smoothed(), terms, level, ax)

    def _term(self, group: str | None) -> tuple[RandomTerm, int]:
        known = [term.group for term in self._design.bars]
        if not known:
            raise ModelError("the model has no random effects to draw; see plot.smooths()")
        if group is None:
            return self._design.random[0], 0
        if group not in known:
            raise ValueError(f"group must be one of {', '.join(known)}, not {group!r}")
        return self._design.random[known.index(group)], known.index(group)

    def _unpooled(self, term: RandomTerm, t: int) -> Array:
        """Fit each level alone, as deviations; NaN where its rows do not determine it."""
        design, estimate = self._design, self._estimate
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
