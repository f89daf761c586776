"""Rubin's rules: estimates and tests from several imputations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc

from .._typing import Array

__all__ = ["PooledTest", "Rubin", "d1", "d2", "d3", "rubin"]


@dataclass(frozen=True)
class Rubin:
    """Estimates pooled over m imputations.

    Attributes
    ----------
    m : int
        Number of imputations.
    estimate, df, riv, share, fmi : ndarray of shape (k,)
        Mean estimate, degrees of freedom, relative increase in variance by nonresponse, share of
        the variance that is due to it (lambda), fraction of missing information.
    within, between, total : ndarray of shape (k, k)
        Mean covariance, covariance of the estimates over imputations, and
        within + (1 + 1/m) between.
    """

    m: int
    estimate: Array
    within: Array
    between: Array
    total: Array
    df: Array
    riv: Array
    share: Array
    fmi: Array


@dataclass(frozen=True)
class PooledTest:
    """A test of k restrictions, pooled over imputations.

    Attributes
    ----------
    method : str
        "D1", "D2" or "D3".
    F, num_df, den_df, pvalue : float
        The statistic, its degrees of freedom, and P(F' > F).
    riv : float
        Average relative increase in variance.
    """

    method: str
    F: float
    num_df: float
    den_df: float
    pvalue: float
    riv: float

    def __repr__(self) -> str:
        return (
            f"{self.method}: F({self.num_df:g}, {self.den_df:.1f}) = {self.F:.4f}, "
            f"p = {self.pvalue:.4g}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>"


def rubin(estimates: ArrayLike, covariances: ArrayLike, df_complete: float = np.inf) -> Rubin:
    """Pool estimates and their covariances.

    Parameters
    ----------
    estimates : array_like of shape (m, k)
        Estimates from each imputation.
    covariances : array_like of shape (m, k, k)
        Their covariance matrices.
    df_complete : float
        Degrees of freedom that the complete data would have.

    Returns
    -------
    Rubin

    Notes
    -----
    The degrees of freedom are those of Barnard and Rubin [1]_, which never exceed those of the
    complete data.

    References
    ----------
    .. [1] Barnard and Rubin (1999), Biometrika 86, 948-955.
    """
    q = np.asarray(estimates, float)
    u = np.asarray(covariances, float)
    m = len(q)
    within = u.mean(axis=0)
    centred = q - q.mean(axis=0)
    between = centred.T @ centred / (m - 1)
    total = within + (1.0 + 1.0 / m) * between
    inflation = (1.0 + 1.0 / m) * np.diag(between)
    with np.errstate(divide="ignore", invalid="ignore"):
        riv = inflation / np.diag(within)
        share = inflation / np.diag(total)
        old = np.where(share > 0.0, (m - 1) / share**2, np.inf)
        if np.isinf(df_complete):
            df = old
        else:
            observed = (df_complete + 1.0) / (df_complete + 3.0) * df_complete * (1.0 - share)
            df = np.where(np.isinf(old), observed, old * observed / (old + observed))
        fmi = (riv + 2.0 / (df + 3.0)) / (riv + 1.0)
    return Rubin(m, q.mean(axis=0), within, between, total, df, riv, share, fmi)


def d1(pooled: Rubin, L: Array, value: Array) -> PooledTest:
    """Test L q = value from pooled estimates and covariances.

    Parameters
    ----------
    pooled : Rubin
        Estimates.
    L : ndarray of shape (r, k)
        Linear functions, of full row rank.
    value : ndarray of shape (r,)
        Their values under the hypothesis.

    Notes
    -----
    The statistic and the degrees of freedom are those of Li, Raghunathan and Rubin [1]_.

    References
    ----------
    .. [1] Li, Raghunathan and Rubin (1991), J. Am. Stat. Assoc. 86, 1065-1073.
    """
    k = len(L)
    within, between = L @ pooled.within @ L.T, L @ pooled.between @ L.T
    inverse = np.linalg.inv(within)
    riv = (1.0 + 1.0 / pooled.m) * float(np.trace(between @ inverse)) / k
    gap = L @ pooled.estimate - value
    return _test("D1", float(gap @ inverse @ gap) / (k * (1.0 + riv)), k, riv, pooled.m)


def d2(statistics: ArrayLike, k: int) -> PooledTest:
    """Pool chi-squared statistics of k restrictions, one from each imputation.

    References
    ----------
    .. [1] Li, Meng, Raghunathan and Rubin (1991), Statistica Sinica 1, 65-92.
    """
    d = np.asarray(statistics, float)
    m = len(d)
    riv = (1.0 + 1.0 / m) * float(np.sqrt(d).var(ddof=1))
    F = (d.mean() / k - (m + 1.0) / (m - 1.0) * riv) / (1.0 + riv)
    df = k ** (-3.0 / m) * (m - 1.0) * (1.0 + 1.0 / riv) ** 2 if riv > 0.0 else np.inf
    return _result("D2", max(float(F), 0.0), k, df, riv)


def d3(at_estimates: ArrayLike, at_pooled: ArrayLike, k: int) -> PooledTest:
    """Pool likelihood ratios of k restrictions.

    Parameters
    ----------
    at_estimates : array_like of shape (m,)
        Twice the log-likelihood ratio of each imputation at its own estimates.
    at_pooled : array_like of shape (m,)
        The same at the pooled estimates of both models.
    k : int
        Number of restrictions.

    References
    ----------
    .. [1] Meng and Rubin (1992), Biometrika 79, 103-111.
    """
    own, pooled = np.asarray(at_estimates, float), np.asarray(at_pooled, float)
    m = len(own)
    riv = max((m + 1.0) / (k * (m - 1.0)) * float(own.mean() - pooled.mean()), 0.0)
    return _test("D3", float(pooled.mean()) / (k * (1.0 + riv)), k, riv, m)


def _test(method: str, F: float, k: int, riv: float, m: int) -> PooledTest:
    """Return a statistic its denominator degrees of freedom."""
    t = k * (m - 1.0)
    if riv <= 0.0:
        df: Any = np.inf
    elif t > 4.0:
        df = 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) / riv) ** 2
    else:
        df = t * (1.0 + 1.0 / k) * (1.0 + 1.0 / riv) ** 2 / 2.0
    return _result(method, F, k, df, riv)


def _result(method: str, F: float, k: int, df: float, riv: float) -> PooledTest:
    """Collect a test with its p-value."""
    if np.isinf(df):
        from scipy.special import chdtrc

        return PooledTest(method, F, float(k), df, float(chdtrc(k, k * F)), riv)
    return PooledTest(method, F, float(k), float(df), float(fdtrc(k, df, F)), riv)
