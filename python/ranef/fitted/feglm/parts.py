"""The parts of a fitted generalised linear model with absorbed factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...families import Family, lookup
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.sandwich.tests import WaldTest
from ..parts import Parts
from ..robust import Named, RobustResult
from .call import FeglmCall
from .covariance import default_covariance
from .fit import Lost, fit_call
from .fitted import ConditionalFit, GlmFit

__all__ = ["FeglmParts", "fit"]


@dataclass(frozen=True, eq=False, repr=False)
class FeglmParts(Parts):
    """Design and estimate of a fit, and what follows from them."""

    estimate: GlmFit
    call: FeglmCall
    lost: Lost = field(default_factory=lambda: Lost({}))

    ddf: ClassVar[tuple[str, ...]] = ("own", "inf")
    no_ddf: ClassVar[str] = "they belong to the covariance of the coefficients"

    def __getstate__(self) -> dict[str, Any]:
        return {**Parts.__getstate__(self), "vcov": self.vcov}  # its clusters came with the data

    @property
    def family(self) -> Family:
        """The distribution of the response."""
        return lookup(self.call.family)

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.family.link.name

    @property
    def is_conditional(self) -> bool:
        """Whether the likelihood is that given the sums of groups."""
        return isinstance(self.estimate, ConditionalFit)

    @property
    def no_means(self) -> str:  # type: ignore[override]
        """Why no means are predicted over values of the formula's variables, if so."""
        if self.estimate.absorption is None:
            return ""
        return (
            "they depend on the level of each absorbed factor; model.predict(newdata) takes levels"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(self.design.fixed_names[j] for j in self.estimate.positions)

    @cached_property
    def vcov(self) -> RobustResult:
        """The covariance that the call asked for, with its tests."""
        return default_covariance(self)

    @property
    def cov(self) -> Array:
        """Covariance of the coefficients that are not aliased."""
        return self.vcov.cov

    @property
    def terms(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Terms of the formula and the positions of their coefficients."""
        place = {j: i for i, j in enumerate(self.estimate.positions)}
        return tuple(
            (name, tuple(place[j] for j in columns if j in place))
            for name, columns in self.design.fixed_terms
        )

    def named(self) -> Named:
        """Names, estimates and terms."""
        return Named(self.names, self.beta, self.terms, self.call.formula)

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        return self.vcov.tests if ddf == "own" else FixedDf(self.cov, np.inf)

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        return self.vcov.df_method if self.ddf_name(ddf) == "own" else "normal"

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts jointly by the covariance of the call."""
        return self.vcov.parts.wald(contrasts, left)

    def linear(self, X: Array) -> Array:
        """Compute X beta over the columns that have a coefficient."""
        return np.asarray(X[:, self.kept] @ self.beta[self.kept])

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor that were used."""
        absorption = self.estimate.absorption
        if absorption is None:
            return {}
        return dict(zip(absorption.names, map(int, absorption.n_levels), strict=True))

    @property
    def npar(self) -> int:
        """Coefficients and absorbed effects; a conditional likelihood has no effects."""
        return len(self.kept) + self.estimate.n_effects

    @property
    def df_resid(self) -> int:
        """Rows minus parameters; minus groups too where the likelihood is given their sums."""
        absorption = self.estimate.absorption
        fixed = int(absorption.n_levels.sum()) if self.is_conditional and absorption else 0
        return self.n_counted - self.npar - fixed

    @property
    def n_counted(self) -> int:
        """Rows, each as often as its frequency says."""
        weights = self.design.weights
        if weights is None or self.family.has_trials:
            return self.nobs
        return round(float(weights.sum()))

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(np.log(self.n_counted)) * self.npar - 2.0 * self.llf

    @property
    def llf(self) -> float:
        """Log-likelihood; the conditional one of conditional logistic regression."""
        return float(self.estimate.llf)

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        return {
            "nobs": self.nobs,
            "npar": self.npar,
            "logLik": self.llf,
            "AIC": 2.0 * (self.npar - self.llf),
            "BIC": self.bic,
            "df.residual": self.df_resid,
            "converged": self.estimate.converged,
        }

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        absorbed = f"{' + '.join(self.ngroups)} absorbed, " if self.ngroups else ""
        rows = counted(self.nobs, "row")
        return f"{self.family.label}, {absorbed}{rows}, {self.vcov.kind} standard errors"

    @property
    def table_absorbed(self) -> str | None:
        """Absorbed factors in a regression table."""
        return " + ".join(self.ngroups) or None

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        return {"N": self.nobs, "ll": self.llf, "aic": 2.0 * (self.npar - self.llf)}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return self.vcov.parts.table_covariance()


def fit(call: FeglmCall, data: Any) -> FeglmParts:
    """Carry out a call."""
    design, fitted, found, lost = fit_call(call, data)
    parts = FeglmParts(design, fitted, call, data, warnings=found, lost=lost)
    _ = parts.vcov  # needs the data, which are lost by pickling
    return parts
