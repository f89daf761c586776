"""The parts of a fitted least squares model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.sandwich.tests import WaldTest
from ...models.ols import OlsEstimate
from ..parts import Parts
from ..robust import Named, RobustResult
from .call import FeolsCall
from .covariance import default_covariance
from .fitted import Fitted

__all__ = ["FeolsParts"]


@dataclass(frozen=True, eq=False, repr=False)
class FeolsParts(Parts):
    """Design and estimate of a fit, and what follows from them."""

    estimate: Fitted
    call: FeolsCall

    ddf: ClassVar[tuple[str, ...]] = ("own", "residual", "inf")
    no_ddf: ClassVar[str] = "they belong to the covariance of the coefficients"
    #: The working model of robust errors has equal variances, whatever the weights.
    whitened: ClassVar[bool] = False

    def __getstate__(self) -> dict[str, Any]:
        return {**Parts.__getstate__(self), "vcov": self.vcov}  # its clusters came with the data

    @property
    def ols(self) -> OlsEstimate:
        """The fit after absorption."""
        return self.estimate.within.ols

    @property
    def df_resid(self) -> int:
        """Rows minus coefficients minus absorbed effects."""
        return self.ols.df_resid

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(self.design.fixed_names[j] for j in self.estimate.positions)

    @property
    def beta(self) -> Array:
        """Estimates, NaN where aliased, shape (p,)."""
        return self.ols.beta

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
        if ddf == "own":
            return self.vcov.tests
        return FixedDf(self.cov, np.inf if ddf == "inf" else float(self.df_resid))

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        name = self.ddf_name(ddf)
        return self.vcov.df_method if name == "own" else name

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts jointly by the covariance of the call."""
        return self.vcov.parts.wald(contrasts, left)

    def linear(self, X: Array) -> Array:
        """Compute X beta over the columns that have a coefficient."""
        return np.asarray(X[:, self.kept] @ self.beta[self.kept])

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor."""
        absorption = self.estimate.absorption
        if absorption is None:
            return {}
        return dict(zip(absorption.names, map(int, absorption.n_levels), strict=True))

    @property
    def rsquared(self) -> float:
        """Share of the response's variance that is explained, absorbed effects included."""
        return share(self.ols.ssr, self.estimate.within.tss)

    @property
    def rsquared_within(self) -> float:
        """Share that the regressors explain of what the absorbed effects leave."""
        return share(self.ols.ssr, self.estimate.within.tss_within)

    @property
    def npar(self) -> int:
        """Coefficients, absorbed effects and the variance."""
        return self.nobs - self.df_resid + 1

    @property
    def llf(self) -> float:
        """Gaussian log-likelihood at the maximum likelihood variance."""
        weights = self.design.weights
        logs = 0.0 if weights is None else float(np.log(weights).sum())
        n = self.nobs
        return 0.5 * (logs - n * (1.0 + float(np.log(2.0 * np.pi * self.ols.ssr / n))))

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        return {
            "nobs": self.nobs,
            "npar": self.npar,
            "sigma": float(np.sqrt(self.ols.sigma2)),
            "logLik": self.llf,
            "AIC": 2.0 * (self.npar - self.llf),
            "BIC": float(np.log(self.nobs)) * self.npar - 2.0 * self.llf,
            "df.residual": self.df_resid,
            "r.squared": self.rsquared,
            "within.r.squared": self.rsquared_within,
        }

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        absorbed = f"{' + '.join(self.ngroups)} absorbed, " if self.ngroups else ""
        return f"{absorbed}{counted(self.nobs, 'row')}, {self.vcov.kind} standard errors"

    @property
    def table_absorbed(self) -> str | None:
        """Absorbed factors in a regression table."""
        return " + ".join(self.ngroups) or None

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        return {"N": self.nobs, "r2": self.rsquared, "r2_within": self.rsquared_within}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return self.vcov.parts.table_covariance()


def share(left: float, total: float) -> float:
    """Share that is explained; NaN where there is nothing to explain."""
    return 1.0 - left / total if total > 0.0 else float("nan")
