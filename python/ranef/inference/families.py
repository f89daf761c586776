"""Distributions of a response given its mean: variances, deviances and draws."""

from __future__ import annotations

import numpy as np
import scipy

from .. import _core
from .._typing import Array
from ..models.glmm.estimate import GlmmSpec

__all__ = ["deviance_rows", "draw", "limits_of", "mean_of", "resid", "slope_of", "unit_variance"]


RESIDUALS = ("deviance", "pearson", "response", "working")


def mean_of(link: str, eta: Array) -> Array:
    """Apply the inverse link; NaN stays NaN."""
    out = _core.mean_of(link, np.ascontiguousarray(eta, dtype=np.float64))
    out[np.isnan(eta)] = np.nan
    return out


def limits_of(link: str, eta: Array, half: Array) -> tuple[Array, Array]:
    """Lower and upper limits of means whose linear predictors are within ``half`` of ``eta``."""
    low, high = eta - half, eta + half
    if link == "inverse":  # a mean grows without end as its predictor falls to zero
        return mean_of(link, high), mean_of(link, np.maximum(low, 0.0))
    return mean_of(link, low), mean_of(link, high)


def slope_of(link: str, eta: Array) -> Array:
    """Differentiate the inverse link; NaN stays NaN."""
    out = _core.mean_slope(link, np.ascontiguousarray(eta, dtype=np.float64))
    out[np.isnan(eta)] = np.nan
    return out


def unit_variance(spec: GlmmSpec, mean: Array, dispersion: float) -> Array:
    """Variance of a response of weight one; of a gamma without phi, as R counts it."""
    if spec.family == "binomial":
        return mean * (1.0 - mean)
    if spec.family == "poisson":
        return mean
    if spec.family == "gamma":
        return mean**2
    return mean + mean**2 / dispersion


def deviance_rows(
    spec: GlmmSpec, y: Array, mean: Array, weights: Array, dispersion: float
) -> Array:
    """Twice the log-likelihood ratio of each row against its own mean, without phi of a gamma."""
    part = scipy.special.xlogy
    if spec.family == "binomial":
        unit = part(y, y / mean) + part(1.0 - y, (1.0 - y) / (1.0 - mean))
    elif spec.family == "poisson":
        unit = part(y, y / mean) - (y - mean)
    elif spec.family == "gamma":
        unit = (y - mean) / mean - np.log(y / mean)
    else:
        k = dispersion
        unit = part(y, y / mean) - (y + k) * np.log((y + k) / (mean + k))
    return np.asarray(2.0 * weights * np.maximum(unit, 0.0))


def resid(
    spec: GlmmSpec, kind: str, y: Array, eta: Array, weights: Array, dispersion: float
) -> Array:
    """Compute residuals of a kind: deviance, pearson, response or working.

    Raises
    ------
    ValueError
        For another kind.
    """
    mean = mean_of(spec.link, eta)
    if kind == "response":
        return y - mean
    if kind == "working":
        return (y - mean) / slope_of(spec.link, eta)
    if kind == "pearson":
        return (y - mean) * np.sqrt(weights / unit_variance(spec, mean, dispersion))
    if kind == "deviance":
        rows = deviance_rows(spec, y, mean, weights, dispersion)
        return np.asarray(np.sign(y - mean) * np.sqrt(rows))
    raise ValueError(f"kind must be one of {', '.join(RESIDUALS)}, not {kind!r}")


def draw(
    spec: GlmmSpec, mean: Array, weights: Array, dispersion: float, rng: np.random.Generator
) -> Array:
    """Draw a response for each mean; a binomial one is the share of its trials."""
    if spec.family == "binomial":
        return np.asarray(rng.binomial(weights.astype(np.int64), mean) / weights)
    if spec.family == "poisson":
        return rng.poisson(mean).astype(np.float64)
    if spec.family == "gamma":
        return rng.gamma(1.0 / dispersion, mean * dispersion)
    return rng.poisson(rng.gamma(dispersion, mean / dispersion)).astype(np.float64)
