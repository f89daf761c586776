"""Tests of linear hypotheses on the fixed effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from ..._counted import counted
from ..._typing import Array

__all__ = [
    "Approximation",
    "Contrasts",
    "FixedDf",
    "JointTest",
    "contrasts",
    "estimable",
    "f_pvalue",
    "joint",
    "not_estimable",
]


#: A singular value of normalised hypotheses below this part of the largest one adds no restriction.
RANK = 1e-9
#: A gap below this part of the numbers whose difference it is comes from rounding.
GAP = 1e-8


class Approximation(Protocol):
    """The reference distribution of tests on kept coefficients."""

    @property
    def cov(self) -> Array:
        """Covariance of the coefficients, shape (p, p)."""

    def df(self, L: Array) -> Array:
        """Degrees of freedom of the contrast in each row of L, shape (r,)."""

    def joint(self, L: Array) -> tuple[float, float]:
        """Scale of Wald's F and denominator degrees of freedom for rows of full rank."""


@dataclass(frozen=True)
class FixedDf:
    """The same degrees of freedom for every contrast; infinite for normal tests.

    Attributes
    ----------
    cov : ndarray of shape (p, p)
        Covariance of the coefficients.
    value : float
        Degrees of freedom.
    """

    cov: Array
    value: float

    def df(self, L: Array) -> Array:
        """Return the same number for each row of L."""
        return np.full(len(L), self.value)

    def joint(self, L: Array) -> tuple[float, float]:
        """Return Wald's F as it is."""
        return 1.0, self.value


@dataclass(frozen=True)
class Contrasts:
    """Estimates and t tests of contrasts, arrays of shape (r,).

    Attributes
    ----------
    estimate, se, df, t, pvalue : ndarray of shape (r,)
        Estimate of each row of L beta, standard error, degrees of freedom, distance from the
        hypothetical value in standard errors, and two-sided p-value.
    """

    estimate: Array
    se: Array
    df: Array
    t: Array
    pvalue: Array


@dataclass(frozen=True)
class JointTest:
    """An F test of several contrasts at once.

    Attributes
    ----------
    F, num_df, den_df, pvalue : float
        Statistic, degrees of freedom and p-value.
    """

    F: float
    num_df: float
    den_df: float
    pvalue: float


def f_pvalue(F: ArrayLike, num_df: ArrayLike, den_df: ArrayLike) -> Array:
    """Return the upper tail of F; chi-squared where the denominator's df are infinite.

    Parameters
    ----------
    F, num_df, den_df : array_like
        Statistics and degrees of freedom, broadcast against each other.

    Returns
    -------
    ndarray
        P-values.
    """
    F, num, den = np.broadcast_arrays(*(np.asarray(a, float) for a in (F, num_df, den_df)))
    finite = np.where(np.isinf(den), 1.0, den)
    tail = np.where(
        np.isinf(den), scipy.special.chdtrc(num, num * F), scipy.special.fdtrc(num, finite, F)
    )
    return np.asarray(tail)


def contrasts(
    L: Array, beta: Array, approximation: Approximation, value: Array | float = 0.0
) -> Contrasts:
    """Test each row of L beta = value by itself.

    Parameters
    ----------
    L : ndarray of shape (r, p)
        Contrasts of the kept coefficients.
    beta : ndarray of shape (p,)
        Their estimates.
    approximation : Approximation
        Covariance and degrees of freedom.
    value : ndarray of shape (r,) or float
        Hypothetical values.
    """
    estimate = L @ beta
    se = np.sqrt(np.maximum(np.einsum("ri,ij,rj->r", L, approximation.cov, L), 0.0))
    df = approximation.df(L)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (estimate - value) / se
    return Contrasts(estimate, se, df, t, f_pvalue(t**2, 1.0, df))


