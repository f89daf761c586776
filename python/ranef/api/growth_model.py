"""A fitted growth model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.structured import StructuredDesign
from ..errors import ConvergenceWarning, ModelError, RanefWarning, RankWarning, SingularFitWarning
from ..inference.fit_measures import FitMeasures, Moments, fit_measures, srmr
from ..inference.growth import covariance_elements, information
from ..models.gls import GlsEstimate, GlsModel, gls_model
from ..models.growth import baseline, saturated
from ..models.lmm import Control
from ..report.numbers import in_one_scale
from ..report.regression import CoefficientTests
from ..report.summary import Summary, pvalue_text
from .feols import dropped_rows

__all__ = ["FACTORS", "GrowthCall", "GrowthModel"]

Array = NDArray[np.float64]

#: Names of the growth factors.
FACTORS = ("intercept", "slope", "quadratic")


@dataclass(frozen=True)
class GrowthCall:
    """The arguments of a fit."""

    outcome: str
    time: str
    groups: str
    shape: str = "linear"
    random: str = "linear"
    residuals: str = "equal"
    covariates: tuple[str, ...] = ()
    information: str | None = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)


class GrowthModel(CoefficientTests):
    """A fitted latent growth curve model.

    Made by :func:`ranef.growth`; nothing of it changes after the fit. ``params``, ``bse``,
    ``cov_params()``, ``coef_table()`` and ``conf_int()`` hold all parameters: means of the factors,
    their regressions on covariates, their variances and covariances, and residual variances.

    Attributes
    ----------
    call : GrowthCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        rows: StructuredDesign,
        estimate: GlsEstimate,
        call: GrowthCall,
        *,
        model: GlsModel | None = None,
    ):
        self.call = call
        self._structured = rows
        self._design = rows.design
        self._estimate = estimate
        self._model = model
        self._names = tuple(self._labels())
        self._beta = np.concatenate(
            [estimate.beta, self._psi_elements(), self.residual_variances.to_numpy()]
        )
        self.warnings = tuple(self._findings())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def _labels(self) -> Iterable[str]:
        """Names of all parameters, in the order of the information matrix."""
        design, q = self._design, len(self.call.covariates)
        k = len(FACTORS) if self.call.shape == "quadratic" else 1 + (self.call.shape == "linear")
        names = list(design.fixed_names)
        yield from FACTORS[:k]
        columns = [[names[j] for j in places] for _, places in design.fixed_terms[k : k + q]]
        for factor in FACTORS[:k]:
            for part in columns:
                yield from (f"{factor} ~ {column}" for column in part)
        for i, j in covariance_elements(self._n_random):
            a, b = FACTORS[j], FACTORS[i]
            yield f"Var({a})" if i == j else f"Cov({a}, {b})"
        free = self.call.residuals == "free"
        for occasion in self.residual_variances.index:
            yield f"Var(residual, {occasion})" if free else "Var(residual)"

    @property
    def _n_random(self) -> int:
        return self._design.random[0].n_cols

    def _psi_elements(self) -> Array:
        (psi,) = self._estimate.sigmas
        return np.array([psi[i, j] for i, j in covariance_elements(self._n_random)])

    def _findings(self) -> Iterable[RanefWarning]:
        """Everything worth a warning."""
        yield from dropped_rows(self._design)
        estimate = self._estimate
        if len(estimate.kept) < len(self._design.fixed):
            lost = ", ".join(n for n, b in zip(self._names, estimate.beta, strict=False) if b != b)
            yield RankWarning(
                f"no coefficient can be estimated for {lost}: combinations of the columns before"
            )
        if not estimate.converged:
            yield ConvergenceWarning(
                f"the search stopped ({estimate.status}) where -2 log-likelihood can still fall by "
                f"about {estimate.decrement:.2g}; take a simpler shape or random part"
            )
        elif estimate.is_singular or estimate.at_bound:
            yield SingularFitWarning(
                "a variance stands at zero, or a correlation of the factors at 1: the likelihood "
                "has its maximum at the end of the parameters' range. Errors and p-values are "
                "rough there; a model with fewer variances says as much"
            )

    # ------------------------------------------------------------------ parameters

    @property
    def _fitted_model(self) -> GlsModel:
        """The kernel, built again after pickling."""
        if self._model is None:
            self._model = gls_model(self._structured, "independence")
        return self._model

    @cached_property
    def _cov(self) -> Array:  # type: ignore[override]
        observed = self.information == "observed"
        found = information(self._structured, self._fitted_model, self._estimate, observed=observed)
        return np.asarray(np.linalg.inv(found), float)

    @property
    def information(self) -> str:
        """What standard errors rest on: "expected" or "observed"."""
        if self.call.information is not None:
            return self.call.information
        return "expected" if self.nobs == self.n_groups * len(self.occasions) else "observed"

    @property
    def occasions(self) -> pd.Index[Any]:
        """The distinct times, ascending."""
        assert self._structured.time_levels is not None
        return self._structured.time_levels

    @property
    def factor_cov(self) -> pd.DataFrame:
        """Covariance of the growth factors given covariates."""
        names = list(FACTORS[: self._n_random])
        return pd.DataFrame(self._estimate.sigmas[0], index=names, columns=names)

    @property
    def residual_variances(self) -> pd.Series[Any]:
        """Residual variances by occasion; one, called "all", when they are equal."""
        estimate = self._estimate
        if self.call.residuals == "equal":
            return pd.Series([estimate.sigma**2], index=["all"])
        sds = estimate.sigma * np.exp(np.append(0.0, estimate.delta))
        return pd.Series(sds**2, index=self.occasions)

    def scores(self) -> pd.DataFrame:
        """Predict the growth factors of each group: their means given all its occasions.

        Returns
        -------
        DataFrame
            A row a group; columns intercept, slope, ...
        """
        structured, k = self._structured, self._n_shape
        x = self._covariates()
        first = np.zeros(len(structured.levels), np.intp)
        first[structured.cluster] = np.arange(self.nobs)
        out = self._factor_means(x[first])
        out[:, : self._n_random] += self._estimate.modes[0]
        return pd.DataFrame(out, index=structured.levels, columns=list(FACTORS[:k]))

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

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        call = self.call
        facts = [
            ("Outcome", call.outcome),
            (
                "Curve",
                f"{call.shape} in {call.time}; {self._varying_text()}; {call.residuals} residual "
                f"variance{'s' if call.residuals == 'free' else ''}",
            ),
            (
                "Groups",
                f"{call.groups} ({self.n_groups:,}), {self.nobs:,} rows of "
                f"{len(self.occasions)} occasions",
            ),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        notes = [str(w) for w in self.warnings]
        try:
            facts += self._fit_facts()
        except ModelError as error:
            notes.append(f"no measures of fit: {error}")
        notes.append(f"errors rest on the {self.information} information; tests are normal")
        title = "Latent growth curve model fit by maximum likelihood"
        return Summary(title, facts, None, self.coef_table(), notes)

    def _varying_text(self) -> str:
        """Name the factors that vary between groups."""
        *first, last = FACTORS[: self._n_random]
        return f"{', '.join(first)} and {last} vary" if first else f"{last} varies"

    def _fit_facts(self) -> list[tuple[str, str]]:
        """Measures of fit as text."""
        fit = self.fit
        p = pvalue_text(fit.pvalue)
        indices = in_one_scale([fit.cfi, fit.tli, fit.srmr], [1.0, 1.0, 1.0])
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        return [
            ("Against saturated", f"chi-squared {fit.chisq:.3f} on {fit.df} df, {p}"),
            (
                "Indices of fit",
                f"CFI {indices[0]}, TLI {indices[1]}, SRMR {indices[2]}, RMSEA {fit.rmsea:.3f} "
                f"({fit.rmsea_lower:.3f} to {fit.rmsea_upper:.3f})",
            ),
        ]

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
