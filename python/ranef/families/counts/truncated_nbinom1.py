"""Counts above zero of those with variance mu (1 + phi); the mean of all is the location."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from .common import EXCESS, NO_ZEROS
from .nbinom1 import NBINOM1
from .truncation import draw_above, mean_above, variance_above

__all__ = ["TRUNCATED_NBINOM1"]


def zero(mu: Array, params: Params) -> Array:
    """Return the probability of a zero among all counts."""
    phi = params["phi"]
    return (1.0 + phi) ** (-mu / phi)


def expectation(mu: Array, params: Params) -> Array:
    """Return the mean of counts above zero."""
    return mean_above(mu, zero(mu, params))


def unit_variance(mu: Array, params: Params) -> Array:
    """Return the variance of counts above zero."""
    return variance_above(mu, NBINOM1.variance(mu, params), zero(mu, params))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts above zero."""
    return draw_above(rng, mu, params, NBINOM1)


TRUNCATED_NBINOM1 = Family(
    name="truncated_nbinom1",
    core="truncated_nbinom1",
    estimators=("glmer",),
    part_links=(LOG,),
    support=NO_ZEROS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(EXCESS,),
    expectation=expectation,
    takes_zero=True,
    is_hurdle=True,
    aliases=("truncated_nb1", "zero_truncated_nbinom1"),
)
