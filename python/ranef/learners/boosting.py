"""Gradient boosting with the number of rounds that best predicts held-out groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from .._counted import counted
from .._typing import Array, Positions
from .learned import Learned, Learner
from .task import Task, sklearn_part

__all__ = ["Boosting"]

#: Rounds added at a time, and rounds without gain before stopping.
STEP = 25


@dataclass(frozen=True, eq=False)
class Boosted(Learned):
    """Boosted trees fitted without each part of the rows, and to all of them.

    Attributes
    ----------
    parts : tuple of estimators
        The k-th was fitted without the rows of part k.
    fold : ndarray of shape (n,), int
        The part of each row.
    rounds : int
        Number of rounds after which held-out parts are predicted best.
    whole : estimator or None
        Fitted to all rows.
    """

    parts: tuple[Any, ...]
    fold: Positions
    rounds: int
    whole: Any

    how = "cross-fitted"

    @property
    def estimator(self) -> Any:
        """The boosted trees of all rows."""
        return self.whole

    def predict(self, X: Array) -> Array:
        """Predict new rows."""
        return np.asarray(self.whole.predict(X))

    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict each row by the trees that did not see its part."""
        out, fold = np.empty(len(X)), self.fold[rows]
        for k, part in enumerate(self.parts):
            if (mine := fold == k).any():
                out[mine] = next(islice(part.staged_predict(X[mine]), self.rounds - 1, None))
        return out

    def notes(self) -> list[str]:
        """State how many rounds there are."""
        verb = counted(self.rounds, "round predicts", "rounds predict")
        return [f"{verb} held-out groups best"]


@dataclass(frozen=True)
class Boosting(Learner):
    """Histogram gradient boosting of squared errors.

    Attributes
    ----------
    rounds : int
        Most trees.
    rate : float
        Learning rate.
    leaves : int
        Most leaves of a tree.
    min_leaf : int
        Fewest rows of a leaf.
    """

    rounds: int = 300
    rate: float = 0.1
    leaves: int = 31
    min_leaf: int = 20
    label = "gradient boosting"

    def new(self, rounds: int, n: int, seed: int) -> Any:
        """Make unfitted boosted trees for n rows."""
        return sklearn_part("ensemble", "HistGradientBoostingRegressor")(
            max_iter=rounds,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=max(1, min(self.min_leaf, n // 4)),
            early_stopping=False,
            warm_start=True,
            random_state=seed,
        )

    def fit(self, task: Task) -> Learned:
        """Fit without each part in turn, with more rounds until all parts gain no more."""
        fold = task.fold
        weights = np.ones(len(fold)) if task.weights is None else task.weights
        inside = [np.flatnonzero(fold != k) for k in range(fold.max() + 1)]
        outside = [np.flatnonzero(fold == k) for k in range(fold.max() + 1)]
        parts = [self.new(1, len(rows), task.seed) for rows in inside]
        loss: list[float] = []
        while len(loss) < self.rounds and len(loss) - int(np.argmin([*loss, np.inf])) <= STEP:
            before = len(loss)
            after = min(before + STEP, self.rounds)
            loss += [0.0] * (after - before)
            for part, here, there in zip(parts, inside, outside, strict=True):
                X, y, w = task.take(here)
                part.set_params(max_iter=after).fit(X, y, sample_weight=w)
                stages = islice(part.staged_predict(task.X[there]), before, None)
                for i, stage in enumerate(stages, before):
                    loss[i] += float(weights[there] @ (task.target[there] - stage) ** 2)
        rounds = int(np.argmin(loss)) + 1
        learned = Boosted(np.empty(0), tuple(parts), fold, rounds, None)
        return replace(learned, fitted=learned.held_out(task.X, np.arange(len(fold))))

    def finish(self, task: Task, learned: Learned) -> Learned:
        """Fit to all rows with the rounds chosen."""
        assert isinstance(learned, Boosted)
        whole = self.new(learned.rounds, len(task.target), task.seed)
        return replace(learned, whole=whole.fit(task.X, task.target, sample_weight=task.weights))
