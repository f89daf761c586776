"""Results of a bootstrap, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from .._options import check_option
from ..inference.coverage import check_level, t_quantile
from ..words.answers import Spoken

if TYPE_CHECKING:
    from .plots.base import Panels

__all__ = ["Bootstrap"]


@dataclass(frozen=True, repr=False)
class Bootstrap(Spoken):
    """Replicates of a fit, and intervals from them.

    Attributes
    ----------
    replicates : DataFrame
        One row per replicate, one column per parameter or statistic; NaN where the fit failed.
    estimate : Series
        The same of the fit itself.
    kind : str
        How the data were drawn.
    seed : int
        Reproduces the replicates, with any number of workers.
    failed, singular, stopped : int
        Fits that failed, are singular, or stopped before they converged; only failed ones are
        dropped.
    message : str
        The message of the first failure.
    """

    model_is: ClassVar[str] = "the fitted model"

    replicates: pd.DataFrame
    estimate: pd.Series
    kind: str
    seed: int
    failed: int
    singular: int
    stopped: int
    message: str

    @property
    def bse(self) -> pd.Series:
        """Standard deviation of the replicates."""
        return self.replicates.std()

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates minus the estimate."""
        return self.replicates.mean() - self.estimate

    def conf_int(self, method: str = "percentile", level: float = 0.95) -> pd.DataFrame:
        """Return confidence intervals.

        Parameters
        ----------
        method : {"percentile", "basic", "normal"}
            Quantiles of the replicates; the estimate minus the quantiles of their errors; or the
            estimate minus its bias, plus and minus normal quantiles times the standard deviation.
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        DataFrame
            Columns lower, upper.

        References
        ----------
        Davison and Hinkley (1997), Bootstrap Methods and their Application, chapter 5.
        """
        check_level(level)
        method = check_option("method", method, ("percentile", "basic", "normal"))
        tail = 0.5 * (1.0 - level)
        low, high = (self.replicates.quantile(p) for p in (tail, 1.0 - tail))
        if method == "percentile":
            lower, upper = low, high
        elif method == "basic":
            lower, upper = 2.0 * self.estimate - high, 2.0 * self.estimate - low
        else:
            half = float(t_quantile(level)) * self.bse
            lower, upper = self.estimate - self.bias - half, self.estimate - self.bias + half
        return pd.DataFrame({"lower": lower, "upper": upper}, index=self.replicates.columns)

    def plot(
        self,
        parameters: Sequence[str] | None = None,
        *,
        method: str = "percentile",
        level: float = 0.95,
        axes: Any = None,
    ) -> Panels:
        """Draw the replicates of each parameter, with the estimate and its interval.

        Parameters
        ----------
        parameters : sequence of str, optional
            Names of the parameters to draw; all by default.
        method, level
            As in ``conf_int``.
        axes : sequence of Axes, optional
            Where to draw; one for each parameter.
        """
        from .plots.results import bootstrap_figure

        limits = self.conf_int(method, level)
        return bootstrap_figure(self.replicates, self.estimate, limits, parameters, level, axes)

    def __repr__(self) -> str:
        n = len(self.replicates)
        lines = [f"{n:,} {self.kind} bootstrap fits (seed {self.seed}): {self._counts()}"]
        table = pd.DataFrame({"estimate": self.estimate, "bias": self.bias, "se": self.bse})
        return "\n".join(
            [*lines, table.join(self.conf_int()).to_string(float_format="{:.5g}".format)]
        )

    def _counts(self) -> str:
        parts = [f"{self.failed} failed, {self.singular} singular, {self.stopped} not converged"]
        if self.message:
            parts.append(f"the first failure: {self.message}")
        return "; ".join(parts)

    def _repr_html_(self) -> str:
        table = pd.DataFrame({"estimate": self.estimate, "bias": self.bias, "se": self.bse})
        head = f"{len(self.replicates):,} {self.kind} bootstrap fits: {self._counts()}"
        shown = table.join(self.conf_int()).to_html(float_format="{:.5g}".format)
        return f"<p>{escape(head)}</p>{shown}"
