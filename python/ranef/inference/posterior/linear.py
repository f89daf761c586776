"""The posterior of a linear mixed model: covariances sampled, everything else exact given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import _core
from ..._typing import Array
from ...errors import RanefError
from .coordinates import Coordinates
from .priors import PosteriorPriors

__all__ = ["Given", "LinearTarget", "draw_fixed", "fixed_moments"]

#: Coordinates further out than this have no density that doubles can hold.
FAR = 150.0


@dataclass(frozen=True)
class Given:
    """What the kernel says at each of S covariances, the fixed effects under a flat prior.

    Attributes
    ----------
    beta : ndarray of shape (S, p)
        Means of the kept fixed effects.
    root : ndarray of shape (S, p, p)
        sigma R, with R R' sigma^2 their covariance.
    """

    beta: Array
    root: Array


class LinearTarget:
    """Log posterior density of covariances and sigma, fixed and random effects integrated out.

    Parameters
    ----------
    core : Lmm
        The kernel of the rows alone.
    n_obs : int
        Their number.
    coordinates, priors
        The parameters and their densities.

    Notes
    -----
    With beta^ and sigma^2 R R' the generalised least squares estimate and its covariance at theta,
    the integral over a flat beta is the restricted likelihood,

        -2 log p(y | theta, sigma) = (n - p) log(2 pi sigma^2) + log|L|^2 + log|R_X|^2
                                     + r^2 / sigma^2

    and a normal prior N(m, D) of some of beta multiplies it by N(beta^; m, sigma^2 R R' + D). What
    an evaluation costs does not depend on the number of rows.
    """

    def __init__(
        self, core: _core.Lmm, n_obs: int, coordinates: Coordinates, priors: PosteriorPriors
    ):
        self.core, self.coordinates, self.priors = core, coordinates, priors
        self.n_fixed = len(core.kept)
        self.nu = n_obs - self.n_fixed

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.coordinates.size

    def log_density(self, x: Array) -> Array:
        """Log density at coordinates of shape (S, d), minus its constant; shape (S,)."""
        inside = np.abs(x).max(axis=1) < FAR
        out = np.full(len(x), -np.inf)
        with np.errstate(all="ignore"):  # what is not finite has no density
            if inside.any():
                out[inside] = self._inside(x[inside])[0]
        return out

    def given(self, x: Array) -> Given:
        """Ask the kernel at coordinates of shape (S, d)."""
        return self._inside(x)[1]

    def _inside(self, x: Array) -> tuple[Array, Given]:
        values = self.coordinates.values(x)
        sigma, p = values.scale, self.n_fixed
        factors = self.coordinates.factors(values)
        beta, root = np.zeros((len(x), p)), np.tile(np.eye(p), (len(x), 1, 1))
        twice = np.full(len(x), np.inf)
        relative = [factor / sigma[:, None, None] for factor in factors]
        for s in range(len(x)):
            try:
                at = self.core.evaluate([block[s] for block in relative], True)
            except RanefError:
                continue
            beta[s], root[s] = at.beta, sigma[s] * at.cov_beta_root
            twice[s] = at.logdet_L + at.logdet_RX + at.pwrss / sigma[s] ** 2
        given = Given(beta, root)
        total = -0.5 * (twice + 2.0 * self.nu * np.log(sigma)) + values.log_jacobian
        total += self.priors.log_density(self.coordinates, values, relative=True)
        total += self._fixed(given, sigma)
        return np.where(np.isfinite(total), total, -np.inf), given

    def _fixed(self, given: Given, sigma: Array) -> Array:
        """Log density of the estimates under the prior of the fixed effects, shape (S,)."""
        fixed = self.priors.fixed
        if fixed is None:
            return np.zeros(len(sigma))
        rows = given.root[:, fixed.index]
        sd = fixed.sd * sigma[:, None] if fixed.relative else np.tile(fixed.sd, (len(sigma), 1))
        cov = rows @ rows.transpose(0, 2, 1) + _diagonal(sd**2)
        L = np.linalg.cholesky(cov)
        miss = np.linalg.solve(L, (given.beta[:, fixed.index] - fixed.mean)[:, :, None])
        logdet = np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1)
        return np.asarray(-0.5 * (miss**2).sum(axis=(1, 2)) - logdet)


def fixed_given(target: LinearTarget, given: Given, sigma: Array) -> tuple[Array, Array]:
    """Gains of the prior's information, (S, p, r), and its standard deviations, (S, r)."""
    fixed = target.priors.fixed
    assert fixed is not None
    sd = fixed.sd * sigma[:, None] if fixed.relative else np.tile(fixed.sd, (len(sigma), 1))
    rows = given.root[:, fixed.index]
    cov = rows @ rows.transpose(0, 2, 1) + _diagonal(sd**2)
    cross = rows @ given.root.transpose(0, 2, 1)
    return np.asarray(np.linalg.solve(cov, cross).transpose(0, 2, 1)), np.asarray(sd)


def fixed_moments(target: LinearTarget, x: Array, sigma: Array) -> tuple[Array, Array]:
    """Mean of the fixed effects given coordinates, (S, p), and a root of their covariance."""
    given = target.given(x)
    fixed = target.priors.fixed
    if fixed is None:
        return given.beta, given.root
    gain, sd = fixed_given(target, given, sigma)
    mean = given.beta + np.einsum("sij,sj->si", gain, fixed.mean - given.beta[:, fixed.index])
    # (I - K) C (I - K)' + K D K' of a gain K stays positive whatever is rounded
    kept = given.root - gain @ given.root[:, fixed.index]
    return np.asarray(mean), np.concatenate([kept, gain * sd[:, None, :]], axis=2)


def draw_fixed(target: LinearTarget, given: Given, sigma: Array, rng: np.random.Generator) -> Array:
    """Draw the fixed effects given everything else, shape (S, p).

    Notes
    -----
    A draw under the flat prior is moved by the gain of what the prior says, with a draw of its
    error (Matheron's rule), so that no covariance is factored.
    """
    noise = rng.standard_normal(given.beta.shape)
    beta: Array = given.beta + np.einsum("sij,sj->si", given.root, noise)
    fixed = target.priors.fixed
    if fixed is None:
        return beta
    gain, sd = fixed_given(target, given, sigma)
    told = fixed.mean + sd * rng.standard_normal(sd.shape)
    return np.asarray(beta + np.einsum("sij,sj->si", gain, told - beta[:, fixed.index]))


def _diagonal(values: Array) -> Array:
    """Diagonal matrices of shape (S, r, r)."""
    return np.asarray(values[:, :, None] * np.eye(values.shape[1]))
