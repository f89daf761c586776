"""Sums of a Poisson number of gamma responses: zeros, and positive measurements."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from ..links import LOG
from ..shape import Shape
from ..support import Support

__all__ = ["TWEEDIE"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return phi mu^power."""
    return params["phi"] * mu ** params["power"]


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Add up a Poisson number of gamma draws."""
    p, phi = params["power"], params["phi"]
    rate = mu ** (2.0 - p) / (phi * (2.0 - p))
    events = rng.poisson(rate)
    shape = np.where(events > 0, events * (2.0 - p) / (p - 1.0), 1.0)
    return np.where(events > 0, rng.gamma(shape, phi * (p - 1.0) * mu ** (p - 1.0)), 0.0)


def log_phi(y: Array) -> float:
    """Logarithm of the dispersion of power 1.5, by the moments of the responses."""
    return float(np.log(np.clip(y.var() / y.mean() ** 1.5, 0.05, 50)))


def natural_power(eta: Array) -> Array:
    """Return a power between 1 and 2."""
    return np.asarray(1.0 + scipy.special.expit(eta))


def halfway(y: Array) -> float:
    """Start with power 1.5."""
    return 0.0


POWER = Shape(
    "power",
    natural_power,
    halfway,
    at_end="the power is at the end of its range, 2 of gamma responses or 1 of Poisson counts",
)
TWEEDIE = Family(
    name="tweedie",
    core="tweedie",
    estimators=("glmer",),
    part_links=(LOG,),
    support=Support(words="0 or above", low=0.0),
    unit_variance=unit_variance,
    draw=draw,
    shapes=(Shape("phi", np.exp, log_phi), POWER),
    takes_zero=True,
    without_zeros="family='gamma' or family='lognormal' has no power to estimate, which the zeros "
    "tell most about",
    aliases=("tw", "compound_poisson", "compound_poisson_gamma"),
)
