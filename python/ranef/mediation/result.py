"""The effects of a mediation with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..inference.coverage import check_level
from ..words.answers import Spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Mediation", "named_effects"]

#: Central share of a normal distribution within one standard deviation.
ONE_SD = 0.6826894921370859


@dataclass(frozen=True, repr=False)
class Mediation(Spoken):
    """Effects of a treatment on an outcome through a mediator.

    Returned by :func:`ranef.mediate`.

    Attributes
    ----------
    treatment, mediator_name, outcome : str
        Names of treatment, mediator and outcome.
    estimates : Series
        The effects at the estimates.
    draws : DataFrame
        Effects of each draw of the coefficients, or of each resample of groups; one column per
        effect.
    method : str
        "montecarlo" or "bootstrap".
    seed : int
        Reproduces the draws.
    notes : tuple of str
        What the numbers mean, and what they leave out.
    failed : int
        Resamples that could not be fitted; left out.
    joint : JointFit or None
        The model of both responses, with ``joint=True``.
    """

    treatment: str
    mediator_name: str
    outcome: str
    estimates: pd.Series[Any]
    draws: pd.DataFrame
    method: str
    seed: int
    notes: tuple[str, ...]
    failed: int = 0
    joint: Any = None

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Return a table of the effects.

        Parameters
        ----------
        level : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            Columns estimate, se, lower, upper. Rows a (treatment on mediator), b (mediator on
            outcome), indirect, direct, total, proportion (indirect over total), with a suffix where
            effects have parts. Intervals are quantiles of the draws; se is their standard
            deviation, for a proportion, which has none, half the width of the middle 68.3 %.
        """
        check_level(level)
        tail = 0.5 * (1.0 - level)
        names = list(self.draws.columns)
        se = self.draws.std()
        ratio = [name for name in names if name.startswith("proportion")]
        middle = self.draws[ratio].quantile([0.5 - 0.5 * ONE_SD, 0.5 + 0.5 * ONE_SD])
        se[ratio] = 0.5 * (middle.iloc[1] - middle.iloc[0])
        return pd.DataFrame(
            {
                "estimate": self.estimates,
                "se": se,
                "lower": self.draws.quantile(tail),
                "upper": self.draws.quantile(1.0 - tail),
            },
            index=pd.Index(names, name="effect"),
        )

    def plot(self, *, level: float = 0.95, ax: Axes | None = None) -> Axes:
        """Draw indirect, direct and total effects with their intervals.

        Parameters
        ----------
        level : float
            Coverage of the intervals.
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
        """
        from ..report.plots.mediation import effects_axes

        table = self.table(level)
        shown = [n for n in table.index if n.split()[0] in ("indirect", "direct", "total")]
        return effects_axes(table.loc[shown], self.title, ax=ax)

    @property
    def title(self) -> str:
        """Treatment, outcome and mediator."""
        return f"{self.treatment} on {self.outcome} through {self.mediator_name}"

    @property
    def _how(self) -> str:
        """State where the intervals come from."""
        n = len(self.draws)
        if self.method == "bootstrap":
            lost = f", {self.failed} failed" if self.failed else ""
            return f"percentile intervals of {n:,} resamples of groups{lost}; seed {self.seed}"
        return f"quantiles of {n:,} draws of the coefficients; seed {self.seed}"

    def __repr__(self) -> str:
        table = self.table()
        shown = table.to_string(float_format=lambda x: f"{x:.5g}")
        notes = "\n".join(f"- {note}" for note in (self._how, *self.notes))
        return f"Mediation: {self.title}\n\n{shown}\n\n{notes}"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in (self._how, *self.notes))
        table = self.table().to_html(float_format="{:.5g}".format)
        return f"<h3>Mediation: {escape(self.title)}</h3>{table}<ul>{notes}</ul>"


def named_effects(effects: Any, extra: Any = 0.0) -> dict[str, Any]:
    """Name the effects of draws; ``extra`` is the covariance of slopes, part of what is indirect.

    There are rows by treatment if the mediator's effect depends on it.
    """
    indirect = 0.5 * (effects.indirect_at[0] + effects.indirect_at[1]) + extra
    direct = 0.5 * (effects.direct_at[0] + effects.direct_at[1])
    total = indirect + direct
    with np.errstate(divide="ignore", invalid="ignore"):
        out = {
            "a": effects.a,
            "b": effects.b,
            "indirect": indirect,
            "direct": direct,
            "total": total,
            "proportion": indirect / total,
        }
    first, second = effects.indirect_at
    if not np.allclose(first, second, rtol=1e-9, atol=1e-12 * float(np.abs(total).max() or 1.0)):
        for word, i in (("control", 0), ("treated", 1)):
            out[f"b {word}"] = effects.b_at[i]
            out[f"indirect {word}"] = effects.indirect_at[i] + extra
            out[f"direct {word}"] = effects.direct_at[i]
    return out
