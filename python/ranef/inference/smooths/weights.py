"""Observed information of each row about its linear predictor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..._typing import Array
from ...families import Family, Link, Params

__all__ = ["observed_weights"]

#: Step of the differences, which are of fourth order.
STEP = 3e-3


def observed_weights(
    family: Family,
    link: Link,
    y: Array,
    eta: Array,
    weights: Array,
    params: Callable[[Array | float], Params],
) -> Array:
    """Differentiate minus the log-likelihood of each row twice by its linear predictor, (n,).

    Parameters
    ----------
    family, link
        The distribution and its link.
    y, eta, weights : ndarray of shape (n,)
        Responses, linear predictors, and trials or weights of the rows.
    params : callable
        The family's parameters, given the trials.
    """
    named = params(weights if family.has_trials else 1.0)
    times = 1.0 if family.has_trials else weights

    def density(shift: float) -> Array:
        return np.asarray(family.need("logpdf")(y, link.mean(eta + shift), named))

    near = density(STEP) + density(-STEP)
    far = density(2.0 * STEP) + density(-2.0 * STEP)
    second = (16.0 * near - far - 30.0 * density(0.0)) / (12.0 * STEP**2)
    return np.asarray(-second * times)
