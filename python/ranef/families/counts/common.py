"""What families of counts have in common: ranges, links and parameters."""

from __future__ import annotations

import numpy as np

from ..._typing import Array
from ..links import IDENTITY, INVERSE, LOG, SQRT
from ..shape import Shape
from ..support import Support

__all__ = ["COUNTS", "EXCESS", "LINKS", "NO_ZEROS", "RATIO", "SIZE"]

HINT = 'for positive measurements use family="gamma", for rates counts and an offset'
COUNTS = Support(
    words="0 or above",
    low=0.0,
    discrete=True,
    counts="counts 0, 1, 2, ...",
    hint=HINT,
    edges=(0.0,),
    at_edge="counts run to 0",
)
NO_ZEROS = Support(
    words="1 or above",
    low=1.0,
    discrete=True,
    counts="counts 1, 2, 3, ...",
    hint=HINT,
    advice="with zero='~ 1' in ranef.glmer zeros have a part of their own",
)
LINKS = (LOG, IDENTITY, INVERSE, SQRT)


def log_size(y: Array) -> float:
    """Logarithm of the size whose variance is half way from the mean's to the responses'."""
    mean, variance = float(y.mean()), float(y.var())
    return float(np.log(np.clip(2.0 * mean**2 / max(variance - mean, 0.01 * mean), 0.1, 1e3)))


def log_excess(y: Array) -> float:
    """Logarithm of the ratio of variance to mean minus one."""
    return float(np.log(np.clip(0.5 * (y.var() / max(y.mean(), 1e-8) - 1.0), 0.05, 20.0)))


def log_ratio(y: Array) -> float:
    """Logarithm of how often the variance has the mean, drawn half way to one."""
    return 0.5 * float(np.log(np.clip(y.var() / max(y.mean(), 1e-8), 0.1, 20.0)))


#: k of a variance mu + mu² / k.
SIZE = Shape("size", np.exp, log_size, at_end="the counts vary no more than Poisson ones")
#: phi of a variance mu (1 + phi).
EXCESS = Shape("phi", np.exp, log_excess)
#: phi of a variance near phi mu.
RATIO = Shape("phi", np.exp, log_ratio)
