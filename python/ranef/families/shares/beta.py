"""Shares between 0 and 1 that are measured, not counted."""

from __future__ import annotations

from ..._typing import Array
from ..family import Family, Params
from ..support import Support
from .common import LINKS, PRECISION, draw_beta

__all__ = ["BETA"]

SUPPORT = Support(
    words="between 0 and 1, neither included",
    low=0.0,
    high=1.0,
    open_low=True,
    open_high=True,
    advice=(
        "for shares of exactly 0 or 1 use family='ordered_beta', or for zeros alone zero='~ 1', "
        "which gives them a part of their own"
    ),
)


def unit_variance(mu: Array, params: Params) -> Array:
    """Return mu (1 - mu) / (1 + phi)."""
    return mu * (1.0 - mu) / (1.0 + params["phi"])


BETA = Family(
    name="beta",
    core="beta",
    estimators=("glmer",),
    part_links=LINKS,
    support=SUPPORT,
    unit_variance=unit_variance,
    draw=draw_beta,
    shapes=(PRECISION,),
    takes_zero=True,
    is_hurdle=True,
    aliases=("betar", "beta_family", "betareg"),
)
