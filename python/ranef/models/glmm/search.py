"""A trust-region search with gradients, for expensive criteria with few parameters.

The Hessian is built up from the gradients on the way and computed at the end, by differences of
gradients: it proves the optimum, and yields the covariance of the estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..._typing import Array
from ...errors import FitError

__all__ = [
    "EXACT",
    "Minimum",
    "Proof",
    "Surface",
    "downhill",
    "minimise",
    "polish",
    "proved",
    "search_scaled",
    "trust_step",
]


#: Steps are tried in units in which the criterion bends by about one or two.
FIRST_RADIUS, LARGEST_RADIUS = 1.0, 20.0
#: Differences of gradients are taken over this step, in those units.
DIFFERENCE = 1e-3
#: The least that rounding of the criterion hides.
UNRESOLVED = 1e-9
#: Smallest decrease that justifies leaving a point where the Hessian is not positive definite.
NOTABLE = 1e-6


@dataclass(frozen=True)
class Proof:
    """How precisely a minimum is proved.

    Attributes
    ----------
    sides : int
        Sides of a point, 1 or 2, to which the gradient is differenced.
    polished : float
        Decrease that may remain at a polished optimum.
    short : float
        Largest decrease after which a Hessian still serves.
    """

    sides: int = 2
    polished: float = 1e-14
    short: float = 1e-7


EXACT = Proof()


class Surface(Protocol):
    """A criterion that is infinite where it is not defined."""

    n_values: int
    n_gradients: int

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""

    def gradient(self) -> Array:
        """Differentiate where the criterion was last evaluated."""


@dataclass
class Minimum:
    """Where a search stands.

    Attributes
    ----------
    x, gradient : ndarray of shape (m,)
        Parameters and gradient.
    value : float
        The criterion.
    hessian : ndarray of shape (m, m)
        Approximate while searching, by differences of gradients at the end.
    decrement : float
        Decrease that the quadratic model still predicts.
    status : str
        "converged", "step limit" or "stalled".
    path : list of (float, float, float)
        Criterion, predicted decrease and trust radius of each step.
    """

    x: Array
    value: float
    gradient: Array
    hessian: Array
    decrement: float = np.inf
    status: str = "stalled"
    path: list[tuple[float, float, float]] = field(default_factory=list)


def minimise(
    surface: Surface,
    x: Array,
    hessian: Array,
    *,
    max_steps: int,
    tolerance: float,
    radius: float = FIRST_RADIUS,
) -> Minimum:
    """Search from ``x`` until the quadratic model predicts a smaller decrease than ``tolerance``.

    Notes
    -----
    The model's Hessian starts at ``hessian`` and takes symmetric rank-one corrections.

    References
    ----------
    Nocedal and Wright (2006), Numerical Optimization, 2nd ed., algorithm 6.2.
    """
    at = Minimum(x, surface.value(x), np.zeros_like(x), hessian.copy())
    if not np.isfinite(at.value):
        return at
    at.gradient = surface.gradient()
    largest = max(LARGEST_RADIUS, radius)
    for _ in range(max_steps):
        step, predicted, inside = trust_step(at.gradient, at.hessian, radius)
        at.decrement = predicted
        at.path.append((at.value, predicted, radius))
        if inside and predicted < max(tolerance, 1e-14 * abs(at.value)):
            at.status = "converged"
            return at
        value = surface.value(at.x + step)
        ratio = (at.value - value) / predicted if np.isfinite(value) else -1.0
        if ratio > 0.0:
            gradient = surface.gradient()
            correct(at.hessian, step, gradient - at.gradient)
            at.x, at.value, at.gradient = at.x + step, value, gradient
        length = float(np.linalg.norm(step))
        if ratio < 0.25:
            radius = 0.25 * length
        elif ratio > 0.75 and length > 0.8 * radius:
            radius = min(2.0 * radius, largest)
        if radius < 1e-9 * (1.0 + float(np.linalg.norm(at.x))):
            return at
    at.status = "step limit"
    return at


def trust_step(gradient: Array, hessian: Array, radius: float) -> tuple[Array, float, bool]:
    """Minimise g's + s'B s / 2 over |s| <= radius; s, the decrease, and whether it is inside."""
    values, vectors = np.linalg.eigh(hessian)
    along = vectors.T @ gradient
    floor = 1e-10 * max(1.0, float(np.abs(values).max()))

    def step(shift: float) -> Array:
        return np.asarray(-along / (values + shift))

    s = step(0.0) if values[0] > floor else np.full_like(along, np.inf)
    inside = bool(np.linalg.norm(s) <= radius)
    if not inside:
        low = max(0.0, floor - float(values[0]))
        high = low + float(np.linalg.norm(along)) / radius + floor
        for _ in range(60):
            middle = 0.5 * (low + high)
            longer = float(np.linalg.norm(step(middle))) > radius
            low, high = (middle, high) if longer else (low, middle)
        s = step(high)
    return vectors @ s, -float(along @ s + 0.5 * s @ (values * s)), inside


def correct(hessian: Array, step: Array, change: Array) -> None:
    """Update the Hessian by the change of the gradient, with a rank-one correction."""
    missing = change - hessian @ step
    along = float(missing @ step)
    if abs(along) > 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(missing)):
        hessian += np.outer(missing, missing) / along


def hessian_at(surface: Surface, found: Minimum, scale: Array, sides: int) -> Array:
    """Differentiate the gradient by differences over ``DIFFERENCE`` times ``scale``.

    Central ones, or with one side those from the gradient at the minimum.
    """
    x = found.x
    out = np.empty((len(x), len(x)))
    for j in range(len(x)):
        h = DIFFERENCE * scale[j]
        ends = []
        for side in (h, -h)[:sides]:
            moved = x.copy()
            moved[j] += side
            if not np.isfinite(surface.value(moved)):
                return np.full_like(out, np.nan)
            ends.append(surface.gradient())
        low = ends[1] if sides == 2 else found.gradient
        out[:, j] = (ends[0] - low) / (sides * h)
    return 0.5 * (out + out.T)


def polish(
    surface: Surface,
    found: Minimum,
    scale: Array,
    max_rounds: int = 20,
    *,
    proof: Proof = EXACT,
) -> Minimum:
    """Continue from a minimum by Newton's method with the exact Hessian; the surface ends there.

    Short steps keep the Hessian: it is computed again after a long one.
    """
    radius = FIRST_RADIUS
    found.status = "step limit"
    for _ in range(max_rounds):
        surface.value(found.x)
        found.hessian = hessian_at(surface, found, scale, proof.sides)
        if not np.isfinite(found.hessian).all():
            found.status, found.decrement = "stalled", np.inf
            break
        bend = found.hessian * np.outer(scale, scale)
        for _ in range(4):
            step, predicted, inside = trust_step(found.gradient * scale, bend, radius)
            found.decrement = predicted
            lost = unresolved(found.value)
            if predicted < (proof.polished if inside else lost):
                found.status = "converged"
                break
            moved, radius = attempt(surface, found, step * scale, predicted, radius)
            if predicted < lost and not moved:
                found.status = "converged"
                break
            if predicted > max(proof.short, lost) or not moved:
                break
        if found.status == "converged":
            break
    surface.value(found.x)
    return found


def unresolved(value: float) -> float:
    """Return the decrease that the rounding of a criterion of this size may hide."""
    return max(UNRESOLVED, 1e-12 * abs(value))


def attempt(
    surface: Surface, found: Minimum, step: Array, predicted: float, radius: float
) -> tuple[bool, float]:
    """Try a step; return whether it was taken, and the next radius."""
    value = surface.value(found.x + step)
    ratio = (found.value - value) / predicted if np.isfinite(value) else -1.0
    lost = unresolved(found.value)
    taken = ratio > 0.0 or (predicted < lost and value <= found.value + lost)
    if taken:
        gradient = surface.gradient()
        if ratio <= 0.0 and np.linalg.norm(gradient) >= np.linalg.norm(found.gradient):
            return False, radius
        found.x, found.value, found.gradient = found.x + step, value, gradient
    if ratio < 0.25 and predicted >= lost:
        return taken, 0.25 * radius
    return taken, min(2.0 * radius, LARGEST_RADIUS) if ratio > 0.75 else radius


def downhill(surface: Surface, found: Minimum) -> Array | None:
    """Return a lower point along a direction in which the criterion bends down; None if none is."""
    values, vectors = np.linalg.eigh(found.hessian)
    if not values[0] < 0.0:
        return None
    for length in (1.0, 0.3, 0.1, 0.03):
        for side in (length, -length):
            x = found.x + side * vectors[:, 0]
            if surface.value(x) < found.value - NOTABLE:
                return np.asarray(x)
    return None


class Scaled:
    """A criterion in other units."""

    def __init__(self, surface: Surface, scale: Array):
        self.surface = surface
        self.scale = scale
        self.n_values = self.n_gradients = 0

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""
        return self.surface.value(x * self.scale)

    def gradient(self) -> Array:
        """Differentiate where it was last evaluated."""
        return self.surface.gradient() * self.scale

    def back(self, found: Minimum) -> Minimum:
        """Return a minimum in the criterion's own units."""
        found.x = found.x * self.scale
        found.gradient = found.gradient / self.scale
        found.hessian = found.hessian / np.outer(self.scale, self.scale)
        return found


