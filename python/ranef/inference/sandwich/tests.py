"""Small-sample tests on a cluster-robust covariance: Satterthwaite's t and the HTZ test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ..._counted import counted
from ..._typing import Array
from ...errors import ModelError
from .sandwich import ScoreModel

__all__ = [
    "WaldTest",
    "f_test",
    "hausman_test",
    "htz_scale",
    "htz_test",
    "satterthwaite_df",
    "wald_f",
]


def satterthwaite_df(model: ScoreModel, kind: str, contrasts: Array) -> Array:
    """Return degrees of freedom of single contrasts under the working model.

    Parameters
    ----------
    model : ScoreModel
        The fit.
    kind : str
        The correction.
    contrasts : ndarray of shape (m, r)
        Rows are contrasts of the coefficients.

    Returns
    -------
    ndarray of shape (m,)
        2 E(v)^2 / Var(v) for each variance estimate v = c'Vc.

    Notes
    -----
    With P the covariance between the clusters' contributions, df = tr(P)^2 / sum of P_gh^2; P is
    diagonal plus low rank, so nothing of size G by G is formed.
    """
    gamma = contrasts @ model.root
    m = len(gamma)
    trace, square, first, second = np.zeros(m), np.zeros(m), np.zeros(m), None
    joint = None
    for piece in model.chunks(kind):
        own = np.einsum("mi,gij,mj->gm", gamma, piece.own, gamma, optimize=True)
        cross = np.einsum("gli,mi->gml", piece.cross, gamma, optimize=True)
        spread = np.einsum("gml,lk,gmk->gm", cross, piece.joint, cross, optimize=True)
        trace += (own + spread).sum(axis=0)
        square += (own * own).sum(axis=0)
        first += (own * spread).sum(axis=0)
        moment = np.matmul(cross.transpose(1, 2, 0), cross.transpose(1, 0, 2))
        second = moment if second is None else second + moment
        joint = piece.joint
    if second is None or joint is None:
        return np.full(m, np.nan)
    shaken = second @ joint
    total = square + 2.0 * first + np.einsum("mij,mji->m", shaken, shaken)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(trace**2 / total)


@dataclass(frozen=True)
class WaldTest:
    """A joint test of several contrasts.

    Attributes
    ----------
    statistic : float
        The F statistic.
    num_df, den_df : float
        Its degrees of freedom.
    pvalue : float
        Upper tail probability.
    """

    statistic: float
    num_df: float
    den_df: float
    pvalue: float

    def columns(self) -> dict[str, list[float]]:
        """Return the test as columns of a table of one row."""
        return {
            "num_df": [self.num_df],
            "den_df": [self.den_df],
            "F": [self.statistic],
            "pvalue": [self.pvalue],
        }


def f_test(gain: float, num_df: int, sigma2: float, den_df: int) -> WaldTest:
    """Test a fall of the residual sum of squares.

    Parameters
    ----------
    gain : float
        By how much the sum of squares falls.
    num_df : int
        Coefficients that are spent on it.
    sigma2 : float
        Residual variance of the larger model.
    den_df : int
        Its degrees of freedom.

    Returns
    -------
    WaldTest
    """
    f = gain / num_df / sigma2
    return WaldTest(f, float(num_df), float(den_df), float(scipy.special.fdtrc(num_df, den_df, f)))


def hausman_test(difference: Array, cov: Array) -> WaldTest:
    """Test that two estimates, one efficient under the hypothesis, agree.

    Parameters
    ----------
    difference : ndarray of shape (q,)
        The robust estimate minus the efficient one.
    cov : ndarray of shape (q, q)
        Covariance of the first minus that of the second; it need not be positive definite.

    Returns
    -------
    WaldTest
        Chi-squared over q, with infinite denominator degrees of freedom.
    """
    return wald_f(np.eye(len(difference)), difference, cov, np.inf)


def wald_f(contrasts: Array, value: Array, cov: Array, den_df: float) -> WaldTest:
    """Test contrasts jointly by Wald's statistic over its degrees of freedom.

    Parameters
    ----------
    contrasts : ndarray of shape (q, r)
        Rows are contrasts of the coefficients.
    value : ndarray of shape (q,)
        Estimates of the contrasts minus their values under the hypothesis.
    cov : ndarray of shape (r, r)
        Covariance of the coefficients.
    den_df : float
        Denominator degrees of freedom; infinite for the chi-squared test.

    Returns
    -------
    WaldTest
    """
    q = len(contrasts)
    wald = _quadratic(value, contrasts @ cov @ contrasts.T)
    tail = (
        scipy.special.chdtrc(q, wald)
        if np.isinf(den_df)
        else scipy.special.fdtrc(q, den_df, wald / q)
    )
    return WaldTest(wald / q, float(q), float(den_df), float(tail))


def htz_test(model: ScoreModel, kind: str, contrasts: Array, value: Array, cov: Array) -> WaldTest:
    """Test contrasts jointly by the approximate Hotelling test HTZ.

    Parameters
    ----------
    model : ScoreModel
        The fit.
    kind : str
        The correction that ``cov`` was made with.
    contrasts : ndarray of shape (q, r)
        Rows are contrasts of the coefficients.
    value : ndarray of shape (q,)
        Estimates of the contrasts minus their values under the hypothesis.
    cov : ndarray of shape (r, r)
        Robust covariance of the coefficients.

    Returns
    -------
    WaldTest

    References
    ----------
    .. [1] Tipton and Pustejovsky (2015), J. Educ. Behav. Stat. 40, 604-634.
    """
    q = len(contrasts)
    wald = _quadratic(value, contrasts @ cov @ contrasts.T, model.n_clusters)
    scale, den_df = htz_scale(model, kind, contrasts)
    f = scale * wald / q
    return WaldTest(f, float(q), den_df, float(scipy.special.fdtrc(q, den_df, f)))


def htz_scale(model: ScoreModel, kind: str, contrasts: Array) -> tuple[float, float]:
    """Find the factor of Wald's F in the HTZ test, and its denominator degrees of freedom.

    Raises
    ------
    ModelError
        If the clusters carry too little information for so many contrasts.
    """
    q = len(contrasts)
    omega = _expected(model, kind, contrasts @ model.root)
    lam, V = np.linalg.eigh(omega)
    standard = (V / np.sqrt(lam)) @ V.T @ contrasts @ model.root
    eta = q * (q + 1) / _total_variance(model, kind, standard)
    den_df = eta - q + 1
    if den_df <= 0.0:
        raise ModelError(
            f"{counted(model.n_clusters, 'cluster carries', 'clusters carry')} too little "
            f"information to test {q} contrasts at once; test fewer"
        )
    return den_df / eta, den_df


def _quadratic(value: Array, cov: Array, n_clusters: int | None = None) -> float:
    """Return value' cov^-1 value, and refuse a covariance that too few clusters made singular."""
    size = np.sqrt(np.abs(np.diag(cov)))
    scaled = cov / np.where(size > 0.0, size, 1.0) / np.where(size > 0.0, size, 1.0)[:, None]
    if np.isfinite(scaled).all() and np.linalg.matrix_rank(scaled, tol=1e-12) < len(cov):
        told = (
            ""
            if n_clusters is None
            else f": {counted(n_clusters, 'cluster carries', 'clusters carry')} no more"
        )
        raise ModelError(
            f"the covariance of these {len(cov)} contrasts is singular{told}; test fewer at once"
        )
    return float(value @ np.linalg.solve(cov, value))


