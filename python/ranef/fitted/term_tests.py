"""Tests of the fixed effects by approximate degrees of freedom, of any model that has them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..inference.hypotheses.linear import Approximation
from ..report.coefficients import coefficient_table
from ..report.tests import anova_table
from ..report.whole_frame import WholeFrame
from .hypotheses import Hypotheses

__all__ = ["TermTests"]


class TermTests(Hypotheses):
    """Coefficient tables, tests of terms and of linear hypotheses.

    A subclass names its degrees of freedom in ``_DDF`` and gives what raises here.
    """

    _DDF: ClassVar[tuple[str, ...]] = ()
    _known: dict[str, Approximation] | None = None

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        raise NotImplementedError

    def _approximate(self, ddf: str) -> Approximation:
        """Work out the reference distribution of the tests."""
        raise NotImplementedError

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
        return WholeFrame(anova_table(self._term_tests(type, ddf), self.sigma))

    def _approximation(self, ddf: str | None) -> Approximation:
        """Look up the reference distribution of the tests, worked out once."""
        ddf = ddf or self._usual_ddf
        if ddf not in self._DDF:
            raise ValueError(f"ddf must be one of {', '.join(map(repr, self._DDF))}, not {ddf!r}")
        if self._known is None:
            self._known = {}
        if ddf not in self._known:
            self._known[ddf] = self._approximate(ddf)
        return self._known[ddf]
