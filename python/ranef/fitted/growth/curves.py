"""Counts, criteria, implied moments and measures of fit of a growth model."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.design import Design
from ...design.structured import StructuredDesign
from ...inference.fit_measures import FitMeasures, Moments, fit_measures, srmr
from ...models.gls.model import GlsEstimate
from ...models.growth import baseline, saturated
from .call import GrowthCall

__all__ = ["FACTORS", "GrowthFit"]


#: Names of the growth factors.
FACTORS = ("intercept", "slope", "quadratic")


class GrowthFit:
    """Moments and measures of fit."""

    call: GrowthCall
    _structured: StructuredDesign
    _design: Design
    _estimate: GlsEstimate
    _beta: Array

    # ------------------------------------------------------------------ counts and criteria

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs

    @property
    def n_groups(self) -> int:
        """Groups that were used."""
        return len(self._structured.levels)

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return int(np.sum(~np.isnan(self._beta)))

    @property
    def llf(self) -> float:
        """Log-likelihood of the occasions given covariates."""
        return -0.5 * self._estimate.objective

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting groups as structural equation models do."""
        return float(np.log(self.n_groups)) * self.npar - 2.0 * self.llf

    @property
    def converged(self) -> bool:
        """Whether this is an optimum by exact derivatives."""
        return self._estimate.converged

    @property
    def is_singular(self) -> bool:
        """Whether a variance stands at zero, or a correlation of the factors at 1."""
        return self._estimate.is_singular or self._estimate.at_bound

    # ------------------------------------------------------------------ moments and fit

    @property
    def _n_shape(self) -> int:
        return {"intercept": 1, "linear": 2, "quadratic": 3}[self.call.shape]

    def _covariate_columns(self) -> list[int]:
        """Positions in X of the covariates' own columns."""
        k, q = self._n_shape, len(self.call.covariates)
        return [j for _, places in self._design.fixed_terms[k : k + q] for j in places]

    def _covariates(self) -> Array:
        """Covariates of each row, (n, q)."""
        return self._design.X[:, self._covariate_columns()]

    def _factor_means(self, x: Array) -> Array:
        """Means alpha + Gamma x of the factors, a row for each of x, (m, k)."""
        beta, k = np.nan_to_num(self._estimate.beta), self._n_shape
        return np.asarray(beta[:k] + x @ beta[k:].reshape(k, x.shape[1]).T)

    def implied(self) -> Moments:
        """Give means and covariances of the occasions and covariates that the model implies.

        Returns
        -------
        Moments
            ``mean`` (T + q,) and ``cov`` (T + q, T + q), the covariates last.
        """
        assert self._structured.time is not None
        times = np.unique(self._structured.time)
        curve = times[:, None] ** np.arange(self._n_shape)
        intercepts = curve @ self._factor_means(np.zeros((1, self._n_x)))[0]
        regressions = (
            curve
            @ (
                self._factor_means(np.eye(self._n_x)) - self._factor_means(np.zeros((1, self._n_x)))
            ).T
        )
        varying = curve[:, : self._n_random]
        residual = np.broadcast_to(self.residual_variances.to_numpy(), len(times))
        cov = varying @ self._estimate.sigmas[0] @ varying.T + np.diag(residual)
        return self._joint(intercepts, regressions, cov)

    @property
    def _n_x(self) -> int:
        return len(self._covariate_columns())

    def _joint(self, intercepts: Array, regressions: Array, cov: Array) -> Moments:
        """Moments of occasions and covariates from those of occasions given covariates."""
        structured = self._structured
        first = np.zeros(len(structured.levels), np.intp)
        first[structured.cluster] = np.arange(self.nobs)
        x = self._covariates()[first]
        mean = x.mean(axis=0)
        Sxx = (x - mean).T @ (x - mean) / len(x)
        across = regressions @ Sxx
        whole = np.block([[cov + across @ regressions.T, across], [across.T, Sxx]])
        return Moments(np.concatenate([intercepts + regressions @ mean, mean]), whole)

    @cached_property
    def fit(self) -> FitMeasures:
        """Chi-squared test against the saturated model, and indices of fit.

        Raises
        ------
        ModelError
            If the saturated model cannot be estimated: too few groups, or pairs of occasions that
            no group has.
        """
        structured = self._structured
        assert structured.time is not None
        place = np.unique(structured.time, return_inverse=True)[1]
        time = self._design.random[0]
        time = type(time)(self.call.time, place.astype(np.int32), self.occasions, (), (), ())
        whole = saturated(structured, place, self._covariates(), time, self.call.control)
        response = self._design.y
        null_llf, null_npar = baseline(response, place)
        return fit_measures(
            (null_llf, self.llf, whole.llf),
            (null_npar, self.npar, whole.npar),
            self.n_groups,
            srmr(self._joint(whole.intercepts, whole.regressions, whole.cov), self.implied()),
        )

    # ------------------------------------------------------------------ occasions

    @property
    def occasions(self) -> pd.Index[Any]:
        """The distinct times, ascending."""
        assert self._structured.time_levels is not None
        return self._structured.time_levels

    @property
    def residual_variances(self) -> pd.Series[Any]:
        """Residual variances by occasion; one, called "all", when they are equal."""
        estimate = self._estimate
        if self.call.residuals == "equal":
            return pd.Series([estimate.sigma**2], index=["all"])
        sds = estimate.sigma * np.exp(np.append(0.0, estimate.delta))
        return pd.Series(sds**2, index=self.occasions)

    @property
    def _n_random(self) -> int:
        return self._design.random[0].n_cols
