"""The arguments of a growth curve."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..._options import check_option
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

    def __post_init__(self) -> None:
        Control.of(self.control)
        check_option("missing", self.missing, ("drop", "raise", "fiml"))
        if self.missing == "fiml" and not self.covariates:
            raise ValueError(
                'missing="fiml" models covariates, and there are none; rows with missing outcomes '
                'keep their group by missing="drop" too'
            )
