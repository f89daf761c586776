"""Draws of a predictor that agree with the analysis: with its levels, its slopes and its products.

Where the effect of a predictor varies, or groups differ in size, no regression of the predictor on
the response is linear with constant variance, and assuming one biases the slope and
its variance [1]_. Here a value is drawn from its own model given the other predictors, times the
likelihood of the response given it [2]_. That of a predictor of groups is the likelihood of all
rows of the group, its random effects integrated out: given them, the value would hardly move.

References
----------
.. [1] Enders, Hayes and Du (2018), Multivariate Behavioral Research 53, 695-713.
.. [2] Bartlett, Seaman, White and Carpenter (2015), Statistical Methods in Medical Research 24,
       462-487; Goldstein, Carpenter and Browne (2014), J. R. Stat. Soc. A 177, 553-564.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from .._typing import Array
from ..formula import FactorKind
from .coding import Coding, Problem
from .sampler import Block, Sampler
from .variables import Variable

__all__ = [
    "Likelihood",
    "drawn_categories",
    "drawn_numbers",
    "is_asked_for",
    "log_shares",
    "outcome_problem",
    "own_problem",
]


def is_asked_for(coding: Coding, target: str) -> bool:
    """Return whether a predictor is drawn with the likelihood of a continuous response.

    This holds for predictors with few values, with a varying effect, or in a product.
    For the rest the regression on the response is right, and quicker.
    """
    variables = coding.variables
    item, outcome = variables.items[target], variables.items[variables.outcome]
    if (
        target == outcome.name
        or outcome.level
        or item.kind not in ("continuous", "binary", "categorical")
        or outcome.kind != "continuous"
        or variables.formula.left.kind is not FactorKind.NAME
    ):
        return False
    multiplied = any(target in pair for pair in coding.products)
    if item.level:
        slopes = bool(coding.slopes(item.level))
        asked = multiplied or slopes or item.kind != "continuous"
        return asked and not coding.vary(target, item.level)
    varies = any(coding.vary(target, group) for group in coding.groups)
    return item.kind != "continuous" or varies or multiplied


def own_problem(coding: Coding, target: str, values: Mapping[str, Array]) -> Problem:
    """Set up the regression of a predictor on the other predictors, the response left out."""
    item = coding.variables.items[target]
    coded = coding.coded(values, without=(target, coding.variables.outcome))
    if item.level:
        return coding.of_groups(item, coded)
    n = len(values[target])
    pairs = [pair for pair in coding.products if target not in pair]
    columns = [np.ones((n, 1)), *coded.values(), *coding.multiplied(pairs, coded)]
    X = np.column_stack([*columns, *coding.means(coded)])
    blocks = [
        Block(codes, np.ones((n, 1)), len(levels)) for codes, levels in coding.groups.values()
    ]
    return Problem(X, blocks, np.arange(n), np.arange(n))


def outcome_problem(coding: Coding, values: Mapping[str, Array]) -> Problem:
    """Set up the analysis itself: the response on all predictors, with its random effects."""
    outcome = coding.variables.outcome
    coded = coding.coded(values, without=(outcome,))
    n = len(values[outcome])
    ones = np.ones((n, 1))
    X = np.column_stack([ones, *coded.values(), *coding.multiplied(coding.products, coded)])
    blocks = [
        Block(codes, coding.effects(name, coded), len(levels))
        for name, (codes, levels) in coding.groups.items()
    ]
    return Problem(X, blocks, np.arange(n), np.arange(n))


@dataclass(frozen=True)
class Likelihood:
    """What the response says about one predictor, given the parameters of the analysis.

    Attributes
    ----------
    coding : Coding
        The variables.
    item : Variable
        The predictor.
    analysis : Sampler
        The model of the response, with a draw of its parameters.
    y : ndarray of shape (n,)
        The response.
    """

    coding: Coding
    item: Variable
    analysis: Sampler
    y: Array

    @property
    def block(self) -> Block | None:
        """The random effects that are integrated out: those of the predictor's groups."""
        names = list(self.coding.groups)
        return self.analysis.blocks[names.index(self.item.level)] if self.item.level else None

    def residual(self, values: Mapping[str, Array], at: float | None = None) -> Array:
        """Leave what the analysis does not explain, with the predictor at one value everywhere.

        The random effects of the predictor's groups are not subtracted.
        """
        moved = dict(values)
        if at is not None:
            moved[self.item.name] = np.full(len(self.y), at)
        problem = outcome_problem(self.coding, moved)
        left = self.y - problem.X @ self.analysis.beta
        for there, here in zip(self.analysis.blocks, problem.blocks, strict=True):
            if there is not self.block:
                left = left - np.einsum("ij,ij->i", here.Z, there.b[there.codes])
        return np.asarray(left)

    def inner(self, a: Array, b: Array) -> Array:
        """Product of two columns under the inverse covariance, for each row or each group."""
        variance, block = self.analysis.variance, self.block
        if block is None:
            return np.asarray(a * b / variance)
        ridge = block.gram() + variance * np.linalg.inv(block.Sigma)
        solved = np.linalg.solve(ridge, block.sums(b)[..., None])[..., 0]
        total = np.bincount(block.codes, a * b, block.n_levels)
        return np.asarray((total - np.einsum("ij,ij->i", block.sums(a), solved)) / variance)

    def refresh(self, values: Mapping[str, Array], rng: np.random.Generator) -> None:
        """Draw the random effects that were integrated out, at the predictor's new values."""
        if self.block is not None:
            everywhere = np.ones(len(self.y), bool)
            self.block.draw(self.residual(values), self.analysis.variance, everywhere, rng)


def drawn_numbers(
    likelihood: Likelihood,
    values: Mapping[str, Array],
    ends: tuple[float, float],
    mean: Array,
    variance: float,
    rng: np.random.Generator,
) -> Array:
    """Draw a continuous predictor, in units of its column, exactly.

    Parameters
    ----------
    likelihood : Likelihood
        Of the response.
    values : mapping of str to ndarray
        Present values of all variables.
    ends : (float, float)
        The values where the predictor's column is 0, and where it is 1.
    mean, variance : ndarray of shape (u,) and float
        What its own model predicts for each row, or each group.
    rng : Generator
        Randomness.
    """
    left = likelihood.residual(values, ends[0])
    slope = left - likelihood.residual(values, ends[1])
    precision = 1.0 / variance + likelihood.inner(slope, slope)
    best = (mean / variance + likelihood.inner(slope, left)) / precision
    return np.asarray(best + rng.normal(size=len(mean)) / np.sqrt(precision))


def drawn_categories(
    likelihood: Likelihood,
    values: Mapping[str, Array],
    shares: Array,
    rng: np.random.Generator,
) -> Array:
    """Draw a predictor of few values, exactly, from logarithms of its own shares, (u, levels)."""
    lefts = [likelihood.residual(values, float(k)) for k in range(shares.shape[1])]
    fit = np.column_stack([likelihood.inner(left, left) for left in lefts])
    noise = rng.gumbel(size=shares.shape)
    return np.asarray(np.argmax(shares - 0.5 * fit + noise, axis=1), np.float64)


def log_shares(samplers: Sequence[Sampler], X: Array) -> Array:
    """Logarithms of the shares of categories: this one, or one of those that follow."""
    out, before = [], np.zeros(len(X))
    for sampler in samplers:
        mean = sampler.mean(X, slice(None))
        out.append(before + log_ndtr(mean))
        before = before + log_ndtr(-mean)
    return np.column_stack([*out, before])
