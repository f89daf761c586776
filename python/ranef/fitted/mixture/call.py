"""The arguments of a growth mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._options import check_option
from ...errors import UnsupportedError
from ...families import registry
from ...families.family import Family

__all__ = ["MixtureCall", "checked_call"]

SHAPES = {"intercept": 1, "linear": 2, "quadratic": 3}
RANDOM = {"none": 0, **SHAPES}


@dataclass(frozen=True)
class MixtureCall:
    """The arguments of a fit."""

    outcome: str
    time: str
    groups: str
    classes: int = 2
    shape: str = "linear"
    random: str = "none"
    variances: str = "free"
    family: str = "gaussian"
    starts: int = 50
    missing: str = "drop"
    seed: int | None = None

    @property
    def distribution(self) -> Family:
        """The family of responses."""
        return registry.lookup(self.family)

    @property
    def n_shape(self) -> int:
        """Coefficients of each curve."""
        return SHAPES[self.shape]

    @property
    def n_random(self) -> int:
        """Factors that vary within classes."""
        return RANDOM[self.random]


def checked_call(call: MixtureCall) -> MixtureCall:
    """Check the options of a call."""
    checked = replace(
        call,
        classes=whole("classes", call.classes),
        shape=check_option("shape", call.shape, SHAPES),
        random=check_option("random", call.random, RANDOM),
        variances=check_option("variances", call.variances, ("free", "equal")),
        family=registry.find(call.family, "growth_mixture").name,
        starts=whole("starts", call.starts),
        missing=check_option("missing", call.missing, ("drop", "raise")),
    )
    if checked.n_random > checked.n_shape:
        raise ValueError(
            f"random={call.random!r} has factors that shape={call.shape!r} does not; a class's "
            "curve needs every factor that varies within it"
        )
    if checked.n_random and not checked.distribution.has_dispersion:
        raise UnsupportedError(
            f"random effects within classes need a gaussian response, and the family is "
            f"{checked.family!r}; take random='none'"
        )
    return checked


def whole(name: str, value: Any) -> int:
    """Read a number of things, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be a positive integer, not {value!r}")
    return int(value)
