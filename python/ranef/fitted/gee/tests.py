"""Covariances and tests of a marginal model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...inference.sandwich.wild import WildBootstrap
from ..parts import Base
from ..robust import RobustResult
from ..wald_tests import wald_frame
from .covariance import robust_covariance
from .parts import GeeParts

__all__ = ["Robust"]


class Robust(Base):
    """Every covariance of the coefficients, and tests of terms."""

    parts: GeeParts

    def robust(self, kind: str = "CR2", cluster: Any = None) -> RobustResult:
        """Return tests with another robust covariance, with Satterthwaite's degrees of freedom.

        Parameters
        ----------
        kind : str
            CR0, CR1, CR1S, CR2 (Kauermann and Carroll) or CR3 (Mancl and DeRouen); or one of the
            names that ``vcov`` takes.
        cluster : str, sequence of str or array_like, optional
            Clusters that contain whole groups; the groups by default. Several (CR0, CR1, CR1S) make
            the covariance robust to each.

        Returns
        -------
        RobustResult

        Notes
        -----
        The adjustments are those of least squares on the whitened columns V^-1/2 D, with the
        working covariance as target [1]_ [2]_ [3]_.

        References
        ----------
        .. [1] Mancl and DeRouen (2001), Biometrics 57, 126-134.
        .. [2] Kauermann and Carroll (2001), J. Am. Stat. Assoc. 96, 1387-1396.
        .. [3] McCaffrey and Bell (2006), Stat. Med. 25, 4081-4098.
        """
        return robust_covariance(self.parts, kind, cluster)

    def wild_bootstrap(self, term: str, cluster: Any = None, **options: Any) -> WildBootstrap:
        """Test a coefficient by the wild cluster bootstrap; see `RobustResult.wild_bootstrap`."""
        return robust_covariance(self.parts, "CR0", cluster).wild_bootstrap(term, **options)

    def anova(self) -> pd.DataFrame:
        """Test each term of the formula by Wald's test, given all others.

        Returns
        -------
        DataFrame
            Columns num_df, den_df, F, pvalue; one row per term. den_df is infinite for normal
            tests, and F times num_df is then chi-squared.
        """
        rows = {
            name: wald_frame(self.parts, [self.parts.names[j] for j in columns]).iloc[0]
            for name, columns in self.parts.design.fixed_terms
            if name != "Intercept" and set(columns) & set(self.parts.kept.tolist())
        }
        return pd.DataFrame(rows).T
