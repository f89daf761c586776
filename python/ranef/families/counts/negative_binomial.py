"""Counts whose variance is mu + mu² / size."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import COUNTS, LINKS, SIZE

__all__ = ["NEGATIVE_BINOMIAL"]

#: A size this large leaves a negative binomial no different from a Poisson distribution.
NO_EXCESS = 1e5


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu + mu² / size."""
    return mu + mu**2 / params["size"]


def deviance(y: Array, mu: Array, params: Params) -> Array:
    """Return the deviance at a known size."""
    k = params["size"]
    unit = scipy.special.xlogy(y, y / mu) - (y + k) * np.log((y + k) / (mu + k))
    return np.asarray(2.0 * unit)


def logpdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the log probability of a count."""
    k = params["size"]
    return np.asarray(scipy.stats.nbinom.logpmf(y, k, k / (k + mu)))


def cdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the probability of at most y."""
    k, whole = params["size"], np.floor(y)
    inner = scipy.special.betainc(k, np.maximum(whole, 0.0) + 1.0, k / (k + mu))
    return np.where(whole < 0.0, 0.0, inner)


def quantile(p: Array | float, mu: Array, params: Params) -> Array:
    """Return the smallest count whose distribution function reaches p."""
    k = params["size"]
    return np.asarray(scipy.stats.nbinom.ppf(p, k, k / (k + mu)))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts whose means are gamma distributed."""
    k = params["size"]
    return np.asarray(rng.poisson(rng.gamma(k, mu / k)), dtype=np.float64)


def no_excess(params: Params) -> bool:
    """Return whether the counts vary no more than Poisson ones."""
    return bool(np.all(np.asarray(params["size"]) > NO_EXCESS))


NEGATIVE_BINOMIAL = Family(
    name="negative_binomial",
    core="negative_binomial",
    estimators=("glmer", "glmm"),
    links=(LOG,),
    part_links=LINKS,
    support=COUNTS,
    unit_variance=unit_variance,
    deviance=deviance,
    logpdf=logpdf,
    cdf=cdf,
    quantile=quantile,
    draw=draw,
    shapes=(SIZE,),
    takes_zero=True,
    narrower="poisson",
    no_excess=no_excess,
    aliases=("nb", "nb2", "negbin", "negbinomial", "nbinom", "nbinom2", "negativebinomial"),
)
