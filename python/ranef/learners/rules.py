"""A tree as a table of rules and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._html import Preformatted
from ..errors import UnsupportedError
from ..words.answers import Spoken
from .fit import Fit
from .tree import Leaves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Condition", "Node", "Rules", "drawn", "rules_of", "spelled"]


@dataclass(frozen=True)
class Node:
    """A node of a tree.

    Attributes
    ----------
    text : str
        The condition on the left branch; of a leaf, what is drawn there.
    left, right : Node or None
        Branches; None for a leaf.
    other : str
        The condition on the right branch.
    head : str
        What is written where the node divides.
    """

    text: str
    left: Node | None = None
    right: Node | None = None
    other: str = ""
    head: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class Rules(Spoken, Preformatted):
    """Leaves of a tree.

    Attributes
    ----------
    table : DataFrame
        One row per leaf, left to right: ``rule``, ``n`` (rows), and estimates with their standard
        errors.
    root : Node
        The tree.
    """

    table: pd.DataFrame
    root: Node

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the tree.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
        """
        return drawn(self.root, "Tree with the mean and the rows of each leaf", ax)

    def __repr__(self) -> str:
        return self.table.to_string(float_format=lambda x: f"{x:.4g}")


def drawn(root: Node, title: str, ax: Axes | None) -> Axes:
    """Draw a tree."""
    from ..report.plots.learners import tree_axes

    return tree_axes(root, title, ax=ax)


def rules_of(fit: Fit) -> Rules:
    """Spell the leaves of a tree.

    Raises
    ------
    UnsupportedError
        If the learner is not a tree.
    """
    learned = fit.learned
    if not isinstance(learned, Leaves):
        raise UnsupportedError(
            f"leaves are those of learner='tree'; a {fit.learner.label} has "
            "model.importance() and model.learner"
        )
    tree = learned.tree.tree_
    counts = np.bincount(learned.leaf, minlength=learned.n_leaves)
    table = fit.mixed.coef_table()
    estimates = table["estimate"].to_numpy()
    place = {int(node): k for k, node in enumerate(learned.nodes)}
    rules: dict[int, str] = {}

    def walk(node: int, path: tuple[Condition, ...]) -> Node:
        if node in place:
            k = place[node]
            rules[k] = spelled(path) or "all rows"
            return Node(f"{estimates[k]:.4g}\nn = {counts[k]}")
        left, right = conditions(fit, int(tree.feature[node]), float(tree.threshold[node]))
        return Node(
            str(left),
            walk(int(tree.children_left[node]), (*path, left)),
            walk(int(tree.children_right[node]), (*path, right)),
            str(right),
        )

    root = walk(0, ())
    frame = pd.DataFrame(
        {
            "rule": [rules[k] for k in range(learned.n_leaves)],
            "n": counts,
            "estimate": estimates,
            "se": table["se"].to_numpy(),
        },
        index=pd.RangeIndex(1, learned.n_leaves + 1, name="leaf"),
    )
    return Rules(frame, root)


@dataclass(frozen=True)
class Condition:
    """One side of a split: ``name sign value``."""

    name: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.value}"


#: Each sign from below with the sign that closes the interval, and how the first is written there.
LOWER = {">=": "<=", ">": "<"}


def spelled(path: Sequence[Condition]) -> str:
    """Join conditions; the last bounds of each variable are one interval."""
    last: dict[tuple[str, str], Condition] = {}
    for one in path:
        side = "low" if one.sign in LOWER else "high" if one.sign in ("<", "<=") else str(one)
        last[one.name, side] = one
    out = []
    for (name, side), one in last.items():
        if side == "high" and (low := last.get((name, "low"))) is not None:
            out.append(f"{low.value} {LOWER[low.sign]} {one}")
        elif side != "low" or (name, "high") not in last:
            out.append(str(one))
    return " & ".join(out)


def conditions(fit: Fit, column: int, threshold: float) -> tuple[Condition, Condition]:
    """Make the conditions of the left and of the right branch of a split."""
    label = fit.predictors.labels[column]
    if label is not None:
        return Condition(label[0], "is not", label[1]), Condition(label[0], "is", label[1])
    name, shown = fit.predictors.names[column], f"{threshold:.7g}"
    return Condition(name, "<", shown), Condition(name, ">=", shown)
