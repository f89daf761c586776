"""A fitted random-effects regression of a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...design import Design
from ...errors import ModelError, RanefWarning
from ...inference.sandwich.tests import WaldTest, hausman_test, wald_f
from ...models.lmm import LmmEstimate
from ...models.re_gls import Components
from ...report.regression import CoefficientTests, contrast_matrix
from ...report.summary import Summary
from ..feols.fit import fit_design
from ..robust import RobustResult, robust_mixed

__all__ = ["RandomEffectsGLS"]


class RandomEffectsGLS(CoefficientTests):
    """Random-effects least squares.

    Made by :func:`ranef.random_effects_gls`.

    Attributes
    ----------
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    def __init__(
        self,
        design: Design,
        estimate: LmmEstimate,
        components: Components,
        data: Any,
        found: tuple[RanefWarning, ...],
    ):
        self.warnings = found
        self._design = design
        self._estimate = estimate
        self._components = components
        self._data = data
        self._names = design.fixed_names
        self._beta = estimate.beta
        self._cov = estimate.cov_beta

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self._design.n_obs

    @property
    def df_resid(self) -> int:
        """Rows less coefficients."""
        return self.nobs - int(self._kept().sum())

    @property
    def variances(self) -> pd.Series[Any]:
        """Variances of the effects of each factor, and of the errors."""
        names = [term.group for term in self._design.random] + ["Residual"]
        values = [*self._components.effects, self._components.idiosyncratic]
        return pd.Series(values, index=pd.Index(names))

    @property
    def theta(self) -> pd.Series[Any]:
        """Share of its group's mean that is taken from each row, by group (one factor only)."""
        if len(self._design.random) > 1:
            raise ModelError("theta is defined for one factor")
        term = self._design.random[0]
        counts = np.bincount(term.codes)
        ratio = self._components.effects[0] / self._components.idiosyncratic
        return pd.Series(1.0 - 1.0 / np.sqrt(1.0 + counts * ratio), index=term.levels)

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Give tests with a cluster-robust covariance, as `LinearMixedModel.robust`."""
        formula = self._design.encoder.formula.text
        return robust_mixed(kind, cluster, self._design, self._estimate, self._data, formula)

    def wald_test(self, what: Any, value: ArrayLike = 0.0) -> pd.DataFrame:
        """Test coefficients jointly; den_df is infinite, F times num_df chi-squared."""
        C = contrast_matrix(what, self._names, self._kept(), self._design.fixed_terms)
        left = C @ self._beta[self._kept()] - np.asarray(value, float)
        return pd.DataFrame(wald_f(C, left, self._cov, np.inf).columns())

    def hausman(self) -> pd.DataFrame:
        """Test these coefficients against those of fixed-effects least squares.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. F times num_df is Hausman's chi-squared statistic.

        Notes
        -----
        The difference of the covariances need not be positive definite in a sample; that of
        `WithinBetweenModel.hausman` always is, and its test can be made robust.

        References
        ----------
        .. [1] Hausman (1978), Econometrica 46, 1251-1271.
        """
        within = fit_design(self._design, [term.group for term in self._design.random])
        ols = within.within.ols
        places = [within.positions[j] for j in np.flatnonzero(ols.kept)]
        among = np.cumsum(self._kept())[places] - 1
        test: WaldTest = hausman_test(
            ols.beta[ols.kept] - self._beta[places],
            ols.sigma2 * ols.cov_unscaled - self._cov[np.ix_(among, among)],
        )
        return pd.DataFrame(test.columns())

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        variances = ", ".join(f"{name} {value:.5g}" for name, value in self.variances.items())
        facts = [
            ("Formula", self._design.encoder.formula.text),
            ("Rows", str(self.nobs)),
            ("Variances", variances),
        ]
        notes = [str(warning) for warning in self.warnings]
        if self._components.clipped:
            notes.append("a variance was estimated below zero and set to zero")
        return Summary("Random-effects least squares", facts, None, self.coef_table(), notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
