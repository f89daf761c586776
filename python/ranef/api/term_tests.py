"""Tests of the fixed effects by approximate degrees of freedom, of any model that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..inference import hypothesis
from ..inference.hypothesis import Approximation
from ..inference.hypothesis_text import parse_hypotheses
from ..inference.terms import term_hypotheses
from ..report.coefficients import coefficient_table
from ..report.tests import LinearTest, anova_table, contrast_frame
from ..report.whole_frame import WholeFrame
from .mixed_effects import Array, Effects

__all__ = ["TermTests"]


class TermTests(Effects):
    """Coefficient tables and tests of linear hypotheses.

    A subclass names its degrees of freedom in ``_DDF`` and gives the two methods that raise here.
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

    def _aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
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
        approximation = self._approximation(ddf)
        estimate = self._estimate
        hypotheses = term_hypotheses(self._design, estimate.kept, *self._aliasing(), type)
        beta = estimate.beta[estimate.kept]
        tests = {n: hypothesis.joint(L, beta, approximation) for n, L in hypotheses.items()}
        return WholeFrame(anova_table(tests, self.sigma))

    def test(
        self, hypotheses: str | ArrayLike, value: ArrayLike = 0.0, ddf: str = "satterthwaite"
    ) -> LinearTest:
        """Test linear hypotheses on the fixed effects.

        Parameters
        ----------
        hypotheses : str or array_like of shape (r, p)
            Equations such as ``"sex = 0, occasion = 0.1"`` or ``"x - 2 * z"``, or the rows of a
            matrix whose columns are the coefficients of ``params``.
        value : array_like of shape (r,)
            Right sides for a matrix.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}
            Degrees of freedom.

        Returns
        -------
        LinearTest
            F test of all hypotheses together, and a t test of each.

        Raises
        ------
        ValueError
            If a name is no coefficient, or hypotheses are not estimable or contradict each other.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.test("Days = 10")
        F(1, 17) = 0.091383, p = 0.7661  (satterthwaite)
                   estimate     se  df      t  pvalue
        Days = 10    10.467 1.5458  17 0.3023 0.76609
        """
        names = self._design.fixed_names
        if isinstance(hypotheses, str):
            L, right, labels = parse_hypotheses(hypotheses, names)
        else:
            L = np.atleast_2d(np.asarray(hypotheses, float))
            right = np.broadcast_to(np.asarray(value, float), len(L))
            labels = [f"row {i + 1}" for i in range(len(L))]
        approximation = self._approximation(ddf)
        beta = self._estimate.beta[self._estimate.kept]
        kept = self._estimable(L)
        every = hypothesis.joint(kept, beta, approximation, right)
        single = hypothesis.contrasts(kept, beta, approximation, right)
        return LinearTest(
            every.F, every.num_df, every.den_df, every.pvalue, contrast_frame(single, labels), ddf
        )

    def _estimable(self, L: Array) -> Array:
        """Hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        return hypothesis.estimable(
            L, self._estimate.kept, *self._aliasing(), self._design.fixed_names
        )

    def _approximation(self, ddf: str) -> Approximation:
        """Look up the reference distribution of the tests, worked out once."""
        if ddf not in self._DDF:
            raise ValueError(f"ddf must be one of {', '.join(map(repr, self._DDF))}, not {ddf!r}")
        if self._known is None:
            self._known = {}
        if ddf not in self._known:
            self._known[ddf] = self._approximate(ddf)
        return self._known[ddf]
