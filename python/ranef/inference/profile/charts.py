"""Coordinates of the covariance parameters in which one parameter of interest is a coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.design import Design
from ...design.structures.structure import Structure
from ...errors import UnsupportedError
from ..structures import scaled_natural
from .targets import Target, block_of

__all__ = ["LIFT", "Chart", "chart", "exponential", "lower_factor"]


#: Relative standard deviation below which a free direction is lifted before a search, which could
#: not leave zero by itself: the deviance is even in it.
LIFT = 0.02


def lower_factor(B: Array) -> Array:
    """Return the lower-triangular L with L L' = B B' and a diagonal of no negative sign."""
    if B.shape == (2, 2):
        return _lower_two(*B.ravel().tolist())
    R: Array = np.linalg.qr(B.T)[1]
    return np.asarray((R * np.where(np.diag(R) < 0.0, -1.0, 1.0)[:, None]).T)


def exponential(scale: float, coordinate: float) -> float:
    """Return the parameter whose logarithm, relative to ``scale``, is the coordinate."""
    return scale * math.exp(coordinate)


def _lower_two(a: float, b: float, c: float, d: float) -> Array:
    """``lower_factor`` of [[a, b], [c, d]], which small models ask for all the time."""
    length = math.hypot(a, b)
    if length == 0.0:
        return np.array([[0.0, 0.0], [0.0, math.hypot(c, d)]])
    return np.array([[length, 0.0], [(a * c + b * d) / length, abs(a * d - b * c) / length]])


#: Elements, shapes, terms with structures, and coordinates to lift, as a chart has them.
Layout: TypeAlias = tuple[
    list[tuple[int, int, int]], list[tuple[int, int]], frozenset[int], NDArray[np.bool_]
]


@dataclass(frozen=True)
class Natural:
    """A parameter of a structure on its own scale, from its coordinate.

    Attributes
    ----------
    structure : Structure
        The structure.
    number : int
        Which of its parameters.
    scale : ndarray of shape (k,)
        Standardised columns to those as written.
    unit : float
        What standard deviations are relative to.
    """

    structure: Structure
    number: int
    scale: Array
    unit: float

    @property
    def ends(self) -> tuple[float, float]:
        """Coordinates beyond which the parameter is as good as at its limit."""
        structure, number = self.structure, self.number
        if number < structure.n_sds:
            far = 24.0 if structure.kind == "precisions" else 12.0
            return (0.0, np.inf) if structure.zero == 0.0 else (-far, far)
        if structure.kind in ("cs", "ar1", "toep") or number > structure.n_sds:
            return -7.0, 7.0
        middle = float(structure.core.start(np.ones(len(structure.names)), 0)[number])
        return middle - 12.0, middle + 12.0

    def __call__(self, coordinate: float) -> float:
        """Return the parameter; its limit at the ends."""
        low, high = self.ends
        if (coordinate <= low and np.isfinite(high)) or coordinate >= high:
            if coordinate <= low and self.number < self.structure.n_sds:
                return 0.0
            coordinate = np.copysign(1e3, coordinate - 0.5 * (low + high))
        psi = np.zeros(self.structure.n_parameters)
        psi[self.number] = coordinate
        with np.errstate(over="ignore"):
            return self._at(psi)

    def _at(self, psi: Array) -> float:
        return float(scaled_natural(self.structure, psi, self.scale, self.unit)[self.number])


@dataclass(frozen=True)
class Chart:
    """A vector x of coordinates, one of them held if the target is among them, for covariances.

    Sigma_t = W^-1 L_t L_t' W^-T in the standardised basis; x holds the elements of the L_t. For a
    standard deviation W's first row is the direction whose standard deviation it is, so that
    L[0, 0] is that parameter in units of ``unit``. For a correlation the first two rows are its two
    directions and

        L[0, 0] = exp(x_a),   (L[1, 0], L[1, 1]) = exp(x_b) (sin x_h, cos x_h),   rho = sin x_h.

    Attributes
    ----------
    target : Target
        The parameter.
    held : int
        Its coordinate; -1 where it is no covariance parameter.
    low, high : float
        Bounds of the held coordinate.
    unit : float
        Value of a standard deviation at coordinate 1.
    elements : list of (int, int, int)
        Term, row and column of each coordinate.
    shapes : list of (int, int)
        Of each term (s, s); of one with structures, whose coordinates are their parameters, (m, 1).
    structured : frozenset of int
        Those terms.
    lifted_too : ndarray of shape (m,), bool
        Coordinates that a search could not move off zero.
    back : ndarray of shape (s, s)
        W^-1 of the target's term.
    first : int
        Coordinate of L[0, 0] of the target's block.
    second : int
        Coordinate of L[1, 1]; -1 unless the target is a correlation.
    natural : Natural or None
        Of a parameter of a structure, what puts it on its own scale.
    """

    target: Target
    held: int
    low: float
    high: float
    unit: float
    elements: list[tuple[int, int, int]]
    shapes: list[tuple[int, int]]
    structured: frozenset[int]
    lifted_too: NDArray[np.bool_]
    back: Array
    first: int = -1
    second: int = -1
    natural: Natural | None = None

    def factors(self, x: Array) -> list[Array]:
        """L_t of every term, held term in its own directions."""
        blocks = [np.zeros(shape) for shape in self.shapes]
        for value, (t, i, j) in zip(x.tolist(), self.elements, strict=True):
            blocks[t][i, j] = value
        if self.second >= 0:
            t, i, _ = self.elements[self.first]
            _, j, _ = self.elements[self.second]
            length = np.exp(x[self.second])
            blocks[t][i, i] = np.exp(x[self.first])
            blocks[t][j, i] = length * np.sin(x[self.held])
            blocks[t][j, j] = length * np.cos(x[self.held])
        return blocks

    @property
    def turned(self) -> int:
        """The term whose L is in directions of its own; -1 where none is."""
        term = self.target.term
        return term if term >= 0 and self.first >= 0 and self.shapes[term][1] > 1 else -1

    def roots(self, L: list[Array]) -> list[Array]:
        """Roots W^-1 L_t of the covariances in the standardised basis."""
        return [self.back @ block if t == self.turned else block for t, block in enumerate(L)]

    def coordinates(self, lambda_standard: list[Array]) -> Array:
        """Coordinates of factors in the standardised basis."""
        blocks = list(lambda_standard)
        if (t := self.turned) >= 0:
            blocks[t] = lower_factor(np.asarray(np.linalg.solve(self.back, blocks[t])))
        x = np.array([blocks[t][i, j] for t, i, j in self.elements])
        even = self.lifted_too & np.isin([t for t, _, _ in self.elements], list(self.structured))
        x[even] = np.abs(x[even])  # a structure's standard deviation may have any sign
        if self.second >= 0:
            along, across = x[self.held], x[self.second]
            x[self.held] = np.arctan2(along, across) if along or across else 0.0
            x[self.second] = np.log(max(np.hypot(along, across), 1e-3))
            x[self.first] = np.log(max(x[self.first], 1e-3))
        return x

    def gradient(self, x: Array, by_root: list[Array]) -> Array:
        """Chain rule from derivatives by all elements of the ``roots``."""
        by_factor = [self.back.T @ G if t == self.turned else G for t, G in enumerate(by_root)]
        g = np.array([by_factor[t][i, j] for t, i, j in self.elements])
        if self.second >= 0:
            across, length = g[self.second], np.exp(x[self.second])
            sin, cos = np.sin(x[self.held]), np.cos(x[self.held])
            g[self.second] = length * (sin * g[self.held] + cos * across)
            g[self.held] = length * (cos * g[self.held] - sin * across)
            g[self.first] *= np.exp(x[self.first])
        return g

    def value(self, coordinate: float) -> float:
        """Return the parameter on its own scale."""
        if self.natural is not None:
            return self.natural(coordinate)
        return float(np.sin(coordinate)) if self.second >= 0 else self.unit * coordinate

    def lifted(self, x: Array) -> Array:
        """Move free diagonal elements off zero, where a search would be stuck."""
        out = x.copy()
        for a in np.flatnonzero(self.lifted_too):
            if a == self.held:
                continue
            if self.second >= 0 and a in (self.first, self.second):
                out[a] = max(out[a], np.log(LIFT))
            elif abs(out[a]) < LIFT:
                out[a] = LIFT
        return out


class Based(Protocol):
    """A kernel, or what stands in for it."""

    @property
    def parameters(self) -> list[tuple[int, int, int]]:
        """Term, row and column of each element of the covariance factors."""

    def term_basis(self, term: int) -> Array:
        """Standardised columns of a term to those as written."""


def chart(design: Design, core: Based, target: Target, scale: float) -> Chart:
    """Make coordinates of covariances relative to ``scale`` in which ``target`` is held."""
    elements, lifted_too = _elements(design, core)
    shapes = [
        (term.n_covariances, 1) if term.is_structured else (term.n_cols, term.n_cols)
        for term in design.random
    ]
    structured = frozenset(t for t, term in enumerate(design.random) if term.is_structured)
    layout = (elements, shapes, structured, lifted_too)
    if target.kind not in ("sd", "cor", "natural"):
        return Chart(target, -1, -np.inf, np.inf, 1.0, *layout, np.eye(0))
    if target.term in structured:
        return _of_structure(design, core, target, scale, layout)
    block = np.array(block_of(design, target))
    T = core.term_basis(target.term)[np.ix_(block, block)]
    rows = [int(np.flatnonzero(block == c)[0]) for c in dict.fromkeys((target.j, target.i))]
    directions = T[rows].T
    lengths = np.linalg.norm(directions, axis=0)
    rest = np.linalg.qr(directions, mode="complete")[0][:, len(rows) :]
    back = np.eye(shapes[target.term][0])
    back[np.ix_(block, block)] = np.linalg.inv(np.hstack([directions / lengths, rest]).T)
    first = elements.index((target.term, int(block[0]), int(block[0])))
    if target.kind == "sd":
        unit = float(lengths[0]) * scale
        return Chart(target, first, 0.0, np.inf, unit, *layout, back, first)
    held = elements.index((target.term, int(block[1]), int(block[0])))
    second = elements.index((target.term, int(block[1]), int(block[1])))
    return Chart(target, held, -np.pi / 2, np.pi / 2, 1.0, *layout, back, first, second)


def _elements(design: Design, core: Based) -> tuple[list[tuple[int, int, int]], NDArray[np.bool_]]:
    """Place of each parameter in the state of its term, and whether zero would hold it."""
    elements, lifted, following = [], [], dict.fromkeys(range(len(design.random)), 0)
    for t, i, j in core.parameters:
        if not design.random[t].is_structured:
            elements.append((t, i, j))
            lifted.append(i == j)
            continue
        elements.append((t, following[t], 0))
        following[t] += 1
        structure = None if j >= 0 else design.random[t].block_structures[-1 - j]
        even = structure is not None and structure.homogeneous and structure.kind != "precisions"
        lifted.append(i < structure.n_sds if structure is not None and even else j == i)
    return elements, np.array(lifted, dtype=bool)


def _of_structure(
    design: Design,
    core: Based,
    target: Target,
    scale: float,
    layout: Layout,
) -> Chart:
    """Hold a parameter of a term with structures, which is a coordinate as it is."""
    term, parameters = design.random[target.term], list(core.parameters)
    if target.kind != "natural":  # a free block beside
        if len(block_of(design, target)) > 1:
            raise UnsupportedError(
                f"a profile of {term.written} is not available: beside a covariance structure its "
                f"group has correlated columns; write them with ||, or use conf_int('wald')"
            )
        at = parameters.index((target.term, target.i, target.i))
        unit = scale * float(core.term_basis(target.term)[target.i, target.i])
        return Chart(target, at, 0.0, np.inf, unit, *layout, np.eye(0))
    structure = term.block_structures[target.i]
    assert structure is not None
    at = parameters.index((target.term, target.j, -1 - target.i))
    own = np.ascontiguousarray(np.diag(core.term_basis(target.term))[list(term.blocks[target.i])])
    natural = Natural(structure, target.j, own, scale)
    low, high = natural.ends
    return Chart(target, at, low, high, 1.0, *layout, np.eye(0), natural=natural)