def _expected(model: ScoreModel, kind: str, gamma: Array) -> Array:
    """Return the working expectation of the covariance of contrasts, shape (q, q)."""
    out = np.zeros((len(gamma), len(gamma)))
    for piece in model.chunks(kind):
        inner = piece.own + piece.cross.transpose(0, 2, 1) @ piece.joint @ piece.cross
        out += gamma @ inner.sum(axis=0) @ gamma.T
    return out


def _total_variance(model: ScoreModel, kind: str, gamma: Array) -> float:
    """Sum over s, t of the working variances of the entries of the standardised covariance.

    Var(D_st) = sum over g, h of P^ss_gh P^tt_gh + P^st_gh P^ts_gh, with
    P^st_gh = [g = h] own_st + cross_s' joint cross_t.
    """
    total, joint = 0.0, None
    moment: Array | None = None
    for piece in model.chunks(kind):
        own = np.einsum("si,gij,tj->gst", gamma, piece.own, gamma, optimize=True)
        cross = np.einsum("gli,si->gsl", piece.cross, gamma, optimize=True)
        spread = np.einsum("gsl,lk,gtk->gst", cross, piece.joint, cross, optimize=True)
        d, e = (np.einsum("gss->gs", x) for x in (own, spread))
        total += float((d.sum(axis=1) ** 2 + 2.0 * d.sum(axis=1) * e.sum(axis=1)).sum())
        total += float((own * own + 2.0 * own * spread).sum())
        here = np.einsum("gsl,gtk->stlk", cross, cross, optimize=True)
        moment = here if moment is None else moment + here
        joint = piece.joint
    if moment is None or joint is None:
        return float("nan")
    # sum over g, h of (x_g' J y_h)(...) is a trace of products of the moments sum_g x_g y_g'
    JM = np.einsum("kl,stlm->stkm", joint, moment, optimize=True)
    same = np.einsum("stij,tsji->", JM, JM)
    swapped = np.einsum("stij,stji->", JM, JM)
    return total + float(same + swapped)
