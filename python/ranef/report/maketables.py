"""What the package maketables reads of a fitted model for its LaTeX, Word and HTML tables.

The names between double underscores are those of maketables' plug-in format; nothing of it is
imported here. A column is an object apart from its model since maketables takes whatever has
``params``, ``bse`` and ``pvalues`` for a model of statsmodels before it asks for a plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .._html import Preformatted
from .coefficients import interval_table
from .varcorr import VarCorr

__all__ = ["STATISTICS", "TableColumn", "covariance_rows", "hook_table"]

#: maketables' keys of statistics, and where ranef has them.
STATISTICS = {
    "N": "nobs",
    "ll": "llf",
    "aic": "aic",
    "bic": "bic",
    "df_resid": "df_resid",
    "r2": "rsquared",
    "adj_r2": "rsquared_adj",
    "r2_within": "rsquared_within",
}


def hook_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rename the columns of a coefficient table as maketables has them, with limits.

    Parameters
    ----------
    table : DataFrame
        Columns estimate, se, df, t, pvalue.

    Returns
    -------
    DataFrame
        Columns b, se, t, p, df, ci95l, ci95u, ci90l, ci90u; the aliased coefficients left out.
    """
    known = table[table["estimate"].notna()]
    out = known.rename(columns={"estimate": "b", "pvalue": "p", "z": "t"})[
        ["b", "se", "t", "p", "df"]
    ]
    for percent in (95, 90):
        limits = interval_table(
            list(known.index), known["estimate"], known["se"], known["df"], percent / 100.0
        )
        out[f"ci{percent}l"], out[f"ci{percent}u"] = limits["lower"], limits["upper"]
    out.index.name = "Coefficient"
    return out


def covariance_rows(varcorr: VarCorr, ngroups: Mapping[str, int]) -> dict[str, Any]:
    """Return one row a standard deviation, a correlation and a number of levels, labels as keys."""
    rows: dict[str, Any] = {}
    parts = varcorr.to_frame()
    for group, a, b, value in zip(
        parts["group"], parts["term"], parts["term2"], parts["sdcor"], strict=True
    ):
        if not isinstance(a, str) or not a:
            rows["SD (residual)"] = float(value)
        elif isinstance(b, str):
            rows[f"Correlation ({a}, {b} | {group})"] = float(value)
        else:
            rows[f"SD ({a} | {group})"] = float(value)
    return {**{f"Levels of {group}": count for group, count in ngroups.items()}, **rows}


@dataclass(frozen=True)
class TableColumn(Preformatted):
    """One model's column of a regression table, in maketables' plug-in format.

    Attributes
    ----------
    coefficients : DataFrame
        From :func:`hook_table`.
    response : str
        Name of the response.
    rows : dict
        Rows below the coefficients, in order, labels or keys of ``STATISTICS`` as keys.
    others : dict
        Statistics by key that are shown when asked for.
    absorbed : str or None
        Absorbed factors, joined by plus signs.
    covariance : dict
        vcov_type, and clustervar where there are clusters.
    """

    coefficients: pd.DataFrame
    response: str
    rows: dict[str, Any]
    others: dict[str, Any]
    absorbed: str | None
    covariance: dict[str, Any]

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return self.coefficients

    @property
    def __maketables_depvar__(self) -> str:
        return self.response

    @property
    def __maketables_fixef_string__(self) -> str | None:
        return self.absorbed

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return self.covariance

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return list(self.rows)

    def __maketables_stat__(self, key: str) -> Any:
        return self.rows.get(key, self.others.get(key))
