"""Figures of a posterior; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from ..._html import Preformatted
from ..._typing import Array
from ...errors import UnsupportedError
from ...words.answers import Spoken
from .base import Panels, finish, legend, one, panels, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PosteriorPlots"]

#: Panels at most, and replicates of a predictive check.
MOST_PANELS, REPLICATES = 12, 50
#: Responses of fewer different values are drawn as counts.
FEW_VALUES = 15


class PosteriorPlots(Spoken, Preformatted):
    """Figures of one posterior: ``trace``, ``density``, ``intervals``, ``ppc``."""

    def __init__(
        self,
        names: Sequence[str],
        draws: Array,
        title: str,
        y: Array | None,
        simulate: Callable[..., Array],
    ):
        self._names, self._draws, self._title = list(names), draws, title
        self._y, self._simulate = y, simulate

    def __repr__(self) -> str:
        return "Figures of a posterior: trace, density, intervals, ppc"

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Raise: a posterior has several figures, each with a name."""
        raise TypeError(
            "posterior.plot has several figures; name one, such as posterior.plot.density(), "
            "posterior.plot.trace() or posterior.plot.intervals()"
        )

    def _chosen(self, names: Sequence[str] | None) -> list[int]:
        chosen = self._names if names is None else [names] if isinstance(names, str) else names
        for name in chosen:
            if name not in self._names:
                raise ValueError(f"there is no parameter {name!r}; there are {self._names}")
        return [self._names.index(name) for name in chosen][:MOST_PANELS]

    def trace(self, names: Sequence[str] | None = None, *, axes: Any = None) -> Panels:
        """Draw the chains, draw by draw: flat and overlapping if all is well.

        Parameters
        ----------
        names : sequence of str, optional
            Parameters, as ``table`` names them; the first twelve by default.
        axes : sequence of Axes, optional
            Where to draw; one for each parameter.
        """
        chosen = self._chosen(names)
        figure, shown = panels(len(chosen), 1, 7.0, 1.3, axes=axes)
        for j, axis in zip(chosen, shown, strict=True):
            for c, chain in enumerate(self._draws[:, :, j]):
                axis.plot(chain, color=theme().colour(c), linewidth=0.5, alpha=0.8)
            axis.set_title(self._names[j], loc="left")
            axis.margins(x=0.0)
        shown[-1].set_xlabel("draw")
        return finish(figure, "Chains, one colour each", shown, axes)

    def density(
        self, names: Sequence[str] | None = None, prob: float = 0.95, *, axes: Any = None
    ) -> Panels:
        """Draw the posterior density of each parameter, chain by chain, with its limits.

        Parameters
        ----------
        names : sequence of str, optional
            Parameters; the first twelve by default.
        prob : float
            Probability between the limits.
        axes : sequence of Axes, optional
            Where to draw; one for each parameter.
        """
        chosen = self._chosen(names)
        columns = min(3, len(chosen))
        rows = -(-len(chosen) // columns)
        figure, shown = panels(rows, columns, 3.0, 2.2, axes=axes, used=len(chosen))
        for j, axis in zip(chosen, shown, strict=True):
            draws = self._draws[:, :, j]
            low, high = np.quantile(draws, [0.002, 0.998])
            at = np.linspace(low, high, 200)
            for c, chain in enumerate(draws):
                curve = smooth(chain, at, bounds(self._names[j]))
                axis.plot(at, curve, color=theme().colour(c), linewidth=1.0, alpha=0.8)
            limits = np.quantile(draws, [0.5 - prob / 2.0, 0.5, 0.5 + prob / 2.0])
            axis.plot(limits[[0, 2]], [0.0, 0.0], color=theme().ink, linewidth=3.0, clip_on=False)
            axis.plot(limits[1], 0.0, "o", color=theme().ink, markersize=6.0, clip_on=False)
            axis.set_title(self._names[j])
            axis.set_yticks([])
            axis.set_ylim(bottom=0.0)
            axis.spines["left"].set_visible(False)
        title = f"Posterior densities, median and {prob:.0%} interval"
        return finish(figure, title, shown, axes)

    def intervals(
        self,
        names: Sequence[str] | None = None,
        prob: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw medians with an interval of half the posterior and one of ``prob``.

        Parameters
        ----------
        names : sequence of str, optional
            Parameters; all but the intercept by default.
        prob : float
            Probability of the wide interval.
        ax : Axes, optional
            Where to draw; a new figure by default.
        """
        others = [name for name in self._names if name != "Intercept"]
        chosen = self._chosen(others or self._names if names is None else names)
        axis = one(ax, 6.0, 0.35 * len(chosen) + 1.2)
        flat = self._draws.reshape(-1, self._draws.shape[2])[:, chosen]
        wide = np.quantile(flat, [0.5 - prob / 2.0, 0.5 + prob / 2.0], axis=0)
        half, median = np.quantile(flat, [0.25, 0.75], axis=0), np.median(flat, axis=0)
        places = np.arange(len(chosen))[::-1]
        axis.axvline(0.0, color=theme().faint, linewidth=1.0)
        axis.hlines(places, *wide, color=theme().accent, linewidth=1.2)
        axis.hlines(places, *half, color=theme().accent, linewidth=4.0)
        axis.plot(median, places, "o", color=theme().ink, markersize=5.0)
        axis.set_yticks(places, [self._names[j] for j in chosen])
        axis.set_ylim(-0.6, len(chosen) - 0.4)
        axis.set_xlabel("value")
        return titled(axis, f"Posterior medians, 50% and {prob:.0%} intervals")

    def ppc(
        self,
        n: int = REPLICATES,
        *,
        seed: Any = None,
        of: str = "posterior",
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the responses together with draws from a predictive distribution.

        Parameters
        ----------
        n : int
            Replicates.
        seed : int, optional
            Makes them repeatable.
        of : {"posterior", "prior"}
            Which distribution the replicates come from; see ``simulate``.
        ax : Axes, optional
            Where to draw; a new figure by default.
        """
        if self._y is None:
            raise UnsupportedError(
                "a predictive check needs the rows, and this model was fitted from cross products"
            )
        axis = one(ax, 6.4, 3.4)
        drawn = self._simulate(n, seed=seed, of=of)
        if len(np.unique(self._y)) <= FEW_VALUES and np.all(self._y == np.round(self._y)):
            _counts(axis, self._y, drawn)
        else:
            _curves(axis, self._y, drawn)
        shown = legend(axis, "", ax is None)
        shown.legend_handles[0].set_alpha(0.8)  # one line of many, alone
        return titled(axis, f"{of.capitalize()} predictive check")


def _curves(axis: Axes, y: Array, drawn: Array) -> None:
    """Densities of replicates behind that of the responses."""
    low, high = np.quantile(drawn, [0.001, 0.999])
    at = np.linspace(min(low, y.min()), max(high, y.max()), 300)
    look = theme()
    for i, column in enumerate(drawn.T):
        label = "replicates" if i == 0 else None
        axis.plot(at, smooth(column, at), color=look.accent, linewidth=0.5, alpha=0.35, label=label)
    axis.plot(at, smooth(y, at), color=theme().second, linewidth=2.0, label="responses")
    axis.set(xlabel="response", yticks=[], ylim=(0.0, None))


def _counts(axis: Axes, y: Array, drawn: Array) -> None:
    """Shares of each value: bars of the responses, 95 % of the replicates."""
    top = int(max(y.max(), np.quantile(drawn, 0.999)))
    values = np.arange(int(min(y.min(), drawn.min())), top + 1)
    shares = np.array([(drawn == value).mean(axis=0) for value in values])
    low, middle, high = np.quantile(shares, [0.025, 0.5, 0.975], axis=1)
    axis.bar(
        values, [np.mean(y == value) for value in values], color=theme().faint, label="responses"
    )
    axis.errorbar(
        values,
        middle,
        yerr=[middle - low, high - middle],
        fmt="o",
        color=theme().accent,
        markersize=4.0,
        label="replicates, 95%",
    )
    axis.locator_params(axis="x", integer=True)
    axis.set(xlabel="response", ylabel="share")


def bounds(name: str) -> tuple[float, float]:
    """Range of a parameter by its name."""
    if name.startswith("cor_"):
        return (-1.0, 1.0)
    positive = name.startswith("sd_") or name in ("sigma", "phi", "size")
    return (0.0 if positive else -np.inf, np.inf)


def smooth(draws: Array, at: Array, limits: tuple[float, float] = (-np.inf, np.inf)) -> Array:
    """Density estimate that puts no mass beyond limits, where draws are reflected."""
    if np.ptp(draws) == 0.0:
        return np.zeros_like(at)
    kernel = scipy.stats.gaussian_kde(draws)
    total = kernel(at)
    for limit in limits:
        if np.isfinite(limit):
            total = total + kernel(2.0 * limit - at)
    inside = (at >= limits[0]) & (at <= limits[1])
    return np.asarray(np.where(inside, total, 0.0))
