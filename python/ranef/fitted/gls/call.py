"""The arguments of a linear model with structured residuals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...models.lmm import Control

__all__ = ["GLSCall"]


@dataclass(frozen=True)
class GLSCall:
    """The arguments of a fit."""

    formula: str
    groups: str | None = None
    time: str | None = None
    corr: str = "independence"
    variance: str | None = None
    reml: bool = True
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)

    def __post_init__(self) -> None:
        Control.of(self.control)
