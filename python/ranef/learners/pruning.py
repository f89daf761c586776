"""Weakest-link pruning of a grown tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array

__all__ = ["collapses", "pruned_nodes"]


def collapses(tree: Any) -> Array:
    """Find the complexity from which on each node of a tree is a leaf, or gone.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree
        Children come after their parents.

    Returns
    -------
    ndarray of shape (nodes,)
        Per unit of weight; infinite for leaves of the whole tree.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), Classification and Regression Trees, section 3.3.
    """
    left, right = tree.children_left, tree.children_right
    share = tree.weighted_n_node_samples / tree.weighted_n_node_samples[0]
    risk = tree.impurity * share
    inner = np.flatnonzero(left >= 0)
    out = np.full(tree.node_count, np.inf)
    open_ = left >= 0
    reached = 0.0
    while open_[0]:
        below, count = risk.copy(), np.ones(tree.node_count)
        for node in inner[::-1]:
            if open_[node]:
                below[node] = below[left[node]] + below[right[node]]
                count[node] = count[left[node]] + count[right[node]]
        alive = inner[open_[inner]]
        gain = (risk[alive] - below[alive]) / (count[alive] - 1.0)
        weakest = alive[gain <= gain.min() * (1.0 + 1e-12)]
        reached = max(reached, float(gain.min()))
        for node in weakest:
            close(node, reached, open_, out, left, right)
    return out


def close(
    node: int, alpha: float, open_: NDArray[np.bool_], out: Array, left: Any, right: Any
) -> None:
    """Make a node a leaf, and note when all nodes below it went."""
    stack = [node]
    while stack:
        one = stack.pop()
        if open_[one]:
            open_[one], out[one] = False, alpha
            stack += [left[one], right[one]]


def pruned_nodes(tree: Any, collapse: Array, alpha: float) -> NDArray[np.intp]:
    """Find the leaf that stands for each node of a tree once it is pruned at ``alpha``.

    Returns
    -------
    ndarray of shape (nodes,), int
        The uppermost node above it, itself included, that is then a leaf.
    """
    out = np.arange(tree.node_count)
    for node in np.flatnonzero(tree.children_left >= 0):
        if out[node] != node or collapse[node] <= alpha:
            out[tree.children_left[node]] = out[tree.children_right[node]] = out[node]
    return out
