"""Coordinates of the covariance parameters in which one parameter of interest is a coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._typing import Array
from ...design.design import Design
from .targets import Target, block_of

__all__ = ["Chart", "chart", "exponential", "lower_factor"]


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
    sizes : list of int
        Columns of each term.
    back : ndarray of shape (s, s)
        W^-1 of the target's term.
    first : int
        Coordinate of L[0, 0] of the target's block.
    second : int
        Coordinate of L[1, 1]; -1 unless the target is a correlation.
    """

    target: Target
    held: int
    low: float
    high: float
    unit: float
    elements: list[tuple[int, int, int]]
    sizes: list[int]
    back: Array
    first: int = -1
    second: int = -1

    def factors(self, x: Array) -> list[Array]:
        """L_t of every term, held term in its own directions."""
        blocks = [np.zeros((k, k)) for k in self.sizes]
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
        return term if term >= 0 and self.sizes[term] > 1 else -1

    def roots(self, L: list[Array]) -> list[Array]:
        """Roots W^-1 L_t of the covariances in the standardised basis."""
        return [self.back @ block if t == self.turned else block for t, block in enumerate(L)]

    def coordinates(self, lambda_standard: list[Array]) -> Array:
        """Coordinates of factors in the standardised basis."""
        blocks = list(lambda_standard)
        if (t := self.turned) >= 0:
            blocks[t] = lower_factor(np.asarray(np.linalg.solve(self.back, blocks[t])))
        x = np.array([blocks[t][i, j] for t, i, j in self.elements])
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
        return float(np.sin(coordinate)) if self.second >= 0 else self.unit * coordinate

    def lifted(self, x: Array) -> Array:
        """Move free diagonal elements off zero, where a search would be stuck."""
        out = x.copy()
        for a, (_, i, j) in enumerate(self.elements):
            if a == self.held or i != j:
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
    elements = list(core.parameters)
    sizes = [term.n_cols for term in design.random]
    if target.kind not in ("sd", "cor"):
        return Chart(target, -1, -np.inf, np.inf, 1.0, elements, sizes, np.eye(0))
    block = np.array(block_of(design, target))
    T = core.term_basis(target.term)[np.ix_(block, block)]
    rows = [int(np.flatnonzero(block == c)[0]) for c in dict.fromkeys((target.j, target.i))]
    directions = T[rows].T
    lengths = np.linalg.norm(directions, axis=0)
    rest = np.linalg.qr(directions, mode="complete")[0][:, len(rows) :]
    back = np.eye(sizes[target.term])
    back[np.ix_(block, block)] = np.linalg.inv(np.hstack([directions / lengths, rest]).T)
    first = elements.index((target.term, int(block[0]), int(block[0])))
    if target.kind == "sd":
        unit = float(lengths[0]) * scale
        return Chart(target, first, 0.0, np.inf, unit, elements, sizes, back, first)
    held = elements.index((target.term, int(block[1]), int(block[0])))
    second = elements.index((target.term, int(block[1]), int(block[1])))
    return Chart(target, held, -np.pi / 2, np.pi / 2, 1.0, elements, sizes, back, first, second)
