"""Tables of tests of the fixed effects and of random-effects terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import scipy

from ..inference.hypotheses.linear import Contrasts, JointTest
from ..words.answers import Spoken
from .coefficients import statistic_name

__all__ = ["LinearTest", "anova_table", "chisq_table", "contrast_frame", "ranova_table"]


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


def chisq_table(tests: Mapping[str, JointTest]) -> pd.DataFrame:
    """Lay normal-theory tests of terms below each other: chisq, df, pvalue."""
    rows = {name: (test.F * test.num_df, test.num_df, test.pvalue) for name, test in tests.items()}
    columns = ["chisq", "df", "pvalue"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)


def ranova_table(labels: Sequence[str], npar: Sequence[int], llf: Sequence[float]) -> pd.DataFrame:
    """Lay likelihood-ratio tests of smaller random parts below each other.

    Parameters
    ----------
    labels : sequence of str
        What each model leaves out; the whole model first.
    npar, llf : sequence
        Parameters and log-likelihoods.

    Returns
    -------
    DataFrame
        Columns npar, llf, aic, chisq, df, pvalue.
    """
    count, ll = np.array(npar, float), np.array(llf)
    df = count[0] - count
    chisq = np.maximum(2.0 * (ll[0] - ll), 0.0)
    df[0] = chisq[0] = np.nan
    return pd.DataFrame(
        {
            "npar": list(npar),
            "llf": ll,
            "aic": 2.0 * (count - ll),
            "chisq": chisq,
            "df": df,
            "pvalue": scipy.special.chdtrc(df, chisq),
        },
        index=list(labels),
    )


def contrast_frame(tests: Contrasts, labels: Sequence[str]) -> pd.DataFrame:
    """Lay t tests of contrasts below each other: estimate, se, df, t, pvalue."""
    columns = {name: getattr(tests, name) for name in ("estimate", "se", "df", "t", "pvalue")}
    columns = {statistic_name(tests.df) if n == "t" else n: v for n, v in columns.items()}
    return pd.DataFrame(columns, index=list(labels))


@dataclass(frozen=True, repr=False)
class LinearTest(Spoken):
    """Tests of linear hypotheses, together and one by one.

    Attributes
    ----------
    F, num_df, den_df, pvalue : float
        The joint test.
    table : DataFrame
        Columns estimate, se, df, t, pvalue; a row a hypothesis. The estimate is that of the
        combination of coefficients; t measures its distance from the hypothetical value.
    ddf : str
        How the degrees of freedom were found.
    """

    F: float
    num_df: float
    den_df: float
    pvalue: float
    table: pd.DataFrame
    ddf: str

    def _head(self) -> str:
        den = "inf" if np.isinf(self.den_df) else f"{self.den_df:.4g}"
        p = "< 0.0001" if self.pvalue < 1e-4 else f"= {self.pvalue:.4f}"
        return f"F({self.num_df:.0f}, {den}) = {self.F:.5g}, p {p}  ({self.ddf})"

    def __repr__(self) -> str:
        return f"{self._head()}\n{self.table.to_string(float_format=lambda v: f'{v:.5g}')}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._head())}</p>{self.table.to_html(float_format='{:.5g}'.format)}"
