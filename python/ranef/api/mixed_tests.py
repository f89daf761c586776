"""Tests of the fixed effects: methods of a fitted mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import UnsupportedError
from ..inference.hypothesis import Approximation, FixedDf
from ..inference.kenward_roger import kenward_roger
from ..inference.prior_parts import prior_parts
from ..inference.prior_tests import satterthwaite_penalized
from ..inference.satterthwaite import satterthwaite
from ..inference.terms_random import n_covariances, reduced_objective, reductions
from ..report.coefficients import coefficient_table
from ..report.tests import anova_table, ranova_table
from ..report.whole_frame import WholeFrame
from .fitted import Fitted
from .mixed_hypotheses import Hypotheses

__all__ = ["FixedTests"]

DDF = ("satterthwaite", "kenward-roger", "residual", "inf")


class FixedTests(Fitted, Hypotheses):
    """Coefficient tables and tests of linear hypotheses."""

    _known: dict[str, Approximation] | None = None

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values of the fixed effects, as in ``coef_table()``."""
        return self.coef_table()["pvalue"]

    def coef_table(self, ddf: str = "satterthwaite") -> pd.DataFrame:
        """Lay out estimates, standard errors and t tests of the fixed effects.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}
            Degrees of freedom: Satterthwaite's; Kenward and Roger's, which also correct the
            standard errors and need a REML fit; rows less rank of X; or infinite (Wald's normal
            tests). With priors, Satterthwaite's rest on the curvature of the penalised likelihood,
            and a fixed effect's error is the standard deviation of its posterior.

        Returns
        -------
        DataFrame
            Columns estimate, se, df, t, pvalue; a row a coefficient.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.coef_table("kenward-roger").round(3)
                   estimate     se    df       t  pvalue
        Intercept   251.405  6.825  17.0  36.838     0.0
        Days         10.467  1.546  17.0   6.771     0.0
        """
        approximation = self._approximation(ddf)
        return coefficient_table(
            self._design.fixed_names,
            self._estimate.beta,
            self._full(np.sqrt(np.diag(approximation.cov))),
            self._full(approximation.df(np.eye(len(self._estimate.kept)))),
        )

    def anova(self, type: int = 3, ddf: str = "satterthwaite") -> pd.DataFrame:
        """Test each term of the fixed part.

        Parameters
        ----------
        type : {1, 2, 3}
            1: each term after those before it. 2: each after all terms that do not contain it. 3:
            each given all others, with contrasts that do not depend on the coding of the factors.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}
            Denominator degrees of freedom.

        Returns
        -------
        DataFrame
            Columns sum_sq, mean_sq, num_df, den_df, F, pvalue; a row a term. sum_sq is
            F * num_df * sigma^2.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.anova().round(2)
                sum_sq   mean_sq  num_df  den_df      F  pvalue
        Days  30031.01  30031.01     1.0    17.0  45.85     0.0
        """
        tests = self._term_tests(type, ddf)
        return WholeFrame(anova_table(tests, self.sigma))

    def ranova(self) -> pd.DataFrame:
        """Test each random-effects term by a likelihood ratio, against the term one step smaller.

        A term ``(x | g)`` is compared with ``(1 | g)``, ``(0 + f | g)`` of a factor with ``(1 |
        g)``, and ``(1 | g)`` with no term. REML fits are compared by their restricted likelihood.

        Returns
        -------
        DataFrame
            Columns npar, llf, aic, chisq, df, pvalue; the whole model first.

        Notes
        -----
        A variance of zero lies on the boundary, so the p-values are too large: for one variance, by
        a factor of two.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.ranova()[["npar", "chisq", "df"]].round(2)
                                  npar  chisq   df
        <none>                       6    NaN  NaN
        Days in (Days | Subject)     4  42.84  2.0
        """
        if self.call.prior is not None:
            raise UnsupportedError(
                "ranova compares likelihoods, and this model was fitted with a prior; use "
                "model.update(prior=None).ranova()"
            )
        design, estimate = self._design, self._estimate
        base = len(estimate.kept) + 1
        labels, npar = ["<none>"], [base + n_covariances(design.random)]
        llf = [-0.5 * estimate.objective]
        for smaller in reductions(design):
            labels.append(smaller.label)
            npar.append(base + n_covariances(smaller.random))
            objective = reduced_objective(
                design, self._core, smaller, reml=self.reml, control=self.call.control
            )
            llf.append(-0.5 * objective)
        return WholeFrame(ranova_table(labels, npar, llf))

    def _approximation(self, ddf: str | None) -> Approximation:
        """Look up the reference distribution of the tests, worked out once."""
        ddf = ddf or "satterthwaite"
        if ddf not in DDF:
            raise ValueError(f"ddf must be one of {', '.join(map(repr, DDF))}, not {ddf!r}")
        if self._known is None:
            self._known = {}
        if ddf not in self._known:
            self._known[ddf] = self._approximate(ddf)
        return self._known[ddf]

    def _approximate(self, ddf: str) -> Approximation:
        if ddf == "satterthwaite":
            if self.call.prior is not None:
                return satterthwaite_penalized(self._penalized(), self._estimate)
            return satterthwaite(self._core, self._estimate, self.nobs)
        if ddf == "kenward-roger":
            parts = prior_parts(self.call.prior)
            if parts.fixed is not None or parts.residual is not None:
                raise UnsupportedError(
                    "Kenward and Roger correct the errors of fixed effects that were estimated "
                    "without a prior, of their own or of the residual; use ddf='satterthwaite'"
                )
            return kenward_roger(self._core, self._estimate, self.nobs)
        rest = float(self.nobs - len(self._estimate.kept))
        return FixedDf(self._estimate.cov_beta, np.inf if ddf == "inf" else rest)
