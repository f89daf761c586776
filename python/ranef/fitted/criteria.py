"""Counts, likelihood and criteria of a fitted model with random effects."""

from __future__ import annotations

import numpy as np

from .._number import Count
from .mixed.parts import MixedParts
from .parts import Base

__all__ = ["Criteria"]


class Criteria(Base):
    """What comparisons of models use."""

    parts: MixedParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def npar(self) -> int:
        """Number of parameters: coefficients that are not aliased, and those of the covariances.

        A residual standard deviation that is known (``ranef.Point``) is not counted; blme counts
        it.
        """
        return self.parts.npar

    @property
    def converged(self) -> bool:
        """Whether gradient and curvature say that this is an optimum."""
        return bool(self.parts.converged)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one when ``reml``."""
        return self.parts.llf

    @property
    def df_resid(self) -> int:
        """Rows minus parameters."""
        return self.parts.nobs - self.parts.npar

    @property
    def aic(self) -> float:
        """Akaike's criterion of this fit's likelihood."""
        return -2.0 * self.parts.llf + 2.0 * self.parts.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(-2.0 * self.parts.llf + np.log(self.parts.nobs) * self.parts.npar)

    @property
    def aicc(self) -> float:
        """AIC with Hurvich and Tsai's (1989) correction; infinite below npar + 2 rows."""
        npar = self.parts.npar
        left = self.parts.nobs - npar - 1
        aic = -2.0 * self.parts.llf + 2.0 * npar
        return aic + (2.0 * npar * (npar + 1) / left if left > 0 else np.inf)
