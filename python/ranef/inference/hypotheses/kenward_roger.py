"""Kenward and Roger's adjusted covariance and degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import _core
from ..._typing import Array
from ...errors import ModelError, UnsupportedError
from ...models.lmm import LmmEstimate

__all__ = ["KenwardRoger", "kenward_roger"]


#: Numbers of a matrix of random effects by random effects, and operations, that are still taken on.
MOST_NUMBERS, MOST_OPERATIONS = 3e7, 3e11
#: Size of a denominator that counts as zero.
TINY = 1e-10


@dataclass(frozen=True)
class KenwardRoger:
    """Covariance of the fixed effects corrected for small samples, and what its tests need.

    Attributes
    ----------
    cov : ndarray of shape (p, p)
        Adjusted covariance of the kept fixed effects.
    root : ndarray of shape (p, p)
        R with sigma^2 R R' the covariance before the adjustment.
    slopes : ndarray of shape (m, p, p)
        Derivative of that covariance, in units of sigma^2 and the coordinates w = R'c, by the
        covariance parameters: elements of Sigma in the standardised basis, and the residual
        variance.
    spread : ndarray of shape (m, m)
        Covariance of the estimated parameters, from the expected information.
    """

    cov: Array
    root: Array
    slopes: Array
    spread: Array

    def df(self, L: Array) -> Array:
        """Degrees of freedom of each row of L, shape (r,); NaN for a row of zeros."""
        return np.array([self.joint(row[None])[1] if row.any() else np.nan for row in L])

    def joint(self, L: Array) -> tuple[float, float]:
        """Scale of Wald's F and its denominator degrees of freedom for rows of full rank.

        Notes
        -----
        The scale and the degrees of freedom match the first two moments of the statistic, and are
        exact where an exact F test exists [1]_.

        References
        ----------
        .. [1] Kenward and Roger (1997), Biometrics 53(3), 983-997.
        """
        q = len(L)
        basis = np.linalg.qr((L @ self.root).T)[0]
        inner = np.einsum("ip,aij,jq->apq", basis, self.slopes, basis, optimize=True)
        trace = np.einsum("app->a", inner)
        A1 = float(trace @ self.spread @ trace)
        A2 = float(np.einsum("apq,ab,bqp->", inner, self.spread, inner, optimize=True))
        return match_moments(q, A1, A2)


def match_moments(q: int, A1: float, A2: float) -> tuple[float, float]:
    """Scale and denominator degrees of freedom of an F of q rows, from A1 and A2."""
    if A2 < TINY:
        return 1.0, np.inf
    B = (A1 + 6.0 * A2) / (2.0 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    top, left, right = 1.0 + c1 * B, 1.0 - c2 * B, 1.0 - c3 * B
    excess = 1.0 - A2 / q
    if abs(top) < TINY:
        top = 0.0
    ratio = 1.0 if abs(excess) < TINY and abs(left) < TINY else excess / left
    rho = ratio**2 * top / (q * right)
    df = 4.0 + (q + 2) / (q * rho - 1.0)
    scale = 1.0 if abs(df - 2.0) < 1e-2 else df * excess / (df - 2.0)
    return float(scale), float(df)


def kenward_roger(core: _core.Lmm, estimate: LmmEstimate, n_obs: int) -> KenwardRoger:
    """Compute the adjustment at a REML estimate.

    Raises
    ------
    ModelError
        For a fit by maximum likelihood.
    UnsupportedError
        When the model has too many random effects for the expected information.

    Notes
    -----
    Everything is relative to sigma^2, X to the basis in which X'H^-1 X = I, and the parameters are
    those in which V is linear: the elements of Sigma, and the residual variance. Then the expected
    information is half of tr(P V_a P V_b) = tr(H^-1 V_a H^-1 V_b) - 2 tr(Q_ab) + tr(G_a G_b). The
    residual's entries follow from H^-1 = H^-1 (I + sum_a Sigma_a V_a) H^-1.
    """
    check(core, estimate)
    at = list(estimate.lambda_standard)
    sigma = np.array([(at[t] @ at[t].T)[i, j] for t, i, j in core.parameters])
    derivatives = core.fixed_derivatives(at, with_Q=True)
    m, p = len(sigma), len(estimate.kept)
    G = np.array(derivatives.G).reshape(m, p, p)
    Q = derivatives.Q.reshape(m, p, m, p).transpose(0, 2, 1, 3)
    traces = core.pair_traces(at)
    pairs, G, Q = with_residual(traces.pairs, traces.single, G, Q, sigma, n_obs)
    expected = pairs - 2.0 * np.einsum("abii->ab", Q) + np.einsum("aij,bji->ab", G, G)
    spread = 2.0 * np.linalg.pinv(expected, rcond=1e-12, hermitian=True)
    update = np.einsum("ab,abij->ij", spread, Q - np.einsum("aik,bkj->abij", G, G))
    R = estimate.cov_root
    cov = estimate.sigma**2 * (R @ (np.eye(p) + update + update.T) @ R.T)
    return KenwardRoger(cov, R, G, spread)


def with_residual(
    pairs: Array, single: Array, G: Array, Q: Array, sigma: Array, n_obs: int
) -> tuple[Array, Array, Array]:
    """Append the residual variance to traces, G and Q by elements of Sigma.

    Parameters
    ----------
    pairs, single : ndarray of shape (m, m), (m,)
        tr(H^-1 V_a H^-1 V_b), tr(H^-1 V_a).
    G, Q : ndarray of shape (m, p, p), (m, m, p, p)
        X'H^-1 V_a H^-1 X and X'H^-1 V_a H^-1 V_b H^-1 X, X'H^-1 X = I.
    sigma : ndarray of shape (m,)
        Elements of Sigma, relative.
    n_obs : int
        Rows.
    """
    m, p = G.shape[:2]
    cross = single - pairs @ sigma
    last = n_obs - sigma @ single - sigma @ cross
    G_last = np.eye(p) - np.einsum("a,aij->ij", sigma, G)
    Q_cross = G - np.einsum("abij,b->aij", Q, sigma)
    Q_last = G_last - np.einsum("a,aij->ij", sigma, Q_cross)
    full = np.empty((m + 1, m + 1, p, p))
    full[:m, :m] = Q
    full[:m, m] = Q_cross
    full[m, :m] = Q_cross.transpose(0, 2, 1)
    full[m, m] = Q_last
    return (
        np.block([[pairs, cross[:, None]], [cross[None], last]]),
        np.append(G, G_last[None], 0),
        full,
    )


def check(core: _core.Lmm, estimate: LmmEstimate) -> None:
    """Refuse what the method does not cover, or what would take too long."""
    if not estimate.reml:
        raise ModelError(
            "Kenward and Roger's method rests on the restricted likelihood, and this model was "
            "fitted by maximum likelihood; use model.update(reml=True), or ddf='satterthwaite'"
        )
    sizes = [modes.size for modes in estimate.modes]
    large, root = max(sizes), core.n_root
    operations = large * root**2 * len(core.parameters) + 4.0 * root**3
    if max(large, root) * root > MOST_NUMBERS or operations > MOST_OPERATIONS:
        raise UnsupportedError(
            f"Kenward and Roger's expected information couples all {sum(sizes):,} random effects "
            "of this model with each other, which would take too much memory or time; use "
            "ddf='satterthwaite', which differs little from it in data of this size"
        )
