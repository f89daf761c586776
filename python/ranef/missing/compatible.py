"""Draws of a predictor that agree with the analysis: with its slopes by group, and its products.

Where the effect of a predictor varies, no regression of the predictor on the response is linear
with constant variance, and one that is taken to be so biases the slope and its variance [1]_. Here
a value is drawn from its own model given the other predictors, times the likelihood of the response
given it [2]_.

References
----------
.. [1] Enders, Hayes and Du (2018), Multivariate Behavioral Research 53, 695-713.
.. [2] Bartlett, Seaman, White and Carpenter (2015), Statistical Methods in Medical Research 24,
       462-487; Goldstein, Carpenter and Browne (2014), J. R. Stat. Soc. A 177, 553-564.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, log_ndtr

from .._typing import Array
from ..formula import FactorKind
from .coding import Coding, Problem
from .sampler import Block, Sampler

__all__ = ["drawn", "is_asked_for", "outcome_problem", "own_problem"]


def is_asked_for(coding: Coding, target: str) -> bool:
    """Whether a predictor of rows has an effect that varies, on a response that is continuous."""
    variables = coding.variables
    item, outcome = variables.items[target], variables.items[variables.outcome]
    if (
        target == outcome.name
        or item.level
        or item.kind not in ("continuous", "binary")
        or outcome.kind != "continuous"
        or variables.formula.left.kind is not FactorKind.NAME
    ):
        return False
    slopes = [name for group in coding.groups for name in coding.slopes(group)]
    return target in slopes or any(target in pair for pair in coding.products)


def own_problem(coding: Coding, target: str, values: Mapping[str, Array]) -> Problem:
    """Set up the regression of a predictor on the other predictors, the response left out."""
    coded = coding.coded(values, without=(target, coding.variables.outcome))
    n = len(values[target])
    pairs = [pair for pair in coding.products if target not in pair]
    columns = [np.ones((n, 1)), *coded.values(), *coding.multiplied(pairs, coded)]
    X = np.column_stack([*columns, *coding.means(coded)])
    blocks = [
        Block(codes, np.ones((n, 1)), len(levels)) for codes, levels in coding.groups.values()
    ]
    return Problem(X, blocks, np.arange(n), np.arange(n))


def outcome_problem(
    coding: Coding, target: str, values: Mapping[str, Array]
) -> tuple[Problem, Array, list[Array]]:
    """Set up the analysis itself, and what the target is multiplied by in it.

    Returns
    -------
    Problem
        The response on all predictors, with the random effects of the analysis.
    ndarray of shape (n, p)
        Derivative of the columns by the target's.
    list of ndarray of shape (n, k)
        The same of the columns of each block.
    """
    outcome = coding.variables.outcome
    coded = coding.coded(values, without=(outcome,))
    n = len(values[target])
    ones = np.ones((n, 1))
    moved = {name: np.ones_like(c) * (name == target) for name, c in coded.items()}
    pairs = [pair for pair in coding.products if outcome not in pair]
    by = [(a, b) if a == target else (b, a) for a, b in pairs]
    X = np.column_stack([ones, *coded.values(), *coding.multiplied(by, coded)])
    products = [
        coded[b] if a == target else np.zeros((n, coded[a].shape[1] * coded[b].shape[1]))
        for a, b in by
    ]
    D = np.column_stack([0.0 * ones, *moved.values(), *products])
    blocks, slopes = [], []
    for name, (codes, levels) in coding.groups.items():
        varying = [s for s in coding.slopes(name) if s in coded]
        Z = np.column_stack([ones, *(coded[s] for s in varying)])
        blocks.append(Block(codes, Z, len(levels)))
        slopes.append(np.column_stack([0.0 * ones, *(moved[s] for s in varying)]))
    return Problem(X, blocks, np.arange(n), np.arange(n)), D, slopes


def drawn(
    own: Sampler,
    mean: Array,
    analysis: Sampler,
    residual: Array,
    slope: Array,
    now: Array,
    ends: tuple[float, float],
    rng: np.random.Generator,
) -> Array:
    """Draw values of the target, in units of its column.

    Parameters
    ----------
    own : Sampler
        The target's own model; a probit model of a binary one.
    mean : ndarray of shape (m,)
        What it predicts.
    analysis : Sampler
        The model of the response.
    residual : ndarray of shape (m,)
        What it leaves at the present values.
    slope : ndarray of shape (m,)
        Its slope by the target's column.
    now : ndarray of shape (m,)
        The present values.
    ends : (float, float)
        The column where a binary target is 0, and where it is 1.
    rng : Generator
        Randomness.
    """
    variance = analysis.variance
    if own.kind == "binary":
        zero, one = (residual + slope * (now - end) for end in ends)
        odds = log_ndtr(mean) - log_ndtr(-mean) + (zero**2 - one**2) / (2.0 * variance)
        return np.asarray(rng.random(len(mean)) < expit(odds), float)
    precision = 1.0 / own.variance + slope**2 / variance
    best = (mean / own.variance + slope * (residual + slope * now) / variance) / precision
    return np.asarray(best + rng.normal(size=len(mean)) / np.sqrt(precision))
