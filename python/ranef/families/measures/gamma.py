"""Positive measurements whose standard deviation grows with their mean."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import IDENTITY, INVERSE, LOG, SQRT
from ..shape import Shape
from .common import ABOVE_ZERO

__all__ = ["GAMMA"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu²; the variance is phi times that."""
    return mu**2


def scale(params: Params) -> Array | float:
    """Return phi."""
    return params["phi"]


def deviance(y: Array, mu: Array, params: Params) -> Array:
    """Return the deviance with phi left out."""
    return np.asarray(2.0 * ((y - mu) / mu - np.log(y / mu)))


def logpdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the log density; the shape is 1 / phi."""
    phi = params["phi"]
    return np.asarray(scipy.stats.gamma.logpdf(y, 1.0 / phi, scale=mu * phi))


def cdf(y: Array, mu: Array, params: Params) -> Array:
    """Return the probability of at most y."""
    phi = params["phi"]
    return np.asarray(scipy.special.gammainc(1.0 / phi, np.maximum(y, 0.0) / (mu * phi)))


def quantile(p: Array | float, mu: Array, params: Params) -> Array:
    """Return the response whose distribution function is p."""
    phi = params["phi"]
    return np.asarray(scipy.special.gammaincinv(1.0 / phi, p) * mu * phi)


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw positive responses."""
    phi = params["phi"]
    return rng.gamma(1.0 / phi, mu * phi)


def quasi_likelihood(y: Array, mu: Array) -> Array:
    """Return the quasi-likelihood of each row."""
    return -(y / mu + np.log(mu))


def log_phi(y: Array) -> float:
    """Logarithm of half of the squared coefficient of variation of positive responses."""
    above = y[y > 0.0]
    ratio = float(above.var()) / max(float(above.mean()), 1e-300) ** 2
    return float(np.log(np.clip(0.5 * ratio, 1e-6, 10.0)))


GAMMA = Family(
    name="gamma",
    core="gamma",
    estimators=("glmer", "glmm", "gee"),
    links=(INVERSE, LOG),
    part_links=(LOG, INVERSE, IDENTITY, SQRT),
    support=ABOVE_ZERO,
    unit_variance=unit_variance,
    deviance=deviance,
    logpdf=logpdf,
    cdf=cdf,
    quantile=quantile,
    draw=draw,
    shapes=(Shape("phi", np.exp, log_phi),),
    scale=scale,
    takes_zero=True,
    is_hurdle=True,
    constant_variation=True,
    quasi_likelihood=quasi_likelihood,
    aliases=("exponential",),
)
