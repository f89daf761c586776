"""The joint posterior of a generalised model: covariances, coefficients and effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from ...design.design import RandomTerm
from ...models.glmm.plan import Plan
from .coordinates import Coordinates
from .linear import FAR
from .priors import PosteriorPriors, log_density_of_sd

__all__ = ["GeneralisedTarget", "ShapePrior", "Split", "Standing"]

#: Step of differences by the covariance parameters, and by a shape.
STEP = 1e-5


@dataclass(frozen=True)
class ShapePrior:
    """The prior of one coefficient of a part that is not the location.

    Attributes
    ----------
    place : int
        Its place among all coefficients.
    natural : callable or None
        Its value on the scale of the prior; None for a normal prior of the coefficient itself.
    prior : object
        The density, or the standard deviation of the normal one; None is flat.
    mean : float
        Of the normal one.
    """

    place: int
    natural: Callable[[Array], Array] | None
    prior: object
    mean: float = 0.0

    def log_density(self, coefficient: Array) -> Array:
        """Log density of values of the coefficient, shape (3,)."""
        if self.prior is None:
            return np.zeros(len(coefficient))
        if self.natural is None:
            away = (coefficient - self.mean) / self.prior  # type: ignore[operator]
            return np.asarray(-0.5 * away**2)
        value = np.asarray(self.natural(coefficient))
        around = (self.natural(coefficient + STEP) - self.natural(coefficient - STEP)) / (2 * STEP)
        return log_density_of_sd(self.prior, value) + np.log(np.abs(around))


@dataclass(frozen=True)
class Standing:
    """Where a fit stands, from which its posterior is sampled.

    Attributes
    ----------
    standard, cov : ndarray of shape (P,) and (P, P)
        Standardised coefficients of all parts, and their covariance, NaN where it is not known.
    covariances : list of ndarray of shape (s, s)
        Of the random effects, positive definite.
    modes : sequence of ndarray of shape (l, s)
        Of the random effects.
    """

    standard: Array
    cov: Array
    covariances: list[Array]
    modes: Sequence[Array]


@dataclass(frozen=True)
class Split:
    """Draws in the user's terms.

    Attributes
    ----------
    factors : list of ndarray of shape (S, s, s)
        Cholesky factors of the covariances of each term.
    standard : ndarray of shape (S, P)
        Standardised coefficients of all parts.
    effects : list of ndarray of shape (S, l, s)
        Random effects of each term.
    """

    factors: list[Array]
    standard: Array
    effects: list[Array]


class GeneralisedTarget:
    """Log posterior density of covariances, coefficients and spherical random effects.

    Parameters
    ----------
    plan : Plan
        The rows, for one predictor or several.
    terms : sequence of RandomTerm
        The random-effects terms, in the order of the plan's.
    at : Standing
        The fit, by which the coefficients are whitened.
    coordinates, priors
        The covariance parameters, and the densities of these and of the location's coefficients.
    shapes : sequence of ShapePrior
        Priors of the other parts' coefficients.

    Notes
    -----
    Coordinates are those of the covariances, whitened coefficients and spherical random effects u
    with b = L u, so that a variance near zero makes no funnel. The kernel's gradient by
    coefficients and effects is exact; that by the few covariance parameters takes differences of
    the factors L alone.
    """

    def __init__(
        self,
        plan: Plan,
        terms: Sequence[RandomTerm],
        at: Standing,
        coordinates: Coordinates,
        priors: PosteriorPriors,
        shapes: Sequence[ShapePrior],
    ):
        self.core = plan.core()
        self.coordinates, self.priors, self.shapes, self.at = coordinates, priors, shapes, at
        location = plan.blocks[0]
        self.places, self.T = location.places, location.T
        self.back = [np.linalg.inv(basis) for basis in plan.bases]
        self.root = whitening(at.cov, len(plan.y))
        self.sizes = [(term.n_levels, term.n_cols) for term in terms]
        self.m, self.p = coordinates.size, len(at.standard)
        self.size = self.m + self.p + sum(rows * columns for rows, columns in self.sizes)

    def start(self) -> Array:
        """Coordinates of the fit."""
        x = np.zeros(self.size)
        x[: self.m] = self.coordinates.position(self.at.covariances, 1.0)
        place = self.m + self.p
        for cov, modes in zip(self.at.covariances, self.at.modes, strict=True):
            u = np.linalg.solve(np.linalg.cholesky(cov), modes.T).T
            x[place : place + u.size] = np.clip(u, -3.0, 3.0).ravel()
            place += u.size
        return x

    def split(self, x: Array) -> Split:
        """Take coordinates of shape (S, d) to the user's terms."""
        factors = self.coordinates.factors(self.coordinates.values(x[:, : self.m]))
        standard = self.at.standard + x[:, self.m : self.m + self.p] @ self.root.T
        effects, place = [], self.m + self.p
        for (rows, columns), L in zip(self.sizes, factors, strict=True):
            u = x[:, place : place + rows * columns].reshape(len(x), rows, columns)
            effects.append(u @ L.transpose(0, 2, 1))
            place += rows * columns
        return Split(factors, standard, effects)

    def value_and_slope(self, x: Array) -> tuple[float, Array]:
        """Log density and gradient at coordinates of shape (d,)."""
        m, p = self.m, self.p
        out = np.zeros(self.size)
        if m and np.abs(x[:m]).max() > FAR:
            return -np.inf, out
        around = x[:m] + STEP * np.vstack([np.zeros(m), np.eye(m), -np.eye(m)])
        values = self.coordinates.values(around)
        factors = self.coordinates.factors(values)
        prior = self.priors.log_density(self.coordinates, values, relative=False)
        prior += values.log_jacobian
        standard = self.at.standard + self.root @ x[m : m + p]
        spherical, effects, place = [], [], m + p
        for (rows, columns), L, back in zip(self.sizes, factors, self.back, strict=True):
            u = x[place : place + rows * columns].reshape(rows, columns)
            spherical.append(u)
            effects.append((back @ L[0]) @ u.T)
            place += rows * columns
        at = self.core.joint(standard, effects)
        if not np.isfinite(at.log_likelihood):
            return -np.inf, out
        of_prior, slope = self._coefficients(standard)
        out[:m] = (prior[1 : m + 1] - prior[m + 1 :]) / (2.0 * STEP)
        out[m : m + p] = self.root.T @ (at.by_beta + slope)
        value, place = at.log_likelihood + prior[0] + of_prior, m + p
        for u, L, back, by_effect in zip(spherical, factors, self.back, at.by_effects, strict=True):
            by_b = back.T @ by_effect
            out[place : place + u.size] = (by_b.T @ L[0] - u).ravel()
            place += u.size
            change = (L[1 : m + 1] - L[m + 1 :]) / (2.0 * STEP)
            out[:m] += np.tensordot(change, by_b @ u, 2)
            value -= 0.5 * float(np.vdot(u, u))
        return float(value), out

    def _coefficients(self, standard: Array) -> tuple[float, Array]:
        """Log prior density of standardised coefficients, and its gradient."""
        fixed, slope, total = self.priors.fixed, np.zeros(self.p), 0.0
        if fixed is not None:
            rows = self.T[fixed.index]
            away = (rows @ standard[self.places] - fixed.mean) / fixed.sd
            slope[self.places] = -rows.T @ (away / fixed.sd)
            total -= 0.5 * float(away @ away)
        for shape in self.shapes:
            here = standard[shape.place] + STEP * np.array([0.0, 1.0, -1.0])
            at = shape.log_density(here)
            total += float(at[0])
            slope[shape.place] += float(at[1] - at[2]) / (2.0 * STEP)
        return total, slope


def whitening(cov: Array, n: int) -> Array:
    """Root of the covariance of the coefficients; a guess where it is not known."""
    if np.isfinite(cov).all() and (values := np.linalg.eigvalsh(cov)).min() > 1e-12 * values.max():
        return np.asarray(np.linalg.cholesky(cov))
    known = np.diag(cov)
    sd = np.sqrt(np.where(np.isfinite(known) & (known > 0.0), known, 1.0 / np.sqrt(n)))
    return np.diag(sd)
