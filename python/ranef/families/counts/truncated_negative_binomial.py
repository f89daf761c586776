"""Negative binomial counts above zero; the mean of all counts is the location."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import NO_ZEROS, SIZE
from .negative_binomial import NEGATIVE_BINOMIAL
from .truncation import draw_above, mean_above, variance_above

__all__ = ["TRUNCATED_NEGATIVE_BINOMIAL"]


def zero(mu: Array, params: Params) -> Array:
    """Return the probability of a zero among all counts."""
    k = params["size"]
    return (k / (k + mu)) ** k


def expectation(mu: Array, params: Params) -> Array:
    """Return the mean of counts above zero."""
    return mean_above(mu, zero(mu, params))


def unit_variance(mu: Array, params: Params) -> Array:
    """Return the variance of counts above zero."""
    return variance_above(mu, NEGATIVE_BINOMIAL.variance(mu, params), zero(mu, params))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts above zero."""
    return draw_above(rng, mu, params, NEGATIVE_BINOMIAL)


TRUNCATED_NEGATIVE_BINOMIAL = Family(
    name="truncated_negative_binomial",
    core="truncated_negative_binomial",
    estimators=("glmer",),
    part_links=(LOG,),
    support=NO_ZEROS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(SIZE,),
    expectation=expectation,
    takes_zero=True,
    is_hurdle=True,
    aliases=("truncated_nbinom2", "truncated_nb", "zero_truncated_negative_binomial"),
)
