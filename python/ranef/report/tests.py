"""Tables of tests of the fixed effects."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ..inference.hypothesis import JointTest

__all__ = ["anova_table"]


def anova_table(tests: Mapping[str, JointTest], sigma: float) -> pd.DataFrame:
    """Lay F tests of terms below each other.

    Parameters
    ----------
    tests : mapping of str to JointTest
        Tests by name of the term.
    sigma : float
        Residual standard deviation.

    Returns
    -------
    DataFrame
        Columns sum_sq, mean_sq, num_df, den_df, F, pvalue.
    """
    rows = {
        name: (
            test.F * test.num_df * sigma**2,
            test.F * sigma**2,
            test.num_df,
            test.den_df,
            test.F,
            test.pvalue,
        )
        for name, test in tests.items()
    }
    columns = ["sum_sq", "mean_sq", "num_df", "den_df", "F", "pvalue"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
