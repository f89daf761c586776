"""Likelihood and information criteria: methods of a fitted mixed model."""

from __future__ import annotations

import numpy as np

from ..inference.prior_parts import prior_parts
from ..report.varcorr import VarCorr
from .fitted import Fitted

__all__ = ["Criterion"]


class Criterion(Fitted):
    """Likelihood, its penalties, and the variances they count."""

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; prints as standard deviations."""
        return VarCorr(self._design.random, self._estimate.sigmas, self._estimate.sigma)

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one when ``reml``."""
        return -0.5 * self._estimate.objective

    @property
    def npar(self) -> int:
        """Parameters: fixed effects that are not aliased, covariance parameters and sigma.

        A sigma that is known (``ranef.Point``) is none; blme counts it.
        """
        pairs = sum(
            len(block) * (len(block) + 1) // 2
            for term in self._design.random
            for block in term.blocks
        )
        return len(self._estimate.kept) + pairs + (prior_parts(self.call.prior).sigma is None)

    @property
    def df_resid(self) -> int:
        """Rows less parameters."""
        return self.nobs - self.npar

    @property
    def aic(self) -> float:
        """Akaike's criterion of this fit's likelihood."""
        return -2.0 * self.llf + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(-2.0 * self.llf + np.log(self.nobs) * self.npar)

    @property
    def aicc(self) -> float:
        """AIC with Hurvich and Tsai's (1989) correction; infinite below npar + 2 rows."""
        left = self.nobs - self.npar - 1
        return self.aic + (2.0 * self.npar * (self.npar + 1) / left if left > 0 else np.inf)

    @property
    def is_singular(self) -> bool:
        """Whether a covariance matrix of random effects is singular, in the standardised basis."""
        return self._estimate.is_singular
