"""The parametric bootstrap test of nested generalised models."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from ..fitted.generalised.likelihood import by_likelihood
from ..fitted.generalised.refits import with_response
from ..fitted.generalised.replicates import Replicate, replicated
from ..inference.lrt.lrt import ratio_test
from ..report.simulated import SimulatedTest
from .generalised import check_generalised
from .simulated import mishaps, simulated
from .spaces import related

__all__ = ["pbtest_generalised"]


def pbtest_generalised(
    large: Any, small: Any, n: int, seed: int | None, workers: int, progress: bool
) -> SimulatedTest:
    """Fit both models to responses drawn from the smaller."""
    check_generalised((large, small), "pbtest")
    for model in (large, small):
        by_likelihood(model.parts, "pbtest", structured=True, known=True)
        model.parts.each_row("pbtest")
    relation = related(small.parts, large.parts)
    if not relation.nested or small.npar >= large.npar:
        raise ModelError(
            f"{small.call.formula!r} is not nested in {large.call.formula!r}; "
            "pbtest(large, small) takes the larger model first"
        )
    test = ratio_test((-2.0 * small.llf, -2.0 * large.llf), (small.npar, large.npar), relation)

    def refit(rng: np.random.Generator) -> Replicate:
        y = small.simulate(1, seed=rng)[:, 0]
        low, high = with_response(small.parts, y), with_response(large.parts, y)
        converged = low.estimate.converged and high.estimate.converged
        return Replicate({"ratio": 2.0 * (high.llf - low.llf)}, converged=converged)

    runs = replicated(
        refit,
        {"ratio": test.chisq},
        max(n, 2),
        "null",
        seed=seed,
        workers=workers,
        progress=progress,
    )
    ratios = runs.replicates["ratio"].to_numpy()[:n]
    notes = [f"{small.call.formula} within {large.call.formula}, by ML"]
    notes += mishaps(ratios, runs.stopped)
    if runs.message:
        notes.append(f"the first failure: {runs.message}")
    draws = np.maximum(ratios[~np.isnan(ratios)], 0.0)
    if not len(draws):
        raise ModelError("no simulated response could be fitted by both models")
    return simulated("Parametric bootstrap likelihood-ratio test", test, draws, notes)
