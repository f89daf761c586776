"""The arguments of generalised linear models with absorbed factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FeglmCall"]


@dataclass(frozen=True)
class FeglmCall:
    """The arguments of a fit."""

    formula: str
    family: str
    absorb: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    vcov: str | None = None
    ssc: str = "fixest"
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
