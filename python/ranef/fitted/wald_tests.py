"""Joint tests of coefficients or whole terms by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..report.regression import contrast_matrix
from .parts import Base, Parts

__all__ = ["WaldTests", "wald_frame"]


class WaldTests(Base):
    """Wald's tests by the covariance of the coefficients."""

    def wald_test(
        self, what: str | Sequence[str] | ArrayLike, value: ArrayLike = 0.0
    ) -> pd.DataFrame:
        """Test coefficients jointly.

        Parameters
        ----------
        what : str, sequence of str or array_like of shape (q, p)
            Coefficients or terms that are zero under the hypothesis, or a matrix of contrasts.
        value : float or array_like of shape (q,)
            Their values under the hypothesis.

        Returns
        -------
        DataFrame
            One row: num_df, den_df, F, pvalue. With Satterthwaite's degrees of freedom the test is
            the approximate Hotelling test HTZ, otherwise F on those of the t tests; F times num_df
            is chi-squared where den_df is infinite.
        """
        return wald_frame(self.parts, what, value)


def wald_frame(
    parts: Parts, what: str | Sequence[str] | ArrayLike, value: ArrayLike = 0.0
) -> pd.DataFrame:
    """Test coefficients jointly; see :meth:`WaldTests.wald_test`."""
    kept = ~np.isnan(parts.beta)
    C = contrast_matrix(what, parts.names, kept, parts.terms)
    left = C @ parts.beta[kept] - np.asarray(value, float)
    return pd.DataFrame(parts.wald(C, left).columns())
