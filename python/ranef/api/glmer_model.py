"""A fitted generalised linear mixed model: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import _core
from ..design.design import Design
from ..errors import (
    ConvergenceWarning,
    DataError,
    DroppedRowsWarning,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
    UnsupportedError,
)
from ..inference.glmm_checks import optimum_of
from ..inference.glmm_prior import CovariancePenalty
from ..inference.glmm_shares import parts_of_variance
from ..inference.icc import Icc, icc
from ..inference.priors import PriorLike
from ..inference.r2_results import R2
from ..models import glmm
from ..models.glmm import DISPERSIONS, GlmmEstimate, GlmmSpec
from ..models.lmm import Control
from ..report import tidy as tidying
from ..report.coefficients import coefficient_table, interval_table
from ..report.maketables import TableSource, covariance_rows
from ..report.summary import Summary
from ..report.varcorr import VarCorr
from ..report.verdict import Convergence, alias_notes, convergence, singular_notes
from .glmer_rows import GlmerRows

__all__ = ["GeneralizedLinearMixedModel", "GlmerCall", "linear_only"]

#: What proportions of variance say here.
SHARES = (
    "Nakagawa-Johnson-Schielzeth: variances of X beta (marginal), and of it with the mean variance "
    "of the random effects (conditional), over the total, in which the distribution counts as on the "
    "scale of the linear predictor."
)

#: Pearson residuals whose mean square is larger, and whose chance is smaller, are worth a note.
OVERDISPERSED, UNLIKELY = 1.2, 0.01
#: A size this large leaves a negative binomial no different from a Poisson distribution.
NO_EXCESS = 1e5

REMEDY = (
    "Standardised predictors change nothing here; fewer random effects, a prior on their "
    "covariances (prior='weak') or merged levels of a predictor may."
)


@dataclass(frozen=True)
class GlmerCall:
    """The arguments of a fit."""

    formula: str
    spec: GlmmSpec
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
    prior: PriorLike = None


class GeneralizedLinearMixedModel(GlmerRows, TableSource):
    """A fitted generalised linear mixed model.

    Made by :func:`ranef.glmer`. Nothing of it changes after the fit: ``refit`` and ``update`` give
    new models.

    Attributes
    ----------
    call : GlmerCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    reml : bool
        False: the likelihood is maximised.
    """

    reml = False

    def __init__(
        self,
        design: Design,
        estimate: GlmmEstimate,
        call: GlmerCall,
        *,
        core: _core.Glmm | None = None,
        data: Any = None,
    ):
        self.call = call
        self._design = design
        self._estimate = estimate
        self._data = data
        self.warnings = tuple(self._findings(core or glmm.kernel(design, call.spec)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}  # the caller's frame is not ours to copy

    def _findings(self, core: _core.Glmm) -> Iterable[RanefWarning]:
        """Everything worth a warning, in the order of the analysis."""
        design, estimate = self._design, self._estimate
        if design.dropped:
            lost = design.n_data - design.n_obs
            where = ", ".join(f"{column} ({count})" for column, count in design.dropped.items())
            yield DroppedRowsWarning(
                f"{lost} of {design.n_data} rows are left out because values are missing in "
                f"{where}. Likelihood inference then assumes that they are missing at random."
            )
        if len(estimate.kept) < len(design.fixed):
            notes = alias_notes(design, core.aliased, core.alias, estimate.kept)
            yield RankWarning(
                "the fixed-effects matrix has less than full rank: " + " ".join(notes)
            )
        if estimate.is_singular:
            notes = singular_notes(design, core, estimate)
            yield SingularFitWarning("singular fit: " + "; ".join(notes))
        if estimate.separated:
            far = [repr(design.fixed_names[j]) for j in estimate.separated]
            yield ConvergenceWarning(
                f"{' and '.join(far)} separate{'s' if len(far) == 1 else ''} the responses: fitted "
                "means run to the edge of their range, so that no finite coefficient exists and "
                "its error is left out. Leave the column out, or merge its levels."
            )
        elif not estimate.converged:
            yield ConvergenceWarning(
                f"the search stopped ({estimate.status}) where -2 log-likelihood can still fall by "
                f"about {estimate.decrement:.2g}. {REMEDY}"
            )

    def _warn(self) -> None:
        """Give the warnings of the fit, once."""
        for warning in self.warnings:
            warnings.warn(warning, stacklevel=5)

    # ------------------------------------------------------------------ parameters

    @property
    def family(self) -> str:
        """Distribution of the response given the random effects."""
        return self.call.spec.family

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.call.spec.link

    @property
    def npar(self) -> int:
        """Fixed effects that are not aliased, covariance parameters, and a dispersion."""
        return len(self._estimate.kept) + self._n_covariances + self.call.spec.has_dispersion

    @property
    def dispersion(self) -> float:
        """Phi of a gamma, Var(y) = phi mu^2; size k of a negative binomial; otherwise 1."""
        return self._estimate.dispersion

    @property
    def sigma(self) -> float:
        """Root of phi of a gamma; 1 for other families, which have no residual error."""
        return self._estimate.sigma

    @property
    def varcorr(self) -> VarCorr:
        """Covariances of the random effects by group, on the scale of the linear predictor."""
        return VarCorr(self._design.random, self._estimate.sigmas, None)

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Fixed effects divided by their standard errors, to be compared with a normal."""
        return self.tvalues

    @property
    def pvalues(self) -> pd.Series[Any]:
        """P-values of the fixed effects by normal tests."""
        return self.coef_table()["pvalue"].rename(None)

    def coef_table(self) -> pd.DataFrame:
        """Lay out estimates, standard errors and normal tests.

        Returns
        -------
        DataFrame
            Columns estimate, se, df (infinite), t, pvalue.
        """
        return coefficient_table(list(self._names()), self.params, self.bse, np.inf)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Give Wald's confidence intervals of the fixed effects.

        Parameters
        ----------
        level : float
            Their coverage.

        Returns
        -------
        DataFrame
            Columns lower, upper.
        """
        return interval_table(list(self._names()), self.params, self.bse, np.inf, level)

    def r2(self, method: str = "lognormal") -> R2:
        """Give the proportions of variance of Nakagawa, Johnson and Schielzeth.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            How the variance of the distribution is put on the scale of a log link. A binomial's is
            that of its latent variable, whatever the method.

        Returns
        -------
        R2
            ``marginal`` of the fixed effects, ``conditional`` of fixed and random ones.

        Notes
        -----
        Of counts the distribution's variance is taken at the mean of the model without predictors,
        which is fitted for it [1]_.

        References
        ----------
        .. [1] Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213.
        """
        parts = parts_of_variance(self._design, self._estimate, method)
        marginal = parts.fixed / parts.total
        conditional = (parts.fixed + parts.random) / parts.total
        return R2(f"nakagawa, {self._scale(method)}", marginal, conditional, None, SHARES)

    def icc(self, method: str = "lognormal") -> Icc:
        """Give the intraclass correlation on the scale of the linear predictor.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            As in ``r2``.

        Returns
        -------
        Icc
            ``adjusted`` given the fixed effects, ``unadjusted`` with their variance, ``by_group``.
        """
        return icc(self._design, parts_of_variance(self._design, self._estimate, method))

    def _scale(self, method: str) -> str:
        """Where the variance of the distribution comes from."""
        return "latent" if self.family == "binomial" else method

    @property
    def penalty(self) -> float:
        """-2 log density of the covariances under the prior; 0 without one."""
        if self.call.prior is None:
            return 0.0
        core = glmm.kernel(self._design, self.call.spec)
        return CovariancePenalty(self._design, core, self.call.prior)(self._estimate.theta)[0]

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, evaluations, advice."""
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        optimum = optimum_of(self._design, self._estimate)
        report = convergence(self._estimate, optimum, notes, REMEDY)
        if not self._estimate.separated:
            return report
        verdict = "Not converged: the likelihood rises without end with a coefficient."
        return replace(report, converged=False, verdict=verdict)

    # ------------------------------------------------------------------ other fits

    def refit(self, y: Any) -> GeneralizedLinearMixedModel:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array-like of shape (nobs,)
            A value for each row that was used; shares of the same trials for a binomial response.

        Returns
        -------
        GeneralizedLinearMixedModel
            A new model.

        Raises
        ------
        DataError
            If there is not one value within the family's range for each row.
        """
        from .glmer import check_counts, fit_design

        response = np.ascontiguousarray(y, dtype=np.float64).ravel()
        if response.shape != (self.nobs,):
            raise DataError(f"y has {response.size} values; the model uses {self.nobs} rows")
        if not np.isfinite(response).all():
            raise DataError("y has missing or infinite values; refit needs a value for every row")
        design = replace(self._design, y=response)
        check_counts(design, self.call.spec)
        return fit_design(design, self.call)

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> GeneralizedLinearMixedModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.glmer`. A new family comes with its usual link.

        Returns
        -------
        GeneralizedLinearMixedModel
            A new model.
        """
        from ..formula import parse, update
        from .glmer import fit_call, specification

        spec = self.call.spec
        known = (set(GlmerCall.__dataclass_fields__) - {"formula", "spec"}) | {
            *("family", "link", "nagq")
        }
        if unknown := set(changes) - known:
            raise ValueError(
                f"glmer has no argument {sorted(unknown)[0]!r}; it has {sorted(known)}"
            )
        family = changes.pop("family", spec.family)
        link = changes.pop("link", spec.link if family == spec.family else None)
        changes["spec"] = specification(family, link, changes.pop("nagq", spec.nagq))
        text = (
            self.call.formula if formula is None else update(parse(self.call.formula), formula).text
        )
        call = replace(self.call, formula=text, **changes)
        return fit_call(call, self._training_data() if data is None else data)

    # ------------------------------------------------------------------ tables

    def tidy(
        self,
        effects: str | Sequence[str] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Give estimates as a tidy frame, under the column names of R's broom.mixed.

        Parameters
        ----------
        effects : str or sequence of {"fixed", "ran_pars", "ran_vals", "ran_coefs"}
            Coefficients; standard deviations and correlations; conditional modes; each level's own
            coefficients.
        conf_int : bool
            Whether to add Wald's conf.low and conf.high.
        level : float
            Their coverage.

        Returns
        -------
        DataFrame
            Columns effect, group, level, term, estimate, std.error, statistic, df, p.value,
            conf.low, conf.high, those that apply.
        """
        limits = level if conf_int else None
        make = {
            "fixed": lambda: tidying.fixed_rows(self.coef_table(), limits),
            "ran_pars": lambda: tidying.ran_pars_rows(self.varcorr, None),
            "ran_vals": lambda: tidying.ran_vals_rows(self.ranef(), limits),
            "ran_coefs": lambda: tidying.ran_coefs_rows(self.ranef(), self.params.dropna()),
        }
        return tidying.stack(make[effect]() for effect in tidying.chosen_effects(effects))

    def glance(self) -> pd.DataFrame:
        """Give one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, deviance (conditional), df.residual, singular,
            converged.
        """
        row = {
            "nobs": self.nobs,
            "npar": self.npar,
            "sigma": self.sigma,
            "logLik": self.llf,
            "AIC": self.aic,
            "BIC": self.bic,
            "deviance": self.deviance,
            "df.residual": self.df_resid,
            "singular": self.is_singular,
            "converged": self._estimate.converged,
        }
        return pd.DataFrame([row])

    def _table_rows(self) -> dict[str, Any]:
        rows = {"N": self.nobs, **covariance_rows(self.varcorr, self.ngroups)}
        return {**rows, "ll": self.llf, "aic": self.aic}

    def _table_covariance(self) -> dict[str, Any]:
        return {"vcov_type": "ML"}

    def _method(self) -> str:
        """How the random effects are integrated out."""
        nagq = self.call.spec.nagq
        if nagq == 0:
            return "fixed effects at their joint mode with the random ones (nagq=0)"
        if nagq == 1:
            return "Laplace's approximation"
        return f"adaptive Gauss-Hermite quadrature, {nagq} points"

    def _facts(self) -> list[tuple[str, str]]:
        """Label and value of what a summary says first."""
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        facts = [
            ("Formula", self.call.formula),
            ("Family", f"{self.family.replace('_', ' ')}, {self.link} link"),
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        if self.call.spec.has_dispersion:
            facts.insert(2, ("Dispersion", f"{DISPERSIONS[self.family]} {self.dispersion:.5g}"))
        if self.call.prior is not None:
            facts.append(("Prior", f"{self.call.prior!r}, penalty {self.penalty:.4f}"))
        return facts

    def _notes(self) -> Iterable[str]:
        """Collect what the reader of a summary must know."""
        yield from (str(w) for w in self.warnings)
        e = self._estimate
        counts = self.family == "poisson" or float(np.median(self._weights)) > 1.0
        if counts and self.family in ("poisson", "binomial"):
            found = self.overdispersion()
            if found.ratio > OVERDISPERSED and found.pvalue < UNLIKELY:
                other = (
                    'family="negative_binomial" or an effect of each row'
                    if self.family == "poisson"
                    else "an effect of each row"
                )
                yield (
                    f"Overdispersed: squared Pearson residuals are {found.ratio:.2f} times what "
                    f"the distribution lets one expect, so standard errors are too small; {other} "
                    "takes it up."
                )
        if self.family == "negative_binomial" and self.dispersion > NO_EXCESS:
            yield (
                "The size of the negative binomial runs to infinity: the counts vary no more than "
                'Poisson ones, and family="poisson" gives the same fit with a parameter less.'
            )
        if e.converged:
            how = "derivatives" if self.call.spec.nagq > 1 else "exact derivatives"
            yield (
                f"Converged: after {len(e.path)} steps, {how} predict a further decrease of -2 "
                f"log-likelihood by {e.decrement:.1e}."
            )

    def summary(self) -> Summary:
        """Summarise the fit for reading.

        Returns
        -------
        Summary
            Prints as text, and as HTML in a notebook.
        """
        return Summary(
            f"Generalised linear mixed model fit by {self._method()}",
            self._facts(),
            self.varcorr,
            self.coef_table(),
            list(self._notes()),
            "normal tests",
        )

    def __repr__(self) -> str:
        fit = f"{self.family}, {self.nobs} rows, llf {self.llf:.4f}"
        return f"<GeneralizedLinearMixedModel {self.call.formula!r}, {fit}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def linear_only(model: Any, caller: str) -> None:
    """Refuse a generalised model where only linear ones are treated.

    Raises
    ------
    UnsupportedError
        For a model of ``glmer``.
    """
    if isinstance(model, GeneralizedLinearMixedModel):
        raise UnsupportedError(f"{caller} treats linear mixed models of ranef.lmer, not glmer's")
