"""Simulated tests: draws, mishaps, results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import ModelError
from ..inference.lrt.lrt import RatioTest, parts
from ..inference.lrt.pbtest import simulated_pvalue
from ..report.simulated import SimulatedTest
from .models import by_likelihood, check_comparable, check_likelihood, same_fixed

__all__ = ["check_draws", "mishaps", "observed_between", "simulated"]


def check_draws(n: int) -> None:
    """Raise unless the number of draws is a positive integer."""
    if n < 1:
        raise ValueError(f"n is a number of draws, 1 or more, not {n}")


def observed_between(model: Any, null: Any, alternative: Any) -> float:
    """Return the restricted likelihood ratio of two models that differ by one variance.

    Raises
    ------
    ModelError
        If one is missing, or they do not differ by the random effects of ``model`` alone.
    """
    if null is None or alternative is None:
        raise ModelError(
            "with other variances rlrt takes three models: the tested random effect alone, the "
            "model without it and the model with it"
        )
    check_comparable((model, null, alternative), "rlrt")
    check_likelihood((null, alternative), "rlrt")
    small, large = (by_likelihood(m, reml=True) for m in (null, alternative))
    terms = [
        {(term.group, name) for term in m.parts.design.random for name in term.names}
        for m in (model, small, large)
    ]
    if small.npar + 1 != large.npar or terms[2] - terms[1] != terms[0]:
        raise ModelError(
            f"{large.call.formula!r} has to be {small.call.formula!r} with the random effect of "
            f"{model.call.formula!r} and nothing else, uncorrelated with the others"
        )
    if not same_fixed([parts(m.parts.design, m.parts.estimate) for m in (small, large)]):
        raise ModelError("the fixed parts of the models differ; rlrt tests a variance")
    return float(max(0.0, 2.0 * (large.llf - small.llf)))


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
