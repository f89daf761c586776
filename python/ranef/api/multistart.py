"""Searches from many random starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..fitted.kinds import check_mixed, is_generalised
from ..inference.optimum.optimum import examine
from ..models import lmm
from ..models.lmm import Control
from ..parallel.progress import tracked
from ..report.surface import MultiStart
from ..trust.generalised import many_starts
from ..trust.searches import random_state
from ..words.answers import answering

__all__ = ["multistart"]


@answering
def multistart(model: Any, n: int = 20, seed: int = 1, *, progress: bool = True) -> MultiStart:
    """Search from random starts, to see whether there are several optima.

    Parameters
    ----------
    model : LinearMixedModel, or a model of ranef.glmer or ranef.clmm
        A fitted model.
    n : int
        Number of starts.
    seed : int
        Makes them repeatable.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    MultiStart
        ``table``, ``reached`` (share of the starts that find the best optimum) and ``optima``.

    Notes
    -----
    A start has relative standard deviations from 0.05 to 20 along random axes, uniform on the log
    scale, all in the standardised basis.
    """
    check_mixed(model, "multistart", every=True)
    if n < 1:
        raise ValueError(f"multistart needs 1 or more starts, not {n}")
    if is_generalised(model):
        return many_starts(model, n, seed, progress=progress)
    model.parts.likelihood_only("multistart")
    rng = np.random.default_rng(seed)
    rows = []
    for _ in tracked(range(n), n, "starts", shown=progress):
        start = tuple(random_state(term, rng) for term in model.parts.design.random)
        control = Control(max_steps=1000, start=start)
        found = lmm.fit(model.parts.design, model.parts.core, reml=model.reml, control=control)
        holds = examine(model.parts.design, model.parts.core, found).holds
        rows.append((found.objective, found.n_gradient, holds))
    table = pd.DataFrame(rows, columns=["criterion", "gradients", "converged"])
    best = min(table["criterion"].min(), model.parts.estimate.objective)
    table.insert(1, "above_best", table["criterion"] - best)
    return MultiStart(table, model.parts.estimate.objective)
