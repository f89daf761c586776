"""Tests of the fixed effects: methods of a fitted mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..report.coefficients import coefficient_table
from .fitted import Fitted

__all__ = ["FixedTests"]


class FixedTests(Fitted):
    """Coefficient tables and tests of linear hypotheses."""

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values of the fixed effects, as in ``coef_table()``."""
        return self.coef_table()["pvalue"]

    def coef_table(self, ddf: str = "inf") -> pd.DataFrame:
        """Lay out estimates, standard errors and t tests of the fixed effects.

        Parameters
        ----------
        ddf : {"residual", "inf"}
            Degrees of freedom: rows less rank of X, or infinite (Wald's normal tests).

        Returns
        -------
        DataFrame
            Columns estimate, se, df, t, pvalue; a row a coefficient.
        """
        return coefficient_table(
            self._design.fixed_names, self._estimate.beta, self.bse, self._ddf(ddf)
        )

    def _ddf(self, ddf: str) -> float:
        if ddf == "inf":
            return np.inf
        if ddf == "residual":
            return float(self.nobs - len(self._estimate.kept))
        raise ValueError(f"ddf must be 'residual' or 'inf', not {ddf!r}")
