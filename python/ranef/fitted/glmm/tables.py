"""Estimates of a generalised linear mixed model, as numbers and tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...families import lookup
from ...inference.caic import ConditionalAic
from ...inference.caic_counts import caic_of_counts
from ...report import tidy as tidying
from ...report.tests import chisq_table
from ...report.whole_frame import WholeFrame
from ..generalised.likelihood import by_likelihood
from ..parts import Base
from ..term_tests import term_tests
from .parts import GlmmParts

__all__ = ["Tables"]


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
