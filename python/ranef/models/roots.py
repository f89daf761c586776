"""Roots of covariance matrices whose rows have different units."""

from __future__ import annotations

import numpy as np

from .._typing import Array

__all__ = ["root_of", "units_of"]


def units_of(covariance: Array) -> Array:
    """Return standard deviations, and 1 where there is none, shape (k,)."""
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return np.where(sd > 0.0, sd, 1.0)


def root_of(covariance: Array) -> Array:
    """Find R with R R' = covariance, which may be singular: symmetric but for the units.

    Eigenvalues are those of the correlations: of the covariance itself they keep nothing of a
    component whose unit makes it small, such as the slope of a time in seconds beside an intercept.

    Parameters
    ----------
    covariance : ndarray of shape (k, k)
        Symmetric, without negative eigenvalues but for rounding.

    Returns
    -------
    ndarray of shape (k, k)
    """
    unit = units_of(covariance)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    half = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T  # whatever their signs
    return np.asarray(unit[:, None] * half)
