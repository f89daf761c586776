"""Counts of distributions without moments in closed form, whose probabilities are added up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from ..._typing import Array

__all__ = ["drawn", "probabilities"]

#: Counts up to which probabilities add up.
LONGEST = 100_000


def probabilities(
    log_weight: Callable[[Array], Array], mu: Array, ratio: Array | float
) -> tuple[Array, Array]:
    """Return counts 0, 1, 2 ..., and their probabilities for each row, (n, counts).

    Parameters
    ----------
    log_weight : callable
        Logarithms of probabilities, not normalised, (n, counts).
    mu, ratio : ndarray of shape (n,)
        Means, and about how many times as large the variances are.
    """
    widest = float(np.nanmax(mu + 40.0 * np.sqrt(mu * ratio + 1.0)))
    y = np.arange(min(int(widest) + 60, LONGEST), dtype=np.float64)
    terms = log_weight(y)
    return y, np.exp(terms - scipy.special.logsumexp(terms, axis=1, keepdims=True))


def drawn(rng: np.random.Generator, y: Array, p: Array) -> Array:
    """Draw one of the counts y per row by its probabilities p."""
    place = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    return np.asarray(y[np.minimum(place, len(y) - 1)])
