"""What a model explains, and tidy tables of it: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import pandas as pd

from ..inference.caic import ConditionalAic, conditional_aic
from ..inference.icc import Icc, decomposition, icc, icc_at
from ..inference.profile import critical
from ..inference.r2 import variances
from ..inference.r2_results import R2, r2
from .fitted import Array
from .mixed_criterion import Criterion
from .mixed_tests import FixedTests

__all__ = ["Explained"]


class Explained(FixedTests, Criterion):
    """Tidy tables of a fit."""

    def tidy(self) -> pd.DataFrame:
        """Give fixed effects and variance components in one frame: effect, group, term, estimate, std_error."""
        table = self.coef_table()
        fixed = pd.DataFrame(
            {
                "effect": "fixed",
                "group": None,
                "term": table.index,
                "estimate": table["estimate"].to_numpy(),
                "std_error": table["se"].to_numpy(),
                "statistic": table["t"].to_numpy(),
                "df": table["df"].to_numpy(),
                "p_value": table["pvalue"].to_numpy(),
            }
        )
        parts = self.varcorr.to_frame()
        names = [
            (f"cor__{a}.{b}" if isinstance(b, str) else "sd__" + (a or "Observation"))
            for a, b in zip(parts["term"], parts["term2"], strict=True)
        ]
        random = pd.DataFrame(
            {
                "effect": "ran_pars",
                "group": parts["group"],
                "term": names,
                "estimate": parts["sdcor"],
            }
        )
        return pd.concat([fixed, random.reindex(columns=fixed.columns)], ignore_index=True)

    def r2(self, method: str = "nakagawa", level: float = 0.95) -> R2:
        """Give R², by a named definition.

        Parameters
        ----------
        method : {"nakagawa", "nsj", "sgv", "kr", "xu"}
            ``"nakagawa"``: marginal and conditional R² of Nakagawa, Schielzeth and Johnson. ``"nsj"``,
            ``"sgv"``, ``"kr"``: semi-partial R² of each term with limits, from the mean variance, the
            standardised generalised variance, or Kenward-Roger tests. ``"xu"``: from the residuals.
        level : float
            Coverage of the limits of semi-partial R².

        Returns
        -------
        R2
            ``marginal``, ``conditional``, ``table``, and a ``note`` on what it does not say.

        Notes
        -----
        An interval for the marginal and conditional R²: ``model.bootstrap(statistic=lambda m:
        m.r2().marginal).conf_int()``.
        """
        critical(level)

        def test(L: Array) -> tuple[float, float, float]:
            found = self.test(L, ddf="kenward-roger")
            return found.F, found.num_df, found.den_df

        return r2(self._design, self._estimate, method, level, test)

    @overload
    def icc(self) -> Icc: ...
    @overload
    def icc(self, at: Mapping[str, Sequence[Any]]) -> pd.DataFrame: ...
    def icc(self, at: Mapping[str, Sequence[Any]] | None = None) -> Icc | pd.DataFrame:
        """Give the intraclass correlation.

        Parameters
        ----------
        at : mapping of str to sequence, optional
            Values of covariates at which to give it, as ``{"Days": range(10)}``: with random slopes it
            depends on them.

        Returns
        -------
        Icc
            ``adjusted``, ``unadjusted``, ``by_group``, ``note``: averages over the rows of the data.
        DataFrame
            With ``at``: each combination of values, icc, var_random, var_residual.
        """
        if at is None:
            return icc(self._design, variances(self._design, self._estimate))
        if not at:
            raise ValueError("at is empty; name a covariate and values, as in {'Days': range(10)}")
        if self._data is None:
            raise ValueError("this model was unpickled and no longer knows its data; icc(at=) needs them")
        return icc_at(self._design, self._estimate, self._data, at)

    def variance_decomposition(self) -> pd.DataFrame:
        """Split the variance of the responses into its parts, averaged over the rows of the data.

        Returns
        -------
        DataFrame
            Columns component, group, variance, share: fixed effects, each grouping factor at the mean of its
            covariates and as they vary (Rights and Sterba, 2019), residual.
        """
        return decomposition(self._design, variances(self._design, self._estimate))

    def caic(self) -> ConditionalAic:
        """Give the conditional AIC of Greven and Kneib (2010), for predictions at the levels at hand.

        Returns
        -------
        ConditionalAic
            ``caic``, ``df``, ``cll``, and a ``note`` on what it does not say. A singular fit is refitted
            without the columns that add no variance (``dropped``).
        """
        return conditional_aic(self._design, self._estimate, self._core)

    def glance(self) -> pd.DataFrame:
        """Give one row about the fit: nobs, npar, sigma, llf, aic, bic, singular, converged."""
        row: Mapping[str, Any] = {
            "nobs": self.nobs,
            "npar": self.npar,
            "sigma": self.sigma,
            "llf": self.llf,
            "aic": self.aic,
            "bic": self.bic,
            "df_resid": self.df_resid,
            "reml": self.reml,
            "is_singular": self.is_singular,
            "converged": self._estimate.converged,
        }
        return pd.DataFrame([row])
