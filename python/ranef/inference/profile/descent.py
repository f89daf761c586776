"""The least deviance with one parameter held, by exact gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array

__all__ = ["Held", "Surface", "curvature", "hessian", "hold"]


#: Decrease of the deviance still predicted at which a search stops; it is then subtracted.
TOLERANCE = 1e-7
#: Remaining decrease above which the end of a search is not trusted.
DOUBTFUL = 1e-2
STEPS = 100
#: Largest step of any coordinate; they are of order one.
LONGEST = 1.0


class Surface(Protocol):
    """-2 log-likelihood of a model in coordinates of which one is the parameter of interest.

    Attributes
    ----------
    held : int
        That coordinate.
    low, high : float
        Its bounds.
    value : callable
        The parameter on its own scale, from the coordinate; it can be pickled.
    """

    @property
    def held(self) -> int: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def value(self) -> Callable[[float], float]: ...  # noqa: D102

    def deviance(self, x: Array) -> tuple[float, Array]:
        """Compute the deviance and its gradient; infinite where there is none."""

    def lifted(self, x: Array) -> Array:
        """Move free coordinates off where a search would be stuck."""


@dataclass(frozen=True)
class Held:
    """A constrained minimum: coordinates, deviance, full gradient and a model of the curvature.

    ``deviance`` and ``slope`` (the derivative of the profiled deviance by the held coordinate) are
    corrected for the step that was not worth taking.
    """

    x: Array
    deviance: float
    slope: float
    gradient: Array
    B: Array
    first: Array


def curvature(surface: Surface, x: Array) -> Array:
    """Curvature of the deviance, by differences of exact gradients."""
    H = np.empty((len(x), len(x)))
    for a in range(len(x)):
        step = np.zeros(len(x))
        step[a] = 1e-4
        H[a] = (surface.deviance(x + step)[1] - surface.deviance(x - step)[1]) / 2e-4
    return np.asarray(0.5 * (H + H.T))


def hessian(surface: Surface, x: Array) -> Array:
    """Curvature of the deviance at the optimum, made positive."""
    values, vectors = np.linalg.eigh(curvature(surface, x))
    floor = 1e-6 * max(float(np.abs(values).max()), 1.0)
    return np.asarray((vectors * np.maximum(np.abs(values), floor)) @ vectors.T)


def hold(surface: Surface, coordinate: float, near: Held) -> Held:
    """Minimise the deviance with the held coordinate at ``coordinate``, from a minimum near by.

    The deviance is infinite where the model is not defined with it there, and NaN where no minimum
    is found.
    """
    free = np.arange(len(near.x)) != surface.held
    x, B = near.x.copy(), near.B
    move = coordinate - x[surface.held]
    x[surface.held] = coordinate
    ahead = x.copy()
    ahead[free] -= _capped(_solved(B[np.ix_(free, free)], B[free, surface.held] * move))
    value, g = surface.deviance(ahead := surface.lifted(ahead))
    if np.isfinite(value):
        x = ahead
    else:
        value, g = surface.deviance(x)
        if not np.isfinite(value):
            return Held(x, np.inf, np.nan, g, B, near.first)
    B = _updated(B, x - near.x, g - near.gradient)
    step, predicted, left, renewed = np.zeros(int(free.sum())), 0.0, 0.0, False
    for _ in range(STEPS):
        step = -_capped(_solved(B[np.ix_(free, free)], g[free]))
        predicted = left = -0.5 * float(g[free] @ step)
        done = predicted < TOLERANCE
        if not done:
            x_new, value_new, g_new = _line_search(surface, x, free, step, value, g)
            if done := value_new >= value:
                predicted = 0.0
        if done:
            if renewed or _seems_low(near.first[np.ix_(free, free)], g[free]):
                break
            B, renewed = hessian(surface, x), True  # differences over long steps bent it too much
            continue
        B = _updated(B, x_new - x, g_new - g)
        x, value, g = x_new, value_new, g_new
    if not left < DOUBTFUL:  # the deviance is not smooth here
        return Held(x, np.nan, np.nan, g, B, near.first)
    slope = float(g[surface.held] + B[surface.held, free] @ step)
    return Held(x, value - predicted, slope, g, B, near.first)


def _seems_low(first: Array, g: Array) -> bool:
    """Return whether the gradient is small by the curvature at the optimum, too."""
    return 0.5 * float(g @ _solved(first, g)) < DOUBTFUL


def _solved(B: Array, g: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(B, g))
    except np.linalg.LinAlgError:  # a direction that is flat to the last digit
        return np.asarray(np.linalg.lstsq(B, g, rcond=None)[0])


def _capped(step: Array) -> Array:
    longest = float(np.abs(step).max(initial=0.0))
    if not np.isfinite(longest):  # where the deviance is flat without end
        return np.zeros_like(step)
    return step if longest <= LONGEST else step * (LONGEST / longest)


def _line_search(
    surface: Surface,
    x: Array,
    free: NDArray[np.bool_],
    step: Array,
    value: float,
    g: Array,
) -> tuple[Array, float, Array]:
    """Halve the step until the deviance falls; the point at hand when it does not."""
    along = float(g[free] @ step)
    fraction = 1.0
    for _ in range(30):
        trial = x.copy()
        trial[free] += fraction * step
        value_new, g_new = surface.deviance(trial)
        if value_new < value + 1e-4 * fraction * along:
            return trial, value_new, g_new
        fraction *= (
            0.5 if not np.isfinite(value_new) else _fraction(value, along, value_new, fraction)
        )
    return x, value, g


def _fraction(value: float, along: float, value_new: float, fraction: float) -> float:
    """Minimum of the parabola through two values and a slope, as a part of the step tried."""
    bend = value_new - value - along * fraction
    return float(np.clip(-along * fraction / (2.0 * bend), 0.1, 0.5))


def _updated(B: Array, s: Array, y: Array) -> Array:
    """Damped BFGS (Powell, 1978): stays positive definite whatever the curvature met."""
    Bs = B @ s
    sBs = float(s @ Bs)
    if sBs < 1e-16:
        return B
    sy = float(s @ y)
    if sy < 0.2 * sBs:
        damp = 0.8 * sBs / (sBs - sy)
        y = damp * y + (1.0 - damp) * Bs
        sy = float(s @ y)
    return B - np.outer(Bs, Bs) / sBs + np.outer(y, y) / sy
