"""Random effects of a fitted model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...report.effects import RandomEffects, per_level
from ...report.varcorr import VarCorr
from ..parts import Base
from .parts import MixedParts

__all__ = ["RandomPart"]


class RandomPart(Base):
    """Conditional modes, covariances and grouping factors."""

    parts: MixedParts

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; prints as standard deviations."""
        return self.parts.varcorr

    @property
    def sigma(self) -> float:
        """Residual standard deviation.

        For a generalised model the root of phi of a gamma, and 1 for other families; with
        ``variance=`` of :func:`ranef.gls`, where it has its first level or zero columns.
        """
        return self.parts.sigma

    @property
    def theta(self) -> pd.Series[Any]:
        """Elements of the relative covariance factors, labelled ``group.term[.term]``."""
        return self.parts.theta

    def ranef(self) -> RandomEffects:
        """Return the conditional modes of the random effects.

        Returns
        -------
        RandomEffects
            Mapping of group to a frame of levels by terms; ``.cov[group]`` holds the conditional
            covariances, shape (levels, s, s), given the estimated parameters.
        """
        return self.parts.ranef()

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return each level's own coefficients: fixed plus random, a frame for each group."""
        return per_level(self.parts.ranef(), self.parts.params.dropna())

    @property
    def is_singular(self) -> bool:
        """Whether a covariance matrix of random effects is singular, in the standardised basis.

        Smooth terms do not count: a curve may well be a straight line.
        """
        return self.parts.is_singular

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor, and of ``groups`` where they were given."""
        return self.parts.ngroups
