"""Profiles of the ML deviance of a linear mixed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

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
from .charts import Chart, chart, exponential, lower_factor
from .profile import Curve, Estimates, Point, Walked, curves, descended, signed_root
from .targets import Target, targets

__all__ = ["linear_curves"]


@dataclass(frozen=True)
class LinearSurface:
    """The ML deviance by a chart's coordinates and log(sigma / scale), sigma not profiled.

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
    def held(self) -> int:
        """The chart's held coordinate, or the last one, log(sigma / scale)."""
        return self.chart.held if self.chart.held >= 0 else len(self.chart.elements)

    @property
    def low(self) -> float:
        """Lower bound of the held coordinate."""
        return self.chart.low

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
        states = self.relative(roots, x[-1])
        at = self.core.curvature(states, self.reml)
        variance = (self.scale * np.exp(x[-1])) ** 2
        ratio = at.pwrss / (self.n * variance)
        value = at.objective + self.n * (ratio - 1.0 - np.log(ratio))
        twice = 2.0 * np.exp(-2.0 * x[-1])
        by_parameter = at.gradient + (1.0 - ratio) * at.quadratic
        by_root, along = [], 0.0
        for t, (term, root) in enumerate(zip(self.design.random, roots, strict=True)):
            if term.is_structured:
                G, rate = self._by_state(t, states[t], by_parameter, float(np.exp(-x[-1])))
                along += rate
            else:
                G = twice * ((at.score[t] + (1.0 - ratio) * at.misfit[t]) @ root)
                along += float(np.sum(G * root))
            by_root.append(G)
        by_sigma = 2.0 * self.n * (1.0 - ratio) - along
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
        return np.append(self.chart.lifted(x[:-1]), x[-1])

    @property
    def value(self) -> Callable[[float], float]:
        """The parameter on its own scale."""
        return self.chart.value if self.chart.held >= 0 else partial(exponential, self.scale)

    def estimates(self, design: Design, kept: NDArray[np.intp], x: Array) -> Estimates:
        """Return covariances, sigma and coefficients at a point."""
        roots = self.chart.roots(self.chart.factors(x[:-1]))
        sigma = float(self.scale * np.exp(x[-1]))
        found = self.core.evaluate(user_factors(self.core, self.relative(roots, x[-1])), False)
        beta = np.full(len(design.fixed), np.nan)
        beta[kept] = found.beta
        sigmas = tuple(sigma**2 * (block @ block.T) for block in found.lambda_)
        natural = natural_values(design.random, roots, self.core.term_basis, self.scale)
        return sigmas, sigma, beta, natural


def linear_curves(design: Design, core: _core.Lmm, ml: LmmEstimate) -> Walked:
    """List the parameters of an ML fit and their curves."""
    listed = targets(design, ml.kept)

    def make(target: Target, ceiling: Point | None) -> Curve:
        if target.kind == "beta":
            return _fixed_curve(design, core, ml, target)
        at = chart(design, core, target, ml.sigma)
        surface = LinearSurface(core, at, design, ml.sigma)
        x = np.append(at.coordinates(list(ml.lambda_standard)), 0.0)
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
