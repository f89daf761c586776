"""Profiles of models of several linear predictors, of ordered responses too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...models.glmm.estimate import PartsEstimate
from ...models.glmm.model import hermite
from ...models.glmm.plan import Plan
from ...models.glmm.several import PartsCriterion
from .charts import Chart, chart
from .generalised import GeneralisedSurface
from .profile import Curve, Estimates, Point, Walked, curves, descended
from .targets import Target, covariance_targets

__all__ = ["Linear", "coefficients", "criterion_of", "several_curves", "several_targets"]


@dataclass(frozen=True)
class Linear:
    """A coefficient as a linear function of the standardised ones.

    Attributes
    ----------
    name : str
        What the user reads.
    row : ndarray of shape (P,)
        Its weights.
    natural : callable, optional
        An increasing function that puts it on the scale on which it is reported.
    """

    name: str
    row: Array
    natural: Callable[[Array], Array] | None = None

    def value(self, standard: Array) -> float:
        """Return its value on the scale on which it is reported."""
        return self.scaled(float(self.row @ standard))

    def scaled(self, value: float) -> float:
        """Put a value on the scale on which it is reported."""
        return value if self.natural is None else float(self.natural(np.array([value]))[0])


@dataclass(frozen=True)
class Bases:
    """What a chart asks of a kernel."""

    parameters: list[tuple[int, int, int]]
    bases: tuple[Array, ...]

    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""
        return self.bases[term]


@dataclass(frozen=True)
class SeveralSurface(GeneralisedSurface):
    """-2 log-likelihood by a chart's coordinates and turned whitened coefficients of all parts."""

    criterion: PartsCriterion  # type: ignore[assignment]
    listed: Sequence[Linear] = ()
    bases: tuple[Array, ...] = ()
    scaled: Callable[[float], float] | None = None

    @property
    def value(self) -> Callable[[float], float]:
        """The parameter on its own scale."""
        if self.scaled is None:
            return self.chart.value
        return partial(_line, self.scaled, self.centre, self.rate)

    def estimates(self, design: Design, x: Array) -> Estimates:
        """Return covariances and coefficients at a point."""
        _, standard = self.criterion.split(self.inner(x))
        roots, _ = self.roots(x)
        user = [basis @ root for basis, root in zip(self.bases, roots, strict=True)]
        sigmas = tuple(root @ root.T for root in user)
        return sigmas, 1.0, coefficients(self.listed, standard), ()


def _line(scaled: Callable[[float], float], centre: float, rate: float, coordinate: float) -> float:
    return scaled(centre + rate * coordinate)


def coefficients(listed: Sequence[Linear], standard: Array) -> Array:
    """Return the values of all coefficients."""
    return np.array([one.value(standard) for one in listed])


def criterion_of(plan: Plan, estimate: PartsEstimate) -> PartsCriterion:
    """Return -2 log-likelihood in coordinates with whitened coefficients of zero at the estimate.

    It was evaluated there.
    """
    criterion = PartsCriterion(plan.core(), plan.constant)
    criterion.core.evaluate(estimate.theta, estimate.standard)
    criterion.whiten(estimate.standard, criterion.core.information_beta())
    if estimate.nagq > 1:
        criterion.rule = hermite(estimate.nagq)
    criterion.value(optimum_point(estimate))
    return criterion


def optimum_point(estimate: PartsEstimate) -> Array:
    """Coordinates of the estimate."""
    return np.concatenate([estimate.theta, np.zeros(len(estimate.standard))])


def several_targets(design: Design, listed: Sequence[Linear]) -> list[Target]:
    """List the parameters: covariances, then coefficients by their place in ``listed``."""
    fixed = [Target(one.name, "beta", i=k) for k, one in enumerate(listed)]
    return [*covariance_targets(design), *fixed]


def several_curves(
    design: Design, plan: Plan, estimate: PartsEstimate, listed: Sequence[Linear]
) -> Walked:
    """List the parameters of a fit and their curves."""
    criterion = criterion_of(plan, estimate)
    optimum = optimum_point(estimate)
    bases = Bases(list(criterion.core.parameters), plan.bases)

    def make(target: Target, ceiling: Point | None) -> Curve:
        surface = _surface(design, criterion, bases, listed, target, estimate)
        own = surface.chart.coordinates(list(estimate.lambda_standard))
        x = np.concatenate([own, optimum[criterion.m :]])
        find = partial(surface.estimates, design)
        return descended(target, surface, x, estimate.objective, find, ceiling)

    found = several_targets(design, listed)
    best = (estimate.sigmas, 1.0, coefficients(listed, estimate.standard), ())
    return Walked(found, best, curves(found, make))


def _surface(
    design: Design,
    criterion: PartsCriterion,
    bases: Bases,
    listed: Sequence[Linear],
    target: Target,
    estimate: PartsEstimate,
) -> SeveralSurface:
    """Make the coordinates in which ``target`` is held."""
    at: Chart = chart(design, bases, target, 1.0)
    P, m = len(estimate.standard), criterion.m
    if target.kind != "beta":
        return SeveralSurface(criterion, at, np.eye(P), at.held, listed=listed, bases=bases.bases)
    one = listed[target.i]
    along = criterion.root.T @ one.row
    turn, lengths = np.linalg.qr(along[:, None], mode="complete")
    turn[:, 0] *= np.sign(lengths[0, 0])
    return SeveralSurface(
        criterion,
        at,
        turn,
        m,
        float(one.row @ estimate.standard),
        float(np.linalg.norm(along)),
        listed,
        bases.bases,
        one.scaled,
    )
