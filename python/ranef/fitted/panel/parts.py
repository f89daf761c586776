"""The parts of regressions of panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..._typing import Array
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.sandwich.tests import WaldTest, wald_f
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import LmmEstimate
from ...models.re_gls import Components
from ..glmm.parts import GlmmParts
from ..lmm.parts import LmmParts
from ..parts import Parts
from .call import RandomEffectsCall, WithinBetweenCall
from .split import Split

__all__ = ["RandomEffectsParts", "WithinBetweenParts"]


@dataclass(frozen=True, eq=False, repr=False)
class RandomEffectsParts(Parts):
    """Design, estimate and variances of random-effects least squares."""

    estimate: LmmEstimate
    call: RandomEffectsCall
    found: Components | None = None

    @property
    def components(self) -> Components:
        """Variances of the effects and of the errors."""
        assert self.found is not None
        return self.found

    def approximate(self, ddf: str) -> FixedDf:
        """Compute the reference distribution of the tests: normal."""
        return FixedDf(self.cov, np.inf)


@dataclass(frozen=True, eq=False, repr=False)
class WithinBetweenParts(Parts):
    """The parts of a mixed model with split columns, and how they were split."""

    no_means: ClassVar[str] = (
        "its columns are split by means of groups, which new values do not have; add the means as "
        "columns and use ranef.lmer"
    )

    estimate: LmmEstimate | GlmmEstimate
    call: WithinBetweenCall
    mixed: LmmParts | GlmmParts | None = None
    pieces: Split | None = None

    @property
    def model(self) -> LmmParts | GlmmParts:
        """The parts of the mixed model."""
        assert self.mixed is not None
        return self.mixed

    @property
    def ddf(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds of degrees of freedom: those of the mixed model."""
        return self.model.ddf

    @property
    def no_ddf(self) -> str:  # type: ignore[override]
        """Why there are no other kinds."""
        return self.model.no_ddf

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.model.link

    @property
    def cov(self) -> Array:
        """Covariance of the coefficients that are not aliased."""
        return self.model.cov

    @property
    def split(self) -> Split:
        """The design with its pairs of columns."""
        assert self.pieces is not None
        return self.pieces

    @property
    def formula(self) -> str:
        """The formula with the groups' random intercept."""
        return self.model.formula

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        return self.model.approximation(ddf)

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        return self.model.ddf_label(ddf)

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts jointly by Wald's chi-squared."""
        return wald_f(contrasts, left, self.cov, np.inf)

    def estimable(self, L: Array) -> Array:
        """Write hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        return self.model.estimable(L)

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        model = self.model
        return {
            "nobs": self.nobs,
            "npar": model.npar,
            "sigma": model.sigma,
            "logLik": model.llf,
            "AIC": 2.0 * (model.npar - model.llf),
            "BIC": float(np.log(self.nobs)) * model.npar - 2.0 * model.llf,
            "df.residual": self.nobs - model.npar,
            "singular": bool(self.estimate.is_singular),
            "converged": bool(self.estimate.converged),
        }

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        return f"{self.call.form}, {self.model.brief()}"

    @property
    def table_hidden(self) -> Sequence[str]:
        """Statistics that mean nothing in a regression table beside those of other models."""
        return self.model.table_hidden

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        return self.model.table_rows()
