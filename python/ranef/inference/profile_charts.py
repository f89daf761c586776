"""Coordinates of the covariance parameters in which one parameter of interest is a coordinate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from .profile_targets import Target, block_of

__all__ = ["Chart", "chart", "lower_factor"]

Array = NDArray[np.float64]

#: Relative standard deviation below which a free direction is lifted before a search, which could
#: not leave zero by itself: the deviance is even in it.
LIFT = 0.02


def lower_factor(B: Array) -> Array:
    """Give the lower-triangular L with L L' = B B' and a diagonal of no negative sign."""
    if B.shape == (2, 2):
        return _lower_two(*B.ravel().tolist())
    R: Array = np.linalg.qr(B.T)[1]
    return np.asarray((R * np.where(np.diag(R) < 0.0, -1.0, 1.0)[:, None]).T)


def _lower_two(a: float, b: float, c: float, d: float) -> Array:
    """``lower_factor`` of [[a, b], [c, d]], which small models ask for all the time."""
    length = math.hypot(a, b)
    if length == 0.0:
        return np.array([[0.0, 0.0], [0.0, math.hypot(c, d)]])
    return np.array([[length, 0.0], [(a * c + b * d) / length, abs(a * d - b * c) / length]])


@dataclass(frozen=True)
class Chart:
    """A vector x of coordinates, one of them held, for the covariances and sigma.

    Sigma_t = W^-1 L_t L_t' W^-T in the standardised basis, in units of ``scale``^2; x holds the
    elements of the L_t and log(sigma / scale). For a standard deviation W's first row is the
    direction whose standard deviation it is, so that L[0, 0] is that parameter in units of
    ``unit``. For a correlation the first two rows are its two directions and

        L[0, 0] = exp(x_a),   (L[1, 0], L[1, 1]) = exp(x_b) (sin x_h, cos x_h),   rho = sin x_h.

    Attributes
    ----------
    target : Target
        The parameter.
    held : int
        Its coordinate.
    low, high : float
        Bounds of the held coordinate.
    unit : float
        Value of a standard deviation at coordinate 1.
    scale : float
        Residual standard deviation at the optimum.
    elements : list of (int, int, int)
        Term, row and column of each coordinate but the last.
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
    scale: float
    elements: list[tuple[int, int, int]]
    sizes: list[int]
    back: Array
    first: int
    second: int

    def factors(self, x: Array) -> list[Array]:
        """L_t of every term, held term in its own directions."""
        blocks = [np.zeros((k, k)) for k in self.sizes]
        for value, (t, i, j) in zip(x[:-1].tolist(), self.elements, strict=True):
            blocks[t][i, j] = value
        if self.second >= 0:
            t, i, _ = self.elements[self.first]
            _, j, _ = self.elements[self.second]
            length = np.exp(x[self.second])
            blocks[t][i, i] = np.exp(x[self.first])
            blocks[t][j, i] = length * np.sin(x[self.held])
            blocks[t][j, j] = length * np.cos(x[self.held])
        return blocks

    def relative(self, L: list[Array], log_sigma: float) -> list[Array]:
        """Relative covariance factors in the standardised basis, lower triangular."""
        shrink = np.exp(-log_sigma)
        out = [block * shrink for block in L]
        t = self.target.term
        if t >= 0 and self.sizes[t] > 1:
            out[t] = lower_factor(self.back @ out[t])
        return out

    def coordinates(self, lambda_standard: list[Array]) -> Array:
        """Coordinates of the optimum, whose sigma is ``scale``."""
        blocks = list(lambda_standard)
        t = self.target.term
        if t >= 0 and self.sizes[t] > 1:
            blocks[t] = lower_factor(np.asarray(np.linalg.solve(self.back, blocks[t])))
        x = np.array([*(blocks[t][i, j] for t, i, j in self.elements), 0.0])
        if self.second >= 0:
            along, across = x[self.held], x[self.second]
            x[self.held] = np.arctan2(along, across) if along or across else 0.0
            x[self.second] = np.log(max(np.hypot(along, across), 1e-3))
            x[self.first] = np.log(max(x[self.first], 1e-3))
        return x

    def gradient(
        self, x: Array, L: list[Array], by_relative: list[Array], by_sigma: float
    ) -> Array:
        """Chain rule from derivatives by the relative Sigma_t and by log sigma alone."""
        shrink = np.exp(-2.0 * x[-1])
        g = np.empty_like(x)
        products, along = [], 0.0
        for t, (block, R) in enumerate(zip(L, by_relative, strict=True)):
            if t == self.target.term:
                R = self.back.T @ R @ self.back
            products.append(2.0 * shrink * (R @ block))
            along += float(np.sum(products[-1] * block))
        g[:-1] = [products[t][i, j] for t, i, j in self.elements]
        g[-1] = by_sigma - along
        if self.second >= 0:
            across, length = g[self.second], np.exp(x[self.second])
            sin, cos = np.sin(x[self.held]), np.cos(x[self.held])
            g[self.second] = length * (sin * g[self.held] + cos * across)
            g[self.held] = length * (cos * g[self.held] - sin * across)
            g[self.first] *= np.exp(x[self.first])
        return g

    def value(self, coordinate: float) -> float:
        """Give the parameter on its own scale."""
        if self.target.kind == "sd":
            return self.unit * coordinate
        if self.target.kind == "cor":
            return float(np.sin(coordinate))
        return float(self.scale * np.exp(coordinate))

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


def chart(design: Design, core: _core.Lmm, target: Target, scale: float) -> Chart:
    """Make the coordinates in which ``target`` is held."""
    elements = list(core.parameters)
    sizes = [term.n_cols for term in design.random]
    if target.kind == "sigma":
        held = len(elements)
        return Chart(
            target, held, -np.inf, np.inf, scale, scale, elements, sizes, np.eye(0), held, -1
        )
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
        return Chart(target, first, 0.0, np.inf, unit, scale, elements, sizes, back, first, -1)
    held = elements.index((target.term, int(block[1]), int(block[0])))
    second = elements.index((target.term, int(block[1]), int(block[1])))
    return Chart(
        target, held, -np.pi / 2, np.pi / 2, 1.0, scale, elements, sizes, back, first, second
    )
