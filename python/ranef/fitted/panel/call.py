"""The arguments of regressions of panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["RandomEffectsCall", "WithinBetweenCall"]


@dataclass(frozen=True)
class RandomEffectsCall:
    """The arguments of random-effects least squares."""

    formula: str
    groups: str
    time: str | None = None
    contrasts: Any = None
    missing: str = "drop"


@dataclass(frozen=True)
class WithinBetweenCall:
    """The arguments of a between-within regression."""

    formula: str
    groups: str
    form: str = "hybrid"
    reml: bool | None = None
    weights: Any = None
    contrasts: Any = None
    missing: str = "drop"
    family: str = "gaussian"
    link: str | None = None
    nagq: int = 1
