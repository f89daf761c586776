"""Measurements with the tails of Student's t."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Family, Params
from ..shape import Shape
from .common import REAL, REAL_LINKS, SIGMA

__all__ = ["STUDENT"]


def unit_variance(mu: Array, params: Params) -> Array:
    """Return sigma² df / (df - 2), infinite for df up to 2."""
    df = np.asarray(params["df"])
    variance = params["sigma"] ** 2 * df / np.maximum(df - 2.0, 1e-300)
    return np.where(df > 2.0, variance, np.inf) + 0.0 * mu


def draw(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw from Student's t, moved and scaled."""
    return np.asarray(mu + params["sigma"] * rng.standard_t(params["df"], mu.shape))


def log_five(y: Array) -> float:
    """Start with the tails of five degrees of freedom."""
    return float(np.log(5.0))


STUDENT = Family(
    name="student",
    core="student",
    estimators=("glmer",),
    part_links=REAL_LINKS,
    support=REAL,
    unit_variance=unit_variance,
    draw=draw,
    shapes=(SIGMA, Shape("df", np.exp, log_five, at_end="the residuals are normal")),
    in_units=True,
    narrower="gaussian",
    aliases=("t", "student_t", "t_family", "scat"),
)
