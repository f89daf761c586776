"""The arguments of a growth curve."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...models.lmm import Control

__all__ = ["GrowthCall"]


@dataclass(frozen=True)
class GrowthCall:
    """The arguments of a fit."""

    outcome: str
    time: str
    groups: str
    shape: str = "linear"
    random: str = "linear"
    residuals: str = "equal"
    covariates: tuple[str, ...] = ()
    information: str | None = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)
