"""Poisson counts above zero; the mean of all counts is the location."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import NO_ZEROS
from .poisson import POISSON
from .truncation import draw_above, mean_above, variance_above

__all__ = ["TRUNCATED_POISSON"]


def zero(mu: Array, params: Params) -> Array:
    """Return the probability of a zero among all counts."""
    return np.exp(-mu)


def expectation(mu: Array, params: Params) -> Array:
    """Return the mean of counts above zero."""
    return mean_above(mu, zero(mu, params))


def unit_variance(mu: Array, params: Params) -> Array:
    """Return the variance of counts above zero."""
    return variance_above(mu, POISSON.variance(mu, params), zero(mu, params))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts above zero."""
    return draw_above(rng, mu, params, POISSON)


TRUNCATED_POISSON = Family(
    name="truncated_poisson",
    core="truncated_poisson",
    estimators=("glmer",),
    part_links=(LOG,),
    support=NO_ZEROS,
    unit_variance=unit_variance,
    draw=draw,
    expectation=expectation,
    takes_zero=True,
    is_hurdle=True,
    aliases=("ztpoisson", "zero_truncated_poisson"),
)
