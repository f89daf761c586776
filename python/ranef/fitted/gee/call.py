"""The arguments of generalised estimating equations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["GEECall"]


@dataclass(frozen=True)
class GEECall:
    """The arguments of a fit."""

    formula: str
    groups: str
    time: str | None = None
    family: str = "gaussian"
    link: str | None = None
    corr: Any = "exchangeable"
    vcov: str = "robust"
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
