"""Positive measurements whose logarithm is normal; its mean is the location."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..links import IDENTITY
from ..shape import Shape
from .common import ABOVE_ZERO, log_sd

__all__ = ["LOGNORMAL"]


def expectation(mu: Array, params: Params) -> Array:
    """Return exp(mu + sigma² / 2)."""
    return np.asarray(np.exp(mu + 0.5 * params["sigma"] ** 2))


def unit_variance(mu: Array, params: Params) -> Array:
    """Return (exp(sigma²) - 1) exp(2 mu + sigma²)."""
    square = params["sigma"] ** 2
    return np.asarray(np.expm1(square) * np.exp(2.0 * mu + square))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw positive responses."""
    return np.asarray(np.exp(rng.normal(mu, params["sigma"])))


def log_sd_of_log(y: Array) -> float:
    """Logarithm of 0.7 times the standard deviation of the logarithms."""
    return log_sd(np.log(y[y > 0.0])) if (y > 0.0).any() else 0.0


LOGNORMAL = Family(
    name="lognormal",
    core="lognormal",
    estimators=("glmer",),
    part_links=(IDENTITY,),
    support=ABOVE_ZERO,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(Shape("sigma", np.exp, log_sd_of_log),),
    expectation=expectation,
    located=np.log,
    takes_zero=True,
    is_hurdle=True,
    aliases=("lognorm", "log_normal"),
)
