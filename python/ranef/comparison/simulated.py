"""Simulated tests: draws, mishaps, results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from ..errors import ModelError
from ..fitted.lmm.model import LinearMixedModel
from ..inference.lrt.lrt import RatioTest, Relation, ratio_test
from ..inference.lrt.pbtest import bootstrap_ratios, simulated_pvalue
from ..models.batch.estimate import Settings
from ..report.simulated import SimulatedTest

__all__ = ["bootstrapped", "check_draws", "entropy", "mishaps", "simulated"]


def check_draws(n: int) -> None:
    """Raise unless the number of draws is a positive integer."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n is a number of draws, 1 or more, not {n!r}")


def entropy(seed: Any) -> Any:
    """Return the entropy of seeds: a number, drawn if a generator is given.

    Raises
    ------
    TypeError
        If it is neither a generator nor a number.
    """
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if seed is None or (isinstance(seed, int | np.integer) and not isinstance(seed, bool)):
        return seed
    raise TypeError(f"seed is a whole number or a Generator, not {seed!r}")


def mishaps(ratios: np.ndarray[Any, np.dtype[np.float64]], stopped: int) -> list[str]:
    """Count fits that failed or stopped short."""
    failed = int(np.isnan(ratios).sum())
    notes = []
    if failed:
        notes.append(
            f"{failed} of {counted(len(ratios), 'simulated response')} could not be fitted"
        )
    if stopped:
        notes.append(f"in {stopped} of {len(ratios)} a fit did not converge; they are counted")
    return notes


def bootstrapped(
    name: str,
    low: LinearMixedModel,
    high: LinearMixedModel,
    relation: Relation,
    n: int,
    seed: Any,
    workers: int,
    *,
    progress: bool,
) -> SimulatedTest:
    """Test a model within a larger one of the same estimator by responses drawn from it."""
    shift = relation.shift if low.reml else 0.0
    deviances = (-2.0 * low.llf, -2.0 * high.llf - shift)
    test = ratio_test(deviances, (low.npar, high.npar), relation)
    settings = Settings(reml=low.reml, workers=workers, control=high.call.control)
    ratios, stopped = bootstrap_ratios(
        low.parts.design,
        high.parts.design,
        low.parts.estimate,
        n,
        entropy(seed),
        settings,
        progress=progress,
    )
    by = "REML" if low.reml else "ML"
    notes = [f"{low.call.formula} within {high.call.formula}, by {by}"]
    return simulated(name, test, np.maximum(ratios + shift, 0.0), notes, stopped)


def simulated(
    name: str,
    test: RatioTest,
    ratios: np.ndarray[Any, np.dtype[np.float64]],
    notes: list[str],
    stopped: int = 0,
) -> SimulatedTest:
    """Lay the test out; fits that failed are left out, and counted with those that stopped."""
    draws = ratios[~np.isnan(ratios)]
    if not len(draws):
        raise ModelError("no simulated response could be fitted")
    notes = [*notes, *mishaps(ratios, stopped)]
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
