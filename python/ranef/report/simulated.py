"""Tests whose null distribution is simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tabled import Tabled

__all__ = ["SimulatedTest"]


@dataclass(frozen=True, repr=False)
class SimulatedTest(Tabled):
    """A likelihood-ratio test against simulated statistics.

    See :func:`ranef.rlrt` and :func:`ranef.pbtest`.

    Attributes
    ----------
    table : DataFrame
        One row: chisq, df, pvalue (simulated), pvalue_chi2 and pvalue_boundary (by
        the large-sample distributions) and draws.
    notes : tuple of str
        What was tested and what went wrong.
    draws : ndarray
        The simulated statistics.
    name : str
        What the test is.
    """

    draws: NDArray[np.float64]
    name: str

    @property
    def title(self) -> str:
        """What the test is."""
        return self.name

    @property
    def statistic(self) -> float:
        """The observed likelihood ratio."""
        return float(self.table["chisq"].iloc[0])

    @property
    def pvalue(self) -> float:
        """Share of statistics as large as the observed one, including itself."""
        return float(self.table["pvalue"].iloc[0])
