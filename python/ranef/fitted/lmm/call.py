"""The arguments of a linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...models.lmm import Control

if TYPE_CHECKING:
    from ...inference.priors.priors import PriorLike

__all__ = ["Call"]


@dataclass(frozen=True)
class Call:
    """The arguments of a fit."""

    formula: str
    reml: bool = True
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
    prior: PriorLike = None
    method: str = "auto"
    threads: int = 1
    covariance: Any = None

    def __post_init__(self) -> None:
        Control.of(self.control)
