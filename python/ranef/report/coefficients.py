"""Coefficient tables: arrays and names in, one labelled frame out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from ..inference.coverage import t_quantile
from .whole_frame import WrittenFrame

__all__ = ["coefficient_table", "interval_table", "statistic_name", "t_pvalue"]


def t_pvalue(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return two-sided p-values of ``t`` on ``df`` degrees of freedom; infinite df is normal.

    Parameters
    ----------
    t, df : array_like
        Statistics and degrees of freedom, broadcast against each other.

    Returns
    -------
    ndarray
        P-values; NaN where the statistic or its degrees of freedom are.
    """
    t, df = np.broadcast_arrays(np.asarray(t, float), np.asarray(df, float))
    finite = np.where(np.isinf(df), 1.0, df)
    tail = np.where(
        np.isinf(df), scipy.special.ndtr(-np.abs(t)), scipy.special.stdtr(finite, -np.abs(t))
    )
    return np.asarray(2.0 * tail)


def coefficient_table(
    names: Sequence[str], estimate: ArrayLike, se: ArrayLike, df: ArrayLike
) -> pd.DataFrame:
    """Lay estimates, standard errors and t tests side by side.

    Parameters
    ----------
    names : sequence of str, length p
        Names of the coefficients; the index of the table.
    estimate, se : array_like of shape (p,)
        Estimates and standard errors, NaN where a coefficient is aliased.
    df : float or array_like of shape (p,)
        Degrees of freedom; infinite for normal tests.

    Returns
    -------
    DataFrame
        Columns estimate, se, df, t (z where all degrees of freedom are infinite), pvalue. Its
        ``to_latex()``, ``to_html()`` and ``to_markdown()`` write them as a summary does.
    """
    estimate, se = np.asarray(estimate, float), np.asarray(se, float)
    df = np.where(np.isnan(se), np.nan, np.broadcast_to(np.asarray(df, float), se.shape))
    t = _ratio(estimate, se)
    return WrittenFrame(
        {
            "estimate": estimate,
            "se": se,
            "df": df,
            statistic_name(df): t,
            "pvalue": t_pvalue(t, df),
        },
        index=pd.Index(names),
    )


def statistic_name(df: ArrayLike) -> str:
    """Name a statistic by its reference distribution: "z" where all degrees are infinite."""
    known = np.asarray(df, float)
    known = known[~np.isnan(known)]
    return "z" if known.size and np.isinf(known).all() else "t"


def interval_table(
    names: Sequence[str], estimate: ArrayLike, se: ArrayLike, df: ArrayLike, level: float = 0.95
) -> pd.DataFrame:
    """Return confidence intervals from t quantiles.

    Parameters
    ----------
    names : sequence of str, length p
        Names of the coefficients; the index of the table.
    estimate, se : array_like of shape (p,)
        Estimates and standard errors.
    df : float or array_like of shape (p,)
        Degrees of freedom; infinite for normal intervals.
    level : float
        Coverage, between 0 and 1.

    Returns
    -------
    DataFrame
        Columns lower, upper.
    """
    estimate, se = np.asarray(estimate, float), np.asarray(se, float)
    half = t_quantile(level, np.broadcast_to(np.asarray(df, float), se.shape)) * se
    return pd.DataFrame({"lower": estimate - half, "upper": estimate + half}, index=pd.Index(names))


def _ratio(estimate: NDArray[np.float64], se: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide without a warning where the standard error is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimate / se
