"""Tests of the fixed effects: methods of a fitted mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..inference.hypothesis import Approximation, FixedDf, joint
from ..inference.satterthwaite import satterthwaite
from ..inference.terms import term_hypotheses
from ..report.coefficients import coefficient_table
from ..report.tests import anova_table
from .fitted import Fitted

__all__ = ["FixedTests"]

DDF = ("satterthwaite", "kenward-roger", "residual", "inf")


class FixedTests(Fitted):
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
            Degrees of freedom: Satterthwaite's; Kenward and Roger's, which also correct the standard errors
            and need a REML fit; rows less rank of X; or infinite (Wald's normal tests).

        Returns
        -------
        DataFrame
            Columns estimate, se, df, t, pvalue; a row a coefficient.
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
            1: each term after those before it. 2: each after all terms that do not contain it. 3: each
            given all others; with contrasts that do not depend on the coding of the factors.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}
            Denominator degrees of freedom.

        Returns
        -------
        DataFrame
            Columns sum_sq, mean_sq, num_df, den_df, F, pvalue; a row a term. sum_sq is F * num_df * sigma^2.
        """
        approximation = self._approximation(ddf)
        estimate, core = self._estimate, self._core
        hypotheses = term_hypotheses(
            self._design, estimate.kept, core.aliased, np.atleast_2d(core.alias), type
        )
        beta = estimate.beta[estimate.kept]
        tests = {name: joint(L, beta, approximation) for name, L in hypotheses.items()}
        return anova_table(tests, self.sigma)

    def _approximation(self, ddf: str) -> Approximation:
        """Reference distribution of the tests, worked out once."""
        if ddf not in DDF:
            raise ValueError(f"ddf must be one of {', '.join(map(repr, DDF))}, not {ddf!r}")
        if self._known is None:
            self._known = {}
        if ddf not in self._known:
            self._known[ddf] = self._approximate(ddf)
        return self._known[ddf]

    def _approximate(self, ddf: str) -> Approximation:
        if ddf == "satterthwaite":
            return satterthwaite(self._core, self._estimate, self.nobs)
        rest = float(self.nobs - len(self._estimate.kept))
        return FixedDf(self._estimate.cov_beta, np.inf if ddf == "inf" else rest)
