"""Draws from the posterior of a mixed model for one variable, given all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from .._typing import Array, Positions

__all__ = ["Block", "Sampler"]

#: Variance of the prior of coefficients, for a response and columns of unit variance.
WIDE = 100.0

#: The scale of the half-t prior of standard deviations of random effects, for a response of unit
#: variance (Huang and Wand 2013, Bayesian Anal. 8, 439-452), with two degrees of freedom.
SCALE, NU = 1.0, 2.0

#: Degrees of freedom that the prior of a residual variance adds to those of Jeffreys: with 2 the
#: mean of the draws is the unbiased estimate, not one that is larger. Draws that are too large
#: spread the imputed values, and bias slopes toward zero where units are few (von Hippel 2013,
#: Sociol. Methods Res. 42, 531-558).
MORE = 2.0

#: Below this the inverse of the normal distribution function is infinite.
TINY = 1e-12

#: Counts are drawn with rates up to this.
LARGEST_RATE = 1e9


@dataclass
class Block:
    """The random effects of one grouping factor.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        Level of each row.
    Z : ndarray of shape (n, k)
        Columns.
    n_levels : int
        Number of levels.
    b : ndarray of shape (n_levels, k)
        Current draw of the effects.
    Sigma : ndarray of shape (k, k)
        Current draw of their covariance.
    """

    codes: Positions
    Z: Array
    n_levels: int
    b: Array = field(default_factory=lambda: np.empty(0))
    Sigma: Array = field(default_factory=lambda: np.empty(0))

    def start(self) -> None:
        """Start with zero effects and a moderate covariance, unless there is already a draw."""
        k = self.Z.shape[1]
        if self.b.shape != (self.n_levels, k):
            self.b = np.zeros((self.n_levels, k))
            self.Sigma = 0.25 * np.eye(k)

    @property
    def effect(self) -> Array:
        """The sum of the effects of each row, shape (n,)."""
        return np.asarray(np.einsum("ij,ij->i", self.Z, self.b[self.codes]))

    def draw(
        self,
        residual: Array,
        variance: float,
        seen: Any,
        rng: np.random.Generator,
        gram: Array | None = None,
    ) -> None:
        """Draw effects and their covariance, given the residuals of the rows that were seen."""
        k = self.Z.shape[1]
        products, right = self.gram(seen) if gram is None else gram, self.sums(residual, seen)
        precision = products / variance + np.linalg.inv(self.Sigma)
        L = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, right[..., None] / variance)
        noise = rng.normal(size=(self.n_levels, k, 1))
        self.b = (mean + np.linalg.solve(L.transpose(0, 2, 1), noise))[..., 0]
        self.Sigma = self._covariance(rng)

    def sums(self, column: Array, seen: Any = slice(None)) -> Array:
        """Z' times a column in each level, shape (n_levels, k)."""
        Z, codes = self.Z[seen], self.codes[seen]
        each = [np.bincount(codes, z * column, self.n_levels) for z in Z.T]
        return np.asarray(np.column_stack(each), np.float64)

    def gram(self, seen: Any = slice(None)) -> Array:
        """Z' Z in each level, shape (n_levels, k, k)."""
        Z = self.Z[seen]
        return np.stack([self.sums(z, seen) for z in Z.T], axis=2)

    def _covariance(self, rng: np.random.Generator) -> Array:
        """Draw the covariance: half-t standard deviations, uniform correlations."""
        k = self.b.shape[1]
        inverse = np.diag(np.linalg.inv(self.Sigma))
        a = (NU * inverse + SCALE**-2) / rng.gamma(0.5 * (NU + k), 1.0, size=k)
        scale = self.b.T @ self.b + 2.0 * NU * np.diag(1.0 / a)
        return inverse_wishart(NU + k - 1.0 + self.n_levels, scale, rng)


@dataclass(frozen=True)
class Crossed:
    """Cross products of columns that stay the same over some draws.

    Attributes
    ----------
    gram : ndarray of shape (p, p) or (n_levels, k, k)
        X' X; or Z' Z in each level.
    inside : ndarray of shape (p, n) or (n_levels, k, p)
        X'; or Z' X in each level.
    seen : ndarray of bool
        The rows that were seen.
    """

    gram: Array
    inside: Array
    seen: Any

    @classmethod
    def of(cls, block: Block, X: Array, seen: Any) -> Crossed:
        """Multiply the columns of a block."""
        inside = np.stack([block.sums(x, seen) for x in X.T], axis=2)
        return cls(block.gram(seen), inside, seen)


def inverse_wishart(df: float, scale: Array, rng: np.random.Generator) -> Array:
    """Draw from the inverse Wishart distribution, by Bartlett's decomposition."""
    k = len(scale)
    T = np.tril(rng.normal(size=(k, k)), -1)
    T[np.diag_indices(k)] = np.sqrt(rng.chisquare(df - np.arange(k)))
    root = np.linalg.cholesky(np.linalg.inv(scale + 1e-12 * np.trace(scale) * np.eye(k)))
    half = root @ T
    return np.asarray(np.linalg.inv(half @ half.T), np.float64)


