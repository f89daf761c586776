"""What families of measurements have in common: ranges, links and parameters."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..links import IDENTITY, INVERSE, LOG, SQRT
from ..shape import Shape
from ..support import Support

__all__ = ["ABOVE_ZERO", "REAL", "REAL_LINKS", "SIGMA", "log_sd"]

REAL = Support(words="finite", open_low=True, open_high=True)
ABOVE_ZERO = Support(
    words="above 0",
    low=0.0,
    open_low=True,
    advice="with zero='~ 1' in ranef.glmer zeros have a part of their own",
)
REAL_LINKS = (IDENTITY, LOG, INVERSE, SQRT)


def log_sd(y: Array) -> float:
    """Logarithm of 0.7 times the standard deviation of the responses."""
    return float(np.log(max(0.7 * float(y.std()), 1e-8)))


SIGMA = Shape("sigma", np.exp, log_sd)
