"""A regression tree pruned by cross-validation, whose leaves are fixed effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array, Positions
from ..design.design import Design
from .learned import Learned, Learner
from .pruning import collapses, pruned_nodes
from .task import Task, sklearn_part

__all__ = ["Leaves", "Tree"]


@dataclass(frozen=True, eq=False)
class Leaves(Learned):
    """A pruned tree.

    Attributes
    ----------
    tree : DecisionTreeRegressor
        The tree; its own leaf means are not used.
    nodes : ndarray of shape (leaves,), int
        Nodes of the tree that are leaves, from left to right.
    leaf : ndarray of shape (n,), int
        Leaf of each row of the fit, from 0.
    """

    tree: Any
    nodes: Positions
    leaf: Positions

    how = "leaves as fixed effects"

    @property
    def estimator(self) -> Any:
        """The tree."""
        return self.tree

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.nodes)

    def leaf_of(self, X: Array) -> Positions:
        """Find the leaf of rows, from 0, shape (m,)."""
        found = self.tree.apply(np.ascontiguousarray(X, dtype=np.float32))
        place = np.zeros(self.tree.tree_.node_count, dtype=np.intp)
        place[self.nodes] = np.arange(self.n_leaves)
        return np.asarray(place[found])

    def predict(self, X: Array) -> Array:
        """Predict by the tree's own leaf means."""
        return np.asarray(self.tree.predict(X))

    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict changed rows."""
        return self.predict(X)

    def mean(self, X: Array, beta: Array) -> Array:
        """Look up the coefficient of each row's leaf."""
        return beta[self.leaf_of(X)]

    def fitted_mean(self, beta: Array) -> Array:
        """Look up the coefficient of each row's leaf."""
        return beta[self.leaf]

    def held_out_mean(self, X: Array, rows: Positions, beta: Array) -> Array:
        """Look up the coefficient of the leaf of each changed row."""
        return self.mean(X, beta)

    def column(self) -> tuple[str, Any, str]:
        """Return the leaves as a categorical column."""
        labels = [str(k + 1) for k in range(self.n_leaves)]
        fixed = "0 + {}" if self.n_leaves > 1 else "1"
        return "leaf", pd.Categorical.from_codes(self.leaf, pd.Index(labels)), fixed

    def step(self, base: Design) -> Design:
        """Return the mixed model of the response with a coefficient for each leaf."""
        first = len(base.columns)
        leaves = range(self.n_leaves)
        names = tuple(f"leaf {k + 1}" for k in leaves)
        return replace(
            base,
            columns=(*base.columns, *(np.asarray(self.leaf == k, dtype=float) for k in leaves)),
            fixed=tuple(first + k for k in leaves),
            fixed_names=names,
            fixed_terms=(("leaf", tuple(leaves)),),
        )


@dataclass(frozen=True)
class Tree(Learner):
    """A regression tree, pruned by the error of groups that were held out.

    Attributes
    ----------
    min_split, min_leaf : int
        Rows of a node that may be divided, and of a leaf, at least.
    complexity : float
        Share of the sum of squares by which a split must reduce it, before pruning.
    se : float
        The smallest tree is chosen whose error is within this many standard errors of their
        difference of the best.
    max_depth : int, optional
        Most splits on a path.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, chapters 3, 8.
    Sela and Simonoff (2012), Machine Learning 86, 169-207.
    """

    min_split: int = 20
    min_leaf: int = 7
    complexity: float = 1e-3
    se: float = 1.0
    max_depth: int | None = None
    label = "regression tree"
    tolerance = 1e-7
    patience = 10

    def grown(self, X: Array, y: Array, weights: Array | None, complexity: float) -> Any:
        """Grow a tree, pruned where a split earns less than ``complexity`` per row."""
        return sklearn_part("tree", "DecisionTreeRegressor")(
            min_samples_split=self.min_split,
            min_samples_leaf=self.min_leaf,
            max_depth=self.max_depth,
            ccp_alpha=complexity,
            random_state=0,
        ).fit(X, y, sample_weight=weights)

    def fit(self, task: Task) -> Learned:
        """Grow a tree and prune it."""
        least = self.complexity * spread(task.target, task.weights)
        large = self.grown(task.X, task.target, task.weights, least)
        alpha = self.chosen(task, large, least)
        tree = self.grown(task.X, task.target, task.weights, alpha) if alpha > least else large
        nodes = leaves_in_order(tree.tree_)
        place = np.zeros(tree.tree_.node_count, dtype=np.intp)
        place[nodes] = np.arange(len(nodes))
        leaf = place[tree.apply(task.X)]
        return Leaves(np.asarray(tree.predict(task.X)), tree, nodes, leaf)

    def chosen(self, task: Task, large: Any, least: float) -> float:
        """Choose the complexity at which to prune, by held-out blocks."""
        steps = np.unique(collapses(large.tree_))
        steps = steps[np.isfinite(steps) & (steps > least)]
        if not len(steps):
            return least
        between = np.sqrt(steps[:-1] * steps[1:])
        alphas = np.concatenate([[least], between, [2.0 * steps[-1]]])
        fold, loss = task.fold, np.empty((len(alphas), len(task.target)))
        for k in range(fold.max() + 1):
            X, y, w = task.take(np.flatnonzero(fold != k))
            mine = np.flatnonzero(fold == k)
            tree = self.grown(X, y, w, self.complexity * spread(y, w)).tree_
            at = tree.apply(np.ascontiguousarray(task.X[mine], dtype=np.float32))
            value, collapse = tree.value[:, 0, 0], collapses(tree)
            for j, alpha in enumerate(alphas):
                node = pruned_nodes(tree, collapse, alpha)[at]
                loss[j, mine] = (task.target[mine] - value[node]) ** 2
        return float(alphas[smallest_within(loss, task, self.se)])


def smallest_within(loss: Array, task: Task, se: float) -> int:
    """Find the last row of ``loss`` whose mean is within some standard errors of the least.

    Standard errors are of the difference from the least, between the blocks that are held out:
    errors that all trees share on a block do not count.
    """
    weights = np.ones(loss.shape[1]) if task.weights is None else task.weights
    excess = (loss - loss[int(np.argmin(loss @ weights))]) * weights
    total = excess.sum(axis=1)
    sums = np.array([np.bincount(task.blocks, row) for row in excess])
    deviation = sums - total[:, None] / sums.shape[1]
    return int(np.flatnonzero(total <= se * np.sqrt((deviation**2).sum(axis=1)))[-1])


def spread(y: Array, weights: Array | None) -> float:
    """Compute the weighted variance."""
    mean = np.average(y, weights=weights)
    return float(np.average((y - mean) ** 2, weights=weights))


def leaves_in_order(tree: Any) -> NDArray[np.intp]:
    """List the leaves from left to right."""
    out, stack = [], [0]
    while stack:
        node = stack.pop()
        if tree.children_left[node] < 0:
            out.append(node)
        else:
            stack += [tree.children_right[node], tree.children_left[node]]
    return np.array(out, dtype=np.intp)
