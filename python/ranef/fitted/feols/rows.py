"""Rows of least squares: fitted values, predictions, and the absorbed effects."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import INTERVALS, Array, Interval, NewLevels
from ...design import encode
from ...errors import ModelError, UnsupportedError
from ...inference.coverage import t_quantile
from ...inference.prediction.estimable import without_estimate, without_estimate_beside
from ...inference.prediction.table import labelled, laid_out
from ...inference.sandwich.tests import f_test
from ...models.ols import fit_ols
from ...models.within import absorbed_effects
from ..parts import Base
from ..residual_series import Residuals
from .parts import FeolsParts

__all__ = ["Rows"]


class Rows(Base):
    """Fitted values, residuals, predictions and absorbed effects."""

    parts: FeolsParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted values, absorbed effects included."""
        return self.parts.label(self.parts.ols.fitted)

    @property
    def resid(self) -> Residuals:
        """Residuals."""
        return Residuals.over(self, self.parts.label(self.parts.ols.resid))

    def effects(self) -> dict[str, pd.Series[Any]]:
        """Return the absorbed effects, a series for each factor.

        Returns
        -------
        dict of str to Series
            Effects by level. Those of the first factor include the overall mean; those of each
            later one add up to zero over the rows. Across unconnected levels they cannot be
            compared.
        """
        absorption = self.parts.estimate.absorption
        if absorption is None:
            raise ModelError("no factor was absorbed; the effects are among the coefficients")
        fixed = self.parts.linear(self.parts.design.X[:, self.parts.estimate.positions])
        offset = 0.0 if self.parts.design.offset is None else self.parts.design.offset
        parts = absorbed_effects(
            self.parts.design.y - offset - fixed, absorption, self.parts.design.weights
        )
        return {
            name: pd.Series(part, index=self.parts.design.random[k].levels, name=name)
            for k, (name, part) in enumerate(zip(absorption.names, parts, strict=True))
        }

    def f_test_effects(self) -> pd.DataFrame:
        """Test that all absorbed effects are equal.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue, by the residual sums of squares of the pooled fit
            and of this one.
        """
        if self.parts.estimate.absorption is None:
            raise ModelError("no factor was absorbed; there are no effects to test")
        d = self.parts.design
        X = np.column_stack([np.ones(d.n_obs), d.X[:, self.parts.estimate.positions]])
        pooled = fit_ols(d.y, X, d.weights, d.offset)
        num_df = pooled.df_resid - self.parts.df_resid
        test = f_test(
            pooled.ssr - self.parts.ols.ssr, num_df, self.parts.ols.sigma2, self.parts.df_resid
        )
        return pd.DataFrame(test.columns())

    # ------------------------------------------------------------------ prediction

    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: None = None,
        se: Literal[False] = False,
        level: float = 0.95,
        new_levels: NewLevels = "raise",
    ) -> pd.Series[Any]: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Interval,
        se: bool = False,
        level: float = 0.95,
        new_levels: NewLevels = "raise",
    ) -> pd.DataFrame: ...
    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Interval | None = None,
        se: Literal[True],
        level: float = 0.95,
        new_levels: NewLevels = "raise",
    ) -> pd.DataFrame: ...
    def predict(
        self,
        newdata: Any = None,
        *,
        interval: Interval | None = None,
        se: bool = False,
        level: float = 0.95,
        new_levels: NewLevels = "raise",
    ) -> pd.Series[Any] | pd.DataFrame:
        """Predict the response.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence", "prediction"}, optional
            An interval of the mean, or of a new response of weight 1; not with absorbed
            factors.
        se : bool
            Whether to add a column ``se``: standard errors of the mean.
        level : float
            Its coverage.
        new_levels : {"raise", "population"}
            What to do with a level of an absorbed factor that the fit did not see: raise, or take
            the mean effect.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``.
        """
        if newdata is None and interval is None and not se:
            return self.fittedvalues
        X, extra, index = self._new_rows(
            self.parts.training_data() if newdata is None else newdata, new_levels
        )
        mean = self.parts.linear(X) + extra
        if interval is None and not se:
            return labelled(mean, index)
        if interval is not None:
            interval = check_option("interval", interval, INTERVALS)
        if self.parts.estimate.absorption is not None:
            raise UnsupportedError(
                "intervals and standard errors need the covariance of the absorbed effects"
            )
        kept = X[:, self.parts.kept]
        variance = np.einsum("ij,jk,ik->i", kept, self.parts.cov, kept)
        error = np.sqrt(variance) if se else None
        if interval is None:
            return laid_out(mean, error, None, index)
        if interval == "prediction":
            variance = variance + self.parts.ols.sigma2
        df = float(np.min(self.parts.approximation().df(np.eye(len(self.parts.kept)))))
        half = float(t_quantile(level, df)) * np.sqrt(variance)
        return laid_out(mean, error, (mean - half, mean + half), index)

    def _new_rows(self, newdata: Any, new_levels: str) -> tuple[Array, Array, Any]:
        """Columns of new rows, what offsets and absorbed effects add, and labels."""
        absorption = self.parts.estimate.absorption
        absorbed = () if absorption is None else absorption.names
        rows = encode(self.parts.design, newdata, random=list(absorbed), new_levels=new_levels)
        positions = np.asarray(self.parts.estimate.positions)
        if absorption is None:
            rows = without_estimate(self.parts.design, newdata, rows, positions[self.parts.kept])
        else:
            rows = without_estimate_beside(
                self.parts.design, newdata, rows, positions, self.parts.ols.kept, absorption
            )
        extra = np.zeros(len(rows.X)) if rows.offset is None else rows.offset
        if absorbed:
            effects = list(self.effects().values())
            for term, effect, design in zip(
                rows.terms, effects, self.parts.design.random, strict=False
            ):
                assert term is not None
                mean = float(effect.to_numpy()[design.codes].mean())
                extra = extra + np.append(effect.to_numpy(), mean)[term.codes]
        return rows.X[:, self.parts.estimate.positions], extra, rows.index
