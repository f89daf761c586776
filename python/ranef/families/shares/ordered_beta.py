"""Measured shares from 0 to 1, both included: a cut of a latent variable at both ends."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import LOGIT
from ..shape import Shape
from ..support import Support
from .common import PRECISION, draw_beta

__all__ = ["ORDERED_BETA"]


def ends(mu: Array, params: Params) -> tuple[Array, Array]:
    """Return the probabilities of exactly 0 and exactly 1."""
    eta, expit = LOGIT.function(mu), scipy.special.expit
    return expit(params["cut_zero"] - eta), expit(eta - params["cut_one"])


def expectation(mu: Array, params: Params) -> Array:
    """Return the mean, the ends included; mu is that between them."""
    zeros, ones = ends(mu, params)
    return ones + (1.0 - zeros - ones) * mu


def unit_variance(mu: Array, params: Params) -> Array:
    """Return the variance, the ends included."""
    zeros, ones = ends(mu, params)
    square = mu**2 + mu * (1.0 - mu) / (1.0 + params["phi"])
    return ones + (1.0 - zeros - ones) * square - expectation(mu, params) ** 2


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw zeros, ones, and shares between them."""
    zeros, ones = ends(mu, params)
    u = rng.random(mu.shape)
    inner = draw_beta(rng, mu, params)
    return np.where(u < zeros, 0.0, np.where(u > 1.0 - ones, 1.0, inner))


def natural_cut(eta: Array) -> Array:
    """Return a cut, which is its own predictor."""
    return eta


def start_of_cut(y: Array) -> float:
    """Start with few zeros."""
    return -2.0


def start_of_gap(y: Array) -> float:
    """Start with the ones about as far up as the zeros are down."""
    return 1.4


CUT_ZERO = Shape("cut_zero", natural_cut, start_of_cut, at_end="there are no responses of 0")
CUT_ONE = Shape(
    "cut_one",
    np.exp,
    start_of_gap,
    above="cut_zero",
    difference="cut_gap",
    at_end="there are no responses of 1",
)
ORDERED_BETA = Family(
    name="ordered_beta",
    core="ordered_beta",
    estimators=("glmer",),
    part_links=(LOGIT,),
    support=Support(words="from 0 to 1", low=0.0, high=1.0),
    unit_variance=unit_variance,
    draw=draw,
    shapes=(PRECISION, CUT_ZERO, CUT_ONE),
    expectation=expectation,
    aliases=("ordbeta",),
)