def joint(
    L: Array, beta: Array, approximation: Approximation, value: Array | float = 0.0
) -> JointTest:
    """Test all rows of L beta = value together by Wald's F.

    Parameters
    ----------
    L : ndarray of shape (r, p)
        Contrasts of the kept coefficients; rows that follow from others add nothing.
    beta : ndarray of shape (p,)
        Their estimates.
    approximation : Approximation
        Covariance, scale of F and denominator degrees of freedom.
    value : ndarray of shape (r,) or float
        Hypothetical values.

    Raises
    ------
    ValueError
        If the rows contradict each other.
    """
    rows, target = independent(L, np.broadcast_to(np.asarray(value, float), len(L)))
    if not len(rows):
        return JointTest(np.nan, 0.0, np.nan, np.nan)
    gap = rows @ beta - target
    scale, den_df = approximation.joint(rows)
    F = scale * float(gap @ np.linalg.solve(rows @ approximation.cov @ rows.T, gap)) / len(rows)
    return JointTest(F, float(len(rows)), den_df, float(f_pvalue(F, len(rows), den_df)))


def independent(L: Array, value: Array) -> tuple[Array, Array]:
    """Reduce L beta = value to independent rows; those that are independent stay as they are."""
    norm = np.linalg.norm(L, axis=1)
    norm = np.where(norm > 0, norm, 1.0)
    U, d, Vt = np.linalg.svd(L / norm[:, None], full_matrices=False)
    rank = int((d > RANK * d.max(initial=0.0)).sum())
    if rank == len(L):
        return L, value
    coordinates = U.T @ (value / norm)
    if not np.allclose(U[:, :rank] @ coordinates[:rank], value / norm, atol=1e-8):
        raise ValueError(
            "the hypotheses contradict each other: no coefficients satisfy them all; take one out"
        )
    return d[:rank, None] * Vt[:rank], coordinates[:rank]


def not_estimable(
    L: Array, kept: NDArray[np.intp], aliased: Sequence[int], alias: Array
) -> NDArray[np.bool_]:
    """Find which combinations of coefficients the rows of X do not span, shape (r,).

    Parameters
    ----------
    L : ndarray of shape (r, p)
        Rows in all coefficients.
    kept, aliased : sequence of int
        Coefficients that are estimated, and that are not.
    alias : ndarray of shape (n_kept, n_aliased)
        Aliased columns as combinations of the kept ones.

    Notes
    -----
    Each gap is measured against the numbers whose difference it is: no unit counts.
    """
    if not len(aliased):
        return np.zeros(len(L), dtype=bool)
    part, known = L[:, list(aliased)], L[:, kept]
    gap = np.abs(part - known @ alias)
    size = np.abs(part) + np.abs(known) @ np.abs(alias)
    return np.asarray((gap > GAP * size).any(axis=1))


def estimable(
    L: Array,
    kept: NDArray[np.intp],
    aliased: Sequence[int],
    alias: Array,
    names: Sequence[str],
) -> Array:
    """Write hypotheses in the coefficients that are not aliased.

    Parameters
    ----------
    L : ndarray of shape (r, p)
        Rows in all coefficients.
    kept, aliased : sequence of int
        Coefficients that are estimated, and that are not.
    alias : ndarray of shape (n_kept, n_aliased)
        Aliased columns as combinations of the kept ones.
    names : sequence of str
        Names of all coefficients.

    Returns
    -------
    ndarray of shape (r, n_kept)
        Rows that leave aliased coefficients out, or hold them as the rows of X do.

    Raises
    ------
    ValueError
        If a row has the wrong length or takes an aliased coefficient by itself.
    """
    if L.ndim != 2 or L.shape[1] != len(names):
        raise ValueError(
            f"hypotheses need a column for each of the {counted(len(names), 'coefficient')} "
            f"({', '.join(names[:8])}{', ...' if len(names) > 8 else ''}); their shape is {L.shape}"
        )
    if not np.isfinite(L).all():
        raise ValueError("hypotheses contain values that are missing or infinite")
    if len(aliased):
        part = L[:, list(aliased)]
        gap = not_estimable(L, kept, aliased, alias)
        if (bad := gap & part.any(axis=1)).any():
            column = aliased[int(np.flatnonzero(part[bad][0])[0])]
            raise ValueError(
                f"{names[column]!r} is a combination of other columns and has no estimate of its "
                "own; leave it out of the hypothesis"
            )
    return L[:, kept]
