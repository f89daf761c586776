"""What a model explains, and tidy tables of it: methods of a fitted mixed model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..inference.caic import ConditionalAic, conditional_aic
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
