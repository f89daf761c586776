"""Whether a point is an optimum: exact gradient, exact curvature and the condition on the cone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import block_diag

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models.lmm import DECREMENT, SINGULAR, LmmEstimate
from ...models.states import packed

__all__ = ["Optimum", "examine", "judge", "judged"]


@dataclass(frozen=True)
class Optimum:
    """Derivatives of -2 log-likelihood at an estimate, standardised basis.

    Attributes
    ----------
    gradient : ndarray of shape (m,)
        Exact gradient by the elements of lambda.
    eigenvalues : ndarray of shape (m_free,)
        Of the exact Hessian over directions that change Sigma to first order, ascending.
    decrement : float
        Decrease that the quadratic model over those directions still predicts.
    cone : float
        Smallest slope along a null direction of a singular Sigma into the covariance cone; 0 when
        no Sigma is singular.
    flattest : ndarray of shape (m,)
        Unit direction of theta of the smallest eigenvalue; zeros when no direction is free.
    n_null : int
        Directions of lambda that leave Sigma unchanged to first order.
    n_obs : int
        Rows, by which slopes are judged.
    """

    gradient: Array
    eigenvalues: Array
    decrement: float
    cone: float
    flattest: Array
    n_null: int
    n_obs: int

    @property
    def curvature(self) -> float:
        """Smallest eigenvalue over the free directions; NaN when no direction is free."""
        return float(self.eigenvalues[0]) if self.eigenvalues.size else float("nan")

    @property
    def is_saddle(self) -> bool:
        """Whether the objective bends down along a free direction."""
        if not self.eigenvalues.size:
            return False
        return self.curvature < -1e-6 * max(1.0, float(self.eigenvalues[-1]))

    @property
    def cone_holds(self) -> bool:
        """Whether no step into the cone lowers the objective."""
        return self.cone > -DECREMENT * self.n_obs

    @property
    def holds(self) -> bool:
        """Whether all conditions of a local optimum hold."""
        return self.decrement < DECREMENT and self.cone_holds and not self.is_saddle


def examine(design: Design, core: _core.Lmm, estimate: LmmEstimate) -> Optimum:
    """Check the conditions of a local optimum at an estimate.

    Notes
    -----
    Where Sigma = lambda lambda' is singular, moves of lambda along its null directions change Sigma
    only to second order, so that gradient and curvature along them say nothing: gradient and
    Hessian are judged on the other directions, and the null directions N by N'S N, with S the
    derivative by Sigma, which must be positive semidefinite.
    """
    lambda_ = list(estimate.lambda_standard)
    at = core.curvature(lambda_, estimate.reml, order=2)
    if not np.isfinite(at.hessian).all():  # a structure so near a limit that there is no beyond
        at = core.curvature(lambda_, estimate.reml)
    return judge(design, core.parameters, estimate, (at.gradient, at.hessian, at.score))


def judge(
    design: Design,
    parameters: list[tuple[int, int, int]],
    estimate: LmmEstimate,
    derivatives: tuple[Array, Array, list[Array]],
) -> Optimum:
    """Judge an estimate by the derivatives of what it minimises.

    Parameters
    ----------
    design, estimate
        The fit.
    parameters : list of (term, row, column)
        The elements of lambda.
    derivatives : tuple of ndarray
        Gradient and Hessian, by the elements of lambda first and then by what else is free, and the
        derivative by Sigma of each term.
    """
    gradient, hessian, score = derivatives
    lambda_ = list(estimate.lambda_standard)
    theta = packed(parameters, lambda_)
    m, others = len(parameters), len(gradient) - len(parameters)
    free = block_diag(_free_directions(parameters, lambda_), np.eye(others))
    slope = free.T @ gradient
    values, vectors = np.linalg.eigh(free.T @ hessian @ free)
    return Optimum(
        gradient=gradient,
        eigenvalues=values,
        decrement=_decrement(vectors.T @ slope, np.abs(values), theta),
        cone=_cone(design, lambda_, score),
        flattest=(free @ vectors[:, 0])[:m] if values.size else np.zeros(m),
        n_null=len(gradient) - free.shape[1],
        n_obs=design.n_obs,
    )


def _decrement(slope: Array, curvature: Array, theta: Array) -> float:
    """Decrease that a quadratic model promises within reach, along its axes.

    Where it is all but flat it promises a minimum farther away than anything is large, made of
    rounding; the step is held to the size of theta, or one.
    """
    reach = max(1.0, float(np.linalg.norm(theta)))
    size = np.abs(slope)
    step = np.minimum(size / np.maximum(curvature, 1e-300), reach)
    return float(np.sum(step * (size - 0.5 * curvature * step)))


def judged(design: Design, core: _core.Lmm, estimate: LmmEstimate) -> LmmEstimate:
    """Settle by exact derivatives whether a search that broke off stands at an optimum.

    The search itself knows the decrease that was predicted before its last step, not what is left
    after it.
    """
    optimum = examine(design, core, estimate)
    return replace(
        estimate, converged=optimum.holds, decrement=optimum.decrement, cone=optimum.cone
    )


def _free_directions(parameters: list[tuple[int, int, int]], lambda_: list[Array]) -> Array:
    """Orthonormal directions of theta that change Sigma to first order, shape (m, m_free)."""
    jacobian = np.zeros((len(parameters), len(parameters)))
    for a, (term, i, j) in enumerate(parameters):
        for b, (other, row, column) in enumerate(parameters):
            if j < 0 or column < 0:  # a parameter of a structure stands for itself
                jacobian[a, b] = a == b
                continue
            if term != other:
                continue
            if i == row:
                jacobian[a, b] += lambda_[term][j, column]
            if j == row:
                jacobian[a, b] += lambda_[term][i, column]
    if not parameters:
        return jacobian
    _, sizes, rows = np.linalg.svd(jacobian)
    return np.asarray(rows[sizes > 2.0 * SINGULAR].T)


def _cone(design: Design, lambda_: list[Array], score: list[Array]) -> float:
    """Smallest eigenvalue of N'S N over the null spaces of all blocks; 0 where there is none."""
    slopes = []
    for term, block, S in zip(design.random, lambda_, score, strict=True):
        for columns, structure in zip(term.blocks, term.block_structures, strict=True):
            if structure is not None or term.is_structured:
                continue  # the search has looked at these
            index = np.ix_(columns, columns)
            values, vectors = np.linalg.eigh(block[index] @ block[index].T)
            N = vectors[:, values < SINGULAR**2]
            if N.shape[1]:
                slopes.append(float(np.linalg.eigvalsh(N.T @ S[index] @ N)[0]))
    return min(slopes, default=0.0)
