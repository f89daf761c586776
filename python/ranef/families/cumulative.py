"""Quantiles of the latent distributions behind the links of ordered responses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from .._typing import Array

__all__ = ["CUMULATIVE", "latent_quantile"]

CUMULATIVE: dict[str, Callable[[Array], Array]] = {
    "logit": lambda p: scipy.special.logit(p),
    "probit": lambda p: scipy.special.ndtri(p),
    "cloglog": lambda p: np.log(-np.log1p(-p)),
    "loglog": lambda p: -np.log(-np.log(p)),
    "cauchit": lambda p: np.tan(np.pi * (p - 0.5)),
}


def latent_quantile(link: str, p: Array) -> Array:
    """Return the latent value below which a share of p lies.

    Raises
    ------
    KeyError
        For a link that was not checked before.
    """
    return np.asarray(CUMULATIVE[link](p))
