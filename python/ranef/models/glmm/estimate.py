"""The specification of a generalised linear mixed model, and its estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array

if TYPE_CHECKING:  # not needed by linear models
    from ...families import Family, Link, Params
    from ..lmm import Approximation

__all__ = ["Block", "GlmmEstimate", "GlmmSpec", "PartsEstimate", "Penalty"]


@dataclass(frozen=True)
class GlmmSpec:
    """Specification of the model.

    Attributes
    ----------
    family, link : str
        Distribution of the response given the random effects, and link of its mean.
    nagq : int
        Points of the quadrature for each random effect; 1 is Laplace's approximation, and 0 takes
        the fixed effects to the joint mode with the random ones.
    reml : bool
        Whether fixed effects are integrated out too.
    """

    family: str
    link: str
    nagq: int = 1
    reml: bool = False

    @cached_property
    def distribution(self) -> Family:
        """The family as an object."""
        from ...families import lookup

        return lookup(self.family)

    @cached_property
    def transform(self) -> Link:
        """The link as an object."""
        from ...families.links import link_named

        return link_named(self.link)

    @cached_property
    def has_dispersion(self) -> bool:
        """Whether the family has a dispersion parameter that is estimated."""
        return self.distribution.has_dispersion


@dataclass(frozen=True)
class GlmmEstimate:
    """What the search found; arrays in the order of the design.

    Attributes
    ----------
    spec : GlmmSpec
        The model.
    objective : float
        -2 log-likelihood, by the approximation that was asked for.
    conditional_log_likelihood : float
        Log-likelihood given the random effects at their modes.
    beta : ndarray of shape (p,)
        Fixed effects; NaN for aliased columns.
    kept : ndarray of int
        Positions in ``Design.fixed`` of the columns that are not aliased.
    cov_beta : ndarray of shape (n_kept, n_kept)
        Covariance of the kept fixed effects.
    theta : ndarray of shape (m,)
        Covariance parameters in the standardised basis, in the kernel's order.
    dispersion : float
        phi of a gamma, size of a negative binomial; 1 for other families.
    dispersion_se : float
        Standard error of the dispersion's logarithm; NaN where it is not estimated.
    lambda_, lambda_standard : tuple of ndarray of shape (s, s)
        Factors of the covariances of the random effects, lower triangular: as the formula scales
        its columns, and in the standardised basis.
    modes : tuple of ndarray of shape (l, s)
        Conditional modes of the random effects.
    eta : ndarray of shape (n,)
        Linear predictor at the modes, offset included.
    converged, is_singular : bool
        Whether gradient and curvature say that this is an optimum; whether a covariance is
        singular.
    separated : tuple of int
        Positions in ``Design.fixed`` of columns that separate the responses: their coefficients
        run to infinity, and have no standard errors.
    status : str
        "converged", "step limit", "stalled", or "saddle" where the criterion still falls away.
    gradient : ndarray
        Of -2 log-likelihood by theta, the whitened fixed effects and the log dispersion.
    eigenvalues : ndarray
        Of the Hessian by the same parameters, ascending.
    decrement : float
        Decrease that gradient and Hessian still predict.
    n_objective, n_gradient : int
        Evaluations.
    path : ndarray of shape (steps, 3)
        Objective, predicted decrease and trust radius of each step.
    approximation : Approximation or None
        Of an iterative fit; None where the determinant is exact.
    quadrature_gap : float
        What a quadrature of twice the points adds to -2 log-likelihood at the estimates.
    doubled : float
        What doubling all effects adds to it; infinity where none is large.
    """

    spec: GlmmSpec
    objective: float
    conditional_log_likelihood: float
    beta: Array
    kept: NDArray[np.intp]
    cov_beta: Array
    theta: Array
    dispersion: float
    dispersion_se: float
    lambda_: tuple[Array, ...]
    lambda_standard: tuple[Array, ...]
    modes: tuple[Array, ...]
    eta: Array
    converged: bool
    is_singular: bool
    separated: tuple[int, ...]
    status: str
    gradient: Array
    eigenvalues: Array
    decrement: float
    n_objective: int
    n_gradient: int
    path: Array
    approximation: Approximation | None = None
    quadrature_gap: float = 0.0
    doubled: float = math.inf

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects, shape (s, s) each."""
        return tuple(block @ block.T for block in self.lambda_)

    @property
    def sigma(self) -> float:
        """Root of what scales the variance, as phi of a gamma; 1 where nothing does."""
        scale = self.spec.distribution.scale
        return 1.0 if scale is None else float(np.sqrt(scale(self.params())))

    def params(self, trials: Array | float = 1.0) -> Params:
        """Name the parameters of the family, and the trials of a family that counts them."""
        return self.spec.distribution.params(self.dispersion, trials)


