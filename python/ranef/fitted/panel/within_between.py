"""A fitted between-within regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..._number import Count
from ..._typing import Array
from ...errors import ModelError, UnsupportedError
from ...inference.sandwich.tests import wald_f
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..glmm.model import GeneralizedLinearMixedModel
from ..lmm.model import LinearMixedModel
from ..lmm.parts import LmmParts
from ..parts import Base
from ..plain import Figures, PlainTables
from ..regression_table import RegressionTable
from ..residual_series import Residuals
from ..robust import RobustResult
from ..updating import changed
from ..wald_tests import WaldTests
from ..warned import tell
from .call import WithinBetweenCall
from .fit import fit_within_between
from .parts import WithinBetweenParts
from .simulated import SplitChecks

__all__ = ["WithinBetweenModel"]


class Criteria(Base):
    """Counts and criteria: those of the mixed model."""

    parts: WithinBetweenParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def df_resid(self) -> int:
        """Rows minus parameters."""
        return self.parts.nobs - self.parts.model.npar

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return self.parts.model.npar

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return self.parts.model.ngroups

    @property
    def converged(self) -> bool:
        """Whether gradient and curvature say that this is an optimum."""
        return bool(self.parts.estimate.converged)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one when ``reml``."""
        return self.parts.model.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.parts.model.npar - 2.0 * self.parts.model.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(np.log(self.parts.nobs) * self.parts.model.npar - 2.0 * self.parts.model.llf)


class Rows(Base):
    """Fitted values and residuals."""

    parts: WithinBetweenParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Means of the rows used, random effects included."""
        return whole(self.parts).fittedvalues

    @property
    def resid(self) -> Residuals:
        """Response minus fitted values for the rows used."""
        return Residuals.over(
            self, self.parts.label(self.parts.design.y - self.fittedvalues.to_numpy())
        )

    def residuals(self, kind: str = "response") -> pd.Series[Any]:
        """Compute residuals of the rows used; see the same word of the mixed model.

        Parameters
        ----------
        kind : str
            "response" or "pearson", and of a generalised model "deviance" or "working".

        Returns
        -------
        Series of length n
            Labelled as the caller's rows.
        """
        found: pd.Series[Any] = whole(self.parts).residuals(kind)  # type: ignore[arg-type]
        return found

    def predict(self, newdata: Any = None) -> pd.Series[Any]:
        """Return the fitted values of the rows used.

        Parameters
        ----------
        newdata : None
            Other rows cannot be predicted: their groups' means are not known.

        Returns
        -------
        Series of length n
        """
        if newdata is not None:
            raise UnsupportedError(
                "a within-between model cannot predict new rows, whose columns are split by means "
                "of groups that the fit has not seen; add the means as columns and use ranef.lmer "
                "or ranef.glmer"
            )
        return self.fittedvalues


class Contexts(Base):
    """Effects between groups against those within, and robust tests."""

    parts: WithinBetweenParts

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Compute tests with a cluster-robust covariance; see `LinearMixedModel.robust`."""
        return robust_of(self.parts, kind, cluster)

    def contextual(self) -> pd.DataFrame:
        """Return the differences between effects between and within groups.

        Returns
        -------
        DataFrame
            Columns estimate, se; one row per column of the formula that has both effects.
        """
        C, names = differences(self.parts)
        estimate = C @ self.parts.beta[self.parts.kept]
        se = np.sqrt(np.einsum("ij,jk,ik->i", C, self.parts.cov, C))
        return pd.DataFrame({"estimate": estimate, "se": se}, index=pd.Index(names))

    def hausman(self, kind: str | None = None) -> pd.DataFrame:
        """Test that effects within and between groups are equal: Hausman's test as a Wald test.

        Parameters
        ----------
        kind : str, optional
            A correction such as "CR2" for a cluster-robust test; by default model-based.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. F times num_df is chi-squared if den_df is infinite.
        """
        C, _ = differences(self.parts)
        if kind is None:
            value = C @ self.parts.beta[self.parts.kept]
            return pd.DataFrame(wald_f(C, value, self.parts.cov, np.inf).columns())
        full = np.zeros((len(C), len(self.parts.beta)))
        full[:, self.parts.kept] = C
        return robust_of(self.parts, kind).wald_test(full)


class WithinBetweenModel(
    Coefficients,
    Criteria,
    Rows,
    LinearTests,
    WaldTests,
    Contexts,
    WaldIntervals,
    PlainTables,
    Figures,
    RegressionTable,
    SplitChecks,
    Checked,
):
    """A mixed model with effects within and between groups.

    Returned by :func:`ranef.within_between`.

    Attributes
    ----------
    model : LinearMixedModel or GeneralizedLinearMixedModel
        The mixed model itself, with variances, random effects and criteria.
    groups : str
        The grouping column.
    form : str
        "hybrid" or "mundlak".
    """

    parts: WithinBetweenParts
    instead: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("ranef", "coef", "varcorr", "simulate", "profile", "bootstrap", "icc", "r2", "anova"),
        "ask its mixed model, model.model",
    )

    def __init__(self, parts: WithinBetweenParts):
        super().__init__(parts)

    @property
    def call(self) -> WithinBetweenCall:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def model(self) -> LinearMixedModel | GeneralizedLinearMixedModel:
        """The mixed model itself, with variances, random effects and criteria."""
        return whole(self.parts)

    @property
    def groups(self) -> str:
        """The grouping column."""
        return self.parts.call.groups

    @property
    def form(self) -> str:
        """How columns were split: "hybrid" or "mundlak"."""
        return self.parts.call.form

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> WithinBetweenModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.within_between`.
        """
        call = changed(self.call, formula, changes, "within_between")
        return fit_model(call, self.parts.training_data() if data is None else data)

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        return replace(self.model.summary(), coefficients=self.coef_table())


def differences(parts: WithinBetweenParts) -> tuple[Array, list[str]]:
    """Contrasts between minus within, over the kept coefficients."""
    kept = ~np.isnan(parts.beta)
    rows, names = [], []
    for name, within, between in parts.split.pairs:
        if not (kept[within] and kept[between]):
            continue
        row = np.zeros(len(parts.beta))
        row[between] = 1.0
        if parts.call.form == "hybrid":
            row[within] = -1.0
        rows.append(row[kept])
        names.append(name)
    if not rows:
        raise ModelError(
            f"no column varies both within and between {parts.call.groups!r}, so nothing can be "
            "compared"
        )
    return np.array(rows), names


def robust_of(parts: WithinBetweenParts, kind: str, cluster: Any = None) -> RobustResult:
    """Compute cluster-robust tests, by the groups unless clusters are named."""
    return whole(parts).robust(kind, parts.call.groups if cluster is None else cluster)


def whole(parts: WithinBetweenParts) -> LinearMixedModel | GeneralizedLinearMixedModel:
    """Make the mixed model of its parts."""
    if isinstance(parts.model, LmmParts):
        return LinearMixedModel(parts.model)
    return GeneralizedLinearMixedModel(parts.model)


def fit_model(call: WithinBetweenCall, data: Any) -> WithinBetweenModel:
    """Carry out a call, and issue its warnings."""
    parts = fit_within_between(call, data)
    tell(parts.warnings)
    return WithinBetweenModel(parts)
