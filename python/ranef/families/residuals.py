"""Residuals of responses given their means."""

from __future__ import annotations

import numpy as np

from .._typing import Array
from .family import Family, Params
from .links import Link

__all__ = ["RESIDUALS", "deviance_rows", "residuals"]

RESIDUALS = ("deviance", "pearson", "response", "working")


def deviance_rows(family: Family, y: Array, mu: Array, weights: Array, params: Params) -> Array:
    """Return each row's deviance, weights included; rounding leaves none below zero."""
    return np.asarray(weights * np.maximum(family.need("deviance")(y, mu, params), 0.0))


def residuals(
    family: Family, link: Link, kind: str, y: Array, eta: Array, weights: Array, params: Params
) -> Array:
    """Return residuals of a kind: deviance, pearson, response or working.

    Parameters
    ----------
    family : Family
        The distribution.
    link : Link
        The link of its mean.
    kind : str
        Which residuals.
    y, eta, weights : ndarray of shape (n,)
        Responses, linear predictors, and trials or frequencies.
    params : mapping
        Parameters of the family.

    Raises
    ------
    ValueError
        For another kind.
    """
    mu = link.mean(eta)
    if kind == "response":
        return y - mu
    if kind == "working":
        return (y - mu) / link.slope(eta)
    if kind == "pearson":
        return (y - mu) * np.sqrt(weights / family.unit_variance(mu, params))
    if kind == "deviance":
        rows = deviance_rows(family, y, mu, weights, params)
        return np.asarray(np.sign(y - mu) * np.sqrt(rows))
    raise ValueError(f"kind must be one of {', '.join(RESIDUALS)}, not {kind!r}")
