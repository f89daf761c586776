"""A mixture of Student t distributions that stands in for a posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from ..._typing import Array

__all__ = ["Mixture", "fitted_mixture", "laplace"]

#: Degrees of freedom of the components, and of the wide one that guards the tails.
NARROW_DF, WIDE_DF = 6.0, 3.0
#: Share and relative variance of the wide one.
WIDE_SHARE, WIDE_SIZE = 0.1, 3.0
#: Components, and steps of the algorithm that fits them.
COMPONENTS, STEPS = 5, 15
#: Step of differences at the mode, in units of a first guess of each standard deviation.
STEP = 0.1

Density = Callable[[Array], Array]


@dataclass(frozen=True)
class Mixture:
    """A mixture of K multivariate t distributions in d dimensions.

    Attributes
    ----------
    shares, df : ndarray of shape (K,)
        Weights, and degrees of freedom.
    means : ndarray of shape (K, d)
        Centres.
    roots : ndarray of shape (K, d, d)
        Cholesky factors of the scale matrices.
    """

    shares: Array
    df: Array
    means: Array
    roots: Array

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """Draw points, shape (n, d)."""
        of = rng.choice(len(self.shares), size=n, p=self.shares)
        size = np.sqrt(self.df[of] / rng.chisquare(self.df[of]))
        noise = rng.standard_normal((n, self.means.shape[1])) * size[:, None]
        return np.asarray(self.means[of] + np.einsum("sij,sj->si", self.roots[of], noise))

    def parts(self, x: Array) -> tuple[Array, Array]:
        """Log share times density of each component, and squared distances: (K, n) each."""
        d = x.shape[1]
        logs, distances = [], []
        for share, df, mean, root in zip(self.shares, self.df, self.means, self.roots, strict=True):
            z = scipy.linalg.solve_triangular(root, (x - mean).T, lower=True)
            distance = (z**2).sum(axis=0)
            constant = scipy.special.gammaln(0.5 * (df + d)) - scipy.special.gammaln(0.5 * df)
            constant -= 0.5 * d * np.log(df * np.pi) + np.log(np.diag(root)).sum()
            logs.append(np.log(share) + constant - 0.5 * (df + d) * np.log1p(distance / df))
            distances.append(distance)
        return np.array(logs), np.array(distances)

    def log_density(self, x: Array) -> Array:
        """Log density, shape (n,)."""
        return np.asarray(scipy.special.logsumexp(self.parts(x)[0], axis=0))


def laplace(density: Density, start: Array) -> tuple[Mixture, Array]:
    """Find the mode, and a wide t distribution with the curvature there.

    Parameters
    ----------
    density : callable
        Log density at points of shape (n, d).
    start : ndarray of shape (d,)
        Where the search begins.
    """
    d = len(start)

    def value_and_slope(x: Array) -> tuple[float, Array]:
        steps = 1e-4 * np.vstack([np.zeros(d), np.eye(d), -np.eye(d)])
        at = -density(x + steps)
        at = np.where(np.isfinite(at), at, 1e10)
        return float(at[0]), (at[1 : d + 1] - at[d + 1 :]) / 2e-4

    found = scipy.optimize.minimize(
        value_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    mode = np.asarray(found.x)
    hessian = curvature(density, mode)
    values, vectors = np.linalg.eigh(hessian)
    size = 1.0 / np.sqrt(np.clip(values, 1e-2, None))
    root = np.linalg.cholesky((vectors * size**2) @ vectors.T * 1.5)
    one = Mixture(np.ones(1), np.array([WIDE_DF]), mode[None], root[None])
    return one, mode


def curvature(density: Density, mode: Array) -> Array:
    """Second differences of minus a log density, shape (d, d)."""
    d = len(mode)
    pairs = [(i, j) for i in range(d) for j in range(i + 1)]
    steps = STEP * np.eye(d)
    points = [mode]
    for i, j in pairs:
        points += [mode + steps[i] + steps[j], mode + steps[i] - steps[j]]
        points += [mode - steps[i] + steps[j], mode - steps[i] - steps[j]]
    at = density(np.array(points))
    at = np.where(np.isfinite(at), at, at[0] - 1e3)
    H = np.zeros((d, d))
    for (i, j), four in zip(pairs, at[1:].reshape(-1, 4), strict=True):
        H[i, j] = H[j, i] = -(four[0] - four[1] - four[2] + four[3]) / (4.0 * STEP**2)
    return H


def fitted_mixture(x: Array, log_weights: Array, rng: np.random.Generator) -> Mixture:
    """Fit a mixture to weighted points of shape (n, d) by expectation and maximisation.

    References
    ----------
    Cappé, Douc, Guillin, Marin and Robert (2008), Stat. Comput. 18, 447-459.
    """
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    d = x.shape[1]
    mean = weights @ x
    cov = _weighted_cov(x, weights, mean)
    floor = 0.02 * cov + 1e-10 * np.eye(d)
    starts = x[rng.choice(len(x), size=COMPONENTS, p=weights)]
    shares = np.full(COMPONENTS, 1.0 / COMPONENTS)
    means = 0.5 * (starts + mean)
    roots = np.tile(np.linalg.cholesky(cov), (COMPONENTS, 1, 1))
    df = np.full(COMPONENTS, NARROW_DF)
    for _ in range(STEPS):
        logs, distances = Mixture(shares, df, means, roots).parts(x)
        belongs = np.exp(logs - scipy.special.logsumexp(logs, axis=0)) * weights
        shares = np.clip(belongs.sum(axis=1), 1e-3, None)
        shares /= shares.sum()
        near = belongs * (NARROW_DF + d) / (NARROW_DF + distances)
        means = (near @ x) / near.sum(axis=1)[:, None]
        covs = [
            _weighted_cov(x, u, m) / max(float(b.sum()), 1e-12) + floor
            for u, m, b in zip(near, means, belongs, strict=True)
        ]
        roots = np.linalg.cholesky(np.array(covs))
    return Mixture(
        np.append((1.0 - WIDE_SHARE) * shares, WIDE_SHARE),
        np.append(df, WIDE_DF),
        np.vstack([means, mean]),
        np.concatenate([roots, np.linalg.cholesky(WIDE_SIZE * cov + floor)[None]]),
    )


def _weighted_cov(x: Array, weights: Array, mean: Array) -> Array:
    centred = x - mean
    return np.asarray((centred * weights[:, None]).T @ centred)
