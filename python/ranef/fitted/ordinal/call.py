"""The arguments of a cumulative link model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...models.lmm import Control

__all__ = ["OrdinalCall"]


@dataclass(frozen=True)
class OrdinalCall:
    """The arguments of a fit."""

    formula: str
    link: str = "logit"
    thresholds: str = "flexible"
    scale: str | None = None
    nominal: str | None = None
    nagq: int = 1
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
