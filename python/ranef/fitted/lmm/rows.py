"""Rows of a linear mixed model: fitted values, residuals, predictions and draws."""

from __future__ import annotations

from typing import Any, Literal, overload

import pandas as pd

from ..._options import check_option
from ..._typing import INTERVALS, Array, Interval, NewLevels, Random
from ..parts import Base
from ..residual_series import Residuals
from .parts import LmmParts

__all__ = ["Rows"]


class Rows(Base):
    """Fitted values, residuals, predictions and simulated responses."""

    parts: LmmParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """X beta + Z b + offset for the rows used."""
        from ...inference.prediction import predict as prediction

        return self.parts.label(prediction.fitted(self.parts.design, self.parts.estimate))

    @property
    def resid(self) -> Residuals:
        """Response minus fitted values for the rows used."""
        from ...inference.prediction import predict as prediction

        return Residuals.over(
            self,
            self.parts.label(
                self.parts.design.y - prediction.fitted(self.parts.design, self.parts.estimate)
            ),
        )

    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: None = None,
        se: Literal[False] = False,
        level: float = 0.95,
    ) -> pd.Series[Any]: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval | None = None,
        se: Literal[True],
        level: float = 0.95,
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Interval | None = None,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict the response.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        random : {"all", "none"} or list of str
            Which random effects take part: all, none (the population's mean), or those
            of the groups named. None is ``"none"``.
        new_levels : {"raise", "population"}
            What to do with levels that the fit has not seen: raise, or use the
            population's effect, zero.
        interval : {"confidence", "prediction"}, optional
            An interval for the mean of the row's level, or for one new observation (of
            weight 1). Both include
            the variance of a new level; a prediction interval with ``random="none"``
            is for an observation
            whose levels are not known.
        se : bool
            Whether to add a column ``se``: standard errors of the mean.
        level : float
            Coverage of the interval.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values is NaN.

        Notes
        -----
        Intervals are normal and take the covariance parameters as known.
        """
        from ...inference.prediction import predict as prediction

        if interval is not None:
            interval = check_option("interval", interval, INTERVALS)
        if newdata is None:
            if interval is None and not se and random == "all":
                return self.fittedvalues
            if interval is None and not se and random in ("none", None):
                return self.parts.label(
                    prediction.fixed_part(self.parts.design, self.parts.estimate)
                )
            newdata = self.parts.training_data()
        return prediction.predict(
            self.parts.design,
            self.parts.estimate,
            self.parts.core,
            newdata,
            random=random,
            new_levels=new_levels,
            interval=interval,
            se=se,
            level=level,
        )

    def simulate(self, n: int = 1, *, seed: Any = None) -> Array:
        """Draw new responses from the fitted model, random effects included.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int or Generator, optional
            Makes the draws repeatable.

        Returns
        -------
        ndarray of shape (nobs, n)
            One response per column.
        """
        from ...inference.prediction import predict as prediction

        return prediction.simulate(self.parts.design, self.parts.estimate, n, seed)
