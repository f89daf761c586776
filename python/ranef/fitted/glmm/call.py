"""The arguments of a generalised linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...inference.priors.priors import PriorLike
from ...models.glmm.estimate import GlmmSpec
from ...models.lmm import Control

__all__ = ["GlmerCall"]


@dataclass(frozen=True)
class GlmerCall:
    """The arguments of a fit."""

    formula: str
    spec: GlmmSpec
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
    prior: PriorLike = None
    covariance: Any = None
    method: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        Control.of(self.control)
