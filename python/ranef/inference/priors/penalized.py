"""-2 log-likelihood plus the penalties of priors, with exact gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...errors import FitError, UnsupportedError
from ...models.lmm import LmmEstimate
from ...models.states import packed, unpacked
from ..optimum.optimizers import INFEASIBLE, Space, user_factors
from .fixed import prior_kernel, resolve
from .parts import prior_parts
from .priors import Point, Prior, PriorLike, Wishart, prior_of

__all__ = ["Part", "Penalized", "rising_root"]


#: How far the logarithm of a standard deviation is searched.
FAR = 50.0
#: Step of differences of exact gradients, relative to a parameter and at least to a hundredth.
STEP = 1e-5


@dataclass(frozen=True)
class Part:
    """The prior of one block: its term, its columns, and the basis they are standardised by.

    A density of the determinant alone is the same in every basis but for a constant of the
    penalty; it is computed in the standardised one, where no matrix is close to singular.
    """

    term: int
    index: tuple[NDArray[np.intp], ...]
    basis: Array
    prior: Prior
    constant: float = 0.0


def _parts(design: Design, core: _core.Lmm, prior: PriorLike, *, reml: bool) -> Iterator[Part]:
    for t, term in enumerate(design.random):
        density = prior_of(prior, term, reml=reml)
        if density is None:
            continue
        if term.is_structured:
            raise UnsupportedError(
                f"priors are of free covariances, and that of {term.written} has a structure; "
                "leave its prior out"
            )
        for block in term.blocks:
            index = np.ix_(block, block)
            basis = core.term_basis(t)[index]
            if isinstance(density, Wishart) and density.lift:
                constant = -2.0 * density.lift * float(np.linalg.slogdet(basis)[1])
                yield Part(t, index, np.eye(len(block)), density, constant)
            else:
                yield Part(t, index, basis, density)


class Penalized(Space):
    """-2 log-likelihood plus the penalties of the priors, as a function of the covariances.

    Sigma is at its best, by its prior or without one, unless it is ``held``.

    Parameters
    ----------
    design : Design
        The rows.
    core : Lmm
        Their kernel, with the rows that the prior of the fixed effects is worth.
    prior : PriorLike
        The priors.
    reml : bool
        Which likelihood.
    held : float, optional
        A residual standard deviation: that of the kernel, where the prior of the fixed effects is
        absolute or a term's standard deviation is known.

    Notes
    -----
    A term with a known standard deviation has the relative one of sd / sigma, and no parameter.
    """

    def __init__(
        self,
        design: Design,
        core: _core.Lmm,
        prior: PriorLike,
        *,
        reml: bool,
        held: float | None = None,
    ):
        self.priors = prior_parts(prior, design)
        self.known = self.priors.known_terms(design)
        super().__init__(design, core, reml=reml)
        self.every = core.parameters
        self.free = np.array([t not in self.known for t, _, _ in self.every], dtype=bool)
        self.parameters = [
            one for one, is_free in zip(self.every, self.free, strict=True) if is_free
        ]
        self.prior = prior
        self.held = self.priors.sigma if held is None else held
        normal = self.priors.fixed
        self.fixed = None if normal is None else resolve(normal, design, core.kept)
        self.parts = list(_parts(design, core, self.priors.random, reml=reml))
        n_prior = 0 if self.fixed is None else len(self.fixed.sd)
        self.nu = design.n_obs + n_prior - (len(core.kept) if reml else 0)

    def at_sigma(self, sigma: float) -> Penalized:
        """Return the same with another residual standard deviation held."""
        core, fixed = self.core, self.fixed
        if fixed is not None and not fixed.relative:
            core = prior_kernel(self.design, core, fixed, sigma)
        return Penalized(self.design, core, self.prior, reml=self.reml, held=sigma)

    def unpack(self, theta: Array) -> list[Array]:
        """Return the blocks of a vector, those that are known too."""
        if not self.known:
            return super().unpack(theta)
        full = np.zeros(len(self.every))
        full[self.free] = theta
        full[~self.free] = self.known_factors()
        return unpacked(self.every, full, self.design.random)

    def pack(self, blocks: Sequence[Array]) -> Array:
        """Return the vector of blocks, without those that are known."""
        return np.asarray(packed(self.every, blocks)[self.free])

    def known_factors(self) -> Array:
        """Standardised relative factors of the terms that are known."""
        assert self.held is not None
        return np.array(
            [sd / (self.held * self.core.term_basis(t)[0, 0]) for t, sd in self.known.items()]
        )

    # ------------------------------------------------------------------ penalties

    def penalty(self, theta: Array) -> tuple[float, Array]:
        """Sum of the penalties of the covariances and its gradient."""
        blocks = self.unpack(theta)
        slopes = [np.zeros_like(block) for block in blocks]
        total = 0.0
        for part in self.parts:
            standard = blocks[part.term][part.index]
            root = part.basis @ standard
            cov = root @ root.T
            total += part.prior.penalty(cov) + part.constant
            slope = part.basis.T @ part.prior.slope(cov) @ part.basis
            slopes[part.term][part.index] = 2.0 * slope @ standard
        return total, self.pack(slopes)

    def penalty_hessian(self, theta: Array) -> Array:
        """Central differences of the penalties' exact gradients."""
        return _differences(lambda at: self.penalty(at)[1], theta)

    def whole_penalty(self, estimate: LmmEstimate) -> float:
        """-2 log density of everything that has a prior, at an estimate."""
        total = self.penalty(self.pack(estimate.lambda_standard))[0]
        total += self._residual_penalty(estimate.sigma)
        if self.fixed is not None:
            total += self.fixed.penalty(estimate.beta[estimate.kept], estimate.sigma)
        return total

    def _residual_penalty(self, sigma: float) -> float:
        prior = self.priors.residual
        return 0.0 if prior is None or isinstance(prior, Point) else prior.penalty(_square(sigma))

    def _residual_slope(self, sigma: float) -> float:
        """Differentiate the penalty of sigma by its logarithm."""
        prior = self.priors.residual
        if prior is None or isinstance(prior, Point):
            return 0.0
        return float(2.0 * sigma**2 * prior.slope(_square(sigma))[0, 0])

    # ------------------------------------------------------------------ objective

    def sigma(self, pwrss: float) -> float:
        """Residual standard deviation at its best for a penalised sum of squares."""
        free = float(np.sqrt(pwrss / self.nu))
        if self.held is not None or self.priors.residual is None:
            return free if self.held is None else self.held

        def slope(log_sigma: float) -> float:
            sigma = float(np.exp(log_sigma))
            return 2.0 * self.nu * (1.0 - free**2 / sigma**2) + self._residual_slope(sigma)

        return float(np.exp(rising_root(slope, float(np.log(free)))))

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Penalised objective and its exact gradient.

        With s^2 the best sigma^2 without a prior of it and r = s^2 / sigma^2, the profiled
        objective rises by nu (r - 1 - log r), and its slope by (1 - r) q, q = -d pwrss / s^2.
        """
        if not self.is_inside(theta):
            return INFEASIBLE, np.zeros_like(theta)
        at = self.core.curvature(self.unpack(theta), self.reml)
        if not np.isfinite(at.objective):
            return INFEASIBLE, at.gradient
        penalty, slope = self.penalty(theta)
        sigma = self.sigma(at.pwrss)
        ratio = 1.0 if self.priors.profiles_sigma else at.pwrss / (self.nu * sigma**2)
        value = at.objective + self.nu * (ratio - 1.0 - np.log(ratio)) + penalty
        if self.fixed is not None:
            value += 2.0 * float(np.log(self.fixed.scale(sigma)).sum())
        gradient = (at.gradient + (1.0 - ratio) * at.quadratic)[self.free] + slope
        return value + self._residual_penalty(sigma), gradient

    def hessian(self, theta: Array) -> Array:
        """Curvature for the search: average information where sigma is profiled, exact if not."""
        if not self.is_inside(theta):
            return np.eye(len(theta))
        if self.priors.profiles_sigma:
            return super().hessian(theta) + self.penalty_hessian(theta)
        return _differences(lambda at: self.value_and_gradient(at)[1], theta)

    def exact_hessian(self, theta: Array) -> Array:
        """Exact Hessian of the penalised objective, sigma held or at its best."""
        if self.priors.profiles_sigma:
            whole = self.core.curvature(self.unpack(theta), self.reml, order=2).hessian
            return np.asarray(whole + self.penalty_hessian(theta))
        return self.hessian(theta)

    def score(self, theta: Array) -> list[Array]:
        """Differentiate the likelihood's part by the covariance of each term, (s, s) each."""
        at = self.core.curvature(self.unpack(theta), self.reml)
        ratio = at.pwrss / (self.nu * self.sigma(at.pwrss) ** 2)
        return [
            np.zeros_like(S) if t in self.known else S + (1.0 - ratio) * M
            for t, (S, M) in enumerate(zip(at.score, at.misfit, strict=True))
        ]

    def slope_by_sigma(self, theta: Array) -> float:
        """Differentiate the penalised objective by log(sigma), which is held."""
        assert self.held is not None
        sigma = self.held
        at = self.core.evaluate(user_factors(self.core, self.unpack(theta)), self.reml)
        slope = 2.0 * self.nu - 2.0 * at.pwrss / sigma**2 + self._residual_slope(sigma)
        if self.fixed is not None and not self.fixed.relative:
            index, sd = self.fixed.index, self.fixed.sd
            slope += 2.0 * self.fixed.misfit(np.asarray(at.beta)) - 2.0 * len(sd)
            if self.reml:
                spread = np.sum(np.asarray(at.cov_beta_root)[index] ** 2, axis=1)
                slope += 2.0 * float(np.sum(sigma**2 / sd**2 * spread))
        if self.known:  # their relative size falls as sigma grows
            here = self.core.curvature(self.unpack(theta), self.reml)
            ratio = here.pwrss / (self.nu * sigma**2)
            by_factor = (here.gradient + (1.0 - ratio) * here.quadratic)[~self.free]
            slope -= float(self.known_factors() @ by_factor)
        return float(slope)

    def joint_gradient(self, point: Array) -> Array:
        """Gradient by theta and log(sigma), shape (m + 1,)."""
        there = self.at_sigma(float(np.exp(point[-1])))
        theta = point[:-1]
        return np.append(there.value_and_gradient(theta)[1], there.slope_by_sigma(theta))

    def joint_hessian(self, point: Array) -> Array:
        """Hessian by theta and log(sigma): differences of exact gradients, (m + 1, m + 1)."""
        return _differences(self.joint_gradient, point)

    @property
    def has_free_sigma(self) -> bool:
        """Whether sigma is a parameter of its own: neither known nor profiled in closed form."""
        return not self.priors.profiles_sigma and self.priors.sigma is None

    def is_inside(self, theta: Array) -> bool:
        """Whether every matrix with a prior is safely positive definite."""
        blocks = self.unpack(theta)
        return all(
            np.abs(np.diag(blocks[part.term][part.index])).min() > 1e-7 for part in self.parts
        )


