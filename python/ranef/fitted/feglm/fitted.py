"""Estimates of generalised linear models: with factors absorbed, and conditional on their sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from ...models.absorbed import GlmEstimate
from ...models.conditional import ConditionalEstimate, Strata
from ...models.within import Absorption, WithinEstimate

__all__ = ["AbsorbedFit", "ConditionalFit", "GlmFit"]


@dataclass(frozen=True)
class AbsorbedFit:
    """A fit whose factors, if there are any, have an effect for each level.

    Attributes
    ----------
    positions : tuple of int
        Columns of the design's X that were fitted: without the constant after absorption.
    glm : GlmEstimate
        The fit.
    absorption : Absorption or None
        What was absorbed.
    llf : float
        Log-likelihood.
    """

    positions: tuple[int, ...]
    glm: GlmEstimate
    absorption: Absorption | None
    llf: float

    @property
    def within(self) -> WithinEstimate:
        """The last weighted least squares."""
        return self.glm.within

    @property
    def beta(self) -> Array:
        """Coefficients, NaN where a column is aliased."""
        return self.within.ols.beta

    @property
    def cov(self) -> Array:
        """Inverse of the information on those that are not."""
        return self.within.ols.cov_unscaled

    @property
    def n_effects(self) -> int:
        """Effects that were absorbed, minus their dependencies."""
        return self.within.df_absorbed

    @property
    def aliased(self) -> dict[int, str]:
        """Why a column has no coefficient."""
        return self.within.aliased

    @property
    def mu(self) -> Array:
        """Means of the rows."""
        return self.glm.mu

    @property
    def eta(self) -> Array:
        """Linear predictors of the rows."""
        return self.glm.eta

    @property
    def converged(self) -> bool:
        """Whether the last step was negligible."""
        return self.glm.converged

    @property
    def separated(self) -> list[int]:
        """None: rows that a coefficient separates were left out, and it with them."""
        return []


@dataclass(frozen=True)
class ConditionalFit:
    """A fit given the number of successes of each group.

    Attributes
    ----------
    positions : tuple of int
        Columns of the design's X that were fitted: without the constant.
    strata : Strata
        The groups, with the columns that have a coefficient.
    found : ConditionalEstimate
        The fit of those.
    absorption : Absorption
        The groups by name.
    aliased : dict of int to str
        Why a column has no coefficient.
    mu : ndarray of shape (n,)
        Probabilities of the rows, given the sums of their groups.
    """

    positions: tuple[int, ...]
    strata: Strata
    found: ConditionalEstimate
    absorption: Absorption
    aliased: dict[int, str]
    mu: Array

    @property
    def beta(self) -> Array:
        """Coefficients, NaN where a column is aliased."""
        out = np.full(len(self.positions), np.nan)
        out[[j for j in range(len(out)) if j not in self.aliased]] = self.found.beta
        return out

    @property
    def cov(self) -> Array:
        """Inverse of the information on those that are not; NaN where one runs away."""
        cov, lost = self.found.cov.copy(), self.found.separated
        cov[lost], cov[:, lost] = np.nan, np.nan
        return cov

    @property
    def llf(self) -> float:
        """Conditional log-likelihood."""
        return self.found.point.llf

    @property
    def n_effects(self) -> int:
        """0: the effects of the groups are not parameters of this likelihood."""
        return 0

    @property
    def eta(self) -> Array:
        """Logits of the rows' probabilities."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.mu) - np.log1p(-self.mu))

    @property
    def converged(self) -> bool:
        """Whether the last step was negligible, and no coefficient runs away."""
        return self.found.converged

    @property
    def separated(self) -> list[int]:
        """Positions of the coefficients along which the likelihood rises without end."""
        kept = [j for j in range(len(self.positions)) if j not in self.aliased]
        return [kept[i] for i in np.flatnonzero(self.found.separated)]


#: Either of them.
GlmFit = AbsorbedFit | ConditionalFit
