"""Normal responses of one variance."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import IDENTITY
from .common import REAL, REAL_LINKS, SIGMA

__all__ = ["GAUSSIAN"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return 1; the variance is sigma²."""
    return np.ones_like(mu)


def scale(params: Params) -> Array | float:
    """Return sigma²."""
    return params["sigma"] ** 2


def deviance(y: Array, mu: Array, params: Params) -> Array:
    """Return the squared residual."""
    return (y - mu) ** 2


def logpdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the log density."""
    sigma = params["sigma"]
    return np.asarray(-0.5 * np.log(2.0 * np.pi) - np.log(sigma) - 0.5 * ((y - mu) / sigma) ** 2)


def cdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the probability of at most y."""
    return np.asarray(scipy.special.ndtr((y - mu) / params["sigma"]))


def quantile(p: Array | float, mu: Array, params: Params) -> Array:
    """Return the response whose distribution function is p."""
    return np.asarray(mu + params["sigma"] * scipy.special.ndtri(p))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw normal responses."""
    return np.asarray(rng.normal(mu, params["sigma"]))


def quasi_likelihood(y: Array, mu: Array) -> Array:
    """Return the quasi-likelihood of each row."""
    return -0.5 * (y - mu) ** 2


GAUSSIAN = Family(
    name="gaussian",
    core="gaussian",
    estimators=("glmer", "gee", "growth_mixture"),
    links=(IDENTITY,),
    part_links=REAL_LINKS,
    support=REAL,
    unit_variance=unit_variance,
    deviance=deviance,
    logpdf=logpdf,
    cdf=cdf,
    quantile=quantile,
    draw=draw,
    shapes=(SIGMA,),
    scale=scale,
    quasi_likelihood=quasi_likelihood,
    in_units=True,
    aliases=("normal", "linear"),
    elsewhere="a gaussian family is that of ranef.lmer(formula, data, reml=False)",
)
