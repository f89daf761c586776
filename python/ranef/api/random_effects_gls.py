"""Random-effects least squares with variances by the method of moments."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..design import INTERCEPT, Design
from ..design.grouped import build_grouped
from ..errors import ModelError, RanefWarning
from ..fitted.robust import RobustResult, robust_mixed
from ..formula import parse
from ..inference.sandwich.tests import WaldTest, hausman_test, wald_f
from ..models import lmm
from ..models.lmm import LmmEstimate
from ..models.re_gls import Components, swamy_arora
from ..report.regression import CoefficientTests, contrast_matrix
from ..report.summary import Summary
from .feols import absorption_of, check_formula, dropped_rows, fit_design

__all__ = ["RandomEffectsGLS", "random_effects_gls"]

Array = NDArray[np.float64]


def random_effects_gls(
    formula: str,
    data: Any,
    *,
    groups: str,
    time: str | None = None,
    contrasts: Any = None,
    missing: str = "drop",
) -> RandomEffectsGLS:
    """Fit least squares with random effects, as panel econometrics does.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    groups : str
        The column of units.
    time : str, optional
        A second column, of periods, with random effects of its own.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.

    Returns
    -------
    RandomEffectsGLS

    Notes
    -----
    The variances are Swamy and Arora's, for unbalanced panels as well [1]_. Given these, the
    estimate is exact generalised least squares: that of a mixed model with random intercepts,
    evaluated at these variances instead of the most likely ones. With two factors on an unbalanced
    panel, R's plm transforms the data approximately and so differs.

    References
    ----------
    .. [1] Baltagi and Chang (1994), J. Econometrics 62, 67-89.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> fit = ranef.random_effects_gls("Reaction ~ Days", sleep, groups="Subject")
    >>> fit.variances.round(1).to_dict()
    {'Subject': 1378.2, 'Residual': 960.5}
    """
    factors = [groups] if time is None else [groups, time]
    parsed = check_formula(parse(formula), "random_effects_gls")
    design = build_grouped(parsed, data, factors, contrasts=contrasts, missing=missing)
    if INTERCEPT not in design.fixed:
        raise ModelError("Swamy and Arora's variances need the constant in the formula")
    offset = 0.0 if design.offset is None else design.offset
    components = swamy_arora(design.y - offset, design.X, absorption_of(design, factors))
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit is refused below
        ratios = np.sqrt(components.effects / components.idiosyncratic)
    relative = tuple(np.array([[ratio]]) for ratio in ratios)
    estimate = lmm.evaluate(design, lmm.kernel(design), relative, reml=True)
    found = tuple(dropped_rows(design))
    for warning in found:
        warnings.warn(warning, stacklevel=2)
    return RandomEffectsGLS(design, estimate, components, data, found)


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
