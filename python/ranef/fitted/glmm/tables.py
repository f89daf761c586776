"""Estimates of a generalised linear mixed model, as numbers and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...errors import UnsupportedError
from ...inference.hypotheses.linear import FixedDf
from ...inference.profile.generalised import generalised_curves
from ...inference.profile.profile import Walked
from ...inference.shares.generalised import parts_of_variance
from ...inference.shares.icc import Icc, icc
from ...inference.shares.results import R2
from ...report.coefficients import coefficient_table, interval_table
from ...report.maketables import TableSource, covariance_rows
from ...report.tests import chisq_table
from ...report.varcorr import VarCorr
from ...report.whole_frame import WholeFrame
from ..hypotheses import Hypotheses
from ..mixed.profiles import PRIOR, Profiles
from ..mixed.tidy import Tidied
from .call import GlmerCall
from .rows import GlmerRows

__all__ = ["GlmerTables"]

#: What proportions of variance say here.
SHARES = (
    "Nakagawa-Johnson-Schielzeth: variances of X beta (marginal), and of it with the mean variance "
    "of the random effects (conditional), over the total, in which the distribution counts as on "
    "the scale of the linear predictor."
)


class GlmerTables(Profiles, GlmerRows, Hypotheses, Tidied, TableSource):
    """Parameters, tests, shares of variance and tidy frames."""

    _usual_ddf = "normal"

    call: GlmerCall

    def _aliasing(self) -> tuple[Sequence[int], Array]:
        return self._core.aliased, np.atleast_2d(self._core.alias)

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

    def _approximation(self, ddf: str | None) -> FixedDf:
        """Look up the reference distribution of the tests: normal."""
        if ddf not in (None, "inf"):
            raise UnsupportedError(
                f"degrees of freedom ({ddf!r}) are those of normal responses; tests of a "
                "generalised model are normal ones: ddf='inf'"
            )
        return FixedDf(self._estimate.cov_beta, np.inf)

    def coef_table(self) -> pd.DataFrame:
        """Lay out estimates, standard errors and normal tests.

        Returns
        -------
        DataFrame
            Columns estimate, se, df (infinite), t, pvalue.
        """
        return coefficient_table(list(self._names()), self.params, self.bse, np.inf)

    def anova(self) -> pd.DataFrame:
        """Test each term of the fixed part by Wald's chi-squared, marginal to all others (type 3).

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
        return WholeFrame(chisq_table(self._term_tests(3, None)))

    def conf_int(
        self, method: str = "wald", level: float = 0.95, *, progress: bool = True
    ) -> pd.DataFrame:
        """Give confidence intervals.

        Parameters
        ----------
        method : {"wald", "profile"}
            ``"wald"``: normal intervals of the fixed effects. ``"profile"``: where twice the fall
            of the log-likelihood, by the approximation of the fit, reaches the normal quantile's
            square, for every parameter. A bound (a standard deviation of 0, a correlation of -1 or
            1) where the data do not exclude it.
        level : float
            Coverage, between 0 and 1.
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
        if method == "profile":
            return self._profile_intervals(level, progress=progress)
        if method != "wald":
            raise ValueError(f"method must be 'wald' or 'profile', not {method!r}")
        return interval_table(list(self._names()), self.params, self.bse, np.inf, level)

    def _walked(self) -> Walked:
        """List the parameters and their curves."""
        if self.call.prior is not None:
            raise UnsupportedError(PRIOR)
        if self.call.spec.nagq == 0:
            raise UnsupportedError(
                "a profile holds fixed effects, which nagq=0 leaves at their joint mode with the "
                "random ones; profile model.update(nagq=1)"
            )
        if self._estimate.separated:
            raise UnsupportedError(
                "a profile starts from the largest likelihood, and this one rises without end with "
                "a coefficient; take the column that separates the responses out"
            )
        return generalised_curves(self._design, self._estimate)

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