def _square(sigma: float) -> Array:
    return np.array([[sigma**2]])


def _differences(gradient: Callable[[Array], Array], at: Array) -> Array:
    """Central differences of exact gradients, (m, m)."""
    columns = []
    for a in range(len(at)):
        h = STEP * max(1e-2, abs(float(at[a])))
        step = h * np.eye(len(at))[a]
        columns.append((gradient(at + step) - gradient(at - step)) / (2.0 * h))
    H = np.array(columns).reshape(len(at), len(at))
    return np.asarray(0.5 * (H + H.T))


def rising_root(slope: Callable[[float], float], start: float) -> float:
    """Find where a slope passes zero upwards, next to a start.

    The slope may come from a search that begins where the one before ended, so that asking twice
    need not give the same; each place is asked once.
    """
    once = cache(slope)
    here, step, end = once(start), 0.25, start
    while abs(end - start) < FAR:
        if here == 0.0:
            return start
        other = end - float(np.sign(here)) * step
        value = once(other)
        if value * here <= 0.0:
            low, high = sorted((end, other))
            return float(scipy.optimize.brentq(once, low, high, xtol=1e-13))
        end, step = other, 1.5 * step
    raise FitError(
        "the residual standard deviation has no best value: the prior outweighs the data. Give a "
        "density that falls at both ends, or ranef.Point(sigma)."
    )
