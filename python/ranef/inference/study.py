"""Simulation studies: responses drawn from stated parameters, and how well fits find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from .._typing import Array
from ..design.design import Design, only_plain
from ..models.glmm.estimate import GlmmSpec
from ..models.roots import root_of

__all__ = [
    "Performance",
    "Truth",
    "binomial_interval",
    "draw_counts",
    "draw_responses",
    "performance",
]


@dataclass(frozen=True)
class Truth:
    """What responses are drawn from.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Fixed effects.
    cov : tuple of ndarray of shape (s, s)
        Covariance matrix of each term's random effects.
    sigma : float
        Residual standard deviation; of a generalised model its dispersion, 1 where it has none.
    """

    beta: Array
    cov: tuple[Array, ...]
    sigma: float


def draw_responses(design: Design, truth: Truth, n: int, rng: np.random.Generator) -> Array:
    """Draw responses, random effects again each time, shape (n_obs, n), a response a column."""
    only_plain(design, "a simulated study", "draw responses by model.simulate()")
    out = rng.standard_normal((n, design.n_obs))
    out *= truth.sigma if design.weights is None else truth.sigma / np.sqrt(design.weights)
    return add_predictor(out, design, truth, rng).T


def draw_counts(
    design: Design, truth: Truth, spec: GlmmSpec, n: int, rng: np.random.Generator
) -> Array:
    """Draw responses of a generalised model, shares where there are trials, shape (n_obs, n)."""
    only_plain(design, "a simulated study", "draw responses by model.simulate()")
    eta = add_predictor(np.zeros((n, design.n_obs)), design, truth, rng)
    family = spec.distribution
    trials = np.ones(design.n_obs) if design.weights is None else design.weights
    mu = spec.transform.mean(eta)
    return np.asarray(family.draw(rng, mu, family.params(truth.sigma, trials)), dtype=float).T


def add_predictor(out: Array, design: Design, truth: Truth, rng: np.random.Generator) -> Array:
    """Add fixed and random effects, drawn anew for each response, to ``out`` (n, n_obs)."""
    n = len(out)
    for term, cov in zip(design.random, truth.cov, strict=True):
        b = rng.standard_normal((n, term.n_levels, term.n_cols)) @ root_of(cov).T
        for j, reference in enumerate(term.columns):
            effect = b[:, term.codes, j]
            out += effect if reference < 0 else effect * design.columns[reference]
    out += design.X @ truth.beta
    if design.offset is not None:
        out += design.offset
    return out


@dataclass(frozen=True)
class Performance:
    """How estimates of some parameters behave over data sets; an entry a parameter.

    Attributes
    ----------
    n : ndarray of shape (k,)
        Data sets with an estimate.
    mean, bias, bias_mcse : ndarray of shape (k,)
        Mean estimate, its distance from the truth, and the Monte Carlo error of that.
    sd, sd_mcse : ndarray of shape (k,)
        Standard deviation of the estimates, and its Monte Carlo error.
    rmse : ndarray of shape (k,)
        Root of the mean squared distance from the truth.
    """

    n: Array
    mean: Array
    bias: Array
    bias_mcse: Array
    sd: Array
    sd_mcse: Array
    rmse: Array


def performance(estimates: Array, truth: Array) -> Performance:
    """Measure estimates (n, k) against the truth (k,); rows with NaN in a column do not count.

    References
    ----------
    Morris, White and Crowther (2019), Stat. Med. 38, 2074-2102, table 6.
    """
    known = ~np.isnan(estimates)
    n = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, estimates, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.sum(axis=0) / n
        squares = np.where(known, (estimates - mean) ** 2, 0.0).sum(axis=0)
        sd = np.sqrt(squares / (n - 1.0))
        return Performance(
            n=n,
            mean=mean,
            bias=mean - truth,
            bias_mcse=sd / np.sqrt(n),
            sd=sd,
            sd_mcse=sd / np.sqrt(2.0 * (n - 1.0)),
            rmse=np.sqrt(squares / n + (mean - truth) ** 2),
        )


def binomial_interval(count: Array, n: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Return exact intervals of a probability (Clopper and Pearson) from counts out of n."""
    half = 0.5 * (1.0 - level)
    count, n = np.broadcast_arrays(np.asarray(count, float), np.asarray(n, float))
    low = np.where(
        count > 0, scipy.special.betaincinv(np.maximum(count, 1), n - count + 1, half), 0.0
    )
    rest = np.maximum(n - count, 1)
    high = np.where(count < n, scipy.special.betaincinv(count + 1, rest, 1.0 - half), 1.0)
    unknown = n < 1
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
