"""Counts whose variance is mu (1 + phi)."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from .common import COUNTS, EXCESS, LINKS

__all__ = ["NBINOM1"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu (1 + phi)."""
    return mu * (1.0 + params["phi"])


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw counts whose means are gamma distributed."""
    phi = params["phi"]
    size = mu / phi
    return np.asarray(rng.poisson(rng.gamma(size, phi)), dtype=np.float64)


NBINOM1 = Family(
    name="nbinom1",
    core="nbinom1",
    estimators=("glmer",),
    part_links=LINKS,
    support=COUNTS,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(EXCESS,),
    takes_zero=True,
    aliases=("nb1", "negbin1"),
)
