"""Confidence intervals: methods of a fitted mixed model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..report.coefficients import interval_table
from .fitted import Fitted

__all__ = ["Intervals"]


class Intervals(Fitted):
    """Intervals of the parameters."""

    def conf_int(self, method: str = "wald", level: float = 0.95) -> pd.DataFrame:
        """Give confidence intervals.

        Parameters
        ----------
        method : {"wald"}
            Normal intervals of the fixed effects.
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        DataFrame
            Columns lower, upper.
        """
        if method != "wald":
            raise ValueError(f"method must be 'wald', not {method!r}")
        return interval_table(
            self._design.fixed_names, self._estimate.beta, self.bse, np.inf, level
        )
