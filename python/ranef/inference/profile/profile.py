"""Profiles of the deviance: how badly a value fits at the best of all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..._typing import Array
from .descent import Held, Surface, hessian, hold
from .targets import Target, values

__all__ = [
    "Curve",
    "Estimates",
    "Path",
    "Point",
    "Walked",
    "curves",
    "descended",
    "interval",
    "path",
    "signed_root",
]

#: Covariances of the random effects, sigma or dispersion, coefficients, and natural parameters of
#: the structures of each term's blocks.
Estimates: TypeAlias = tuple[Sequence[Array], float, Array, Sequence[Sequence[Array]]]

#: A bound closer to the estimate than this, in the coordinate, is the estimate.
AT_BOUND = 1e-4
#: Most times the distance from the estimate that a search for a limit may go further at once.
LEAP = 4.0
#: A zeta that rises by less than LEVEL at one leap, FAR times as far out as curvature at the
#: estimate says, rises no more.
LEVEL, FAR = 1e-3, 20.0
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
        Signed square root of the rise of the deviance; infinite where there is no model.
    slope : float
        Derivative of zeta by the coordinate.
    estimate : callable
        The fit there.
    """

    coordinate: float
    zeta: float
    slope: float
    estimate: Callable[[], Estimates]


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
        Returns a function from coordinate to Point that starts from the nearest known point.
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
class Walked:
    """What the paths of a model share.

    Attributes
    ----------
    targets : list of Target
        Its parameters.
    best : Estimates
        The fit that all curves start from.
    curves : iterator of Curve
        One for each parameter, in their order.
    """

    targets: list[Target]
    best: Estimates
    curves: Iterator[Curve]


def curves(
    listed: Sequence[Target], make: Callable[[Target, Point | None], Curve]
) -> Iterator[Curve]:
    """Make the curve of every parameter; of a correlation ``make`` is told its ceiling."""
    ceilings: dict[tuple[int, int], Point] = {}
    for target in listed:
        if target.kind == "natural":
            curve = make(target, None)
            if target.j == 0 and curve.low == 0.0:
                ceilings[target.term, -1 - target.i] = _at_zero(curve)
            free = ceilings.get((target.term, -1 - target.i)) if curve.low != 0.0 else None
            yield curve if free is None else make(target, free)
            continue
        if target.kind != "cor":
            yield make(target, None)
            continue
        for column in (target.i, target.j):
            if (target.term, column) not in ceilings:
                sd = make(Target("", "sd", target.term, column, column), None)
                ceilings[target.term, column] = _at_zero(sd)
        pair = [ceilings[target.term, column] for column in (target.i, target.j)]
        yield make(target, min(pair, key=lambda point: abs(point.zeta)))


def _at_zero(curve: Curve) -> Point:
    """Fit without one standard deviation, where its correlations may be anything."""
    to = curve.walker()
    if curve.centre > AT_BOUND:
        to(0.4 * curve.centre)
    return to(0.0)


def signed_root(rise: float, slope: float, side: float) -> tuple[float, float]:
    """Zeta and its derivative from the rise of the deviance and the derivative of that."""
    root = np.sqrt(max(rise, 0.0))
    return side * root, side * slope / (2.0 * root) if root > 1e-8 else np.nan


def descended(
    target: Target,
    surface: Surface,
    x: Array,
    best: float,
    estimates: Callable[[Array], Estimates],
    ceiling: Point | None = None,
) -> Curve:
    """Make the curve of a coordinate of a surface, the others at their best by descent.

    Parameters
    ----------
    target : Target
        The parameter that is the held coordinate.
    surface : Surface
        The deviance.
    x : ndarray of shape (m,)
        The optimum.
    best : float
        The deviance there.
    estimates : callable
        Gives the parameters at given coordinates.
    ceiling : Point, optional
        Where a correlation is free.
    """
    at = surface.held
    centre = float(x[at])
    B = hessian(surface, surface.lifted(x))
    free = np.arange(len(x)) != at
    bend = B[at, at] - B[at, free] @ np.linalg.solve(B[np.ix_(free, free)], B[free, at])
    value, g = surface.deviance(x)
    start = Held(x, value, 0.0, g, B, B)
    most = np.inf if ceiling is None else abs(ceiling.zeta)

    def walker() -> Callable[[float], Point]:
        visited = [start]

        def to(coordinate: float) -> Point:
            near = min(visited, key=lambda held: abs(held.x[at] - coordinate))
            held = hold(surface, coordinate, near)
            side = np.sign(coordinate - centre)
            zeta, slope = signed_root(held.deviance - best, held.slope, side)
            if np.isfinite(zeta):
                visited.append(held)
            if ceiling is not None and abs(zeta) > most:
                return Point(coordinate, side * most, 0.0, ceiling.estimate)
            return Point(coordinate, zeta, slope, lambda: estimates(held.x))

        return to

    rate = np.sqrt(max(float(bend), 1e-12) / 2.0)
    return Curve(target, centre, surface.low, surface.high, rate, surface.value, walker, most)


def interval(curve: Curve, z: float) -> tuple[float, float]:
    """Find where zeta is -z and z; a bound of the parameter where it does not get that far.

    NaN where the profile cannot be followed.
    """
    return (curve.value(_end(curve, z, -1.0)), curve.value(_end(curve, z, 1.0)))


def _end(curve: Curve, z: float, side: float) -> float:
    """Find the coordinate where |zeta| = z on one side, by safeguarded Newton steps."""
    bound = curve.high if side > 0 else curve.low
    if abs(bound - curve.centre) < AT_BOUND or curve.ceiling < z:
        return bound
    to = curve.walker()
    near, far = curve.centre, bound  # |zeta| below z at near, above it (or unknown) at far
    known, lost, reached, leap = False, False, 0.0, z / curve.rate
    c = _inside(curve.centre + side * leap, near, far, known)
    for _ in range(60):
        point = to(c)
        short = z - abs(point.zeta)
        if short > 0.0 and c == bound:
            return bound
        far_out = not np.isfinite(bound) and abs(c - curve.centre) > FAR * leap
        if far_out and short > 0.0 and abs(point.zeta) - reached < LEVEL:
            return bound  # it levels off below z
        reached = abs(point.zeta) if short > 0.0 else reached
        rate = point.slope
        if abs(short) < 1e-3 and rate > 0.0:
            return c + side * short / rate
        if short > 0.0:
            near = c
        else:
            far, known, lost = c, True, bool(np.isnan(short))
        if lost and abs(far - near) < AT_BOUND * leap:
            break
        step = short / rate if rate > 0.0 else np.inf * np.sign(short)
        with np.errstate(invalid="ignore"):  # from one end without bound back to the other
            c = _inside(c + side * min(step, LEAP * abs(c - curve.centre)), near, far, known)
    return np.nan if lost else c


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


def path(curve: Curve, walked: Walked, z: float, steps: int) -> Path:
    """Walk from the estimate to |zeta| >= z on both sides, or to a bound, in even steps of zeta."""
    centre = Point(curve.centre, 0.0, curve.rate, lambda: walked.best)
    below, above = (_side(curve, z, steps, side, centre) for side in (-1.0, 1.0))
    points = [*reversed(below), centre, *above]
    coordinate = np.array([p.coordinate for p in points])
    return Path(
        curve.target.name,
        coordinate,
        np.array([p.zeta for p in points]),
        np.array([p.slope for p in points]),
        np.array([curve.value(c) for c in coordinate]),
        curve.value,
        np.array([values(walked.targets, *p.estimate()) for p in points]),
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
        point = to(c)
        if not np.isfinite(point.zeta):
            break
        points.append(point)
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
