"""A linear mixed model in the plainest dense arithmetic, to check the package against.

The marginal covariance V = Z Sigma Z' + sigma^2 W^-1 is built as an n by n matrix and everything
follows from generalised least squares, with no cross products, no penalised system and nothing from
ranef. For n up to a few hundred rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize


@dataclass(frozen=True)
class Term:
    """A grouping factor with its columns; ``blocks`` are the sizes of its correlated parts.

    theta of a term: block after block, the lower triangle of each, column by column.
    """

    codes: np.ndarray  # (n,)
    z: np.ndarray  # (n, s)
    blocks: tuple[int, ...]  # sums to s

    @property
    def n_levels(self):
        return int(self.codes.max()) + 1

    @property
    def n_theta(self):
        return sum(size * (size + 1) // 2 for size in self.blocks)

    def Z(self):  # (n, levels s), level after level
        n, s = self.z.shape
        out = np.zeros((n, self.n_levels, s))
        out[np.arange(n), self.codes] = self.z
        return out.reshape(n, -1)

    def lambda_(self, theta):  # (s, s)
        out = np.zeros((sum(self.blocks),) * 2)
        start = taken = 0
        for size in self.blocks:
            cols, rows = np.triu_indices(size)
            out[start + rows, start + cols] = theta[taken : taken + len(rows)]
            start, taken = start + size, taken + len(rows)
        return out


@dataclass(frozen=True)
class Fit:
    """What follows from given covariance parameters."""

    theta: np.ndarray
    objective: float  # -2 log-likelihood, restricted when reml
    beta: np.ndarray  # (p,)
    cov_beta: np.ndarray  # (p, p)
    sigma: float
    b: list[np.ndarray]  # conditional modes, (levels, s) a term
    condvar: list[np.ndarray]  # their variances given beta, (levels, s, s) a term


def evaluate(theta, y, X, terms, weights=None, *, reml=True):
    """Profile beta and sigma out at theta, the covariance parameters relative to sigma."""
    theta = np.asarray(theta, float)
    n, p = X.shape
    w = np.ones(n) if weights is None else np.asarray(weights, float)
    parts = np.split(theta, np.cumsum([t.n_theta for t in terms])[:-1])
    lambdas = [t.lambda_(part) for t, part in zip(terms, parts, strict=True)]
    Zs = [t.Z() for t in terms]
    Gs = [np.kron(np.eye(t.n_levels), lam @ lam.T) for t, lam in zip(terms, lambdas, strict=True)]
    V = np.diag(1 / w) + sum(Z @ G @ Z.T for Z, G in zip(Zs, Gs, strict=True))  # V / sigma^2
    Vi = np.linalg.inv(V)
    XtViX = X.T @ Vi @ X
    beta = np.linalg.solve(XtViX, X.T @ Vi @ y)
    r = y - X @ beta
    nu = n - p if reml else n
    sigma2 = r @ Vi @ r / nu
    objective = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * sigma2))
    if reml:
        objective += np.linalg.slogdet(XtViX)[1]
    b, condvar = [], []
    for term, Z, G in zip(terms, Zs, Gs, strict=True):
        s = term.z.shape[1]
        b.append((G @ Z.T @ Vi @ r).reshape(-1, s))
        C = sigma2 * (G - G @ Z.T @ Vi @ Z @ G)
        condvar.append(np.array([C[i : i + s, i : i + s] for i in range(0, len(C), s)]))
    return Fit(theta, objective, beta, sigma2 * np.linalg.inv(XtViX), sigma2**0.5, b, condvar)


def gradient(theta, *data, step=1e-5, **options):
    """Differentiate the objective by central differences; good to about 1e-6 relative."""
    theta = np.asarray(theta, float)
    shifts = step * np.eye(len(theta))
    up = [evaluate(theta + e, *data, **options).objective for e in shifts]
    down = [evaluate(theta - e, *data, **options).objective for e in shifts]
    return (np.array(up) - np.array(down)) / (2 * step)


def fit(y, X, terms, weights=None, *, reml=True, starts=(1.0, 0.1)):
    """Minimise the objective from multiples of the identity; keeps the lowest."""

    def objective(theta):
        return evaluate(theta, y, X, terms, weights, reml=reml).objective

    eye = np.concatenate([_identity(t.blocks) for t in terms])
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxfev": 4000, "maxiter": 4000}
    found = []
    for start in starts:
        rough = minimize(objective, start * eye, method="BFGS", options={"gtol": 1e-4}).x
        found.append(minimize(objective, rough, method="Nelder-Mead", options=options))
    best = min(found, key=lambda result: result.fun)
    return evaluate(best.x, y, X, terms, weights, reml=reml)


def _identity(blocks):
    return np.concatenate([np.eye(size)[np.triu_indices(size)] for size in blocks])
