"""Growth curves with covariates that may be missing, by full information maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from .._typing import Array, Positions
from ..errors import ModelError

__all__ = ["FimlEstimate", "FimlModel", "fit_fiml"]

#: Curvature, relative to that of single parameters, below which the data do not separate them.
FLAT = 1e-8


@dataclass(frozen=True)
class Pattern:
    """Units that were observed in the same places: how many, their mean and scatter."""

    at: Positions
    n: int
    mean: Array
    scatter: Array


@dataclass(frozen=True)
class FimlModel:
    """The moments of outcomes and covariates that a growth curve implies.

    Attributes
    ----------
    loadings : ndarray of shape (T, k)
        Powers of time: the mean of the outcomes given the factors.
    n_random : int
        Number of factors, coming first, that vary between units.
    n_covariates : int
        Covariates, jointly normal, that the factors depend on.
    free : bool
        Whether each occasion has its own residual variance.
    regressed : ndarray of shape (k, q), bool, or None
        Which factor depends on which covariate; None for all.
    basis : bool
        Whether the loadings of the second factor are estimated, but for the first, 0, and the last,
        1: a latent basis.
    """

    loadings: Array
    n_random: int
    n_covariates: int
    free: bool
    regressed: NDArray[np.bool_] | None = None
    basis: bool = False

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which factor depends on which covariate, (k, q)."""
        shape = self.loadings.shape[1], self.n_covariates
        return np.ones(shape, bool) if self.regressed is None else self.regressed

    def curve(self, at: Array) -> Array:
        """Return the loadings (T, k) at parameters."""
        if not self.basis:
            return self.loadings
        F = self.loadings.copy()
        F[1:-1, 1] = at[len(at) - len(F) + 2 :]
        return F

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the parts of the parameters, see :meth:`parts`."""
        (T, k), r, q = self.loadings.shape, self.n_random, self.n_covariates
        gamma, residuals = int(self.mask.sum()), T if self.free else 1
        basis = T - 2 if self.basis else 0
        return k, gamma, r * (r + 1) // 2, residuals, q, q * (q + 1) // 2, basis

    def parts(self, at: Array) -> tuple[Array, ...]:
        """Cut parameters into alpha (k,), Gamma (k, q), Psi, residual variances, mu, Phi."""
        r, q = self.n_random, self.n_covariates
        alpha, given, psi, theta, mu, phi, _ = np.split(at, np.cumsum(self.sizes)[:-1])
        gamma = np.zeros(self.mask.shape)
        gamma[self.mask] = given
        return alpha, gamma, unpacked(psi, r), theta, mu, unpacked(phi, q)

    def moments(self, at: Array) -> tuple[Array, Array]:
        """Mean and covariance of outcomes and covariates, shapes (T + q,) and (T + q, T + q)."""
        alpha, gamma, psi, theta, mu, phi = self.parts(at)
        F, r = self.curve(at), self.n_random
        between = gamma @ phi @ gamma.T
        between[:r, :r] += psi
        cross = F @ gamma @ phi
        top = F @ between @ F.T + np.diag(np.broadcast_to(theta, len(F)))
        mean = np.concatenate([F @ (alpha + gamma @ mu), mu])
        return mean, np.block([[top, cross], [cross.T, phi]])

    def chained(self, at: Array, g: Array, G: Array) -> Array:
        """Turn derivatives by mean, g, and covariance, G, into those by the parameters."""
        alpha, gamma, psi, _, mu, phi = self.parts(at)
        F, r, T = self.curve(at), self.n_random, len(self.loadings)
        inner, cross = F.T @ G[:T, :T] @ F, F.T @ G[:T, T:]
        d_alpha = F.T @ g[:T]
        d_gamma = np.outer(d_alpha, mu) + 2.0 * (inner @ gamma + cross) @ phi
        d_theta = np.diag(G[:T, :T]).copy()
        side = gamma.T @ cross
        d_phi = gamma.T @ inner @ gamma + side + side.T + G[T:, T:]
        between = gamma @ phi @ gamma.T
        between[:r, :r] += psi
        d_F = np.outer(g[:T], alpha + gamma @ mu)
        d_F += 2.0 * (G[:T, :T] @ F @ between + G[:T, T:] @ phi @ gamma.T)
        return np.concatenate(
            [
                d_alpha,
                d_gamma[self.mask],
                packed(inner[:r, :r]),
                d_theta if self.free else [d_theta.sum()],
                g[T:] + gamma.T @ d_alpha,
                packed(d_phi),
                d_F[1:-1, 1] if self.basis else [],
            ]
        )


@dataclass(frozen=True)
class FimlEstimate:
    """A fit by full information maximum likelihood.

    Attributes
    ----------
    llf : float
        Log-likelihood of outcomes and covariates.
    params : ndarray of shape (npar,)
        Estimates, in the order of `FimlModel.parts`, matrices by their lower triangles.
    cov : ndarray of shape (npar, npar)
        Their covariance, from the observed information.
    gradient : float
        Largest derivative of the log-likelihood, in units of standard errors.
    converged : bool
        Whether that is small and the information is positive definite.
    n_units : int
        Units with an observed value.
    """

    llf: float
    params: Array
    cov: Array
    gradient: float
    converged: bool
    n_units: int


def unpacked(values: Array, size: int) -> Array:
    """Fill a symmetric matrix from its lower triangle, row by row."""
    out = np.zeros((size, size))
    out[np.tril_indices(size)] = values
    return np.asarray(out + np.tril(out, -1).T)


def packed(D: Array) -> Array:
    """Collect derivatives by a lower triangle: entries off the diagonal count twice."""
    twice = D + D.T - np.diag(np.diag(D))
    return np.asarray(twice[np.tril_indices(len(D))])


def patterns_of(values: Array) -> list[Pattern]:
    """Sum up units by what was observed for them."""
    seen = np.isfinite(values)
    keys, which = np.unique(seen, axis=0, return_inverse=True)
    out = []
    for i, key in enumerate(keys):
        if not key.any():
            continue
        rows = values[which.ravel() == i][:, key]
        mean = rows.mean(axis=0)
        centred = rows - mean
        out.append(Pattern(np.flatnonzero(key), len(rows), mean, centred.T @ centred / len(rows)))
    return out


def likelihood(model: FimlModel, patterns: list[Pattern], at: Array) -> tuple[float, Array]:
    """Compute log-likelihood and gradient; minus infinity where a covariance is not definite."""
    mean, cov = model.moments(at)
    total, g, G = 0.0, np.zeros(len(mean)), np.zeros_like(cov)
    for p in patterns:
        grid = np.ix_(p.at, p.at)
        part = cov[grid]
        try:
            L = np.linalg.cholesky(part)
        except np.linalg.LinAlgError:
            return -np.inf, np.zeros(len(at))
        inverse = np.linalg.inv(part)
        gap = p.mean - mean[p.at]
        spread = p.scatter + np.outer(gap, gap)
        logdet = 2.0 * np.log(np.diag(L)).sum()
        total -= 0.5 * p.n * (len(gap) * np.log(2.0 * np.pi) + logdet + np.sum(inverse * spread))
        g[p.at] += p.n * inverse @ gap
        G[grid] += 0.5 * p.n * (inverse @ spread @ inverse - inverse)
    return total, model.chained(at, g, G)


def fit_fiml(model: FimlModel, values: Array) -> FimlEstimate:
    """Maximise the likelihood of outcomes and covariates, those observed of each unit.

    Parameters
    ----------
    model : FimlModel
        Curve and covariates.
    values : ndarray of shape (units, T + q)
        Outcomes by occasion, then covariates; NaN where missing.

    Raises
    ------
    ModelError
        If an occasion or a covariate was never observed, or does not vary.
    """
    if not np.all(np.nanstd(values, axis=0) > 0.0):
        raise ModelError("an occasion or a covariate has no two different observed values")
    written = model
    model, powers = in_unit_of_time(model)
    units = Units.of(model, values)
    patterns = patterns_of((values - units.centre) / units.scale)
    roots = Roots(model)
    options: Any = {"gtol": 1e-7 * len(values), "maxiter": 2000}
    criterion: Any = partial(objective, model, patterns, roots)
    start = roots.start((values - units.centre) / units.scale)
    found = minimize(criterion, start, jac=True, method="BFGS", options=options)
    at = roots.natural(found.x)
    llf, gradient = likelihood(model, patterns, at)
    information = -jacobian(lambda x: likelihood(model, patterns, x)[1], at)
    information = 0.5 * (information + information.T)
    cov = np.asarray(np.linalg.pinv(information), np.float64)
    step = float(np.sqrt(max(float(gradient @ cov @ gradient), 0.0)))
    unit = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    definite = bool(np.linalg.eigvalsh(information / np.outer(unit, unit))[0] > FLAT)
    seen = np.isfinite(values)
    origin = units.restored(model, np.zeros(len(at)))
    J = np.column_stack([units.restored(model, e) - origin for e in np.eye(len(at))])
    back = of_written(written, powers)
    J = back[:, None] * J
    return FimlEstimate(
        float(llf - np.sum(seen * np.log(units.scale))),
        back * units.restored(model, at),
        J @ cov @ J.T,
        step,
        definite and step < 1e-3,
        int(seen.any(axis=1).sum()),
    )


def in_unit_of_time(model: FimlModel) -> tuple[FimlModel, Array]:
    """Divide the powers of time by the largest of each, so that its unit does not matter.

    Returns
    -------
    tuple of FimlModel and ndarray of shape (k,)
        The model, and what the loadings were divided by.
    """
    powers = np.abs(model.loadings).max(axis=0)
    powers = np.ones(len(powers)) if model.basis else np.where(powers > 0.0, powers, 1.0)
    return replace(model, loadings=model.loadings / powers), powers


def of_written(model: FimlModel, powers: Array) -> Array:
    """Return factors that turn parameters of divided loadings into those as written."""
    r, q = model.n_random, model.n_covariates
    gamma = np.repeat(1.0 / powers[:, None], q, axis=1)[model.mask]
    psi = 1.0 / np.outer(powers[:r], powers[:r])[np.tril_indices(r)]
    rest = np.ones(sum(model.sizes) - len(powers) - len(gamma) - len(psi))
    return np.concatenate([1.0 / powers, gamma, psi, rest])


@dataclass(frozen=True)
class Units:
    """Origins and units in which all values are searched, one for all outcomes.

    Attributes
    ----------
    centre, scale : ndarray of shape (T + q,)
        Of outcomes by occasion, then of covariates.
    """

    centre: Array
    scale: Array

    @classmethod
    def of(cls, model: FimlModel, values: Array) -> Units:
        """Take means and standard deviations."""
        T = len(model.loadings)
        outcomes = values[:, :T]
        centre, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        centre[:T], scale[:T] = np.nanmean(outcomes), np.nanstd(outcomes)
        return cls(centre, scale)

    def restored(self, model: FimlModel, at: Array) -> Array:
        """Map parameters back: an affine function of them."""
        alpha, gamma, psi, theta, mu, phi = model.parts(at)
        T = len(model.loadings)
        origin, unit, s = self.centre[T:], self.scale[T:], self.scale[0]
        gamma = s * gamma / unit
        alpha = s * alpha - gamma @ origin
        alpha[0] += self.centre[0]
        r, q = np.tril_indices(len(psi)), np.tril_indices(len(phi))
        return np.concatenate(
            [
                alpha,
                gamma[model.mask],
                s**2 * psi[r],
                s**2 * theta,
                origin + unit * mu,
                (phi * np.outer(unit, unit))[q],
                at[sum(model.sizes[:-1]) :],
            ]
        )


class Roots:
    """Parameters without bounds: roots of the covariance matrices, logarithms of variances."""

    def __init__(self, model: FimlModel):
        self.model = model
        self.cuts = np.cumsum(model.sizes)[:-1]

    def natural(self, free: Array) -> Array:
        """Return the parameters of the model."""
        alpha, gamma, psi, theta, mu, phi, basis = np.split(free, self.cuts)
        r, q = self.model.n_random, self.model.n_covariates
        return np.concatenate(
            [alpha, gamma, squared(psi, r), np.exp(theta), mu, squared(phi, q), basis]
        )

    def pulled(self, free: Array, g: Array) -> Array:
        """Turn derivatives by the parameters of the model into those by the free ones."""
        _, _, psi, theta, _, phi, _ = np.split(free, self.cuts)
        d_alpha, d_gamma, d_psi, d_theta, d_mu, d_phi, d_basis = np.split(g, self.cuts)
        r, q = self.model.n_random, self.model.n_covariates
        return np.concatenate(
            [
                d_alpha,
                d_gamma,
                rooted(psi, d_psi, r),
                d_theta * np.exp(theta),
                d_mu,
                rooted(phi, d_phi, q),
                d_basis,
            ]
        )

    def start(self, values: Array) -> Array:
        """Begin at straight moments: no regressions, half of the variance between units."""
        F, r, q = self.model.loadings, self.model.n_random, self.model.n_covariates
        T = len(F)
        means, spread = np.nanmean(values, axis=0), np.nanvar(values, axis=0)
        alpha = np.linalg.lstsq(F, means[:T], rcond=None)[0]
        reach = np.sqrt(np.mean(F[:, :r] ** 2, axis=0))
        psi = np.diag(np.sqrt(0.5 * spread[:T].mean() / r) / reach)
        theta = np.log(np.full(self.model.sizes[3], 0.5 * spread[:T].mean()))
        phi = np.diag(np.sqrt(spread[T:]))
        lower = np.tril_indices(r), np.tril_indices(q)
        return np.concatenate(
            [
                alpha,
                np.zeros(self.model.sizes[1]),
                psi[lower[0]],
                theta,
                means[T:],
                phi[lower[1]],
                F[1:-1, 1] if self.model.basis else [],
            ]
        )


def squared(values: Array, size: int) -> Array:
    """Return the lower triangle of L L'."""
    L = np.zeros((size, size))
    L[np.tril_indices(size)] = values
    return np.asarray((L @ L.T)[np.tril_indices(size)])


