"""Profiles of the ML deviance of a linear mixed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models import lmm
from ...models.lmm import LmmEstimate
from ...models.states import rescaled
from ..optimum.optimizers import user_factors
from ..prediction.predict import fitted
from ..structures import natural_values
from .charts import LIFT, Chart, chart, exponential, lower_factor
from .profile import Curve, Estimates, Point, Walked, curves, descended, signed_root
from .targets import Target, profiled, targets

__all__ = ["LinearSurface", "linear_curves"]

#: Least sigma, relative to its estimate, where structures may take its place.
SOFT = 1e-3


@dataclass(frozen=True)
class LinearSurface:
    """The ML deviance by a chart's coordinates and one of sigma, which is not profiled.

    The last coordinate is log(sigma / scale). Where covariances have structures, which may take the
    place of the residual, it is s with sigma^2 = scale^2 (s^2 + SOFT^2), so that sigma may all but
    vanish.

    Attributes
    ----------
    core : Lmm
        The kernel.
    chart : Chart
        Coordinates of the covariances relative to ``scale``.
    design : Design
        The rows.
    scale : float
        Residual standard deviation at the optimum.
    reml : bool
        Whether it is the restricted one instead.
    """

    core: _core.Lmm
    chart: Chart
    design: Design
    scale: float
    reml: bool = False

    @property
    def n(self) -> int:
        """Degrees of freedom of sigma."""
        return self.design.n_obs - (len(self.core.kept) if self.reml else 0)

    @property
    def soft(self) -> bool:
        """Whether sigma may all but vanish."""
        return bool(self.chart.structured)

    @property
    def optimum(self) -> float:
        """The last coordinate where sigma is ``scale``."""
        return float(np.sqrt(1.0 - SOFT**2)) if self.soft else 0.0

    def log_sigma(self, last: float) -> float:
        """Compute log(sigma / scale)."""
        return float(0.5 * np.log(last**2 + SOFT**2)) if self.soft else last

    @property
    def held(self) -> int:
        """The chart's held coordinate, or the last one, of sigma."""
        return self.chart.held if self.chart.held >= 0 else len(self.chart.elements)

    @property
    def low(self) -> float:
        """Lower bound of the held coordinate."""
        return 0.0 if self.chart.held < 0 and self.soft else self.chart.low

    @property
    def high(self) -> float:
        """Upper bound of the held coordinate."""
        return self.chart.high

    def relative(self, roots: list[Array], log_sigma: float) -> list[Array]:
        """Relative states of the terms in the standardised basis, factors lower triangular."""
        ratio = float(np.exp(-log_sigma))
        out = [
            rescaled(term, root, ratio)
            for term, root in zip(self.design.random, roots, strict=True)
        ]
        if (t := self.chart.turned) >= 0:
            out[t] = lower_factor(out[t])
        return out

    def deviance(self, x: Array) -> tuple[float, Array]:
        """Compute the deviance and its gradient.

        Notes
        -----
        D = log|H| + n log(2 pi sigma^2) + r^2 / sigma^2 - sum log w, of which
        dD/dSigma_a = tr(H^-1 V_a) - y'P V_a P y / sigma^2 relative to sigma^2.
        """
        L = self.chart.factors(x[:-1])
        roots = self.chart.roots(L)
        log_sigma = self.log_sigma(x[-1])
        states = self.relative(roots, log_sigma)
        at = self.core.curvature(states, self.reml)
        variance = (self.scale * np.exp(log_sigma)) ** 2
        ratio = at.pwrss / (self.n * variance)
        if not (np.isfinite(at.objective) and ratio > 0.0):
            return np.inf, np.zeros_like(x)
        value = at.objective + self.n * (ratio - 1.0 - np.log(ratio))
        twice = 2.0 * np.exp(-2.0 * log_sigma)
        by_parameter = at.gradient + (1.0 - ratio) * at.quadratic
        by_root, along = [], 0.0
        for t, (term, root) in enumerate(zip(self.design.random, roots, strict=True)):
            if term.is_structured:
                G, rate = self._by_state(t, states[t], by_parameter, float(np.exp(-log_sigma)))
                along += rate
            else:
                G = twice * ((at.score[t] + (1.0 - ratio) * at.misfit[t]) @ root)
                along += float(np.sum(G * root))
            by_root.append(G)
        by_sigma = 2.0 * self.n * (1.0 - ratio) - along
        if self.soft:
            by_sigma *= x[-1] / (x[-1] ** 2 + SOFT**2)
        return value, np.append(self.chart.gradient(x[:-1], by_root), by_sigma)

    def _by_state(
        self, t: int, state: Array, by_parameter: Array, ratio: float
    ) -> tuple[Array, float]:
        """Slopes by the state of a term with structures, and by the logarithm of its size."""
        term = self.design.random[t]
        out = np.zeros_like(state)
        for value, (other, i, _) in zip(by_parameter, self.chart.elements, strict=True):
            if other == t:
                out[i, 0] = value
        along, first = (
            0.0,
            len(state) - sum(0 if one is None else one.n_parameters for one in term.structures),
        )
        along += float(np.sum(out[:first] * state[:first]))
        out[:first] *= ratio
        for one in term.structures:
            if one is None:
                continue
            own = slice(first, first + one.n_sds)
            if one.zero == 0.0:  # a multiple; the others are logarithms
                along += float(np.sum(out[own] * state[own]))
                out[own] *= ratio
            else:
                along += float(np.sum(out[own])) * (-2.0 if one.kind == "precisions" else 1.0)
            first += one.n_parameters
        return out, along

    def lifted(self, x: Array) -> Array:
        """Move free diagonal elements off zero."""
        last = x[-1]
        if self.soft and self.chart.held >= 0 and abs(last) < LIFT:
            last = LIFT
        return np.append(self.chart.lifted(x[:-1]), last)

    @property
    def value(self) -> Callable[[float], float]:
        """The parameter on its own scale."""
        if self.chart.held >= 0:
            return self.chart.value
        return partial(_softened if self.soft else exponential, self.scale)

    def estimates(self, design: Design, kept: NDArray[np.intp], x: Array) -> Estimates:
        """Return covariances, sigma and coefficients at a point."""
        roots = self.chart.roots(self.chart.factors(x[:-1]))
        log_sigma = self.log_sigma(x[-1])
        sigma = float(self.scale * np.exp(log_sigma))
        found = self.core.evaluate(user_factors(self.core, self.relative(roots, log_sigma)), False)
        beta = np.full(len(design.fixed), np.nan)
        beta[kept] = found.beta
        sigmas = tuple(sigma**2 * (block @ block.T) for block in found.lambda_)
        natural = natural_values(design.random, roots, self.core.term_basis, self.scale)
        return sigmas, sigma, beta, natural