class Sampler:
    """The chain of one variable: coefficients, random effects, residual variance, latent values.

    A continuous variable is its own latent value; of a binary one the latent value is above zero
    where it is 1 (Albert and Chib 1993); of a count it is the logarithm of the rate.

    Parameters
    ----------
    kind : {"continuous", "binary", "count"}
        What the variable is.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.beta = np.empty(0)
        self.variance = 1.0
        self.latent = np.empty(0)
        self.blocks: list[Block] = []

    def sweep(
        self,
        y: Array,
        seen: Any,
        X: Array,
        blocks: Sequence[Block],
        rng: np.random.Generator,
        count: int,
    ) -> None:
        """Draw the parameters several times, given the observed rows."""
        self._take(y, seen, X, blocks)
        Xs = X[seen]
        wide = WIDE if self.kind == "continuous" else 9.0
        whole = Crossed(Xs.T @ Xs, Xs.T, seen)
        crossed = [Crossed.of(block, Xs, seen) for block in self.blocks]
        fixed = self._mean(X, seen, with_effects=False)
        for _ in range(count):
            effects = sum((block.effect[seen] for block in self.blocks), np.zeros(len(Xs)))
            if self.kind == "binary":
                self.latent = truncated(fixed + effects, y[seen] > 0.5, rng)
            elif self.kind == "count":
                self.latent = log_rates(y[seen], fixed + effects, self.variance, self.latent, rng)
            z = self.latent
            for block, products in zip(self.blocks, crossed, strict=True):
                others = effects - block.effect[seen]
                self.beta = self._coefficients(whole, z - others, wide, rng, block, products)
                fixed = Xs @ self.beta
                block.draw(z - fixed - others, self.variance, seen, rng, products.gram)
                effects = others + block.effect[seen]
            if not self.blocks:
                self.beta = self._coefficients(whole, z, wide, rng)
                fixed = Xs @ self.beta
            if self.kind != "binary":
                left = z - fixed - effects
                self.variance = float((left @ left + 1e-6) / rng.chisquare(len(left) + MORE))

    def _coefficients(
        self,
        whole: Crossed,
        y: Array,
        wide: float,
        rng: np.random.Generator,
        block: Block | None = None,
        products: Crossed | None = None,
    ) -> Array:
        """Draw the coefficients, the effects of one block integrated out.

        Given effects of groups, those coefficients that vary between groups would hardly move.
        """
        precision = whole.gram / self.variance + np.eye(len(whole.gram)) / wide
        right = whole.inside @ y / self.variance
        if block is not None and products is not None:
            ridge = products.gram + self.variance * np.linalg.inv(block.Sigma)
            root = np.linalg.cholesky(ridge)
            half = np.linalg.solve(root, products.inside)
            rest = np.linalg.solve(root, block.sums(y, whole.seen)[..., None])
            flat = half.reshape(-1, half.shape[2])
            precision = precision - flat.T @ flat / self.variance
            right = right - flat.T @ rest.ravel() / self.variance
        L = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, right)
        return np.asarray(mean + np.linalg.solve(L.T, rng.normal(size=len(mean))))

    def _take(self, y: Array, seen: Any, X: Array, blocks: Sequence[Block]) -> None:
        """Start, or continue from the last draws with new columns."""
        old = self.blocks
        self.blocks = list(blocks)
        for i, block in enumerate(self.blocks):
            if i < len(old) and old[i].b.shape == (block.n_levels, block.Z.shape[1]):
                block.b, block.Sigma = old[i].b, old[i].Sigma
            block.start()
        if len(self.beta) != X.shape[1]:
            self.beta = np.zeros(X.shape[1])
            self.variance = 1.0
        if self.kind == "continuous":
            self.latent = y[seen]
        elif self.kind == "count" and len(self.latent) != int(seen.sum()):
            self.latent = np.log(y[seen] + 0.5)

    def _mean(self, X: Array, rows: Any, *, with_effects: bool = True) -> Array:
        """Linear predictor of some rows."""
        out = np.asarray(X[rows] @ self.beta)
        if with_effects:
            out = out + sum((block.effect[rows] for block in self.blocks), np.zeros(len(out)))
        return out

    def mean(self, X: Array, rows: Any) -> Array:
        """Linear predictor of some rows, random effects included."""
        return self._mean(X, rows)

    def draw(self, X: Array, rows: Any, rng: np.random.Generator) -> Array:
        """Draw values for some rows."""
        latent = self._mean(X, rows)
        if self.kind == "binary":
            return np.asarray(latent + rng.normal(size=len(latent)) > 0.0, float)
        latent = latent + np.sqrt(self.variance) * rng.normal(size=len(latent))
        if self.kind == "count":
            return np.asarray(rng.poisson(np.minimum(np.exp(latent), LARGEST_RATE)), float)
        return np.asarray(latent)


def truncated(mean: Array, above: Any, rng: np.random.Generator) -> Array:
    """Draw normal values of unit variance above zero, or below."""
    below = ndtr(-mean)
    u = rng.uniform(size=len(mean))
    p = np.where(above, below + u * (1.0 - below), u * below)
    return np.asarray(mean + ndtri(np.clip(p, TINY, 1.0 - TINY)))


def log_rates(
    y: Array, mean: Array, variance: float, now: Array, rng: np.random.Generator
) -> Array:
    """Update logarithms of Poisson rates by a Metropolis step around their modes."""
    mode = np.log(y + 0.5)
    for _ in range(8):
        rate = np.exp(np.minimum(mode, 50.0))
        slope, bend = y - rate - (mode - mean) / variance, rate + 1.0 / variance
        mode = mode + np.clip(slope / bend, -2.0, 2.0)
    sd = 1.0 / np.sqrt(np.exp(np.minimum(mode, 50.0)) + 1.0 / variance)
    new = mode + sd * rng.standard_t(5, size=len(y))

    def density(at: Array) -> Array:
        target = y * at - np.exp(np.minimum(at, 50.0)) - 0.5 * (at - mean) ** 2 / variance
        return np.asarray(target + 3.0 * np.log1p(((at - mode) / sd) ** 2 / 5.0))

    accept = np.log(rng.uniform(size=len(y))) < density(new) - density(now)
    return np.where(accept, new, now)
