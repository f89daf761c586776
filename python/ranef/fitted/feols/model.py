"""A fitted least squares model: thin methods over frozen arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...design import INTERCEPT, encode
from ...design.grouped import build_grouped, group_term
from ...errors import ModelError, UnsupportedError
from ...formula.parse import parse
from ...inference.coverage import t_quantile
from ...inference.sandwich.tests import f_test
from ...models.ols import fit_ols
from ...models.within import absorbed_effects, singletons
from ...report.summary import Summary
from ..warned import dropped_rows
from .call import FeolsCall
from .fit import aliased_columns, check_formula, fit_design
from .tests import LeastSquaresTests

__all__ = ["FeolsCall", "FixedEffectsModel"]


def _share(left: float, total: float) -> float:
    """Share that is explained; NaN where there is nothing to explain."""
    return 1.0 - left / total if total > 0.0 else float("nan")


class FixedEffectsModel(LeastSquaresTests):
    """A fitted least squares model, pooled or with absorbed factors.

    Made by :func:`ranef.feols`; nothing of it changes after the fit.

    Attributes
    ----------
    call : FeolsCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    # ------------------------------------------------------------------ fit

    def _table_rows(self) -> dict[str, Any]:
        return {"N": self.nobs, "r2": self.rsquared, "r2_within": self.rsquared_within}

    def _table_absorbed(self) -> str | None:
        return " + ".join(self.ngroups) or None

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(np.sqrt(self._ols.sigma2))

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor."""
        absorption = self._fitted.absorption
        if absorption is None:
            return {}
        return dict(zip(absorption.names, map(int, absorption.n_levels), strict=True))

    @property
    def singletons(self) -> dict[str, int]:
        """Levels of each absorbed factor that occur in one row, which tells nothing of the rest."""
        absorption = self._fitted.absorption
        return {} if absorption is None else singletons(absorption)

    @property
    def aliased(self) -> dict[str, str]:
        """Columns without a coefficient, and why."""
        return {self._names[j]: why for j, why in self._fitted.within.aliased.items()}

    @property
    def rsquared(self) -> float:
        """Share of the response's variance that is explained, absorbed effects included."""
        return _share(self._ols.ssr, self._fitted.within.tss)

    @property
    def rsquared_within(self) -> float:
        """Share that the regressors explain of what the absorbed effects leave."""
        return _share(self._ols.ssr, self._fitted.within.tss_within)

    @property
    def rsquared_adj(self) -> float:
        """``rsquared`` with both variances divided by their degrees of freedom."""
        centred = self._fitted.absorption is not None or INTERCEPT in self._design.fixed
        return _share(self._ols.sigma2 * (self.nobs - centred), self._fitted.within.tss)

    @property
    def llf(self) -> float:
        """Gaussian log-likelihood at the maximum likelihood variance."""
        weights = self._design.weights
        logs = 0.0 if weights is None else float(np.log(weights).sum())
        n = self.nobs
        return 0.5 * (logs - n * (1.0 + float(np.log(2.0 * np.pi * self._ols.ssr / n))))

    @property
    def npar(self) -> int:
        """Coefficients, absorbed effects and the variance."""
        return self.nobs - self.df_resid + 1

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return float(np.log(self.nobs)) * self.npar - 2.0 * self.llf

    def _series(self, values: Array) -> pd.Series[Any]:
        """Label values of the rows used as the caller's frame does."""
        index, rows = self._design.index, self._design.rows
        if index is None:
            return pd.Series(values)
        return pd.Series(values, index=index if rows is None else index[rows])

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted values, absorbed effects included."""
        return self._series(self._ols.fitted)

    @property
    def resid(self) -> pd.Series[Any]:
        """Residuals."""
        return self._series(self._ols.resid)

    def effects(self) -> dict[str, pd.Series[Any]]:
        """Give the absorbed effects, a series for each factor.

        Returns
        -------
        dict of str to Series
            Effects by level. Those of the first factor hold the overall mean; those of each later
            one add up to zero over the rows. Across unconnected levels they cannot be compared.
        """
        absorption = self._fitted.absorption
        if absorption is None:
            raise ModelError("no factor was absorbed; the effects are among the coefficients")
        fixed = self._linear(self._design.X[:, self._fitted.positions])
        offset = 0.0 if self._design.offset is None else self._design.offset
        parts = absorbed_effects(self._design.y - offset - fixed, absorption, self._design.weights)
        return {
            name: pd.Series(part, index=self._design.random[k].levels, name=name)
            for k, (name, part) in enumerate(zip(absorption.names, parts, strict=True))
        }

    def _linear(self, X: Array) -> Array:
        """X beta over the columns that have a coefficient."""
        kept = self._kept()
        return np.asarray(X[:, kept] @ self._beta[kept])

    def f_test_effects(self) -> pd.DataFrame:
        """Test that all absorbed effects are equal.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue, by the residual sums of squares of the pooled fit
            and of this one.
        """
        if self._fitted.absorption is None:
            raise ModelError("no factor was absorbed; there are no effects to test")
        d = self._design
        X = np.column_stack([np.ones(d.n_obs), d.X[:, self._fitted.positions]])
        pooled = fit_ols(d.y, X, d.weights, d.offset)
        num_df = pooled.df_resid - self.df_resid
        test = f_test(pooled.ssr - self._ols.ssr, num_df, self._ols.sigma2, self.df_resid)
        return pd.DataFrame(test.columns())

    # ------------------------------------------------------------------ prediction

    def predict(
        self,
        newdata: Any = None,
        *,
        interval: str | None = None,
        level: float = 0.95,
        new_levels: str = "raise",
    ) -> Any:
        """Predict the response.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        interval : {"confidence", "prediction"}, optional
            Ask for an interval of the mean, or of a new response of weight 1; not with absorbed
            factors.
        level : float
            Its coverage.
        new_levels : {"raise", "population"}
            What to do with a level of an absorbed factor that the fit did not see: raise, or take
            the mean effect.

        Returns
        -------
        ndarray of shape (m,) or DataFrame
            Means, or columns mean, lower, upper.
        """
        if newdata is None and interval is None:
            return self._ols.fitted.copy()
        X, extra = self._new_rows(self._data if newdata is None else newdata, new_levels)
        mean = self._linear(X) + extra
        if interval is None:
            return mean
        if interval not in ("confidence", "prediction"):
            raise ValueError(f"interval is confidence or prediction, not {interval!r}")
        if self._fitted.absorption is not None:
            raise UnsupportedError("intervals need the covariance of the absorbed effects")
        kept = X[:, self._kept()]
        variance = np.einsum("ij,jk,ik->i", kept, self._cov, kept)
        if interval == "prediction":
            variance = variance + self._ols.sigma2
        df = float(np.min(np.asarray(self._df(), float)))
        half = float(t_quantile(level, df)) * np.sqrt(variance)
        return pd.DataFrame({"mean": mean, "lower": mean - half, "upper": mean + half})

    def _new_rows(self, newdata: Any, new_levels: str) -> tuple[Array, Array]:
        """Columns of new rows, and what offsets and absorbed effects add."""
        absorbed = () if self._fitted.absorption is None else self._fitted.absorption.names
        rows = encode(self._design, newdata, random=list(absorbed), new_levels=new_levels)
        extra = np.zeros(len(rows.X)) if rows.offset is None else rows.offset
        if absorbed:
            effects = list(self.effects().values())
            for term, effect, design in zip(rows.terms, effects, self._design.random, strict=False):
                assert term is not None
                mean = float(effect.to_numpy()[design.codes].mean())
                extra = extra + np.append(effect.to_numpy(), mean)[term.codes]
        return rows.X[:, self._fitted.positions], extra

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        facts = [("Formula", self.call.formula)]
        if self.ngroups:
            groups = ", ".join(f"{name} ({count})" for name, count in self.ngroups.items())
            facts.append(("Absorbed", groups))
        facts += [("Rows", str(self.nobs)), ("Residual sd", f"{self.sigma:.5g}")]
        within = f", within {self.rsquared_within:.4f}" if self.ngroups else ""
        facts += [("R squared", f"{self.rsquared:.4f}{within}"), ("Covariance", self.vcov_type)]
        if self._vcov.n_clusters:
            clusters = ", ".join(f"{n} ({count})" for n, count in self._vcov.n_clusters.items())
            facts.append(("Clusters", clusters))
        return Summary("Least squares", facts, None, self.coef_table(), self._notes())

    def _notes(self) -> list[str]:
        """Collect what the reader must know."""
        notes = [str(warning) for warning in self.warnings]
        alone = {name: count for name, count in self.singletons.items() if count}
        if alone:
            told = ", ".join(f"{name} {self._alone(name)}" for name in alone)
            notes.append(
                f"singletons: {told} occur in one row each, which the effect fits exactly; they "
                "count as clusters but tell nothing of the coefficients"
            )
        if self._is_perfect():
            notes.append("the fit is exact but for rounding: errors and tests mean nothing")
        return notes + list(self._vcov.notes)

    def _is_perfect(self) -> bool:
        """Whether residuals are rounding."""
        size = float(np.abs(self._design.y).max())
        return bool(np.abs(self._ols.resid).max() <= 1e-12 * size) and self.df_resid > 0

    def _alone(self, name: str, most: int = 5) -> str:
        """Name the levels of an absorbed factor that occur in a single row, the first of them."""
        term = group_term(self._design, name)
        levels = term.levels[np.bincount(term.codes) == 1]
        more = f" and {len(levels) - most} more" if len(levels) > most else ""
        return ", ".join(map(str, levels[:most])) + more

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def fit_model(call: FeolsCall, data: Any) -> FixedEffectsModel:
    """Carry out a call: parse, build, fit, warn."""
    parsed = check_formula(parse(call.formula), "feols")
    design = build_grouped(
        parsed,
        data,
        [*call.absorb, *call.cluster],
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=call.missing,
    )
    fitted = fit_design(design, call.absorb)
    found = tuple(dropped_rows(design)) + tuple(aliased_columns(design, fitted))
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    return FixedEffectsModel(design, fitted, call, data, found)
