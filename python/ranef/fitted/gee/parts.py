"""The parts of a fitted marginal model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...design.grouped import group_term, times_of
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.sandwich.sandwich import DiagonalScores
from ...inference.sandwich.tests import WaldTest
from ...models.gee import GeeEstimate, GeeSpec
from ..parts import Parts
from ..robust import Named, RobustResult
from .call import GEECall
from .covariance import default_covariance

__all__ = ["GeeParts"]


@dataclass(frozen=True, eq=False, repr=False)
class GeeParts(Parts):
    """Design and estimate of a fit, and what follows from them."""

    estimate: GeeEstimate
    call: GEECall
    checked: GeeSpec | None = None

    ddf: ClassVar[tuple[str, ...]] = ("own", "inf")
    no_ddf: ClassVar[str] = "they belong to the covariance of the coefficients"

    def __getstate__(self) -> dict[str, Any]:
        return {**Parts.__getstate__(self), "vcov": self.vcov}

    @property
    def spec(self) -> GeeSpec:
        """Family, link and working correlation, checked."""
        assert self.checked is not None
        return self.checked

    @property
    def link(self) -> str:
        """Link of the mean."""
        return self.spec.link

    @cached_property
    def vcov(self) -> RobustResult:
        """The covariance that the call asked for, with its tests."""
        return default_covariance(self)

    @property
    def cov(self) -> Array:
        """Covariance of the coefficients that are not aliased."""
        return self.vcov.cov

    def named(self) -> Named:
        """Names, estimates and terms."""
        return Named(self.names, self.beta, self.terms, self.call.formula)

    @cached_property
    def scores(self) -> DiagonalScores:
        """Whitened scores by group."""
        e = self.estimate
        return DiagonalScores(e.columns, e.resid, None, e.root, e.codes, self.n_clusters)

    @property
    def n_clusters(self) -> int:
        """Number of groups."""
        return group_term(self.design, self.call.groups).n_levels

    def times(self) -> Array:
        """Distinct times; 1, 2, ... when no time column was given."""
        if self.call.time is not None:
            return np.unique(times_of(group_term(self.design, self.call.time)))
        codes = group_term(self.design, self.call.groups).codes
        return np.arange(1.0, np.bincount(codes).max() + 1.0)

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        return self.vcov.tests if ddf == "own" else FixedDf(self.cov, np.inf)

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        name = self.ddf_name(ddf)
        return self.vcov.df_method if name == "own" else name

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts jointly by the covariance of the call."""
        return self.vcov.parts.wald(contrasts, left)

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        return {
            "nobs": self.nobs,
            "n.clusters": self.n_clusters,
            "dispersion": self.estimate.phi,
            "df.residual": self.nobs - len(self.kept),
            "converged": self.estimate.converged,
        }

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        size = f"{counted(self.n_clusters, 'group')}, {counted(self.nobs, 'row')}"
        return f"{self.spec.family}, {self.spec.corr}, {size}"

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        return {"N": self.nobs, "Clusters": self.n_clusters}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return self.vcov.parts.table_covariance()
