"""Named coefficients with a covariance: the tables that every regression of ranef answers with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._typing import Array
from .coefficients import coefficient_table, interval_table
from .maketables import TableSource

__all__ = ["CoefficientTests", "contrast_matrix", "full_matrix"]


class CoefficientTests(TableSource):
    """Estimates by name with standard errors and t tests.

    A subclass sets the arrays below, and gives the degrees of freedom in ``_df``.

    Attributes
    ----------
    _names : tuple of str, length p
        Names of the coefficients.
    _beta : ndarray of shape (p,)
        Estimates, NaN where aliased.
    _cov : ndarray of shape (r, r)
        Covariance of the estimates that are not aliased.
    """

    _names: tuple[str, ...]
    _beta: Array
    _cov: Array

    def _df(self) -> ArrayLike:
        """Degrees of freedom of the t tests: one number, or one for each estimate not aliased."""
        return np.inf

    def _kept(self) -> NDArray[np.bool_]:
        return ~np.isnan(self._beta)

    def _full(self, values: ArrayLike) -> Array:
        """Put values of the estimates that are not aliased into p places, NaN elsewhere."""
        out = np.full(len(self._beta), np.nan)
        out[self._kept()] = values
        return out

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients by name; NaN where a column is aliased."""
        return pd.Series(self._beta, index=pd.Index(self._names))

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors."""
        return pd.Series(self._full(np.sqrt(np.diag(self._cov))), index=pd.Index(self._names))

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Coefficients divided by their standard errors."""
        return self.coef_table()["t"]

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values."""
        return self.coef_table()["pvalue"]

    def cov_params(self) -> pd.DataFrame:
        """Give the covariance matrix of the coefficients that are not aliased."""
        names = pd.Index(self._names)[self._kept()]
        return pd.DataFrame(self._cov, index=names, columns=names)

    def coef_table(self) -> pd.DataFrame:
        """Lay out estimates, standard errors and t tests.

        Returns
        -------
        DataFrame
            Columns estimate, se, df, t, pvalue; a row a coefficient.
        """
        return coefficient_table(self._names, self._beta, self.bse, self._full(self._df()))

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Give confidence intervals from the quantiles of t.

        Parameters
        ----------
        level : float
            Coverage.

        Returns
        -------
        DataFrame
            Columns lower, upper; a row a coefficient.
        """
        return interval_table(self._names, self._beta, self.bse, self._full(self._df()), level)


def contrast_matrix(
    what: str | Sequence[str] | ArrayLike,
    names: Sequence[str],
    kept: NDArray[np.bool_],
    terms: Sequence[tuple[str, tuple[int, ...]]],
) -> Array:
    """Turn coefficient names, term names or a matrix into contrasts of the kept coefficients.

    Parameters
    ----------
    what : str, sequence of str or array_like of shape (q, p)
        Coefficients or terms that are tested against zero together, or the contrasts themselves.
    names : sequence of str, length p
        Names of all coefficients.
    kept : ndarray of shape (p,), bool
        Those with an estimate.
    terms : sequence of (str, tuple of int)
        Terms of the formula and the positions of their columns.

    Returns
    -------
    ndarray of shape (q, r)
    """
    if isinstance(what, str):
        what = [what]
    asked = list(what) if isinstance(what, (list, tuple)) else []
    if asked and all(isinstance(item, str) for item in asked):
        places = [j for item in asked for j in _positions(str(item), names, dict(terms))]
        rows = np.eye(len(names))[[j for j in dict.fromkeys(places) if kept[j]]]
    else:
        rows = np.atleast_2d(np.asarray(what, float))
        if rows.shape[1] != len(names):
            raise ValueError(
                f"contrasts have {rows.shape[1]} columns for {len(names)} coefficients"
            )
        if np.any(rows[:, ~kept]):
            raise ValueError("a contrast uses a coefficient that is aliased")
    rows = rows[:, kept]
    if np.linalg.matrix_rank(rows) < max(1, len(rows)):
        raise ValueError("the contrasts are linearly dependent, or none of them can be estimated")
    return rows


def _positions(
    item: str, names: Sequence[str], terms: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Find the coefficients of a coefficient's or term's name."""
    if item in names:
        return (list(names).index(item),)
    if item in terms:
        return terms[item]
    raise ValueError(f"no coefficient or term {item!r}; there are {', '.join(names)}")


def full_matrix(cov: Array, kept: NDArray[np.bool_]) -> Array:
    """Put a covariance of the kept coefficients into a matrix of all, NaN for aliased ones."""
    out = np.full((len(kept), len(kept)), np.nan)
    out[np.ix_(kept, kept)] = cov
    return out
