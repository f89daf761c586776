"""A fitted growth model: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design.structured import StructuredDesign, build_structured
from ...errors import (
    ConvergenceWarning,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
)
from ...formula import parse
from ...inference.growth import covariance_elements, information
from ...models.gls.model import GlsEstimate, GlsModel, fit_gls, gls_model
from ...report.numbers import in_one_scale
from ...report.regression import CoefficientTests
from ...report.summary import Summary, pvalue_text
from ..warned import dropped_rows
from .call import GrowthCall
from .curves import FACTORS, GrowthFit
from .fit import check, formula_of

__all__ = ["FACTORS", "GrowthCall", "GrowthModel"]


class GrowthModel(CoefficientTests, GrowthFit):
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
    def factor_cov(self) -> pd.DataFrame:
        """Covariance of the growth factors given covariates."""
        names = list(FACTORS[: self._n_random])
        return pd.DataFrame(self._estimate.sigmas[0], index=names, columns=names)

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


def fit_model(call: GrowthCall, data: Any) -> GrowthModel:
    """Fit as a call says, without giving its warnings."""
    rows = build_structured(
        parse(formula_of(call)),
        data,
        groups=call.groups,
        time=call.time,
        variance=call.time if call.residuals == "free" else None,
        missing=call.missing,
    )
    check(rows, call)
    model = gls_model(rows, "independence")
    estimate = fit_gls(rows, model, reml=False, control=call.control)
    return GrowthModel(rows, estimate, call, model=model)
