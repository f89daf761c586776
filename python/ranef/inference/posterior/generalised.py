"""The joint posterior of a generalised model: covariances, coefficients and effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...families.family import Family
from ...models.glmm.estimate import GlmmEstimate
from .coordinates import Coordinates, Values
from .linear import FAR
from .priors import PosteriorPriors

__all__ = ["GeneralisedTarget", "Split", "log_likelihood_rows"]

#: Step of differences by the covariance parameters.
STEP = 1e-5


@dataclass(frozen=True)
class Split:
    """Draws in the user's terms.

    Attributes
    ----------
    values : Values
        Covariance parameters, S of each.
    factors : list of ndarray of shape (S, s, s)
        Cholesky factors of the covariances of each term.
    beta : ndarray of shape (S, p)
        Kept coefficients.
    effects : list of ndarray of shape (S, l, s)
        Random effects of each term.
    """

    values: Values
    factors: list[Array]
    beta: Array
    effects: list[Array]


class GeneralisedTarget:
    """Log posterior density of covariances, coefficients and spherical random effects.

    Parameters
    ----------
    design, estimate
        The model and its fit, by which the coefficients are whitened.
    weights : ndarray of shape (n,)
        Trials, or weights of the rows.
    coordinates, priors
        The parameters and their densities.

    Notes
    -----
    Coordinates are those of the covariances, of a dispersion, whitened coefficients and spherical
    random effects u with b = L u, so that a variance near zero makes no funnel. The gradient by
    all but the few covariance parameters is exact, and by these a difference of the factors alone.
    """

    def __init__(
        self,
        design: Design,
        estimate: GlmmEstimate,
        weights: Array,
        coordinates: Coordinates,
        priors: PosteriorPriors,
    ):
        self.design, self.estimate, self.weights = design, estimate, weights
        self.coordinates, self.priors = coordinates, priors
        kept = estimate.kept
        self.X = np.ascontiguousarray(design.X[:, kept])
        self.z = [np.ascontiguousarray(design.z(term)) for term in design.random]
        self.offset = np.zeros(design.n_obs) if design.offset is None else design.offset
        self.centre = estimate.beta[kept]
        self.root = whitening(estimate.cov_beta, self.X)
        self.m, self.p = coordinates.size, len(kept)
        self.shapes = [(term.n_levels, term.n_cols) for term in design.random]
        self.size = self.m + self.p + sum(rows * columns for rows, columns in self.shapes)

    def start(self, covariances: list[Array], dispersion: float) -> Array:
        """Coordinates of the fit."""
        x = np.zeros(self.size)
        x[: self.m] = self.coordinates.position(covariances, dispersion)
        at = self.m + self.p
        for cov, modes in zip(covariances, self.estimate.modes, strict=True):
            u = np.linalg.solve(np.linalg.cholesky(cov), modes.T).T
            x[at : at + u.size] = np.clip(u, -3.0, 3.0).ravel()
            at += u.size
        return x

    def split(self, x: Array) -> Split:
        """Take coordinates of shape (S, d) to the user's terms."""
        values = self.coordinates.values(x[:, : self.m])
        factors = self.coordinates.factors(values)
        beta = self.centre + x[:, self.m : self.m + self.p] @ self.root.T
        effects, at = [], self.m + self.p
        for (rows, columns), L in zip(self.shapes, factors, strict=True):
            u = x[:, at : at + rows * columns].reshape(len(x), rows, columns)
            effects.append(u @ L.transpose(0, 2, 1))
            at += rows * columns
        return Split(values, factors, beta, effects)

    def value_and_slope(self, x: Array) -> tuple[float, Array]:
        """Log density and gradient at coordinates of shape (d,)."""
        m, p = self.m, self.p
        out = np.zeros(self.size)
        if np.abs(x[:m]).max() > FAR:
            return -np.inf, out
        around = x[:m] + STEP * np.vstack([np.zeros(m), np.eye(m), -np.eye(m)])
        values = self.coordinates.values(around)
        factors = self.coordinates.factors(values)
        prior = self.priors.log_density(self.coordinates, values, relative=False)
        prior += values.log_jacobian
        beta = self.centre + self.root @ x[m : m + p]
        eta = self.offset + self.X @ beta
        spherical, at = [], m + p
        for term, (rows, columns), z, L in zip(
            self.design.random, self.shapes, self.z, factors, strict=True
        ):
            u = x[at : at + rows * columns].reshape(rows, columns)
            spherical.append(u)
            at += rows * columns
            eta += np.einsum("ij,ij->i", z, (u @ L[0].T)[term.codes])
        scale = values.scale
        value, by_eta, by_scale = self._rows(eta, scale[: m + 1])
        of_beta, slope_beta = self._fixed(beta)
        out[:m] = (prior[1 : m + 1] - prior[m + 1 :]) / (2.0 * STEP)
        out[:m] += by_scale * (scale[1 : m + 1] - scale[m + 1 :]) / (2.0 * STEP)
        out[m : m + p] = self.root.T @ (self.X.T @ by_eta + slope_beta)
        at = m + p
        for term, u, z, L in zip(self.design.random, spherical, self.z, factors, strict=True):
            by_effect = np.column_stack(
                [np.bincount(term.codes, by_eta * z[:, j], len(u)) for j in range(u.shape[1])]
            )
            out[at : at + u.size] = (by_effect @ L[0] - u).ravel()
            at += u.size
            change = (L[1 : m + 1] - L[m + 1 :]) / (2.0 * STEP)
            out[:m] += np.einsum("mij,ij->m", change, by_effect.T @ u)
            value -= 0.5 * float(np.sum(u**2))
        return float(value + prior[0] + of_beta), np.asarray(out)

    def _rows(self, eta: Array, scale: Array) -> tuple[float, Array, float]:
        """Log-likelihood, its gradient by eta, and its derivative by the dispersion."""
        spec = self.estimate.spec
        family, link, y = spec.distribution, spec.transform, self.design.y
        mu = link.mean(eta)
        params = family.params(scale[0], self.weights)
        variance = family.variance(mu, params)
        weights = 1.0 if family.has_trials else self.weights
        by_eta = weights * (y - mu) / variance * link.slope(eta)
        if not family.has_dispersion:
            return float(-0.5 * np.sum(self.weights * family.deviance(y, mu, params))), by_eta, 0.0
        h = 1e-5 * scale[0]
        at = [
            float(np.sum(log_likelihood_rows(spec.distribution, y, mu, self.weights, value)))
            for value in (scale[0], scale[0] + h, scale[0] - h)
        ]
        return at[0], by_eta, (at[1] - at[2]) / (2.0 * h)

    def _fixed(self, beta: Array) -> tuple[float, Array]:
        """Log prior density of the coefficients, and its gradient."""
        fixed, slope = self.priors.fixed, np.zeros(self.p)
        if fixed is None:
            return 0.0, slope
        away = (beta[fixed.index] - fixed.mean) / fixed.sd
        slope[fixed.index] = -away / fixed.sd
        return float(-0.5 * np.sum(away**2)), slope


def whitening(cov: Array, X: Array) -> Array:
    """Root of the covariance of the coefficients; by their columns where it is not known."""
    if np.isfinite(cov).all() and (values := np.linalg.eigvalsh(cov)).min() > 1e-12 * values.max():
        return np.asarray(np.linalg.cholesky(cov))
    return np.asarray(np.linalg.inv(np.linalg.qr(X, mode="r")) * np.sqrt(len(X)))


def log_likelihood_rows(
    family: Family, y: Array, mu: Array, weights: Array, dispersion: Array | float
) -> Array:
    """Log density of rows given means of a shape that broadcasts with theirs."""
    params = family.params(dispersion, weights)
    rows = family.logpdf(y, mu, params)
    return np.asarray(rows if family.has_trials else weights * rows)
