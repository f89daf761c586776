"""Where the likelihood of any generalised model stands: its parameters, curvature and scores.

Parameters are the elements of the standardised covariance factors and the standardised coefficients
of all parts. The kernel of several predictors serves every family, on all rows or on some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from .estimate import PartsEstimate
from .model import hermite
from .plan import Plan
from .several import lower

__all__ = ["Standing", "rows_of_plan", "standing_of"]

#: Step of differences of gradients, in standard errors.
STEP = 1e-3


def rows_of_plan(plan: Plan, rows: NDArray[np.intp]) -> Plan:
    """Take some rows of a plan, in the same standardised basis, with the levels that occur."""

    def chosen(array: Array) -> Array:
        return array[rows] if len(array) else array

    terms = []
    for codes, _, z, blocks, predictor in plan.terms:
        used, own = np.unique(codes[rows], return_inverse=True)
        terms.append((own.astype(np.int32), len(used), z[rows], blocks, predictor))
    return replace(
        plan,
        y=plan.y[rows],
        weights=plan.weights[rows],
        inputs=tuple(
            (np.asfortranarray(X[rows]), index, chosen(offset)) for X, index, offset in plan.inputs
        ),
        terms=tuple(terms),
    )


class Criterion:
    """-2 log-likelihood of a plan, by parameters in the order of ``Standing.elements``."""

    def __init__(self, at: Standing):
        self.core, self.m, self.constant = at.plan.core(), at.m, at.plan.constant
        own = {element: k for k, element in enumerate(self.core.parameters)}
        self.order = np.array([own[element] for element in at.elements], dtype=int)
        self.rule = hermite(at.nagq) if at.nagq > 1 else None
        self.added: _core.GlmmQuadrature | None = None

    def value(self, x: Array) -> float:
        """Evaluate; infinite where it cannot be computed."""
        theta = np.empty(self.m)
        theta[self.order] = x[: self.m]
        value = self.core.evaluate(theta, np.ascontiguousarray(x[self.m :])).value
        if not value < 1e300:
            return np.inf
        if self.rule is not None:
            self.added = self.core.quadrature(*self.rule)
            value += self.added.value
        return value + self.constant if np.isfinite(value) else np.inf

    def gradient(self) -> Array:
        """Differentiate where it was last evaluated."""
        found = self.core.gradient() if self.added is None else np.array(self.added.gradient)
        return np.concatenate([found[: self.m][self.order], found[self.m :]])


@dataclass(frozen=True)
class Standing:
    """A plan, and a point of its parameters.

    Attributes
    ----------
    plan : Plan
        What the kernel is made of.
    factors : tuple of ndarray of shape (s, s)
        Standardised covariance factors, lower triangular.
    standard : ndarray of shape (P,)
        Standardised coefficients of all parts.
    nagq : int
        Points of the quadrature; 1 for Laplace's approximation.
    """

    plan: Plan
    factors: tuple[Array, ...]
    standard: Array
    nagq: int

    @cached_property
    def elements(self) -> list[tuple[int, int, int]]:
        """Term, row and column of each covariance parameter."""
        return sorted(self.plan.core().parameters)

    @property
    def m(self) -> int:
        """Number of covariance parameters."""
        return len(self.elements)

    @cached_property
    def x(self) -> Array:
        """The parameters, covariances first, shape (m + P,)."""
        theta = [self.factors[t][i, j] for t, i, j in self.elements]
        return np.concatenate([theta, self.standard])

    # ------------------------------------------------------------------ the criterion

    def at(self, x: Array) -> Standing:
        """Stand at another point."""
        factors = [np.zeros_like(own) for own in self.factors]
        for value, (t, i, j) in zip(x[: self.m], self.elements, strict=True):
            factors[t][i, j] = value
        return replace(
            self, factors=tuple(lower(own) for own in factors), standard=x[self.m :].copy()
        )

    @cached_property
    def criterion(self) -> Criterion:
        """-2 log-likelihood by the parameters, whatever order a kernel has them in."""
        return Criterion(self)

    def value(self, x: Array) -> float:
        """-2 log-likelihood; infinite where it cannot be computed."""
        return self.criterion.value(x)

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """-2 log-likelihood and its exact gradient, NaN where they cannot be computed."""
        value = self.criterion.value(x)
        return value, self.criterion.gradient() if np.isfinite(value) else np.full(len(x), np.nan)

    # ------------------------------------------------------------------ derivatives

    def on(self, rows: NDArray[np.intp]) -> Standing:
        """Stand at the same point on some of the rows."""
        return replace(self, plan=rows_of_plan(self.plan, rows))

    def gradients(self, points: Sequence[Array]) -> Array:
        """Gradient of the log-likelihood at some points, shape (len(points), m + P).

        NaN where it cannot be computed.
        """
        return np.array([-0.5 * self.value_and_gradient(x)[1] for x in points])

    def derivatives(self, scale: Array) -> tuple[Array, Array]:
        """Score (m + P,) and observed information (m + P, m + P) of these rows.

        The information is by central differences of exact gradients over ``STEP`` times ``scale``.
        """
        steps = STEP * scale
        points = [self.x]
        for j, h in enumerate(steps):
            for side in (h, -h):
                moved = self.x.copy()
                moved[j] += side
                points.append(moved)
        found = self.gradients(points)
        H = (found[2::2] - found[1::2]) / (2.0 * steps)[:, None]
        return found[0], 0.5 * (H + H.T)

    @cached_property
    def scale(self) -> Array:
        """Approximate standard errors of the parameters, the unit of difference steps."""
        core = self.plan.core()
        core.evaluate(self._own_order(core), self.standard)
        bends = np.diag(core.information_beta()) if len(self.standard) else np.zeros(0)
        n_levels = [self.plan.terms[t][1] for t, _, _ in self.elements]
        theta = 1.0 / np.sqrt(np.maximum(np.asarray(n_levels, float), 1.0))
        return np.concatenate([theta, 1.0 / np.sqrt(np.maximum(np.abs(bends), 1e-8))])

    def _own_order(self, core: _core.Predictors) -> Array:
        """Covariance parameters in the order of a kernel."""
        value = dict(zip(self.elements, self.x[: self.m], strict=True))
        return np.array([value[element] for element in core.parameters])

    @cached_property
    def information(self) -> Array:
        """Observed information of all rows, shape (m + P, m + P)."""
        return self.derivatives(self.scale)[1]

    @cached_property
    def cov(self) -> Array:
        """Covariance of the parameters: the inverse information, flat directions left out."""
        unit = np.outer(self.scale, self.scale)
        inner = np.linalg.pinv(self.information * unit, rcond=1e-10, hermitian=True)
        return np.asarray(inner * unit)

    # ------------------------------------------------------------------ clusters

    def nested_in(self, codes: NDArray[np.intp]) -> bool:
        """Return whether each level of every grouping factor is within one cluster."""
        for own, n_levels, *_ in self.plan.terms:
            first = np.full(n_levels, -1)
            first[own] = codes
            if (first[own] != codes).any():
                return False
        return True

    def by_cluster(self, codes: NDArray[np.intp], count: int) -> tuple[Array, Array]:
        """Scores (G, m + P) and information (G, m + P, m + P) of each cluster's own rows."""
        size = len(self.x)
        scores, information = np.empty((count, size)), np.empty((count, size, size))
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(count + 1))
        for g in range(count):
            own = self.on(order[bounds[g] : bounds[g + 1]])
            scores[g], information[g] = own.derivatives(self.scale)
        return scores, information


def standing_of(plan: Plan, estimate: PartsEstimate) -> Standing:
    """Stand at the estimate of a model of several predictors."""
    return Standing(plan, estimate.lambda_standard, estimate.standard, estimate.nagq)
