"""Laplace's approximation in the plainest dense arithmetic, to check the package against.

Densities are scipy's and their derivatives are differences; Z is dense; the mode is found by
general minimisation. Nothing comes from ranef.
"""

from __future__ import annotations

import numpy as np
import scipy.stats
from scipy.optimize import minimize


def mean(link, eta):
    """Inverse link."""
    return {
        "logit": lambda e: 1.0 / (1.0 + np.exp(-e)),
        "probit": scipy.stats.norm.cdf,
        "cloglog": lambda e: -np.expm1(-np.exp(e)),
        "log": np.exp,
        "inverse": lambda e: 1.0 / e,
    }[link](eta)


def log_likelihood_rows(family, link, y, weights, eta, dispersion):
    """Log density of each row, constants included; binomial weights are trials."""
    mu = mean(link, eta)
    if family == "binomial":
        return scipy.stats.binom.logpmf(np.round(y * weights), weights, mu)
    if family == "poisson":
        return weights * scipy.stats.poisson.logpmf(y, mu)
    if family == "gamma":
        return weights * scipy.stats.gamma.logpdf(y, 1 / dispersion, scale=mu * dispersion)
    return weights * scipy.stats.nbinom.logpmf(y, dispersion, dispersion / (dispersion + mu))


def laplace(rows, fixed, Z, Lambda):
    """-2 log-likelihood by Laplace's approximation.

    Parameters
    ----------
    rows : callable
        eta (n,) to the log density of each row (n,).
    fixed : ndarray of shape (n,)
        X beta + offset.
    Z, Lambda : ndarray of shape (n, q) and (q, q)
    """
    ZL = Z @ Lambda

    def penalised(u):
        return -2.0 * rows(fixed + ZL @ u).sum() + u @ u

    u = minimize(penalised, np.zeros(ZL.shape[1]), method="BFGS").x
    h = 1e-3
    for _ in range(8):  # Newton's steps with differences of fourth order
        eta = fixed + ZL @ u
        low2, low, mid, up, up2 = (rows(eta + step * h) for step in (-2, -1, 0, 1, 2))
        score = (8.0 * (up - low) - (up2 - low2)) / (12.0 * h)
        weight = -(-up2 + 16.0 * up - 30.0 * mid + 16.0 * low - low2) / (12.0 * h**2)
        M = np.eye(len(u)) + ZL.T @ (weight[:, None] * ZL)
        u = u + np.linalg.solve(M, ZL.T @ score - u)
    return penalised(u) + np.linalg.slogdet(M)[1]
