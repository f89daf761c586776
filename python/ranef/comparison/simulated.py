"""Simulated tests: draws, mishaps, results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..inference.lrt.lrt import RatioTest
from ..inference.lrt.pbtest import simulated_pvalue
from ..report.simulated import SimulatedTest

__all__ = ["check_draws", "mishaps", "simulated"]


def check_draws(n: int) -> None:
    """Raise unless the number of draws is a positive integer."""
    if n < 1:
        raise ValueError(f"n is a number of draws, 1 or more, not {n}")


def mishaps(ratios: np.ndarray[Any, np.dtype[np.float64]], stopped: int) -> list[str]:
    """Count fits that failed or stopped short."""
    failed = int(np.isnan(ratios).sum())
    notes = []
    if failed:
        notes.append(f"{failed} of {len(ratios)} simulated responses could not be fitted")
    if stopped:
        notes.append(f"in {stopped} of {len(ratios)} a fit did not converge; they are counted")
    return notes


def simulated(
    name: str, test: RatioTest, draws: np.ndarray[Any, np.dtype[np.float64]], notes: list[str]
) -> SimulatedTest:
    """Lay the test out."""
    row = {
        "chisq": test.chisq,
        "df": test.df,
        "pvalue": simulated_pvalue(test.chisq, draws),
        "pvalue_chi2": test.pvalue,
        "pvalue_boundary": test.pvalue_boundary,
        "draws": len(draws),
    }
    zero = float((draws <= 1e-8).mean())
    share = f"{100.0 * zero:.1f} % of the simulated statistics are zero"
    return SimulatedTest(pd.DataFrame([row], index=["test"]), (*notes, share), draws, name)
