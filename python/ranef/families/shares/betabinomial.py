"""Shares of successes in trials whose probability varies between rows like a beta variable."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..shape import Shape
from .common import LINKS, OF_TRIALS, draw_beta

__all__ = ["BETABINOMIAL"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu (1 - mu) (1 + (trials - 1) / (1 + phi))."""
    return mu * (1.0 - mu) * (1.0 + (params["trials"] - 1.0) / (params["phi"] + 1.0))


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw shares of successes."""
    n = params["trials"]
    return np.asarray(rng.binomial(np.asarray(n).astype(np.int64), draw_beta(rng, mu, params)) / n)


def moderate(y: Array) -> float:
    """Start with a moderate precision, about which shares of trials say little."""
    return 1.5


BETABINOMIAL = Family(
    name="betabinomial",
    core="betabinomial",
    estimators=("glmer",),
    part_links=LINKS,
    support=OF_TRIALS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(Shape("phi", np.exp, moderate),),
    has_trials=True,
    takes_zero=True,
    narrower="binomial",
    aliases=("betabin",),
)
