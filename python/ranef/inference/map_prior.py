"""Fit with a prior on the covariances: the maximum of the penalised likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from ..errors import FitError, ModelError
from ..models.lmm import Control, LmmEstimate
from .em import lower_factor
from .optimizers import INFEASIBLE, Space, estimate_at
from .optimum import Optimum
from .priors import Prior, PriorLike, Wishart, prior_of

__all__ = ["examine_penalized", "fit_penalized", "penalty_at"]

Array = NDArray[np.float64]

#: Relative standard deviations at which the search starts at least.
INSIDE = 0.3


@dataclass(frozen=True)
class _Part:
    """The prior of one block: its term, its columns, and the basis they are standardised by.

    A density of the determinant alone is the same in every basis but for a constant of the
    penalty; it is computed in the standardised one, where no matrix is close to singular.
    """

    term: int
    index: tuple[NDArray[np.intp], ...]
    basis: Array
    prior: Prior
    constant: float = 0.0


def _parts(design: Design, core: _core.Lmm, prior: PriorLike, *, reml: bool) -> Iterator[_Part]:
    for t, term in enumerate(design.random):
        density = prior_of(prior, term, reml=reml)
        if density is None:
            continue
        for block in term.blocks:
            index = np.ix_(block, block)
            basis = core.term_basis(t)[index]
            if isinstance(density, Wishart) and density.lift:
                constant = -2.0 * density.lift * float(np.linalg.slogdet(basis)[1])
                yield _Part(t, index, np.eye(len(block)), density, constant)
            else:
                yield _Part(t, index, basis, density)


class _Penalized(Space):
    """-2 log-likelihood plus the penalties of the priors."""

    def __init__(self, design: Design, core: _core.Lmm, prior: PriorLike, *, reml: bool):
        super().__init__(design, core, reml=reml)
        self.parts = list(_parts(design, core, prior, reml=reml))

    def penalty(self, theta: Array) -> tuple[float, Array]:
        """Sum of the penalties and its gradient."""
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

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Penalised objective and its exact gradient."""
        if not self.is_inside(theta):
            return INFEASIBLE, np.zeros_like(theta)
        value, gradient = super().value_and_gradient(theta)
        penalty, slope = self.penalty(theta)
        return value + penalty, gradient + slope

    def hessian(self, theta: Array) -> Array:
        """Average information plus the curvature of the penalties."""
        if not self.is_inside(theta):
            return np.eye(len(theta))
        return super().hessian(theta) + self.penalty_hessian(theta)

    def penalty_hessian(self, theta: Array) -> Array:
        """Central differences of the penalties' exact gradients."""
        columns = []
        for a in range(len(theta)):
            h = 1e-5 * max(1e-2, abs(float(theta[a])))
            step = h * np.eye(len(theta))[a]
            rise = self.penalty(theta + step)[1] - self.penalty(theta - step)[1]
            columns.append(rise / (2.0 * h))
        return 0.5 * (np.array(columns) + np.array(columns).T)

    def is_inside(self, theta: Array) -> bool:
        """Whether every matrix with a prior is safely positive definite."""
        blocks = self.unpack(theta)
        return all(
            np.abs(np.diag(blocks[part.term][part.index])).min() > 1e-7 for part in self.parts
        )


def fit_penalized(
    design: Design, core: _core.Lmm, prior: PriorLike, *, reml: bool, control: Control
) -> LmmEstimate:
    """Maximise the (restricted) likelihood times the priors of the covariances.

    Parameters
    ----------
    design, core
        The model.
    prior : str, Prior, or mapping of group to either
        Densities of the covariance matrices relative to sigma^2, which is profiled out.
    reml : bool
        Which likelihood.
    control : Control
        ``max_steps`` and ``start``.

    Returns
    -------
    LmmEstimate
        At the mode; its objective is -2 log-likelihood there, without the penalty.

    References
    ----------
    Chung, Rabe-Hesketh, Dorie, Gelman and Liu (2013), Psychometrika 78, 685-709.
    """
    space = _Penalized(design, core, prior, reml=reml)
    _check_maximum(design, space.parts, reml=reml)
    start = control.start or core.fit(reml).lambda_standard
    inside = [lower_factor(np.hstack([b, INSIDE * np.eye(len(b))])) for b in start]
    found = _minimum(space, space.pack(inside), design.n_obs, control)
    if found.fun >= INFEASIBLE:
        raise FitError("the penalised objective is not finite at its start; is the prior proper?")
    blocks = [lower_factor(block) for block in space.unpack(np.asarray(found.x))]
    estimate = estimate_at(design, core, blocks, reml=reml)
    optimum = examine_penalized(design, core, estimate, prior)
    return replace(
        estimate,
        converged=optimum.holds,
        status="converged" if optimum.holds else "stalled",
        decrement=optimum.decrement,
        cone=0.0,
        n_objective=int(found.nfev),
        n_gradient=int(found.njev),
        path=np.empty((0, 3)),
    )


def _minimum(space: _Penalized, start: Array, n_obs: int, control: Control) -> Any:
    """Search by a trust region; give scipy's result."""
    try:
        return scipy.optimize.minimize(
            space.value_and_gradient,
            start,
            method="trust-exact",
            jac=True,
            hess=space.hessian,
            options={
                "gtol": 1e-9 * n_obs,
                "maxiter": control.max_steps,
                "initial_trust_radius": 0.25,
                "max_trust_radius": 5.0,
            },
        )
    except np.linalg.LinAlgError:
        raise FitError(
            "the prior's density cannot be computed, for the covariance is all but singular as the "
            "formula scales its columns; count predictors from inside the data, in units of their "
            "spread"
        ) from None


def _check_maximum(design: Design, parts: list[_Part], *, reml: bool) -> None:
    """Refuse a prior that outweighs the likelihood where a variance goes to infinity.

    There -2 log-likelihood grows by log|Sigma| for each level, less one by REML.
    """
    for part in parts:
        term = design.random[part.term]
        grows = term.n_levels - reml
        if isinstance(part.prior, Wishart) and part.prior.lift >= grows:
            raise ModelError(
                f"with {term.n_levels} levels of {term.group} the prior outweighs the data: the "
                "penalised likelihood grows without end with the variance. Use prior='weak', or a "
                "density with a finite scale."
            )


def examine_penalized(
    design: Design, core: _core.Lmm, estimate: LmmEstimate, prior: PriorLike
) -> Optimum:
    """Check the conditions of a maximum of the penalised likelihood."""
    space = _Penalized(design, core, prior, reml=estimate.reml)
    theta = space.pack(estimate.lambda_standard)
    _, gradient = space.value_and_gradient(theta)
    hessian = core.curvature(list(estimate.lambda_standard), estimate.reml, order=2).hessian
    values, vectors = np.linalg.eigh(hessian + space.penalty_hessian(theta))
    along = vectors.T @ gradient
    floor = 1e-12 * max(1e-300, float(np.abs(values).max()))
    decrement = float(0.5 * np.sum(along**2 / np.maximum(np.abs(values), floor)))
    return Optimum(gradient, values, decrement, 0.0, vectors[:, 0], 0, design.n_obs)


def penalty_at(design: Design, core: _core.Lmm, estimate: LmmEstimate, prior: PriorLike) -> float:
    """Sum of -2 log prior density at an estimate."""
    space = _Penalized(design, core, prior, reml=estimate.reml)
    return space.penalty(space.pack(estimate.lambda_standard))[0]
