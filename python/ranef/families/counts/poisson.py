"""Counts whose variance is their mean."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import COUNTS, LINKS

__all__ = ["POISSON"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu."""
    return mu


def deviance(y: Array, mu: Array, params: Params) -> Array:
    """Return the deviance of a count."""
    return np.asarray(2.0 * (scipy.special.xlogy(y, y / mu) - (y - mu)))


def logpdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the log probability of a count."""
    return np.asarray(scipy.stats.poisson.logpmf(y, mu))


def cdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the probability of at most y."""
    k = np.floor(y)
    return np.where(k < 0.0, 0.0, scipy.special.gammaincc(np.maximum(k, 0.0) + 1.0, mu))


def quantile(p: Array | float, mu: Array, params: Params) -> Array:
    """Return the smallest count whose distribution function reaches p."""
    return np.asarray(scipy.stats.poisson.ppf(p, mu))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts."""
    return np.asarray(rng.poisson(mu), dtype=np.float64)


def quasi_likelihood(y: Array, mu: Array) -> Array:
    """Return the quasi-likelihood of each row."""
    return y * np.log(mu) - mu


POISSON = Family(
    name="poisson",
    core="poisson",
    estimators=("glmer", "glmm", "gee", "feglm", "growth_mixture"),
    links=(LOG,),
    part_links=LINKS,
    support=COUNTS,
    unit_variance=unit_variance,
    deviance=deviance,
    logpdf=logpdf,
    cdf=cdf,
    quantile=quantile,
    draw=draw,
    takes_zero=True,
    quasi_likelihood=quasi_likelihood,
    wider="negative_binomial",
    aliases=("count", "counts", "quasipoisson"),
)
