"""Degrees of freedom by n by n matrices: the formulas of the papers, and nothing from ranef.

V = sum_i gamma_i V_i is linear in the covariance parameters gamma, the residual variance last. For
n up to a few hundred rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dense:
    """V^-1, its derivatives' patterns, and what generalised least squares makes of them."""

    X: np.ndarray  # (n, p)
    y: np.ndarray  # (n,)
    patterns: list[np.ndarray]  # m of (n, n)
    inverse: np.ndarray  # (n, n)
    Phi: np.ndarray  # (p, p)
    P: np.ndarray  # (n, n)


def patterns(terms, weights):
    """Give dV/d gamma for each element of each covariance matrix, and for sigma^2.

    ``terms`` are pairs of codes (n,) and columns (n, s), with all elements free.
    """
    out = []
    for codes, z in terms:
        same = codes[:, None] == codes[None, :]
        for j in range(z.shape[1]):
            for i in range(j, z.shape[1]):
                V = same * np.outer(z[:, i], z[:, j])
                out.append(V if i == j else V + V.T)
    return [*out, np.diag(1.0 / weights)]


def dense(X, y, terms, gamma, weights=None):
    """Put a model together at given covariance parameters."""
    weights = np.ones(len(y)) if weights is None else weights
    V = patterns(terms, weights)
    inverse = np.linalg.inv(sum(g * v for g, v in zip(gamma, V, strict=True)))
    Phi = np.linalg.inv(X.T @ inverse @ X)
    P = inverse - inverse @ X @ Phi @ X.T @ inverse
    return Dense(X, y, V, inverse, Phi, P)


def satterthwaite_df(d, c, reml=True):
    """Giesbrecht and Burns (1985), with the observed information of -2 log-likelihood."""
    m = len(d.patterns)
    H, g = np.empty((m, m)), np.empty(m)
    weight = d.P if reml else d.inverse
    moved = [d.P @ V @ d.P @ d.y for V in d.patterns]
    for i, Vi in enumerate(d.patterns):
        half = d.inverse @ d.X @ d.Phi @ c
        g[i] = half @ Vi @ half
        for j, Vj in enumerate(d.patterns):
            trace = np.trace(weight @ Vi @ weight @ Vj)
            H[i, j] = -trace + 2.0 * d.y @ d.P @ Vi @ moved[j]
    f = c @ d.Phi @ c
    return 2.0 * f**2 / (g @ (2.0 * np.linalg.inv(H)) @ g)


def kenward_roger_covariance(d):
    """Kenward and Roger (1997), equations 3 to 5: the adjusted covariance, P_i and W."""
    A = [d.inverse @ V @ d.inverse for V in d.patterns]
    Pi = [-d.X.T @ a @ d.X for a in A]
    m = len(A)
    info, update = np.empty((m, m)), 0.0
    Q = [[d.X.T @ a @ V @ d.inverse @ d.X for V in d.patterns] for a in A]
    for i in range(m):
        for j in range(m):
            info[i, j] = 0.5 * np.trace(d.P @ d.patterns[i] @ d.P @ d.patterns[j])
    W = np.linalg.inv(info)
    for i in range(m):
        for j in range(m):
            update = update + W[i, j] * (Q[i][j] - Pi[i] @ d.Phi @ Pi[j])
    return d.Phi + 2.0 * d.Phi @ update @ d.Phi, Pi, W


def kenward_roger_test(d, L, beta):
    """Scaled F and denominator degrees of freedom of L beta = 0."""
    adjusted, Pi, W = kenward_roger_covariance(d)
    q = len(L)
    Theta = L.T @ np.linalg.inv(L @ d.Phi @ L.T) @ L
    T = [Theta @ d.Phi @ p @ d.Phi for p in Pi]
    A1 = sum(
        W[i, j] * np.trace(T[i]) * np.trace(T[j]) for i in range(len(T)) for j in range(len(T))
    )
    A2 = sum(W[i, j] * np.trace(T[i] @ T[j]) for i in range(len(T)) for j in range(len(T)))
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    scale = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / scale, (q - g) / scale, (q + 2 - g) / scale
    mean = 1 / (1 - A2 / q)
    variance = (2 / q) * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * mean**2)
    df = 4 + (q + 2) / (q * rho - 1)
    F = (L @ beta) @ np.linalg.solve(L @ adjusted @ L.T, L @ beta) / q
    return df / (mean * (df - 2)) * F, df
