"""The arguments of a model of several linear predictors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...models.lmm import Control

__all__ = ["PartsCall"]


@dataclass(frozen=True)
class PartsCall:
    """The arguments of a fit."""

    formula: str
    family: str
    link: str
    zero: str | None = None
    dispersion: str | None = None
    nagq: int = 1
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
    strict: bool = False