def rooted(values: Array, d: Array, size: int) -> Array:
    """Turn derivatives by the lower triangle of L L' into those by L."""
    L, D = np.zeros((size, size)), np.zeros((size, size))
    L[np.tril_indices(size)], D[np.tril_indices(size)] = values, d
    D = 0.5 * (D + D.T)
    return np.asarray((2.0 * D @ L)[np.tril_indices(size)])


def objective(
    model: FimlModel, patterns: list[Pattern], roots: Roots, free: Array
) -> tuple[float, Array]:
    """Return -log-likelihood and its gradient by the free parameters."""
    with np.errstate(over="ignore"):
        value, gradient = likelihood(model, patterns, roots.natural(free))
    if not np.isfinite(value):
        return 1e300, np.zeros(len(free))
    return -value, -roots.pulled(free, gradient)


def jacobian(function: Callable[[Array], Array], at: Array) -> Array:
    """Difference an exact gradient, centrally, with one step of extrapolation."""
    columns = []
    for j, x in enumerate(at):
        h = 1e-4 * max(abs(x), 1e-2)
        steps = []
        for size in (h, 2.0 * h):
            up, down = at.copy(), at.copy()
            up[j] += size
            down[j] -= size
            steps.append((function(up) - function(down)) / (2.0 * size))
        columns.append((4.0 * steps[0] - steps[1]) / 3.0)
    return np.column_stack(columns)