class Penalty(Protocol):
    """-2 log prior density of the covariances, by theta."""

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return the penalty and its gradient; an infinite penalty where there is no density."""


@dataclass(frozen=True)
class Block:
    """Coefficients of one part of a model of several predictors.

    Attributes
    ----------
    part : str
        "location", "dispersion", "zero", or the name of a shape.
    names : tuple of str, length p
        Names of its columns.
    kept : ndarray of int
        Positions of those that are not aliased.
    T : ndarray of shape (n_kept, n_kept)
        Standardised coefficients to those as written.
    first : int
        Place of the first of the kept ones among all.
    aliased : tuple of int
        Positions of the others.
    alias : ndarray of shape (n_kept, n_aliased)
        Each of those in terms of the kept ones.
    """

    part: str
    names: tuple[str, ...]
    kept: NDArray[np.intp]
    T: Array
    first: int
    aliased: tuple[int, ...]
    alias: Array

    @property
    def places(self) -> slice:
        """Places of the kept coefficients among all."""
        return slice(self.first, self.first + len(self.kept))


@dataclass(frozen=True)
class PartsEstimate:
    """What the search of a model of several predictors found; see ``GlmmEstimate``.

    Attributes
    ----------
    blocks : tuple of Block
        Parts in the order of the coefficients.
    coefficients : ndarray of shape (P,)
        Kept coefficients of all parts, as written.
    cov : ndarray of shape (P, P)
        Their covariance; NaN for those that run away.
    standard_cov : ndarray of shape (P, P)
        The same in the standardised basis.
    standard : ndarray of shape (P,)
        Standardised coefficients.
    eta : ndarray of shape (n, N)
        Linear predictors at the modes.
    edges : tuple of str
        Parts whose coefficients run to where the likelihood is flat: shapes at their limits.
    """

    blocks: tuple[Block, ...]
    nagq: int
    objective: float
    conditional_log_likelihood: float
    coefficients: Array
    standard: Array
    cov: Array
    standard_cov: Array
    theta: Array
    lambda_: tuple[Array, ...]
    lambda_standard: tuple[Array, ...]
    modes: tuple[Array, ...]
    eta: Array
    converged: bool
    is_singular: bool
    separated: tuple[tuple[str, str], ...]
    edges: tuple[str, ...]
    status: str
    gradient: Array
    eigenvalues: Array
    decrement: float
    n_objective: int
    n_gradient: int
    path: Array

    def block(self, part: str) -> Block:
        """Look a part up."""
        return next(block for block in self.blocks if block.part == part)

    def values(self, part: str) -> Array:
        """Coefficients of a part; NaN for aliased columns."""
        block = self.block(part)
        out = np.full(len(block.names), np.nan)
        out[block.kept] = self.coefficients[block.places]
        return out

    def cov_of(self, part: str) -> Array:
        """Covariance of a part's kept coefficients."""
        places = self.block(part).places
        return self.cov[places, places]

    @property
    def beta(self) -> Array:
        """Coefficients of the location; NaN for aliased columns."""
        return self.values("location")

    @property
    def kept(self) -> NDArray[np.intp]:
        """Columns of the location that are not aliased."""
        return self.block("location").kept

    @property
    def cov_beta(self) -> Array:
        """Covariance of the location's kept coefficients."""
        return self.cov_of("location")

    @property
    def sigmas(self) -> tuple[Array, ...]:
        """Covariance matrices of the random effects, shape (s, s) each."""
        return tuple(block @ block.T for block in self.lambda_)

    @property
    def sigma(self) -> float:
        """1: the dispersion is a parameter of its own."""
        return 1.0
