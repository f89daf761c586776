"""What families of shares have in common: ranges, links and parameters."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..family import Params
from ..links import CAUCHIT, CLOGLOG, LOGIT, LOGLOG, PROBIT
from ..shape import Shape
from ..support import Support

__all__ = ["LINKS", "OF_TRIALS", "PRECISION", "draw_beta"]

OF_TRIALS = Support(
    words="between 0 and 1",
    low=0.0,
    high=1.0,
    discrete=True,
    counts="shares of whole numbers of trials",
    hint="give the trials as weights, or cbind(successes, failures)",
    advice="give counts of successes as a proportion, with the trials as weights",
    edges=(0.0, 1.0),
    at_edge="probabilities run to 0 or 1",
)
LINKS = (LOGIT, PROBIT, CLOGLOG, LOGLOG, CAUCHIT)


def log_precision(y: Array) -> float:
    """Logarithm of the precision of the shares between 0 and 1, by their moments."""
    inner = y[(y > 0.0) & (y < 1.0)]
    if len(inner) < 2:
        return 1.0
    mean, variance = float(inner.mean()), float(inner.var())
    return float(np.log(np.clip(mean * (1.0 - mean) / max(variance, 1e-8) - 1.0, 0.5, 1e4)))


def draw_beta(rng: np.random.Generator, mu: Array, params: Params) -> Array:
    """Draw shares of mean mu and precision phi."""
    phi = params["phi"]
    return rng.beta(mu * phi, (1.0 - mu) * phi)


#: phi of a variance mu (1 - mu) / (1 + phi).
PRECISION = Shape("phi", np.exp, log_precision)
