"""The parts of a generalised mixed model: of a mean, of several predictors, or of categories."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..._counted import counted
from ..._options import check_option
from ..._typing import Array, Positions
from ...design.design import Design
from ...families.scale import METHODS
from ...inference.hypotheses.linear import FixedDf
from ...inference.optimum.generalised import optimum_of
from ...inference.optimum.optimum import Optimum
from ...inference.shares.observed import Observed
from ...inference.shares.r2 import Variances
from ...models.glmm.standing import Standing
from ...report.maketables import covariance_rows
from ...report.varcorr import VarCorr
from ..mixed.parts import ProfiledParts

__all__ = ["GeneralisedParts"]


@dataclass(frozen=True, eq=False, repr=False)
class GeneralisedParts(ProfiledParts):
    """Design and estimate of a fit whose tests are normal ones."""

    ddf: ClassVar[tuple[str, ...]] = ("inf",)
    no_ddf: ClassVar[str] = (
        "degrees of freedom are those of normal responses, and tests of a generalised model are "
        "normal ones"
    )

    @property
    def covariance_unit(self) -> float:
        """1: covariances are absolute."""
        return 1.0

    def each_row(self, what: str) -> None:
        """Refuse what needs every row of a fit that keeps distinct ones only."""

    def sizes(self, codes: Positions, count: int) -> Positions:
        """Count the rows of each of ``count`` groups."""
        return np.bincount(codes, minlength=count)

    @property
    @abstractmethod
    def distribution(self) -> str:
        """The distribution of the response in a word."""

    @property
    def nagq(self) -> int:
        """Points of the quadrature."""
        return int(self.call.nagq)

    @cached_property
    def endless(self) -> list[str]:
        """Why variances have no finite estimate; empty where they have."""
        return []

    @abstractmethod
    def standing(self) -> Standing:
        """Where the likelihood stands, by the kernel of several predictors."""

    @abstractmethod
    def location_rows(self) -> Array:
        """Write the kept coefficients as functions of all parameters, shape (n_kept, m + P)."""

    @abstractmethod
    def numbers(self) -> dict[str, float]:
        """List all parameters by name: covariances, then shapes and coefficients."""

    @abstractmethod
    def latent(self, method: str) -> tuple[Design, Variances]:
        """Compute the parts of the linear predictor's variance, and the terms they are of."""

    @abstractmethod
    def observed(self) -> Observed:
        """Compute the parts of the variance of the responses themselves."""

    def scale_word(self, method: str) -> str:
        """State where the variance of the distribution comes from."""
        return check_option("method", method, METHODS)

    @property
    def varcorr(self) -> VarCorr:
        """Covariances of the random effects by group, on the scale of the linear predictor."""
        return VarCorr(self.own(self.design.random), self.own(self.estimate.sigmas), None)

    def approximate(self, ddf: str) -> FixedDf:
        """Compute the reference distribution of the tests: normal."""
        return FixedDf(self.cov, np.inf)

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        self.ddf_name(ddf)
        return "normal"

    def optimum(self) -> Optimum:
        """Examine the optimum."""
        return optimum_of(self.design, self.estimate)

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        return f"{self.distribution}, {counted(self.nobs, 'row')}, llf {self.llf:.4f}"

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        rows = {"N": self.nobs, **covariance_rows(self.varcorr, self.ngroups)}
        return {**rows, "ll": self.llf, "aic": 2.0 * (self.npar - self.llf)}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return {"vcov_type": "ML"}
