"""A random forest whose trees leave out whole groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from .._typing import Array, Positions
from .learned import Learned, Learner
from .task import Task, sklearn_part

__all__ = ["Forest", "GroupForest"]


class GroupForest:
    """Trees, each grown on a bootstrap sample of blocks of rows.

    Parameters
    ----------
    trees : list of DecisionTreeRegressor
        The trees.
    drawn : ndarray of shape (trees, blocks), bool
        Which blocks each tree was grown on.
    workers : int
        Threads that predict.
    """

    def __init__(self, trees: list[Any], drawn: NDArray[np.bool_], workers: int):
        self.estimators_, self.drawn, self.workers = trees, drawn, workers

    def predict(self, X: Any) -> Array:
        """Average the trees' predictions, shape (m,)."""
        X = single(X)
        with ThreadPoolExecutor(self.workers) as pool:
            found = pool.map(lambda tree: tree.predict(X, check_input=False), self.estimators_)
            return np.asarray(sum(found) / len(self.estimators_))

    def out_of_bag(self, X: Any, blocks: Positions, start: float) -> Array:
        """Average, for each row, the trees that were grown without its block, shape (m,)."""
        X = single(X)

        def one(t: int) -> tuple[Positions, Array]:
            rows = np.flatnonzero(~self.drawn[t, blocks])
            if not len(rows):
                return rows, np.empty(0)
            return rows, self.estimators_[t].predict(X[rows], check_input=False)

        total, count = np.zeros(len(X)), np.zeros(len(X))
        with ThreadPoolExecutor(self.workers) as pool:
            for rows, found in pool.map(one, range(len(self.estimators_))):
                total[rows] += found
                count[rows] += 1.0
        return np.where(count > 0.0, total / np.maximum(count, 1.0), start)

    def __repr__(self) -> str:
        return f"<forest of {counted(len(self.estimators_), 'tree')}>"


@dataclass(frozen=True, eq=False)
class Grown(Learned):
    """A forest fitted to a response.

    Attributes
    ----------
    forest : GroupForest
        Its trees.
    blocks : ndarray of shape (n,), int
        Rows that are held out together.
    centre : float
        Mean of the response, for a row that no tree left out.
    """

    forest: GroupForest
    blocks: Positions
    centre: float

    how = "out-of-bag"

    @property
    def estimator(self) -> GroupForest:
        """The forest."""
        return self.forest

    def predict(self, X: Array) -> Array:
        """Predict new rows."""
        return self.forest.predict(X)

    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict each row by the trees that did not see its block."""
        return self.forest.out_of_bag(X, self.blocks[rows], self.centre)


@dataclass(frozen=True)
class Forest(Learner):
    """A random forest.

    Attributes
    ----------
    trees : int
        Trees of the final forest.
    early : int
        Trees while the random effects have not settled yet.
    min_leaf : int, optional
        Fewest rows of a leaf; by default five, and more with more than 10,000 rows.
    max_features : float
        Share of the predictors that a split looks at.

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32.
    """

    trees: int = 300
    early: int = 100
    min_leaf: int | None = None
    max_features: float = 0.5
    label = "random forest"

    def fit(self, task: Task) -> Learned:
        """Grow a small forest."""
        return self.grown(task, min(self.early, self.trees))

    def finish(self, task: Task, learned: Learned) -> Learned:
        """Grow all trees."""
        return self.grown(task, self.trees)

    def grown(self, task: Task, count: int) -> Grown:
        """Grow a forest of a given number of trees."""
        kind = sklearn_part("tree", "DecisionTreeRegressor")
        X, n = single(task.X), len(task.target)
        least = self.min_leaf or max(5, round(np.sqrt(n) / 20.0))
        n_blocks = int(task.blocks.max()) + 1
        drawn = np.zeros((count, n_blocks), dtype=np.bool_)
        features = max(1, int(np.ceil(self.max_features * X.shape[1])))

        def one(t: int) -> Any:
            rng = np.random.default_rng([task.seed, t])
            counts = np.bincount(rng.integers(n_blocks, size=n_blocks), minlength=n_blocks)
            drawn[t] = counts > 0
            rows = np.flatnonzero(drawn[t, task.blocks])
            weights = counts[task.blocks[rows]].astype(np.float64)
            if task.weights is not None:
                weights *= task.weights[rows]
            tree = kind(
                min_samples_leaf=min(least, max(1, len(rows) // 4)),
                max_features=features,
                random_state=int(rng.integers(2**31)),
            )
            return tree.fit(X[rows], task.target[rows], weights, check_input=False)

        with ThreadPoolExecutor(task.workers) as pool:
            trees = list(pool.map(one, range(count)))
        forest = GroupForest(trees, drawn, task.workers)
        mean = float(np.average(task.target, weights=task.weights))
        return Grown(forest.out_of_bag(X, task.blocks, mean), forest, task.blocks, mean)


def single(X: Any) -> NDArray[np.float32]:
    """Predictors as trees take them: single precision, row by row."""
    return np.ascontiguousarray(X, dtype=np.float32)
