"""Profiles of the ML deviance: how badly a value fits at the best of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from ..models import lmm
from ..models.lmm import LmmEstimate
from .predict import fitted
from .profile_charts import chart
from .profile_descent import Held, deviance, hessian, hold
from .profile_targets import Target, targets, values

__all__ = ["Curve", "Path", "Point", "Profiled", "curves", "interval", "path"]

Array = NDArray[np.float64]

#: A bound closer to the estimate than this, in the coordinate, is the estimate.
AT_BOUND = 1e-4
#: Relative difference of a chord's slope and the mean slope at its ends above which it is halved,
#: and how often.
BEND = 0.03
BENDS = 4


@dataclass(frozen=True)
class Point:
    """One held value.

    Attributes
    ----------
    coordinate : float
        Where, in the curve's coordinate.
    zeta : float
        Signed square root of the rise of the deviance.
    slope : float
        Derivative of zeta by the coordinate.
    estimate : callable
        The fit there: sigmas, sigma, beta.
    """

    coordinate: float
    zeta: float
    slope: float
    estimate: Callable[[], tuple[tuple[Array, ...], float, Array]]


@dataclass(frozen=True)
class Curve:
    """One parameter's profile, not yet walked.

    Attributes
    ----------
    target : Target
        The parameter.
    centre : float
        The coordinate of its estimate.
    low, high : float
        Bounds of the coordinate.
    rate : float
        Slope of zeta at the estimate by the curvature there: the first step's guess.
    value : callable
        The parameter's value at a coordinate.
    walker : callable
        Gives a function from coordinate to Point that starts from the nearest point it knows.
    ceiling : float
        |zeta| never exceeds it: a correlation is free where one of its standard deviations is zero.
    """

    target: Target
    centre: float
    low: float
    high: float
    rate: float
    value: Callable[[float], float]
    walker: Callable[[], Callable[[float], Point]]
    ceiling: float = np.inf


@dataclass(frozen=True)
class Profiled:
    """The ML fit that all curves of a model start from."""

    design: Design
    core: _core.Lmm
    estimate: LmmEstimate


def curves(ml: Profiled) -> Iterator[Curve]:
    """Make the curve of every parameter, in the order of ``targets``."""
    listed = targets(ml.design, ml.estimate.kept)
    ceilings: dict[tuple[int, int], Point] = {}
    for target in listed:
        if target.kind == "beta":
            yield _fixed_curve(ml, target)
            continue
        if target.kind == "cor":
            for column in (target.i, target.j):
                if (target.term, column) not in ceilings:
                    ceilings[target.term, column] = _without(ml, target.term, column)
            pair = [ceilings[target.term, column] for column in (target.i, target.j)]
            yield _variance_curve(ml, target, min(pair, key=lambda point: abs(point.zeta)))
        else:
            yield _variance_curve(ml, target)


def _without(ml: Profiled, term: int, column: int) -> Point:
    """Fit without one standard deviation, where its correlations may be anything."""
    curve = _variance_curve(ml, Target("", "sd", term, column, column))
    to = curve.walker()
    if curve.centre > AT_BOUND:
        to(0.4 * curve.centre)
    return to(0.0)


def _zeta(rise: float, slope: float, side: float) -> tuple[float, float]:
    """Zeta and its derivative from the rise of the deviance and the derivative of that."""
    root = np.sqrt(max(rise, 0.0))
    return side * root, side * slope / (2.0 * root) if root > 1e-8 else np.nan


def _variance_curve(ml: Profiled, target: Target, ceiling: Point | None = None) -> Curve:
    core, n, best = ml.core, ml.design.n_obs, ml.estimate.objective
    at = chart(ml.design, core, target, ml.estimate.sigma)
    x = at.coordinates(list(ml.estimate.lambda_standard))
    centre = float(x[at.held])
    B = hessian(core, at, n, at.lifted(x))
    free = np.arange(len(x)) != at.held
    bend = B[at.held, at.held] - B[at.held, free] @ np.linalg.solve(
        B[np.ix_(free, free)], B[free, at.held]
    )
    value, g = deviance(core, at, n, x)
    start = Held(x, value, 0.0, g, B)
    most = np.inf if ceiling is None else abs(ceiling.zeta)
    bases = [core.term_basis(t) for t in range(len(ml.design.random))]

    def estimate(held: Held) -> tuple[tuple[Array, ...], float, Array]:
        factors = at.relative(at.factors(held.x), held.x[-1])
        user = [T @ block for T, block in zip(bases, factors, strict=True)]
        sigma = float(at.scale * np.exp(held.x[-1]))
        beta = np.full(len(ml.design.fixed), np.nan)
        beta[ml.estimate.kept] = core.evaluate(user, False).beta
        return tuple(sigma**2 * (block @ block.T) for block in user), sigma, beta

    def walker() -> Callable[[float], Point]:
        visited = [start]

        def to(coordinate: float) -> Point:
            near = min(visited, key=lambda held: abs(held.x[at.held] - coordinate))
            held = hold(core, at, n, coordinate, near)
            visited.append(held)
            side = np.sign(coordinate - centre)
            zeta, slope = _zeta(held.deviance - best, held.slope, side)
            if ceiling is not None and abs(zeta) > most:
                return Point(coordinate, side * most, 0.0, ceiling.estimate)
            return Point(coordinate, zeta, slope, lambda: estimate(held))

        return to

    rate = np.sqrt(max(float(bend), 1e-12) / 2.0)
    return Curve(target, centre, at.low, at.high, rate, at.value, walker, most)


def _fixed_curve(ml: Profiled, target: Target) -> Curve:
    """Hold one coefficient: its column times the value joins the offset, and the rest is fitted."""
    design, best = ml.design, ml.estimate.objective
    j = target.i
    rest = np.array([int(i) for i in ml.estimate.kept if i != j], dtype=np.intp)
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
    centre = float(ml.estimate.beta[j])
    k = int(np.flatnonzero(ml.estimate.kept == j)[0])
    se = np.sqrt(ml.estimate.cov_beta[k, k])

    def estimate(held: LmmEstimate, b: float) -> tuple[tuple[Array, ...], float, Array]:
        beta = np.full(len(design.fixed), np.nan)
        beta[rest] = held.beta
        beta[j] = b
        return held.sigmas, held.sigma, beta

    def walker() -> Callable[[float], Point]:
        start = ml.estimate.lambda_standard

        def to(b: float) -> Point:
            nonlocal start
            there = replace(reduced, offset=base + b * column)
            control = lmm.Control(start=lmm.off_boundary(start))
            held = lmm.fit(there, lmm.kernel(there), reml=False, control=control)
            start = held.lambda_standard
            # The envelope theorem: only the direct effect of b, -2 x'H^-1 (y - X beta) / sigma^2.
            slope = -2.0 * float(weighted @ (design.y - fitted(there, held))) / held.sigma**2
            zeta, rate = _zeta(held.objective - best, slope, np.sign(b - centre))
            return Point(b, zeta, rate, lambda: estimate(held, b))

        return to

    return Curve(target, centre, -np.inf, np.inf, 1.0 / se, float, walker)


def interval(curve: Curve, z: float) -> tuple[float, float]:
    """Find where zeta is -z and z; a bound of the parameter where it does not get that far."""
    return (curve.value(_end(curve, z, -1.0)), curve.value(_end(curve, z, 1.0)))


def _end(curve: Curve, z: float, side: float) -> float:
    """Find the coordinate where |zeta| = z on one side, by safeguarded Newton steps."""
    bound = curve.high if side > 0 else curve.low
    if abs(bound - curve.centre) < AT_BOUND or curve.ceiling < z:
        return bound
    to = curve.walker()
    near, far = curve.centre, bound  # |zeta| below z at near, above it (or unknown) at far
    known = False
    c = _inside(curve.centre + side * z / curve.rate, near, far, known)
    for _ in range(60):
        point = to(c)
        short = z - abs(point.zeta)
        if short > 0.0 and c == bound:
            return bound
        rate = point.slope
        if abs(short) < 1e-3 and rate > 0.0:
            return c + side * short / rate
        near, far, known = (c, far, known) if short > 0.0 else (near, c, True)
        step = short / rate if rate > 0.0 else np.inf * np.sign(short)
        c = _inside(c + side * step, near, far, known)
    return c


def _inside(c: float, near: float, far: float, known: bool) -> float:
    """Keep a step between the ends; a step to an unproved bound goes there, not beyond."""
    low, high = min(near, far), max(near, far)
    if known and not low < c < high:
        return 0.5 * (near + far)
    return float(np.clip(c, low, high))


@dataclass(frozen=True)
class Path:
    """A walked profile, from the smallest to the largest value, the estimate among them.

    Attributes
    ----------
    name : str
        The parameter.
    coordinate, zeta, slope : ndarray of shape (k,)
        The curve's coordinate, zeta and its derivative by the coordinate.
    value : ndarray of shape (k,)
        The parameter.
    value_at : callable
        The parameter at a coordinate.
    others : ndarray of shape (k, P)
        All parameters where the others fit best, in the order of ``targets``.
    """

    name: str
    coordinate: Array
    zeta: Array
    slope: Array
    value: Array
    value_at: Callable[[float], float]
    others: Array


def path(curve: Curve, ml: Profiled, z: float, steps: int) -> Path:
    """Walk from the estimate to |zeta| >= z on both sides, or to a bound, in even steps of zeta."""
    best = ml.estimate
    centre = Point(curve.centre, 0.0, curve.rate, lambda: (best.sigmas, best.sigma, best.beta))
    below, above = (_side(curve, z, steps, side, centre) for side in (-1.0, 1.0))
    points = [*reversed(below), centre, *above]
    listed = targets(ml.design, best.kept)
    coordinate = np.array([p.coordinate for p in points])
    return Path(
        curve.target.name,
        coordinate,
        np.array([p.zeta for p in points]),
        np.array([p.slope for p in points]),
        np.array([curve.value(c) for c in coordinate]),
        curve.value,
        np.array([values(listed, *p.estimate()) for p in points]),
    )


def _side(curve: Curve, z: float, steps: int, side: float, centre: Point) -> list[Point]:
    """Walk to one side; the points from the estimate outwards, without it."""
    bound = curve.high if side > 0 else curve.low
    points = [centre]
    if abs(bound - curve.centre) < AT_BOUND:
        return []
    to = curve.walker()
    c, rate = curve.centre, curve.rate
    delta = z / steps
    while len(points) < 4 * steps:
        c += side * delta / rate
        c = min(c, bound) if side > 0 else max(c, bound)
        points.append(to(c))
        if abs(points[-1].zeta) >= z or c == bound:
            break
        if abs(points[-1].zeta) >= curve.ceiling:
            points.append(replace(points[-1], coordinate=bound))
            break
        slope = points[-1].slope
        rate = max(slope, 0.25 * rate) if np.isfinite(slope) else rate
    return [
        point for near, far in pairwise(points) for point in (*_between(to, near, far, BENDS), far)
    ]


def _between(to: Callable[[float], Point], near: Point, far: Point, depth: int) -> list[Point]:
    """Add points where a cubic would miss: where another parameter meets its bound, zeta bends."""
    secant = (far.zeta - near.zeta) / (far.coordinate - near.coordinate)
    mean = 0.5 * (near.slope + far.slope)
    if depth == 0 or not abs(mean - secant) > BEND * max(abs(mean), abs(secant)):
        return []
    middle = to(0.5 * (near.coordinate + far.coordinate))
    before, after = _between(to, near, middle, depth - 1), _between(to, middle, far, depth - 1)
    return [*before, middle, *after]
