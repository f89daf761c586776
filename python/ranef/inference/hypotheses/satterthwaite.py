"""Satterthwaite degrees of freedom from exact derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import _core
from ..._typing import Array
from ...models.lmm import LmmEstimate

__all__ = ["Satterthwaite", "covariance_jacobian", "joint_df", "satterthwaite"]


#: An eigenvalue of the Hessian below this part of the largest one carries no information.
FLAT = 1e-10
#: Beyond these sizes a column of the Hessian that needs differences costs one gradient, not four.
LARGE_ROOT, LARGE_PROBLEM = 200, 5000


@dataclass(frozen=True)
class Satterthwaite:
    """How precisely the variance of each contrast of the fixed effects is known.

    Attributes
    ----------
    cov : ndarray of shape (p, p)
        Covariance of the kept fixed effects.
    root : ndarray of shape (p, p)
        R with cov = sigma^2 R R'; a contrast c has the coordinates w = R'c.
    slopes : ndarray of shape (m, p, p)
        d(w'w)/d lambda_a = w' slopes[a] w, standardised basis.
    quadratic : ndarray of shape (m,)
        -d(pwrss)/d lambda_a in units of sigma^2.
    inverse : ndarray of shape (m, m)
        Inverse of the Hessian of the profiled -2 log-likelihood by lambda, flat directions left
        out.
    nu : float
        Degrees of freedom of sigma^2: n - p under REML and n otherwise, infinite where sigma is
        known or one of the m parameters.
    """

    cov: Array
    root: Array
    slopes: Array
    quadratic: Array
    inverse: Array
    nu: float

    def df(self, L: Array) -> Array:
        """Degrees of freedom of the contrast in each row of L, shape (r,); NaN for a row of zeros.

        Notes
        -----
        With f = w'w, h = df/d lambda - f q / nu and C the inverse Hessian, the variance of the
        estimated log variance is 2 (h'C h / f^2 + 1 / nu); its chi-squared approximation has 1 /
        (h'C h / f^2 + 1 / nu) degrees of freedom [1]_.

        References
        ----------
        .. [1] Giesbrecht and Burns (1985), Biometrics 41(2), 477-486.
        """
        W = L @ self.root
        f = np.einsum("ri,ri->r", W, W)
        slopes = np.einsum("ri,aij,rj->ra", W, self.slopes, W, optimize=True)
        h = slopes - np.outer(f, self.quadratic / self.nu)
        spread = np.einsum("ra,ab,rb->r", h, self.inverse, h)
        safe = np.where(f > 0, f, 1.0)
        with np.errstate(divide="ignore"):  # infinite where nothing was estimated
            return np.where(f > 0, 1.0 / (spread / safe**2 + 1.0 / self.nu), np.nan)

    def joint(self, L: Array) -> tuple[float, float]:
        """Scale of Wald's F and its denominator degrees of freedom for rows of full rank.

        References
        ----------
        Fai and Cornelius (1996), J. Stat. Comput. Simul. 54(4), 363-378.
        """
        W = L @ self.root
        _, axes = np.linalg.eigh(W @ W.T)
        return 1.0, joint_df(self.df(axes.T @ L))


def joint_df(df: Array) -> float:
    """Combine degrees of freedom of independent t statistics into those of their mean square.

    Parameters
    ----------
    df : ndarray of shape (q,)
        Degrees of freedom of the squares that are added.

    Returns
    -------
    float
        2 E / (E - q), E the sum of df / (df - 2), which matches the mean of the F distribution.
    """
    low, high = float(df.min()), float(df.max())
    if low == high or high - low < 1e-6 * low:
        return float(df.mean())
    if low <= 2.0:
        return 2.0
    expected = float(np.sum(1.0 / (1.0 - 2.0 / df)))
    return 2.0 * expected / (expected - len(df))


def satterthwaite(core: _core.Lmm, estimate: LmmEstimate, n_obs: int) -> Satterthwaite:
    """Take the derivatives that Satterthwaite's approximation needs at an estimate."""
    at = list(estimate.lambda_standard)
    n_ranef = sum(modes.size for modes in estimate.modes)
    large = core.n_root > LARGE_ROOT or n_ranef > LARGE_PROBLEM
    here = core.curvature(at, estimate.reml, order=1 if large else 4, with_G=True)
    jacobian = covariance_jacobian(core.parameters, estimate.lambda_standard)
    return Satterthwaite(
        cov=estimate.cov_beta,
        root=estimate.cov_root,
        slopes=np.einsum("ab,aij->bij", jacobian, np.array(here.G)),
        quadratic=here.quadratic,
        inverse=positive_inverse(here.hessian),
        nu=float(n_obs - (len(estimate.kept) if estimate.reml else 0)),
    )


def covariance_jacobian(
    parameters: Sequence[tuple[int, int, int]], lambda_: Sequence[Array]
) -> Array:
    """Differentiate the elements of Sigma = lambda lambda' by those of lambda, (m, m)."""
    out = np.zeros((len(parameters), len(parameters)))
    for a, (term, i, j) in enumerate(parameters):
        for b, (other, row, column) in enumerate(parameters):
            if j < 0 or column < 0:  # a parameter of a structure stands for itself
                out[a, b] = a == b
            elif term == other:
                block = lambda_[term]
                out[a, b] = (i == row) * block[j, column] + (j == row) * block[i, column]
    return out


def positive_inverse(H: Array) -> Array:
    """Invert a symmetric matrix on the directions in which it is positive."""
    values, vectors = np.linalg.eigh(H)
    keep = values > FLAT * max(values.max(initial=0.0), 1e-300)
    out: Array = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    return out
