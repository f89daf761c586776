"""The arguments of a growth curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..._options import check_option
from ...models.lmm import Control

__all__ = ["FACTORS", "SHAPES", "GrowthCall"]

#: Names of the growth factors.
FACTORS = ("intercept", "slope", "quadratic")

#: Factors of each shape; the loadings of a latent basis are estimated.
SHAPES = MappingProxyType({"intercept": 1, "linear": 2, "quadratic": 3, "basis": 2})


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
    by_factor: Mapping[str, tuple[str, ...]] | None = None
    time_varying: tuple[str, ...] = ()
    paths: str = "equal"
    information: str | None = None
    missing: str = "drop"
    control: Control = field(default_factory=Control)

    def __post_init__(self) -> None:
        Control.of(self.control)
        check_option("missing", self.missing, ("drop", "raise", "fiml"))
        if self.missing == "fiml" and not self.covariates and self.shape != "basis":
            raise ValueError(
                'missing="fiml" models covariates, and there are none; rows with missing outcomes '
                'keep their group by missing="drop" too'
            )

    @property
    def factors(self) -> tuple[str, ...]:
        """Factors of the mean curve."""
        return FACTORS[: SHAPES[self.shape]]

    @property
    def regressors(self) -> tuple[tuple[str, ...], ...]:
        """Covariates that predict each factor."""
        if self.by_factor is None:
            return (self.covariates,) * len(self.factors)
        return tuple(self.by_factor.get(factor, ()) for factor in self.factors)
