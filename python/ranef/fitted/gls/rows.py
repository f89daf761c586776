"""Rows of a model with structured residuals: fitted values, residuals and predictions."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import CONFIDENCE, NewLevels, Random
from ...design.encode import encode
from ...errors import ModelError, UnsupportedError
from ...inference.coverage import t_quantile
from ...inference.prediction import predict as prediction
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.table import labelled, laid_out
from ...models.gls import rows as gls_rows
from ..parts import Base
from ..residual_series import Residuals
from .parts import GlsParts

__all__ = ["Rows"]


class Rows(Base):
    """Fitted values, residuals and predictions."""

    parts: GlsParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """X beta + Z b + offset for the rows used."""
        return self.parts.label(self.parts.design.y - self.parts.resid())

    @property
    def resid(self) -> Residuals:
        """Response minus fitted values for the rows used."""
        return Residuals.over(self, self.parts.label(self.parts.resid()))

    @property
    def resid_normalized(self) -> pd.Series[Any]:
        """Residuals standardised by their covariance: independent, of variance 1, in order of time.

        Each is what the earlier rows of its group do not predict, in units of its own standard
        deviation; independent and normal if the model is right.
        """
        return self.parts.label(
            gls_rows.normalized_residuals(self.parts.rows, self.parts.core, self.parts.estimate)
        )

    @property
    def resid_sd(self) -> pd.Series[Any]:
        """Standard deviation of the residual of each row used."""
        return self.parts.label(gls_rows.residual_sd(self.parts.rows, self.parts.estimate))

    def residual_covariance(self, group: Any = None) -> pd.DataFrame:
        """Return the covariance matrix of the residuals of one group.

        Parameters
        ----------
        group : label, optional
            A level of ``groups``; by default the first of those with most rows.

        Returns
        -------
        DataFrame
            Rows and columns by time, or by number when no time was given.
        """
        if self.parts.call.groups is None:
            raise ModelError("the model has no groups; the variances of rows are in resid_sd")
        rows = self.parts.rows
        code = int(np.bincount(rows.cluster).argmax())
        if group is not None:
            places = np.flatnonzero(rows.levels == group)
            if not len(places):
                raise ValueError(f"{self.parts.call.groups!r} has no level {group!r}")
            code = int(places[0])
        at, cov = gls_rows.residual_covariance(self.parts.core, self.parts.estimate, code)
        labels: Any = range(len(at))
        if rows.time is not None and rows.time_levels is not None:
            labels = rows.time_levels[np.searchsorted(np.unique(rows.time), rows.time[at])]
        index = pd.Index(labels, name=self.parts.call.time)
        return pd.DataFrame(cov, index=index, columns=index)

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
        interval: Literal["confidence"],
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
        interval: Literal["confidence"] | None = None,
        se: Literal[True],
        level: float = 0.95,
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        random: Random = "all",
        new_levels: NewLevels = "raise",
        interval: Literal["confidence"] | None = None,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict means.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        random : {"all", "none"} or list of str
            Which random effects take part, if the model has any.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen.
        interval : {"confidence"}, optional
            An interval of the population mean, ``random="none"``.
        se : bool
            Whether to add a column ``se``: standard errors of the mean.
        level : float
            Its coverage.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. Residuals of the group's observed rows are not
            used.
        """
        if newdata is None and interval is None and not se and random == "all":
            return self.fittedvalues
        groups = (
            prediction.chosen_groups(self.parts.design, random) if self.parts.design.random else []
        )
        data = self.parts.training_data() if newdata is None else newdata
        rows = encode(self.parts.design, data, random=groups, new_levels=new_levels)
        rows = without_estimate(self.parts.design, data, rows, self.parts.kept)
        mean = prediction.linear_predictor(self.parts.design, self.parts.estimate, rows, groups)
        if interval is not None:
            interval = check_option("interval", interval, CONFIDENCE)
        if interval is None and not se:
            return labelled(mean, rows.index)
        if groups:
            raise UnsupportedError(
                'intervals and standard errors are for the population mean; use random="none"'
            )
        X = rows.X[:, self.parts.estimate.kept]
        approximation = self.parts.approximation("satterthwaite")
        error = np.sqrt(np.einsum("ij,jk,ik->i", X, approximation.cov, X))
        limits = None
        if interval is not None:
            half = t_quantile(level, approximation.df(X)) * error
            limits = (mean - half, mean + half)
        return laid_out(mean, error if se else None, limits, rows.index)
