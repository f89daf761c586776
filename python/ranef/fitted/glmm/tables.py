"""Estimates of a generalised linear mixed model, as numbers and tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from ...families import lookup
from ...inference.caic import ConditionalAic
from ...inference.caic_counts import caic_of_counts
from ...inference.shares.generalised import parts_of_variance
from ...inference.shares.icc import Icc, decomposition, icc
from ...inference.shares.results import R2
from ...report import tidy as tidying
from ...report.tests import chisq_table
from ...report.whole_frame import WholeFrame
from ..generalised.likelihood import by_likelihood
from ..parts import Base
from ..term_tests import term_tests
from .parts import GlmmParts

__all__ = ["Tables"]

#: What proportions of variance mean here.
SHARES = (
    "Nakagawa-Johnson-Schielzeth: variances of X beta (marginal), and of it with the mean variance "
    "of the random effects (conditional), over the total, in which the distribution counts as on "
    "the scale of the linear predictor."
)


class Tables(Base):
    """Family, tests, intervals, shares of variance and the row about the fit."""

    parts: GlmmParts

    @property
    def family(self) -> str:
        """Distribution of the response given the random effects."""
        return self.parts.call.spec.family

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.parts.call.spec.link

    @property
    def dispersion(self) -> float:
        """Phi of a gamma, Var(y) = phi mu^2; size k of a negative binomial; otherwise 1."""
        return self.parts.estimate.dispersion

    @property
    def family_params(self) -> pd.Series[Any]:
        """Parameters of the family besides the mean, by name; empty where there is none."""
        names = lookup(self.parts.call.spec.family).parameters
        return pd.Series(dict.fromkeys(names, self.dispersion), dtype=float)

    @property
    def zero_params(self) -> pd.Series[Any]:
        """Coefficients of a zero part, which this model does not have: empty."""
        return pd.Series(dtype=float)

    @property
    def dispersion_params(self) -> pd.Series[Any]:
        """Coefficients of a formula of the dispersion, which this model does not have: empty."""
        return pd.Series(dtype=float)

    @property
    def zvalues(self) -> pd.Series[Any]:
        """Fixed effects divided by their standard errors, to be compared with a normal."""
        return self.parts.params / self.parts.bse

    def anova(self, type: int | str = 3) -> pd.DataFrame:
        """Test each term of the fixed part by Wald's chi-squared.

        Parameters
        ----------
        type : {1, 2, 3} or {"I", "II", "III"}
            1: each term after those before it. 2: each after all terms that do not contain it. 3:
            each given all others, with contrasts that do not depend on the coding of the factors.

        Returns
        -------
        DataFrame
            Columns chisq, df, pvalue; one row per term. Likelihood ratios, which are preferable
            where they differ, come from ``ranef.anova(smaller, larger)``.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.anova()[["chisq", "df"]].round(2)
                chisq   df
        period  24.95  3.0
        """
        return WholeFrame(chisq_table(term_tests(self.parts, type, None)))

    def r2(self, method: str = "lognormal") -> R2:
        """Return the proportions of variance of Nakagawa, Johnson and Schielzeth.

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
        which is fitted for it [1]_; with an offset, at the mean over the rows. An effect of each
        row is extra dispersion: its variance belongs to the denominator alone [2]_.

        References
        ----------
        .. [1] Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213.
        .. [2] Nakagawa and Schielzeth (2010), Biol. Rev. 85, 935-956.
        """
        self.parts.each_row("r2")
        parts = parts_of_variance(self.parts.design, self.parts.estimate, method)
        marginal = parts.fixed / parts.total
        conditional = (parts.fixed + parts.random) / parts.total
        return R2(f"nakagawa, {scale_of(self.parts, method)}", marginal, conditional, None, SHARES)

    def icc(self, method: str = "lognormal") -> Icc:
        """Return the intraclass correlation on the scale of the linear predictor.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            As in ``r2``.

        Returns
        -------
        Icc
            ``adjusted`` given the fixed effects, ``unadjusted`` with their variance, ``by_group``.
            An effect of each row counts as residual variance.
        """
        self.parts.each_row("icc")
        return icc(
            self.parts.design, parts_of_variance(self.parts.design, self.parts.estimate, method)
        )

    def variance_decomposition(self, method: str = "lognormal") -> pd.DataFrame:
        """Split the variance of the linear predictor and of the distribution into its parts.

        Parameters
        ----------
        method : {"lognormal", "trigamma", "delta"}
            As in ``r2``.

        Returns
        -------
        DataFrame
            Columns component, group, variance, share: fixed effects, each grouping factor, and the
            distribution's own with that of effects of single rows.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.glmer(
        ...     "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
        ... )
        >>> model.variance_decomposition()["share"].round(2).tolist()
        [0.09, 0.1, 0.81]
        """
        self.parts.each_row("variance_decomposition")
        design = self.parts.design
        kept = tuple(term for term in design.random if term.n_levels < design.n_obs)
        found = parts_of_variance(design, self.parts.estimate, method)
        return decomposition(replace(design, random=kept), found)

    def caic(self, *, progress: bool = True) -> ConditionalAic:
        """Return the conditional AIC of a Poisson or binomial model, by refits.

        Parameters
        ----------
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        ConditionalAic
            ``caic``, ``df``, ``cll``, and a ``note`` on its limits.

        Notes
        -----
        The degrees of freedom are exact: of counts each one above zero is lowered by one in turn,
        of shares of trials a success is turned into a failure and back, and the model is fitted
        again, so that the estimation of the covariance parameters counts [1]_ [2]_.

        References
        ----------
        .. [1] Lian (2012), Statistics and Computing 22, 449-460.
        .. [2] Saefken, Kneib, van Waveren and Greven (2014), Electron. J. Stat. 8, 201-225.
        """
        self.parts.each_row("caic")
        by_likelihood(self.parts, "the conditional AIC")
        return caic_of_counts(
            self.parts.design, self.parts.estimate, self.parts.call.control, progress=progress
        )

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.mixed.

        Returns
        -------
        DataFrame
            nobs, npar, sigma, logLik, AIC, BIC, deviance (conditional), df.residual, singular,
            converged.
        """
        return tidying.glance_generalised(self)


def scale_of(parts: GlmmParts, method: str) -> str:
    """State where the variance of the distribution comes from."""
    return "latent" if parts.call.spec.distribution.latent else method