def _softened(scale: float, coordinate: float) -> float:
    """Return sigma, which is zero where its coordinate is."""
    return float(scale * np.sqrt(coordinate**2 + SOFT**2)) if coordinate > 0.0 else 0.0


@dataclass(frozen=True)
class CoefficientSurface:
    """The ML deviance by the coordinates of a `LinearSurface`, and a coefficient that is held.

    Attributes
    ----------
    inner : LinearSurface
        Of the model without the coefficient's column.
    column, weighted : ndarray of shape (n,)
        The column, and the same times the weights of the rows.
    base : ndarray of shape (n,)
        The offset.
    n_coefficients : int
        Those of the whole model, aliased ones included.
    kernels : dict
        The kernel at the coefficient that was asked for last.
    """

    inner: LinearSurface
    column: Array
    weighted: Array
    base: Array
    n_coefficients: int
    kernels: dict[float, LinearSurface] = field(default_factory=dict)

    low: ClassVar[float] = -np.inf
    high: ClassVar[float] = np.inf

    @property
    def held(self) -> int:
        """The last coordinate."""
        return len(self.inner.chart.elements) + 1

    @property
    def value(self) -> Callable[[float], float]:
        """The coefficient."""
        return float

    def at(self, b: float) -> LinearSurface:
        """Take the coefficient times its column off the response."""
        if b not in self.kernels:
            design = replace(self.inner.design, offset=self.base + b * self.column)
            self.kernels.clear()
            self.kernels[b] = replace(self.inner, core=lmm.kernel(design), design=design)
        return self.kernels[b]

    def deviance(self, x: Array) -> tuple[float, Array]:
        """Compute the deviance and its gradient.

        The coefficient's own slope is -2 x'H^-1 (y - X beta) / sigma^2, as the others are at their
        best.
        """
        there = self.at(float(x[-1]))
        value, gradient = there.deviance(x[:-1])
        if not np.isfinite(value):
            return np.inf, np.zeros_like(x)
        design, log_sigma = there.design, there.log_sigma(x[-2])
        states = there.relative(there.chart.roots(there.chart.factors(x[:-2])), log_sigma)
        held = lmm.evaluate(design, there.core, tuple(user_factors(there.core, states)), reml=False)
        sigma = there.scale * np.exp(log_sigma)
        slope = -2.0 * float(self.weighted @ (design.y - fitted(design, held))) / sigma**2
        return value, np.append(gradient, slope)

    def lifted(self, x: Array) -> Array:
        """Move free diagonal elements off zero."""
        return np.append(self.inner.lifted(x[:-1]), x[-1])

    def estimates(self, rest: NDArray[np.intp], j: int, x: Array) -> Estimates:
        """Return covariances, sigma and coefficients at a point, number ``j`` the held one."""
        there = self.at(float(x[-1]))
        every = np.arange(len(rest), dtype=np.intp)
        sigmas, sigma, others, natural = there.estimates(there.design, every, x[:-1])
        beta = np.full(self.n_coefficients, np.nan)
        beta[rest], beta[j] = others, x[-1]
        return sigmas, sigma, beta, natural


