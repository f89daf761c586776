"""Counts, shares of variance and criteria of least squares."""

from __future__ import annotations

import numpy as np

from ..._number import Count, Real
from ...design import INTERCEPT
from ...models.within import singletons
from ..parts import Base
from .parts import FeolsParts, share

__all__ = ["Criteria"]


class Criteria(Base):
    """Counts, shares of variance and criteria."""

    parts: FeolsParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def df_resid(self) -> int:
        """Rows minus coefficients minus absorbed effects."""
        return self.parts.df_resid

    @property
    def sigma(self) -> Real:
        """Residual standard deviation."""
        return Real(np.sqrt(self.parts.ols.sigma2))

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor."""
        return self.parts.ngroups

    @property
    def singletons(self) -> dict[str, int]:
        """Levels of each absorbed factor with one row, which says nothing about the rest."""
        absorption = self.parts.estimate.absorption
        return {} if absorption is None else singletons(absorption)

    @property
    def aliased(self) -> dict[str, str]:
        """Columns without a coefficient, and why."""
        return {self.parts.names[j]: why for j, why in self.parts.estimate.within.aliased.items()}

    @property
    def rsquared(self) -> float:
        """Share of the response's variance that is explained, absorbed effects included."""
        return self.parts.rsquared

    @property
    def rsquared_within(self) -> float:
        """Share that the regressors explain of what the absorbed effects leave."""
        return self.parts.rsquared_within

    @property
    def rsquared_adj(self) -> float:
        """``rsquared`` with both variances divided by their degrees of freedom."""
        centred = self.parts.estimate.absorption is not None or INTERCEPT in self.parts.design.fixed
        return share(
            self.parts.ols.sigma2 * (self.parts.nobs - centred), self.parts.estimate.within.tss
        )

    @property
    def llf(self) -> float:
        """Gaussian log-likelihood at the maximum likelihood variance."""
        return self.parts.llf

    @property
    def npar(self) -> int:
        """Coefficients, absorbed effects and the variance."""
        return self.parts.npar

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return float(np.log(self.parts.nobs)) * self.npar - 2.0 * self.llf

    @property
    def converged(self) -> bool:
        """True: least squares is solved, not searched for."""
        return True
