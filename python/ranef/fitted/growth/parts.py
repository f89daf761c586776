"""The parts of a fitted growth model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...design.structured import StructuredDesign
from ...errors import ModelError
from ...formula.terms import quoted
from ...inference.fit_measures import FitMeasures, Moments, fit_measures, srmr
from ...inference.growth import covariance, covariance_elements
from ...inference.hypotheses.linear import FixedDf
from ...models.gls import rows as gls_rows
from ...models.gls.model import GlsEstimate, GlsModel, gls_model
from ...models.growth import baseline, saturated
from ..parts import Parts
from .call import FACTORS, SHAPES, GrowthCall

__all__ = ["GrowthParts"]


@dataclass(frozen=True, eq=False, repr=False)
class GrowthParts(Parts):
    """Rows, estimate and kernel of a fit, and what follows from them."""

    estimate: GlsEstimate
    call: GrowthCall
    structured: StructuredDesign | None = None

    @property
    def rows(self) -> StructuredDesign:
        """The design with groups and times of the rows."""
        assert self.structured is not None
        return self.structured

    @cached_property
    def core(self) -> GlsModel:
        """The kernel, built again after pickling."""
        found: GlsModel | None = self.kernel
        return gls_model(self.rows, "independence") if found is None else found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(self.labels())

    @cached_property
    def beta(self) -> Array:
        """Estimates of all parameters, NaN where aliased."""
        variances = self.residual_variances.to_numpy()
        return np.concatenate([self.estimate.beta, self.psi_elements(), variances])

    @property
    def formula(self) -> str:
        """Outcome and curve."""
        return f"{self.call.outcome} ~ {self.call.shape} in {self.call.time}"

    @cached_property
    def cov(self) -> Array:
        """Covariance of all parameters, from the information matrix."""
        observed = self.information == "observed"
        return covariance(self.rows, self.core, self.estimate, observed=observed)

    def approximate(self, ddf: str) -> FixedDf:
        """Compute the reference distribution of the tests: normal."""
        return FixedDf(self.cov, np.inf)

    @property
    def n_groups(self) -> int:
        """Groups that were used."""
        return len(self.rows.levels)

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return int(np.sum(~np.isnan(self.beta)))

    @property
    def llf(self) -> float:
        """Log-likelihood of the occasions given covariates."""
        return -0.5 * self.estimate.objective

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        return {
            "nobs": self.nobs,
            "npar": self.npar,
            "logLik": self.llf,
            "AIC": 2.0 * (self.npar - self.llf),
            "BIC": float(np.log(self.n_groups)) * self.npar - 2.0 * self.llf,
            "df.residual": self.nobs - self.npar,
            "singular": self.estimate.is_singular or self.estimate.at_bound,
            "converged": self.estimate.converged,
        }

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        return f"{counted(self.n_groups, 'group')}, {counted(self.nobs, 'row')}, llf {self.llf:.4f}"

    @property
    def information(self) -> str:
        """The information behind standard errors: "expected" or "observed"."""
        if self.call.information is not None:
            return self.call.information
        return "expected" if self.nobs == self.n_groups * len(self.occasions) else "observed"

    def labels(self) -> Iterable[str]:
        """Names of all parameters, in the order of the information matrix."""
        yield from (self.columns[j][0] for j in range(len(self.design.fixed)))
        for i, j in covariance_elements(self.n_random):
            a, b = FACTORS[j], FACTORS[i]
            yield f"Var({a})" if i == j else f"Cov({a}, {b})"
        free = self.call.residuals == "free"
        for occasion in self.residual_variances.index:
            yield f"Var(residual, {occasion})" if free else "Var(residual)"

    def psi_elements(self) -> Array:
        """Variances and covariances of the factors, in the order of their labels."""
        (psi,) = self.estimate.sigmas
        return np.array([psi[i, j] for i, j in covariance_elements(self.n_random)])

    # ------------------------------------------------------------------ moments and fit

    @property
    def n_shape(self) -> int:
        """Number of factors of the mean curve."""
        return SHAPES[self.call.shape]

    @cached_property
    def columns(self) -> dict[int, tuple[str, int, str]]:
        """Label of each column of X, its factor (-1: none), and the column of a covariate."""
        design, call = self.design, self.call
        names, terms = design.fixed_names, {}
        for term, places in design.fixed_terms:
            terms[frozenset(term.split(":"))] = places
        curve = [name for name, _ in design.fixed_terms[: self.n_shape]]
        out = {j: (call.factors[j], j, "") for j in range(self.n_shape)}
        for f, covariates in enumerate(call.regressors):
            for x in covariates:
                main = terms[frozenset([quoted(x)])]
                crossed = main if f == 0 else terms[frozenset([quoted(x), *curve[f].split(":")])]
                for place, own in zip(crossed, main, strict=True):
                    out[place] = (f"{call.factors[f]} ~ {names[own]}", f, names[own])
        for w in call.time_varying:
            free = call.paths == "free"
            extra = [f"C({quoted(call.time)})"] if free else []
            places = terms[frozenset([quoted(w), *extra])]
            told = [f"{w}, {t}" for t in self.occasions] if free else [names[j] for j in places]
            out |= {j: (f"path({text})", -1, "") for j, text in zip(places, told, strict=True)}
        return out

    def covariate_columns(self) -> list[int]:
        """Positions in X of the covariates' own columns."""
        return [j for j, (_, factor, x) in sorted(self.columns.items()) if factor == 0 and x]

    def covariates(self) -> Array:
        """Covariates of each row, (n, q)."""
        return self.design.X[:, self.covariate_columns()]

    @cached_property
    def regressions(self) -> Array:
        """Coefficients Gamma of the covariates' columns for each factor, (k, q)."""
        names = [self.columns[j][2] for j in self.covariate_columns()]
        out = np.zeros((self.n_shape, len(names)))
        beta = np.nan_to_num(self.estimate.beta)
        for j, (_, factor, x) in self.columns.items():
            if x:
                out[factor, names.index(x)] = beta[j]
        return out

    def factor_means(self, x: Array) -> Array:
        """Means alpha + Gamma x of the factors, a row for each of x, (m, k)."""
        alpha = np.nan_to_num(self.estimate.beta[: self.n_shape])
        return np.asarray(alpha + x @ self.regressions.T)

    def refuse_paths(self, what: str) -> None:
        """Refuse what would need a model of the covariates that vary in time."""
        if self.call.time_varying:
            raise ModelError(
                f"{what} would need a model of {' and '.join(self.call.time_varying)} at every "
                "occasion, and a curve with time_varying= takes them as given"
            )

    def implied(self) -> Moments:
        """Return means and covariances of the occasions and covariates that the model implies.

        Returns
        -------
        Moments
            ``mean`` (T + q,) and ``cov`` (T + q, T + q), the covariates last.
        """
        self.refuse_paths("implied moments")
        assert self.rows.time is not None
        times = np.unique(self.rows.time)
        curve = times[:, None] ** np.arange(self.n_shape)
        intercepts = curve @ self.factor_means(np.zeros((1, self.n_x)))[0]
        regressions = curve @ self.regressions
        varying = curve[:, : self.n_random]
        residual = np.broadcast_to(self.residual_variances.to_numpy(), len(times))
        cov = varying @ self.estimate.sigmas[0] @ varying.T + np.diag(residual)
        return self.joint(intercepts, regressions, cov)

    @property
    def n_x(self) -> int:
        """Number of columns of covariates."""
        return len(self.covariate_columns())

    def joint(self, intercepts: Array, regressions: Array, cov: Array) -> Moments:
        """Moments of occasions and covariates from those of occasions given covariates."""
        structured = self.rows
        first = np.zeros(len(structured.levels), np.intp)
        first[structured.cluster] = np.arange(self.nobs)
        x = self.covariates()[first]
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
        self.refuse_paths("measures of fit")
        structured = self.rows
        assert structured.time is not None
        place = np.unique(structured.time, return_inverse=True)[1]
        time = self.design.random[0]
        time = type(time)(self.call.time, place.astype(np.int32), self.occasions, (), (), ())
        whole = saturated(structured, place, self.covariates(), time, self.call.control)
        response = self.design.y
        null_llf, null_npar = baseline(response, place)
        return fit_measures(
            (null_llf, self.llf, whole.llf),
            (null_npar, self.npar, whole.npar),
            self.n_groups,
            srmr(self.joint(whole.intercepts, whole.regressions, whole.cov), self.implied()),
        )

    # ------------------------------------------------------------------ occasions

    @property
    def occasions(self) -> pd.Index[Any]:
        """The distinct times, ascending."""
        assert self.rows.time_levels is not None
        return self.rows.time_levels

    @property
    def residual_variances(self) -> pd.Series[Any]:
        """Residual variances by occasion; one, called "all", when they are equal."""
        estimate = self.estimate
        if self.call.residuals == "equal":
            return pd.Series([estimate.sigma**2], index=["all"])
        T = len(self.occasions)
        return pd.Series(estimate.residual_sd(np.eye(T, T - 1, -1)) ** 2, index=self.occasions)

    @property
    def n_random(self) -> int:
        """Number of factors that vary between groups."""
        return self.design.random[0].n_cols

    def resid(self) -> Array:
        """Residuals given the factors of the groups, shape (n,)."""
        return gls_rows.conditional_residuals(self.rows, self.estimate)