def _coefficient_curve(design: Design, core: _core.Lmm, ml: LmmEstimate, target: Target) -> Curve:
    """Hold one coefficient of a model with structures, whose sigma may vanish on the way."""
    j = target.i
    rest = np.array([int(i) for i in ml.kept if i != j], dtype=np.intp)
    reference = design.fixed[j]
    column = np.ones(design.n_obs) if reference < 0 else design.columns[reference]
    base = np.zeros(design.n_obs) if design.offset is None else design.offset
    reduced = replace(
        design,
        fixed=tuple(design.fixed[i] for i in rest),
        fixed_names=tuple(design.fixed_names[i] for i in rest),
        fixed_terms=(),
    )
    at = chart(design, core, Target("", "residual"), ml.sigma)
    inner = LinearSurface(core, at, reduced, ml.sigma)
    weighted = column if design.weights is None else column * design.weights
    surface = CoefficientSurface(inner, column, weighted, base, len(design.fixed))
    x = np.r_[at.coordinates(list(ml.lambda_standard)), inner.optimum, ml.beta[j]]
    return descended(target, surface, x, ml.objective, partial(surface.estimates, rest, j))


def linear_curves(design: Design, core: _core.Lmm, ml: LmmEstimate) -> Walked:
    """List the parameters of an ML fit and their curves."""
    listed = profiled(design, targets(design, ml.kept))

    def make(target: Target, ceiling: Point | None) -> Curve:
        if target.kind == "beta" and any(term.is_structured for term in design.random):
            return _coefficient_curve(design, core, ml, target)
        if target.kind == "beta":
            return _fixed_curve(design, core, ml, target)
        at = chart(design, core, target, ml.sigma)
        surface = LinearSurface(core, at, design, ml.sigma)
        x = np.append(at.coordinates(list(ml.lambda_standard)), surface.optimum)
        estimates = partial(surface.estimates, design, ml.kept)
        return descended(target, surface, x, ml.objective, estimates, ceiling)

    best = (ml.sigmas, ml.sigma, ml.beta, _natural(design, core, ml))
    return Walked(listed, best, curves(listed, make))


def _natural(design: Design, core: _core.Lmm, at: LmmEstimate) -> list[list[Array]]:
    """Natural parameters of the structures of an estimate."""
    return natural_values(design.random, at.lambda_standard, core.term_basis, at.sigma)


def _fixed_curve(design: Design, core: _core.Lmm, ml: LmmEstimate, target: Target) -> Curve:
    """Hold one coefficient: its column times the value joins the offset, and the rest is fitted."""
    j = target.i
    rest = np.array([int(i) for i in ml.kept if i != j], dtype=np.intp)
    reference = design.fixed[j]
    column = np.ones(design.n_obs) if reference < 0 else design.columns[reference]
    weighted = column if design.weights is None else column * design.weights
    base = np.zeros(design.n_obs) if design.offset is None else design.offset
    reduced = replace(
        design,
        fixed=tuple(design.fixed[i] for i in rest),
        fixed_names=tuple(design.fixed_names[i] for i in rest),
        fixed_terms=(),
    )
    centre = float(ml.beta[j])
    k = int(np.flatnonzero(ml.kept == j)[0])
    se = np.sqrt(ml.cov_beta[k, k])

    def estimate(held: LmmEstimate, b: float) -> Estimates:
        beta = np.full(len(design.fixed), np.nan)
        beta[rest] = held.beta
        beta[j] = b
        return held.sigmas, held.sigma, beta, _natural(design, core, held)

    def walker() -> Callable[[float], Point]:
        start = ml.lambda_standard

        def to(b: float) -> Point:
            nonlocal start
            there = replace(reduced, offset=base + b * column)
            control = lmm.Control(start=lmm.off_boundary(start))
            held = lmm.fit(there, lmm.kernel(there), reml=False, control=control)
            start = held.lambda_standard
            # The envelope theorem: only the direct effect of b, -2 x'H^-1 (y - X beta) / sigma^2.
            slope = -2.0 * float(weighted @ (design.y - fitted(there, held))) / held.sigma**2
            zeta, rate = signed_root(held.objective - ml.objective, slope, np.sign(b - centre))
            return Point(b, zeta, rate, lambda: estimate(held, b))

        return to

    return Curve(target, centre, -np.inf, np.inf, 1.0 / se, float, walker)
