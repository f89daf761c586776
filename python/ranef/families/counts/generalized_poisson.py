"""Counts of the generalised Poisson distribution, whose variance is phi mu."""

from __future__ import annotations

import numpy as np
import scipy

from ..._typing import Array
from ..family import Family, Params
from .common import COUNTS, LINKS, RATIO
from .sums import drawn, probabilities

__all__ = ["GENERALIZED_POISSON"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return phi mu."""
    return params["phi"] * mu


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts by their probabilities."""
    root = np.sqrt(params["phi"])
    theta, lam = (mu / root)[:, None], np.broadcast_to(1.0 - 1.0 / root, mu.shape)[:, None]

    def log_weight(y: Array) -> Array:
        rate = theta + lam * y
        with np.errstate(all="ignore"):
            terms = np.log(theta) + (y - 1.0) * np.log(rate) - rate - scipy.special.gammaln(y + 1.0)
        return np.where(rate > 0.0, terms, -np.inf)

    return drawn(rng, *probabilities(log_weight, mu, params["phi"]))


GENERALIZED_POISSON = Family(
    name="generalized_poisson",
    core="generalized_poisson",
    estimators=("glmer",),
    part_links=LINKS,
    support=COUNTS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(RATIO,),
    takes_zero=True,
    aliases=("genpois", "generalised_poisson", "consul"),
)
