"""Confidence intervals: a method of every generalised model."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import pandas as pd

from ...report.bootstrap import Bootstrap
from ..coefficients import level_and_method, wald_intervals
from ..mixed.profiles import profile_intervals
from ..parts import Base
from .parts import GeneralisedParts

__all__ = ["METHODS", "Bootstrapped", "Intervals", "of_all_parameters"]

#: How intervals are found.
METHODS = ("wald", "profile", "boot")


class Bootstrapped(Protocol):
    """A model with a bootstrap."""

    @property
    def parts(self) -> Any:
        """The parts of the model."""

    def bootstrap(
        self, n: int = 1000, *, seed: int | None = None, progress: bool = True
    ) -> Bootstrap:
        """Refit the model to data drawn again."""


class Intervals(Base):
    """Intervals of the parameters."""

    parts: GeneralisedParts

    def conf_int(
        self: Bootstrapped,
        method: Literal["wald", "profile", "boot"] | float = "wald",
        level: float | str = 0.95,
        *,
        ddf: str | None = None,
        n: int = 1000,
        seed: int | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile", "boot"}
            ``"wald"``: normal intervals of the coefficients. ``"profile"``: where twice the fall
            of the log-likelihood, by the approximation of the fit, reaches the normal quantile's
            square, for every parameter. A bound (a standard deviation of 0, a correlation of -1 or
            1) where the data do not exclude it. ``"boot"``: quantiles of a parametric bootstrap. A
            number is taken for ``level``.
        level : float
            Coverage, between 0 and 1.
        ddf : {"inf"}, optional
            Degrees of freedom of Wald's intervals, which are normal.
        n : int
            Replicates of the bootstrap.
        seed : int, optional
            Makes the bootstrap repeatable.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile and of a bootstrap: ``sd_TERM|GROUP``,
            ``cor_TERM.TERM|GROUP``, ``dispersion`` where there is one, the thresholds of an ordinal
            model, then the coefficients.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.conf_int("profile").loc["sd_Intercept|herd"].round(3).tolist()
        [0.346, 1.1]
        """
        level, how = level_and_method(level, method, METHODS, type(self).__name__)
        if how != "wald":
            return of_all_parameters(self, how, level, n, seed, progress=progress)
        return wald_intervals(self.parts, level, ddf)


def of_all_parameters(
    model: Bootstrapped, how: str, level: float, n: int, seed: int | None, *, progress: bool
) -> pd.DataFrame:
    """Compute intervals of all parameters, by profiles or by the bootstrap."""
    if how == "profile":
        return profile_intervals(model.parts, level, progress=progress)
    return model.bootstrap(n, seed=seed, progress=progress).conf_int("percentile", level)
