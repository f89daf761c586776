"""The arguments of least squares with fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FeolsCall"]


@dataclass(frozen=True)
class FeolsCall:
    """The arguments of a fit."""

    formula: str
    absorb: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    vcov: str | None = None
    ssc: str = "fixest"
    weights: Any = None
    offset: Any = None
    contrasts: Any = None
    missing: str = "drop"
