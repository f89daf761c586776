"""Counts, criteria, implied moments and measures of fit of a growth model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from ..._number import Count
from ..._options import check_option
from ..._typing import CONFIDENCE
from ...design import encode
from ...errors import UnsupportedError
from ...inference.coverage import check_level, t_quantile
from ...inference.fit_measures import FitMeasures, Moments
from ...inference.prediction import predict as prediction
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.table import labelled, laid_out
from ..parts import Base
from ..residual_series import Residuals
from .call import FACTORS
from .parts import GrowthParts

__all__ = ["Criteria", "Curves", "Rows"]


class Criteria(Base):
    """Counts, likelihood and criteria."""

    parts: GrowthParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def n_groups(self) -> int:
        """Groups that were used."""
        return self.parts.n_groups

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of ``groups``."""
        return {self.parts.call.groups: self.parts.n_groups}

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return self.parts.npar

    @property
    def df_resid(self) -> int:
        """Rows minus parameters."""
        return self.parts.nobs - self.parts.npar

    @property
    def llf(self) -> float:
        """Log-likelihood of the occasions given covariates."""
        return self.parts.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.parts.npar - 2.0 * self.parts.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting groups as structural equation models do."""
        return float(np.log(self.parts.n_groups)) * self.parts.npar - 2.0 * self.parts.llf

    @property
    def converged(self) -> bool:
        """Whether this is an optimum by exact derivatives."""
        return self.parts.estimate.converged

    @property
    def is_singular(self) -> bool:
        """Whether a variance is zero, or a correlation of the factors 1."""
        return self.parts.estimate.is_singular or self.parts.estimate.at_bound


class Rows(Base):
    """Fitted values and residuals."""

    parts: GrowthParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Curve of each group at its predicted factors, for the rows used."""
        return self.parts.label(self.parts.design.y - self.parts.resid())

    @property
    def resid(self) -> Residuals:
        """Response minus fitted values for the rows used."""
        return Residuals.over(self, self.parts.label(self.parts.resid()))

    def predict(
        self,
        newdata: Any = None,
        *,
        random: Literal["all", "none"] | None = "all",
        new_levels: Literal["raise", "population"] = "raise",
        interval: Literal["confidence"] | None = None,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict the outcome.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        random : {"all", "none"}
            Whether each group is at its predicted factors, or at the population's means.
        new_levels : {"raise", "population"}
            What to do with groups the fit has not seen.
        interval : {"confidence"}, optional
            A normal interval of the population mean, ``random="none"``.
        se : bool
            Whether to add a column ``se``: standard errors of the population mean,
            ``random="none"``, with the variances taken as known.
        level : float
            Coverage of the interval.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values is NaN.

        Raises
        ------
        UnsupportedError
            If an interval or standard errors are asked for with random effects.
        """
        parts = self.parts
        if interval is not None:
            check_option("interval", interval, CONFIDENCE)
        if newdata is None and random == "all" and interval is None and not se:
            return self.fittedvalues
        data = parts.training_data() if newdata is None else newdata
        groups = prediction.chosen_groups(parts.design, random)
        rows = encode(parts.design, data, random=groups, new_levels=new_levels)
        rows = without_estimate(parts.design, data, rows, parts.estimate.kept)
        mean = prediction.linear_predictor(parts.design, parts.estimate, rows, groups)
        if interval is None and not se:
            return labelled(mean, rows.index)
        if groups:
            raise UnsupportedError(
                'intervals and standard errors are for the population mean; use random="none"'
            )
        X = rows.X[:, parts.estimate.kept]
        cov = parts.approximation().cov[: X.shape[1], : X.shape[1]]
        error = np.sqrt(np.einsum("ij,jk,ik->i", X, cov, X))
        check_level(level)
        half = t_quantile(level) * error
        limits = None if interval is None else (mean - half, mean + half)
        return laid_out(mean, error if se else None, limits, rows.index)


class Curves(Base):
    """Factors, moments and measures of fit."""

    parts: GrowthParts

    @property
    def information(self) -> str:
        """The information behind standard errors: "expected" or "observed"."""
        return self.parts.information

    @property
    def occasions(self) -> pd.Index[Any]:
        """The distinct times, ascending."""
        return self.parts.occasions

    @property
    def residual_variances(self) -> pd.Series[Any]:
        """Residual variances by occasion; one, called "all", when they are equal."""
        return self.parts.residual_variances

    def implied(self) -> Moments:
        """Compute the means and covariances of occasions and covariates that the model implies.

        Returns
        -------
        Moments
            ``mean`` (T + q,) and ``cov`` (T + q, T + q), the covariates last.
        """
        return self.parts.implied()

    @property
    def fit(self) -> FitMeasures:
        """Chi-squared test against the saturated model, and indices of fit.

        Raises
        ------
        ModelError
            If the saturated model cannot be estimated: too few groups, or pairs of occasions that
            no group has.
        """
        return self.parts.fit

    @property
    def factor_cov(self) -> pd.DataFrame:
        """Covariance of the growth factors given covariates."""
        names = list(FACTORS[: self.parts.n_random])
        return pd.DataFrame(self.parts.estimate.sigmas[0], index=names, columns=names)

    def scores(self) -> pd.DataFrame:
        """Predict the growth factors of each group: their means given all its occasions.

        Returns
        -------
        DataFrame
            One row per group; columns intercept, slope, ...
        """
        parts = self.parts
        structured, k = parts.rows, parts.n_shape
        x = parts.covariates()
        first = np.zeros(len(structured.levels), np.intp)
        first[structured.cluster] = np.arange(parts.nobs)
        out = parts.factor_means(x[first])
        out[:, : parts.n_random] += parts.estimate.modes[0]
        return pd.DataFrame(out, index=structured.levels, columns=list(FACTORS[:k]))
