"""Covariances and tests of least squares: methods of a fitted model."""

from __future__ import annotations

from typing import Any

from ...inference.sandwich.wild import WildBootstrap
from ..parts import Base
from ..robust import RobustResult
from .covariance import robust_covariance
from .parts import FeolsParts

__all__ = ["Robust"]


class Robust(Base):
    """Every covariance of the coefficients."""

    parts: FeolsParts

    @property
    def vcov_type(self) -> str:
        """Which covariance the tests of this model use."""
        return self.parts.vcov.kind

    def robust(
        self, kind: str = "CR2", cluster: Any = None, *, ssc: str = "clubSandwich"
    ) -> RobustResult:
        """Return tests with a robust covariance.

        Parameters
        ----------
        kind : str
            HC0 to HC3 against unequal variances; CR0, CR1, CR1S, CR2, CR3 against clusters as well.
        cluster : str, sequence of str or array_like, optional
            Clusters: a column, several (CR0, CR1, CR1S), or one value for each row; by default
            those of the call.
        ssc : {"clubSandwich", "fixest", "stata"}
            Small-sample convention, see :func:`ranef.feols`.

        Returns
        -------
        RobustResult

        References
        ----------
        .. [1] Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683.
        """
        return robust_covariance(self.parts, kind, cluster, ssc)

    def wild_bootstrap(
        self,
        term: str,
        cluster: Any = None,
        **options: Any,
    ) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap with the hypothesis imposed.

        Parameters
        ----------
        term : str
            The coefficient.
        cluster : str or array_like, optional
            Clusters; by default those of the call.
        **options
            null, draws, weights, level and seed; see `RobustResult.wild_bootstrap`.

        Returns
        -------
        WildBootstrap
        """
        return robust_covariance(self.parts, "CR2", cluster, "clubSandwich").wild_bootstrap(
            term, **options
        )
