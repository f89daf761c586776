"""The learner and the random effects fitted in turn until the likelihood settles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._typing import Array
from ..design.design import Design
from ..errors import ModelError
from ..fitted.lmm.call import Call
from ..fitted.lmm.fit import checked, estimated, kernel_of
from ..inference.prediction.predict import random_part
from ..models.lmm import LmmEstimate, off_boundary
from ..parallel.progress import bar
from .learned import Learned, Learner
from .predictors import Predictors
from .task import Task

__all__ = ["Alternated", "alternate"]

#: Share of the response's variance below which a learner's errors count as none.
NOTHING = 1e-10


@dataclass(frozen=True, eq=False)
class Alternated:
    """Where the alternation ended.

    Attributes
    ----------
    learned : Learned
        The learner, fitted to all rows.
    trace : DataFrame
        Log-likelihood and residual standard deviation of each round.
    converged : bool
        Whether the log-likelihood settled.
    change : float
        Last change of the log-likelihood.
    start : tuple of ndarray
        Covariance factors of the last mixed model.
    """

    learned: Learned
    trace: pd.DataFrame
    converged: bool
    change: float
    start: tuple[Array, ...]


def alternate(
    learner: Learner,
    predictors: Predictors,
    task: Task,
    call: Call,
    *,
    most: int,
    tolerance: float,
    progress: bool,
) -> Alternated:
    """Fit the learner to the response minus random effects, and these to what it leaves.

    Parameters
    ----------
    learner : Learner
        What stands for the fixed part.
    predictors : Predictors
        The rows.
    task : Task
        How they are divided.
    call : Call
        How mixed models are fitted.
    most : int
        Rounds at most.
    tolerance : float
        Change of the log-likelihood, relative to itself, below which it is settled.
    progress : bool
        Whether to show a bar.

    Notes
    -----
    The log-likelihood of a learner that is fitted anew each time does not settle to the last digit.
    The alternation also ends after some rounds without gain, at the best one. A learner that is not
    a tree is fitted to all rows at the end, to the response minus the final random effects.

    References
    ----------
    Sela and Simonoff (2012), Machine Learning 86, 169-207.
    Hajjem, Bellavance and Larocque (2014), J. Stat. Comput. Simul. 84, 1313-1328.
    """
    base = predictors.base
    rows: list[tuple[float, float]] = []
    whole = base.y if base.offset is None else base.y - base.offset
    effects = np.zeros(base.n_obs)
    start: tuple[Array, ...] = ()
    change, converged, waited = np.inf, False, 0
    best: tuple[float, Learned, Array, tuple[Array, ...]] | None = None
    with bar(most + 1, "rounds", shown=progress) as advance:
        for _ in range(most):
            learned = learner.fit(task.of(whole - effects))
            estimate, effects = mixed(learned, base, call, start)
            start = off_boundary(estimate.lambda_standard)
            llf = -0.5 * estimate.objective
            change = llf - rows[-1][0] if rows else np.inf
            rows.append((llf, estimate.sigma))
            advance(1)
            small = tolerance * (1.0 + abs(llf))
            waited = 0 if best is None or llf > best[0] + small else waited + 1
            settled = abs(change) <= small
            if best is None or llf > best[0] or settled:
                best = (llf, learned, effects, start)
            if converged := settled or waited >= learner.patience:
                break
        assert best is not None
        _, learned, effects, start = best
        final = learner.finish(task.of(whole - effects), learned)
        advance(1)
    trace = pd.DataFrame(rows, columns=["llf", "sigma"])
    trace.index = pd.RangeIndex(1, len(trace) + 1, name="round")
    return Alternated(final, trace, converged, float(change), start)


def mixed(
    learned: Learned, base: Design, call: Call, start: tuple[Array, ...]
) -> tuple[LmmEstimate, Array]:
    """Fit the mixed model beside a learner; its estimate and the random effects of the rows."""
    design = learned.step(base)
    left = learned.fitted - base.y if base.offset is None else learned.fitted + base.offset - base.y
    if learned.how == "in-sample" and np.var(left) <= NOTHING * np.var(base.y):
        raise ModelError(
            "the learner reproduces the response of the rows it was fitted to, and leaves nothing "
            'for random effects; use fitted="cross-fit", or a learner that is less flexible'
        )
    checked(design, call)
    core = kernel_of(design)
    estimate = estimated(design, core, call, start)
    return estimate, random_part(design, estimate.modes)
