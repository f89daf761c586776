"""From the arguments of a learner with random effects to the fitted model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Positions
from ..design.design import Design
from ..design.frame import to_pandas
from ..errors import ConvergenceWarning, RanefWarning
from ..fitted.lmm.call import Call
from ..fitted.lmm.fit import fit as fit_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.warned import dropped_rows
from ..formula.terms import Formula, offset_source
from ..models.lmm import Control
from ..parallel.workers import worker_count
from .alternation import Alternated, alternate
from .call import LearnerCall
from .choice import learner_of
from .learned import Learned, Learner
from .predictors import Predictors, read_predictors
from .task import Task, blocks_of

__all__ = ["Fit", "fit", "used_rows"]


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit, frozen.

    Attributes
    ----------
    learner : Learner
        The kind of learner.
    learned : Learned
        As it was fitted.
    predictors : Predictors
        The rows.
    task : Task
        What it learned: the response minus offset and random effects.
    resample : str
        Units held out together: a grouping factor, or "rows".
    mixed : LinearMixedModel
        The linear mixed model beside it.
    trace : DataFrame
        Rounds of the alternation.
    converged : bool
        Whether the likelihood settled.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    learner: Learner
    learned: Learned
    predictors: Predictors
    task: Task
    resample: str
    mixed: LinearMixedModel
    trace: pd.DataFrame
    converged: bool
    warnings: tuple[RanefWarning, ...]


def fit(call: LearnerCall, data: Any, *, progress: bool = True) -> Fit:
    """Carry out a call."""
    learner = learner_of(call.learner, call.options, call.fitted)
    predictors = read_predictors(
        call.formula, data, weights=call.weights, offset=call.offset, missing=call.missing
    )
    base = predictors.base
    blocks, name = blocks_of(base, call.resample)
    task = Task(
        predictors.X,
        base.y,
        base.weights,
        blocks,
        call.folds,
        int(call.seed),
        worker_count(call.workers, 1),
    )
    found = alternate(
        learner,
        predictors,
        task,
        Call(str(base.encoder.formula), reml=call.reml),
        most=call.rounds,
        tolerance=learner.tolerance if call.tolerance is None else call.tolerance,
        progress=progress,
    )
    mixed = beside_learner(call, base, data, found)
    effects = mixed.fittedvalues.to_numpy() - mixed.predict(random="none").to_numpy()
    target = base.y - effects - (0.0 if base.offset is None else base.offset)
    warnings = [*dropped_rows(base), *not_settled(found), *mixed.warnings]
    return Fit(
        learner,
        found.learned,
        predictors,
        task.of(target),
        name,
        mixed,
        found.trace,
        found.converged,
        tuple(warnings),
    )


def not_settled(found: Alternated) -> list[RanefWarning]:
    """State that the likelihood did not settle."""
    if found.converged:
        return []
    return [
        ConvergenceWarning(
            f"after {counted(len(found.trace), 'round')} the log-likelihood still changed by "
            f"{abs(found.change):.2g}; allow more by rounds=, or a larger tolerance="
        )
    ]


def beside_learner(
    call: LearnerCall, base: Design, data: Any, found: Alternated
) -> LinearMixedModel:
    """Fit the mixed model of the last round from a frame with the learner as a column of it."""
    formula: Formula = base.encoder.formula
    frame = used_rows(to_pandas(data), base).copy()
    word, column, fixed = found.learned.column()
    while word in frame:
        word += "_"
    frame[word] = column
    offsets = [offset_source(factor) for factor in formula.offsets]
    bars = [one.source() for one in formula.random]
    text = f"{formula.response} ~ " + " + ".join([fixed.format(word), *offsets, *bars])
    weights = call.weights if isinstance(call.weights, str) else base.weights
    offset = call.offset
    if offset is not None and not isinstance(offset, str):
        offset = np.asarray(offset, dtype=float)[used_positions(base)]
    start = Control(start=found.start)
    arguments = Call(text, reml=call.reml, weights=weights, offset=offset, control=start)
    return LinearMixedModel(fit_mixed(arguments, frame))


def used_positions(base: Design) -> Positions:
    """Positions of the rows used."""
    return np.arange(base.n_data) if base.rows is None else base.rows


def used_rows(frame: pd.DataFrame, base: Design) -> pd.DataFrame:
    """Take the rows used."""
    return frame if base.rows is None else frame.iloc[base.rows]
