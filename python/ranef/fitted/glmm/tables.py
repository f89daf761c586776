"""Estimates of a generalised linear mixed model, as numbers and tables."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from ...families import lookup
from ...inference.shares.generalised import parts_of_variance
from ...inference.shares.icc import Icc, icc
from ...inference.shares.results import R2
from ...report import tidy as tidying
from ...report.tests import chisq_table
from ...report.whole_frame import WholeFrame
from ..coefficients import level_and_method, wald_intervals
from ..mixed.profiles import profile_intervals
from ..parts import Base
from ..term_tests import term_tests
from .parts import GlmmParts

__all__ = ["Tables"]

#: How intervals are found.
METHODS = ("wald", "profile")

#: What proportions of variance say here.
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
            Columns chisq, df, pvalue; a row a term. Likelihood ratios, which are to be preferred
            where they differ, come by ``ranef.anova(smaller, larger)``.

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

    def conf_int(
        self,
        method: Literal["wald", "profile"] | float = "wald",
        level: float | str = 0.95,
        *,
        ddf: str | None = None,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile"}
            ``"wald"``: normal intervals of the fixed effects. ``"profile"``: where twice the fall
            of the log-likelihood, by the approximation of the fit, reaches the normal quantile's
            square, for every parameter. A bound (a standard deviation of 0, a correlation of -1 or
            1) where the data do not exclude it. A number is taken for ``level``.
        level : float
            Coverage, between 0 and 1.
        ddf : {"inf"}, optional
            Degrees of freedom of Wald's intervals, which are normal.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns lower, upper. Rows of a profile: ``sd_TERM|GROUP``, ``cor_TERM.TERM|GROUP``,
            ``dispersion`` where there is one, then the coefficients.

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
        level, how = level_and_method(level, method, METHODS, "GeneralizedLinearMixedModel")
        if how == "profile":
            return profile_intervals(self.parts, level, progress=progress)
        return wald_intervals(self.parts, level, ddf)

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
        return icc(
            self.parts.design, parts_of_variance(self.parts.design, self.parts.estimate, method)
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
    """Say where the variance of the distribution comes from."""
    return "latent" if parts.call.spec.distribution.latent else method