def search_scaled(
    surface: Surface,
    x: Array,
    hessian: Array,
    *,
    max_steps: int,
    tolerance: float,
    radius: float = FIRST_RADIUS,
) -> Minimum:
    """Search in coordinates in which the guessed curvature is one, with a first step of ``radius``.

    Raises
    ------
    FitError
        When the criterion is not finite at the start.
    """
    scaled = Scaled(surface, 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-2)))
    guess = hessian * np.outer(scaled.scale, scaled.scale)
    found = minimise(
        scaled, x / scaled.scale, guess, max_steps=max_steps, tolerance=tolerance, radius=radius
    )
    if not np.isfinite(found.value):
        raise FitError("the likelihood is not finite where its search begins")
    return scaled.back(found)


def proved(
    surface: Surface,
    found: Minimum,
    *,
    max_steps: int,
    tolerance: float,
    proof: Proof = EXACT,
) -> Minimum:
    """Polish a minimum by its Hessian; step off it where the criterion falls away."""
    for _ in range(3):
        path = found.path
        bends = np.maximum(np.abs(np.diag(found.hessian)), 1e-2)
        found = polish(surface, found, 1.0 / np.sqrt(bends), proof=proof)
        if not np.isfinite(found.hessian).all():
            return found
        lower = downhill(surface, found)
        if lower is None:
            surface.value(found.x)
            return found
        values, vectors = np.linalg.eigh(found.hessian)
        hessian = (vectors * np.maximum(np.abs(values), 1e-2)) @ vectors.T
        found = search_scaled(surface, lower, hessian, max_steps=max_steps, tolerance=tolerance)
        found.path = path + found.path
    found.status = "saddle"
    return found
