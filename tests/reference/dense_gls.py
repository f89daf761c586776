"""Structured covariances by dense matrices and textbook formulas; no code shared with ranef."""

from __future__ import annotations

import numpy as np
import scipy


def correlation(kind, parameter, time, groups):
    """Correlation of all rows, shape (n, n); zero between groups.

    ``parameter``: rho; correlations by lag 1, 2, ...; or a matrix, a row for each distinct time.
    """
    lag = np.abs(time[:, None] - time)
    if kind == "independence":
        C = np.eye(len(time))
    elif kind == "exchangeable":
        C = np.where(np.eye(len(time)) == 1.0, 1.0, parameter)
    elif kind in ("ar1", "car1"):
        C = np.power(float(parameter), lag)
    elif kind == "toeplitz":
        C = np.append(1.0, parameter)[np.rint(lag).astype(int)]
    else:
        place = np.searchsorted(np.unique(time), time)
        C = np.asarray(parameter)[np.ix_(place, place)]
    C = np.where(groups[:, None] == groups, C, 0.0)
    np.fill_diagonal(C, 1.0)
    return C


def covariance(C, sd, terms=()):
    """V = S C S + sum Z Sigma Z', with terms of (codes, z, Sigma)."""
    V = sd[:, None] * C * sd
    for codes, z, sigma in terms:
        V = V + np.where(codes[:, None] == codes, z @ np.atleast_2d(sigma) @ z.T, 0.0)
    return V


def fit_at(y, X, V, *, reml):
    """-2 log-likelihood with sigma^2 profiled out, beta, cov(beta) and sigma^2 at a relative V."""
    n, p = X.shape
    Vi = np.linalg.inv(V)
    A = X.T @ Vi @ X
    beta = np.linalg.solve(A, X.T @ Vi @ y)
    r = y - X @ beta
    nu = n - p if reml else n
    sigma2 = r @ Vi @ r / nu
    value = np.linalg.slogdet(V)[1] + nu * (1.0 + np.log(2.0 * np.pi * sigma2))
    if reml:
        value += np.linalg.slogdet(A)[1]
    return value, beta, sigma2 * np.linalg.inv(A), sigma2


def minimise(objective, start):
    """Minimise without derivatives, then by BFGS, from a start."""
    found = scipy.optimize.minimize(objective, start, method="Nelder-Mead", options=OPTIONS)
    return scipy.optimize.minimize(objective, found.x, method="BFGS", options={"gtol": 1e-7})


OPTIONS = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 20000, "maxfev": 20000}
