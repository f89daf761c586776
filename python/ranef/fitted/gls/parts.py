"""The parts of a fitted linear model with structured residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...design.structured import StructuredDesign
from ...inference.hypotheses.linear import Approximation, FixedDf
from ...inference.hypotheses.structured import satterthwaite_structured
from ...models.gls import rows as gls_rows
from ...models.gls.model import GlsEstimate, GlsModel, alias, gls_model
from ...report.maketables import covariance_rows
from ...report.structured import correlation_labels
from ...report.varcorr import VarCorr
from ..mixed.parts import MixedParts
from .call import GLSCall

__all__ = ["GlsParts"]


@dataclass(frozen=True, eq=False, repr=False)
class GlsParts(MixedParts):
    """Rows, estimate and kernel of a fit, and what follows from them."""

    estimate: GlsEstimate
    call: GLSCall
    structured: StructuredDesign | None = None

    ddf: ClassVar[tuple[str, ...]] = ("satterthwaite", "residual", "inf")
    no_ddf: ClassVar[str] = "Kenward and Roger's method needs independent residuals"

    @property
    def rows(self) -> StructuredDesign:
        """The design with groups, times and strata of the rows."""
        assert self.structured is not None
        return self.structured

    @cached_property
    def core(self) -> GlsModel:
        """The kernel, built again after pickling."""
        found: GlsModel | None = self.kernel
        return gls_model(self.rows, self.call.corr) if found is None else found

    @property
    def reml(self) -> bool:
        """Whether the restricted likelihood was maximised."""
        return self.estimate.reml

    @property
    def npar(self) -> int:
        """Coefficients, covariance parameters and sigma."""
        return len(self.kept) + len(self.estimate.psi) + 1

    @property
    def varcorr(self) -> VarCorr:
        """Covariance matrices of the random effects by group; no group when there are none."""
        sigma = self.sigma if self.call.variance is None else None
        return VarCorr(self.design.random, self.estimate.sigmas, sigma)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of ``groups`` and of the grouping factor of each random effect."""
        own = {} if self.call.groups is None else {self.call.groups: len(self.rows.levels)}
        return {**own, **{term.group: term.n_levels for term in self.design.random}}

    def aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
        return alias(self.design, self.kept)

    def covariances(self) -> list[Array]:
        """Conditional covariance of each level, (levels, s, s) for each term."""
        return gls_rows.conditional_covariances(self.rows, self.core, self.estimate)

    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""
        if ddf == "satterthwaite":
            return satterthwaite_structured(self.core, self.estimate, self.nobs)
        rest = float(self.nobs - len(self.kept))
        return FixedDf(self.cov, np.inf if ddf == "inf" else rest)

    @property
    def correlation(self) -> pd.Series[Any]:
        """Parameters of the residual correlation: rho, phi, by lag, or by pair of times."""
        values = self.estimate.correlation
        labels = correlation_labels(self.call.corr, len(values), self.times())
        return pd.Series(values, index=pd.Index(labels, dtype=object), dtype=float)

    def times(self) -> list[Any]:
        """Labels of the distinct times; numbers from 0 when no time was given."""
        levels = self.rows.time_levels
        largest = int(np.bincount(self.rows.cluster).max())
        return list(range(largest)) if levels is None else levels.tolist()

    def resid(self) -> Array:
        """Residuals given the random effects, shape (n,)."""
        return gls_rows.conditional_residuals(self.rows, self.estimate)

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        kind = "REML" if self.reml else "ML"
        return (
            f"{self.call.corr} residuals, {kind}, {counted(self.nobs, 'row')}, llf {self.llf:.4f}"
        )

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        random = covariance_rows(self.varcorr, self.ngroups)
        shown = {f"Residual {self.call.corr}, {k}": float(v) for k, v in self.correlation.items()}
        return {**random, **shown, "N": self.nobs, "ll": self.llf}
