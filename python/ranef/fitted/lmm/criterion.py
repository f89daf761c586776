"""Variances and the number of parameters: methods of a fitted linear mixed model."""

from __future__ import annotations

from ...inference.priors.parts import prior_parts
from ...report.varcorr import VarCorr
from .base import Fitted

__all__ = ["Criterion"]


class Criterion(Fitted):
    """Variances, and what the criteria count."""

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; prints as standard deviations."""
        return VarCorr(self._design.random, self._estimate.sigmas, self._estimate.sigma)

    @property
    def npar(self) -> int:
        """Parameters: fixed effects that are not aliased, covariance parameters and sigma.

        A sigma that is known (``ranef.Point``) is none; blme counts it.
        """
        known = prior_parts(self.call.prior).sigma is not None
        return len(self._estimate.kept) + self._n_covariances + (not known)
