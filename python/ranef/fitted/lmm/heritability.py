"""Shares of variance components: a method of a fitted linear mixed model."""

from __future__ import annotations

import pandas as pd

from ...inference.shares.heritability import heritability
from ..parts import Base
from .parts import LmmParts

__all__ = ["Heritability"]


class Heritability(Base):
    """Shares of the variance with their standard errors."""

    parts: LmmParts

    def heritability(self) -> pd.DataFrame:
        """Return each variance's share of the sum of all, with its standard error.

        With a pedigree or a kinship in ``covariance=`` the share of its term is the heritability:
        the additive variance of a base population that is not inbred over the whole variance.

        Returns
        -------
        DataFrame
            Rows the grouping factors and "residual"; columns ``estimate`` and ``se``. Standard
            errors are NaN where a variance is estimated as zero: the share is not normally
            distributed there; use ``conf_int("profile")`` or ``conf_int("boot")`` instead.

        Raises
        ------
        UnsupportedError
            If a term has random slopes, or the model a prior.

        Notes
        -----
        By the delta method from the observed information of the (restricted) likelihood.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
        >>> model.heritability().round(3)
                  estimate     se
        Subject      0.589  0.093
        residual     0.411  0.093
        """
        self.parts.likelihood_only("heritability()")
        self.parts.exact_only("heritability()", "icc()")
        return heritability(self.parts.design, self.parts.estimate, self.parts.core)
