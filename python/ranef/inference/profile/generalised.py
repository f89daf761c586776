"""Profiles of the approximated deviance of a generalised linear mixed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...models.glmm.criterion import Criterion
from ...models.glmm.estimate import GlmmEstimate
from ...models.glmm.model import criterion_at
from ..structures import natural_values
from .charts import Chart, chart, exponential
from .profile import Curve, Estimates, Point, Walked, curves, descended
from .targets import Target, profiled, targets

__all__ = ["generalised_curves"]


@dataclass(frozen=True)
class GeneralisedSurface:
    """-2 log-likelihood by a chart's coordinates, turned whitened beta, and log dispersion.

    Attributes
    ----------
    criterion : Criterion
        -2 log-likelihood by theta, whitened beta and log dispersion.
    chart : Chart
        Coordinates of the covariances.
    turn : ndarray of shape (p, p)
        Orthogonal, turned to whitened beta. Along its first column the coefficient of interest
        grows, by ``rate``, and along the others it stays.
    held : int
        The parameter's coordinate.
    centre, rate : float
        A coefficient at the estimate, and by how much it grows with its coordinate.
    """

    criterion: Criterion
    chart: Chart
    turn: Array
    held: int
    centre: float = 0.0
    rate: float = 1.0

    @property
    def low(self) -> float:
        """Lower bound of the held coordinate."""
        return self.chart.low

    @property
    def high(self) -> float:
        """Upper bound of the held coordinate."""
        return self.chart.high

    def roots(self, x: Array) -> tuple[list[Array], Array]:
        """Roots of the covariances, and what turns the target's into a lower triangle."""
        roots = self.chart.roots(self.chart.factors(x[: self.criterion.m]))
        t = self.chart.turned
        return roots, np.linalg.qr(roots[t].T)[0] if t >= 0 else np.eye(0)

    def inner(self, x: Array) -> Array:
        """Coordinates of the criterion."""
        m, p = self.criterion.m, len(self.turn)
        roots, right = self.roots(x)
        if (t := self.chart.turned) >= 0:
            roots[t] = roots[t] @ right
        theta = [roots[t][i, j] for t, i, j in self.chart.elements]
        return np.concatenate([theta, self.turn @ x[m : m + p], x[m + p :]])

    def deviance(self, x: Array) -> tuple[float, Array]:
        """Compute -2 log-likelihood and its gradient."""
        criterion, m, p = self.criterion, self.criterion.m, len(self.turn)
        value = criterion.value(self.inner(x))
        if not np.isfinite(value):
            return np.inf, np.zeros_like(x)
        g = criterion.gradient()
        by_root = criterion.core.gradient_by_factors()
        for t in self.chart.structured:
            by_root[t] = np.zeros(self.chart.shapes[t])
        for slope, (t, i, j) in zip(g[:m], self.chart.elements, strict=True):
            if t in self.chart.structured:
                by_root[t][i, j] = slope
        if (t := self.chart.turned) >= 0:
            by_root[t] = by_root[t] @ self.roots(x)[1].T
        return value, np.concatenate(
            [self.chart.gradient(x[:m], by_root), self.turn.T @ g[m : m + p], g[m + p :]]
        )

    def lifted(self, x: Array) -> Array:
        """Move free diagonal elements off zero."""
        m = self.criterion.m
        return np.concatenate([self.chart.lifted(x[:m]), x[m:]])

    @property
    def value(self) -> Callable[[float], float]:
        """The parameter on its own scale."""
        kind = self.chart.target.kind
        if kind == "beta":
            return partial(_line, self.centre, self.rate)
        return partial(exponential, 1.0) if kind == "residual" else self.chart.value

    def estimates(self, design: Design, x: Array) -> Estimates:
        """Return covariances, dispersion and coefficients at a point."""
        core = self.criterion.core
        theta, beta, dispersion = self.criterion.split(self.inner(x))
        roots, _ = self.roots(x)
        full = np.full(len(design.fixed), np.nan)
        full[core.kept] = core.T[: len(beta), : len(beta)] @ beta
        natural = natural_values(design.random, roots, core.term_basis)
        sigmas = tuple(root @ root.T for root in core.factors(theta))
        return sigmas, dispersion, full, natural


def _line(centre: float, rate: float, coordinate: float) -> float:
    return centre + rate * coordinate


def generalised_curves(design: Design, estimate: GlmmEstimate) -> Walked:
    """List the parameters of a fit, none of which is at its joint mode, and their curves."""
    criterion, optimum = criterion_at(design, estimate)
    spec = estimate.spec
    residual = "dispersion" if spec.has_dispersion else None
    listed = profiled(design, targets(design, estimate.kept, residual))

    def make(target: Target, ceiling: Point | None) -> Curve:
        surface = _surface(design, criterion, estimate, target)
        m = criterion.m
        own = surface.chart.coordinates(list(estimate.lambda_standard))
        x = np.concatenate([own, optimum[m:]])
        return descended(
            target,
            surface,
            x,
            estimate.objective,
            partial(surface.estimates, design),
            ceiling,
        )

    natural = natural_values(design.random, estimate.lambda_standard, criterion.core.term_basis)
    best = (estimate.sigmas, estimate.dispersion, estimate.beta, natural)
    return Walked(listed, best, curves(listed, make))


def _surface(
    design: Design, criterion: Criterion, estimate: GlmmEstimate, target: Target
) -> GeneralisedSurface:
    """Make the coordinates in which ``target`` is held."""
    core = criterion.core
    at, p = chart(design, core, target, 1.0), len(estimate.kept)
    if target.kind == "residual":
        return GeneralisedSurface(criterion, at, np.eye(p), criterion.m + p)
    if target.kind != "beta":
        return GeneralisedSurface(criterion, at, np.eye(p), at.held)
    assert criterion.root is not None
    row = int(np.flatnonzero(estimate.kept == target.i)[0])
    along = criterion.root.T @ core.T[row, :p]
    turn, lengths = np.linalg.qr(along[:, None], mode="complete")
    turn[:, 0] *= np.sign(lengths[0, 0])
    return GeneralisedSurface(
        criterion,
        at,
        turn,
        criterion.m,
        float(estimate.beta[target.i]),
        float(np.linalg.norm(along)),
    )
