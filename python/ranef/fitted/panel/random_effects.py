"""A fitted random-effects regression of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from ..._number import Count
from ..._options import check_option
from ..._typing import CONFIDENCE
from ...design import encode
from ...errors import ModelError
from ...inference.coverage import check_level, t_quantile
from ...inference.prediction import predict as prediction
from ...inference.prediction.estimable import without_estimate
from ...inference.prediction.table import labelled, laid_out
from ...inference.sandwich.tests import WaldTest, hausman_test
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..feols.fit import fit_design
from ..parts import Base
from ..plain import Figures, PlainTables, ResidualKinds
from ..regression_table import RegressionTable
from ..residual_series import Residuals
from ..robust import RobustResult, robust_mixed
from ..updating import changed
from ..wald_tests import WaldTests
from ..warned import tell
from .call import RandomEffectsCall
from .fit import fit
from .parts import RandomEffectsParts
from .simulated import PanelChecks

__all__ = ["RandomEffectsGLS"]


class Components(Base):
    """Counts and variances."""

    parts: RandomEffectsParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each factor."""
        return {term.group: term.n_levels for term in self.parts.design.random}

    @property
    def converged(self) -> bool:
        """True: the variances are moments, not searched for."""
        return True

    @property
    def df_resid(self) -> int:
        """Rows minus coefficients."""
        return self.parts.nobs - len(self.parts.kept)

    @property
    def variances(self) -> pd.Series[Any]:
        """Variances of the effects of each factor, and of the errors."""
        names = [term.group for term in self.parts.design.random] + ["Residual"]
        values = [*self.parts.components.effects, self.parts.components.idiosyncratic]
        return pd.Series(values, index=pd.Index(names))

    @property
    def theta(self) -> pd.Series[Any]:
        """Share of its group's mean that is taken from each row, by group (one factor only)."""
        if len(self.parts.design.random) > 1:
            raise ModelError("theta is defined for one factor")
        term = self.parts.design.random[0]
        counts = np.bincount(term.codes)
        ratio = self.parts.components.effects[0] / self.parts.components.idiosyncratic
        return pd.Series(1.0 - 1.0 / np.sqrt(1.0 + counts * ratio), index=term.levels)


class Rows(Base):
    """Fitted values and residuals."""

    parts: RandomEffectsParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted means X beta, without the effects of the factors."""
        return self.parts.label(prediction.fixed_part(self.parts.design, self.parts.estimate))

    @property
    def resid(self) -> Residuals:
        """Response minus fitted means: effects of the factors and errors together."""
        fixed = prediction.fixed_part(self.parts.design, self.parts.estimate)
        return Residuals.over(self, self.parts.label(self.parts.design.y - fixed))

    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Literal["confidence"] | None = None,
        se: bool = False,
        level: float = 0.95,
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict means X beta, without the effects of the factors.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence"}, optional
            An interval of the mean.
        se : bool
            Whether to add a column ``se``: standard errors of the mean, with the variances of the
            effects taken as known.
        level : float
            Coverage of the interval.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``. A row with missing values is NaN.
        """
        parts = self.parts
        if newdata is None and interval is None and not se:
            return parts.label(prediction.fixed_part(parts.design, parts.estimate))
        data = parts.training_data() if newdata is None else newdata
        rows = encode(parts.design, data, random=False)
        rows = without_estimate(parts.design, data, rows, parts.kept)
        mean = prediction.linear_predictor(parts.design, parts.estimate, rows, [])
        if interval is not None:
            check_option("interval", interval, CONFIDENCE)
        if interval is None and not se:
            return labelled(mean, rows.index)
        X, approximation = rows.X[:, parts.kept], parts.approximation()
        error = np.sqrt(np.einsum("ij,jk,ik->i", X, approximation.cov, X))
        check_level(level)
        half = t_quantile(level, np.asarray(approximation.df(X), float)) * error
        limits = None if interval is None else (mean - half, mean + half)
        return laid_out(mean, error if se else None, limits, rows.index)


class PanelTests(Base):
    """Robust covariances and Hausman's test."""

    parts: RandomEffectsParts

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Return tests with a cluster-robust covariance, as `LinearMixedModel.robust`."""
        return robust_mixed(
            kind,
            cluster,
            self.parts.design,
            self.parts.estimate,
            self.parts.data,
            self.parts.formula,
        )

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
        within = fit_design(self.parts.design, [term.group for term in self.parts.design.random])
        ols = within.within.ols
        places = [within.positions[j] for j in np.flatnonzero(ols.kept)]
        among = np.searchsorted(self.parts.kept, places)
        test: WaldTest = hausman_test(
            ols.beta[ols.kept] - self.parts.beta[places],
            ols.sigma2 * ols.cov_unscaled - self.parts.cov[np.ix_(among, among)],
        )
        return pd.DataFrame(test.columns())


class RandomEffectsGLS(
    Coefficients,
    Components,
    Rows,
    LinearTests,
    WaldTests,
    PanelTests,
    WaldIntervals,
    ResidualKinds,
    PlainTables,
    Figures,
    RegressionTable,
    PanelChecks,
    Checked,
):
    """Random-effects least squares.

    Returned by :func:`ranef.random_effects_gls`.

    Attributes
    ----------
    call : RandomEffectsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: RandomEffectsParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("llf", "aic", "bic"),
            "its variances are moments and it has no likelihood; use ranef.lmer",
        ),
        **dict.fromkeys(
            ("ranef", "coef", "varcorr", "simulate", "profile", "bootstrap", "icc", "r2"),
            "use ranef.lmer with a random intercept for each factor",
        ),
        "anova": "use wald_test(terms)",
    }

    def __init__(self, parts: RandomEffectsParts):
        super().__init__(parts)

    @property
    def call(self) -> RandomEffectsCall:
        """The arguments that made the model."""
        return self.parts.call

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> RandomEffectsGLS:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.random_effects_gls`.
        """
        call = changed(self.call, formula, changes, "random_effects_gls")
        return fit_model(call, self.parts.training_data() if data is None else data)

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        variances = ", ".join(f"{name} {value:.5g}" for name, value in self.variances.items())
        facts = [
            ("Formula", self.call.formula),
            ("Rows", str(self.nobs)),
            ("Variances", variances),
        ]
        notes = [str(warning) for warning in self.warnings]
        if self.parts.components.clipped:
            notes.append("a variance was estimated below zero and set to zero")
        return Summary("Random-effects least squares", facts, None, self.coef_table(), notes)


def fit_model(call: RandomEffectsCall, data: Any) -> RandomEffectsGLS:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return RandomEffectsGLS(parts)
