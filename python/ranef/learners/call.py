"""The arguments of a learner with random effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["LearnerCall", "positive"]


@dataclass(frozen=True)
class LearnerCall:
    """The arguments of a fit."""

    formula: str
    learner: Any = "tree"
    options: Any = None
    fitted: str = "auto"
    resample: str = "auto"
    folds: int = 5
    weights: Any = None
    offset: Any = None
    missing: str = "drop"
    reml: bool = True
    rounds: int = 30
    tolerance: float | None = None
    seed: int = 1
    workers: int | None = None

    def __post_init__(self) -> None:
        positive("folds", self.folds, 2)
        positive("rounds", self.rounds, 1)
        positive("seed", self.seed, 0)
        limit = 1.0 if self.tolerance is None else self.tolerance
        if not isinstance(limit, int | float) or not limit > 0.0:
            raise ValueError(f"tolerance is a positive number, not {self.tolerance!r}")


def positive(name: str, value: Any, least: int) -> None:
    """Check a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
