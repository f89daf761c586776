"""Cluster-robust tests: methods of a fitted linear mixed model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import UnsupportedError
from ..parts import Base
from .parts import LmmParts

if TYPE_CHECKING:
    from ...inference.sandwich.wild import WildBootstrap
    from ..robust import RobustResult

__all__ = ["Robust"]


class Robust(Base):
    """Tests of the fixed effects with a cluster-robust covariance."""

    parts: LmmParts

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Return tests of the fixed effects with a cluster-robust covariance.

        Parameters
        ----------
        kind : {"CR2", "CR3", "CR0", "CR1", "CR1S"}
            The small-sample correction.
        cluster : str, sequence of str or array_like, optional
            Clusters, in which every grouping factor is nested; by default the grouping factor with
            fewest levels. Several (CR0, CR1, CR1S) when each factor is nested in one of them.
        """
        from ...inference.priors.parts import prior_parts
        from ..robust import robust_mixed

        self.parts.exact_only("a cluster-robust covariance")
        if prior_parts(self.parts.call.prior).fixed is not None:
            raise UnsupportedError(
                "cluster-robust standard errors are for fixed effects without a prior, and these "
                "have one; use model.update(prior=...) without 'fixed'"
            )
        return robust_mixed(
            kind,
            cluster,
            self.parts.design,
            self.parts.estimate,
            self.parts.data,
            self.parts.call.formula,
        )

    def wild_bootstrap(self, term: str, cluster: Any = None, **options: Any) -> WildBootstrap:
        """Test a fixed effect by the wild cluster bootstrap; see `RobustResult.wild_bootstrap`."""
        return self.robust("CR0", cluster).wild_bootstrap(term, **options)
