"""Grow a tree of linear models: test, choose a variable, cut, and continue in both parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..._typing import Array, Positions
from .instability import Variable, fluctuation
from .splits import Split, best_split, least_squares

__all__ = ["Branch", "Rows", "Settings", "assigned", "grown", "leaves_of"]


@dataclass(frozen=True)
class Settings:
    """When to divide.

    Attributes
    ----------
    alpha : float
        Level of the tests.
    bonferroni : bool
        Whether p-values are adjusted for the number of variables.
    min_rows, min_groups : int
        Fewest rows of a leaf, and fewest groups on each side of a split on a group variable.
    max_depth : int
        Most splits on a path.
    """

    alpha: float
    bonferroni: bool
    min_rows: int
    min_groups: int
    max_depth: int


@dataclass(frozen=True, eq=False)
class Rows:
    """What a tree is grown on.

    Attributes
    ----------
    X : ndarray of shape (n, k)
        Columns of the model of a leaf.
    y, weights : ndarray of shape (n,)
        Response minus offset and random effects; weights.
    variables : tuple of Variable
        Variables that may divide the rows.
    """

    X: Array
    y: Array
    weights: Array
    variables: Sequence[Variable]


@dataclass(frozen=True, eq=False)
class Branch:
    """A node.

    Attributes
    ----------
    number : int
        From 1, in depth-first order.
    n : int
        Rows.
    tests : DataFrame
        One row per variable: statistic, units, level, log_pvalue, pvalue (adjusted).
    split : Split or None
        None for a leaf.
    left, right : Branch or None
        Parts.
    """

    number: int
    n: int
    tests: pd.DataFrame
    split: Split | None = None
    left: Branch | None = None
    right: Branch | None = None


def grown(data: Rows, settings: Settings) -> Branch:
    """Grow a tree on all rows."""
    counter = iter(range(1, 10**9))

    def node(rows: Positions, depth: int) -> Branch:
        number = next(counter)
        X, y, weights = data.X[rows], data.y[rows], data.weights[rows]
        _, scores = least_squares(X, y, weights)
        is_large = len(rows) >= 2 * settings.min_rows and depth < settings.max_depth
        tests = tested(scores, data.variables if is_large else (), rows, settings)
        for name in tests.index[(tests["pvalue"] < settings.alpha).to_numpy()]:
            variable = next(one for one in data.variables if one.name == name)
            split = best_split(
                variable, X, y, weights, rows, settings.min_rows, settings.min_groups
            )
            if split is not None:
                left = split.goes_left(variable.values[rows])
                parts = node(rows[left], depth + 1), node(rows[~left], depth + 1)
                return Branch(number, len(rows), tests, split, *parts)
        return Branch(number, len(rows), tests)

    return node(np.arange(len(data.y)), 0)


def tested(
    scores: Array, variables: Sequence[Variable], rows: Positions, settings: Settings
) -> pd.DataFrame:
    """Test every variable; smallest p-value first."""
    found = [(one, fluctuation(scores, one, rows, settings.min_rows)) for one in variables]
    count = sum(test.units > 0 for _, test in found)
    table = pd.DataFrame(
        {
            "statistic": [test.statistic for _, test in found],
            "level": [one.group for one, _ in found],
            "units": [test.units for _, test in found],
            "log_pvalue": [test.log_pvalue for _, test in found],
        },
        index=pd.Index([one.name for one, _ in found], name="variable"),
    ).astype({"statistic": float, "log_pvalue": float})
    p = np.exp(table["log_pvalue"].to_numpy())
    table["pvalue"] = (
        -np.expm1(count * np.log1p(-np.minimum(p, 1.0 - 1e-16))) if (settings.bonferroni) else p
    )
    table.loc[table["units"] == 0, "pvalue"] = np.nan
    return table.sort_values("log_pvalue", kind="stable")


def leaves_of(tree: Branch) -> list[Branch]:
    """List the leaves from left to right."""
    if tree.left is None or tree.right is None:
        return [tree]
    return [*leaves_of(tree.left), *leaves_of(tree.right)]


def assigned(tree: Branch, values: dict[str, Array], n: int) -> Positions:
    """Find the leaf of rows, from 0, shape (n,).

    Parameters
    ----------
    tree : Branch
        The tree.
    values : dict of str to ndarray of shape (n,)
        Numbers, or codes of levels, of the variables that divide.
    n : int
        Rows.
    """
    out = np.zeros(n, dtype=np.intp)
    place = {leaf.number: k for k, leaf in enumerate(leaves_of(tree))}

    def walk(node: Branch, rows: Positions) -> None:
        if node.split is None or node.left is None or node.right is None:
            out[rows] = place[node.number]
            return
        left = node.split.goes_left(values[node.split.name][rows])
        walk(node.left, rows[left])
        walk(node.right, rows[~left])

    walk(tree, np.arange(n))
    return out
