"""Figures of learners: trees and the importance of predictors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .base import one, theme, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["importance_axes", "tree_axes"]

#: Inches of a character of a condition.
WIDTH = 0.066


def importance_axes(table: pd.DataFrame, *, ax: Axes | None = None, most: int = 20) -> Axes:
    """Draw the increase of the error by predictor, the largest on top."""
    shown = table.head(most).iloc[::-1]
    look, axis = theme(), one(ax, 5.0, float(np.clip(0.28 * len(shown) + 1.0, 1.8, 9.0)))
    axis.axvline(0.0, color=look.faint, linewidth=1.0)
    axis.errorbar(
        shown["increase"],
        np.arange(len(shown)),
        xerr=shown["sd"].fillna(0.0),
        fmt="o",
        color=look.accent,
        markersize=4.5,
        linewidth=1.2,
    )
    axis.set_yticks(np.arange(len(shown)), [str(name) for name in shown.index])
    axis.set(xlabel="increase of the mean squared error", ylim=(-0.6, len(shown) - 0.4))
    return titled(axis, "Permutation importance, with standard deviations")


def tree_axes(root: Any, title: str, *, ax: Axes | None = None) -> Axes:
    """Draw a binary tree: conditions at the branches, texts at the leaves.

    Parameters
    ----------
    root : node
        With ``text``, ``other``, ``left`` and ``right``.
    title : str
        What the leaves show.
    ax : Axes, optional
        Where to draw.
    """
    leaves, deep = size(root)
    long, tall = extent(root)
    width = float(np.clip(max(1.3, 0.074 * long + 0.35) * leaves + 0.4, 3.2, 16.0))
    axis = one(ax, width, 1.15 * deep + 0.7 + 0.2 * tall)
    apart = axis.get_window_extent().width / axis.figure.dpi / (leaves + 0.4)  # inches
    size_of_text = "small" if 0.074 * long + 0.2 < apart else "x-small"
    next_leaf = [0.0]

    def walk(node: Any, level: int) -> float:
        if node.left is None:
            x, next_leaf[0] = next_leaf[0], next_leaf[0] + 1.0
            box(axis, x, -level, node.text, size_of_text)
            return x
        ends = walk(node.left, level + 1), walk(node.right, level + 1)
        x = float(np.mean(ends))
        texts = short(node.text), short(node.other)
        crowded = WIDTH * max(map(len, texts)) > apart * min(ends[1] - ends[0], 2.0)
        for end, text, lower in zip(ends, texts, (-0.08, 0.12), strict=True):
            branch(axis, x, -level, end, text, lower if crowded else 0.0)
        if node.head:
            axis.text(
                x,
                -level + 0.05,
                node.head,
                ha="center",
                va="bottom",
                fontsize="x-small",
                bbox={
                    "boxstyle": "square,pad=0.1",
                    "facecolor": axis.get_facecolor(),
                    "ec": "none",
                },
            )
        return x

    walk(root, 0)
    axis.set(xlim=(-0.7, leaves - 0.3), ylim=(-deep - 0.15 - 0.12 * tall, 0.25))
    axis.set_axis_off()
    return titled(axis, title)


def size(node: Any) -> tuple[int, int]:
    """Count the leaves and the levels below a node."""
    if node.left is None:
        return 1, 0
    (a, p), (b, q) = size(node.left), size(node.right)
    return a + b, 1 + max(p, q)


def extent(node: Any) -> tuple[int, int]:
    """Find the longest line and the number of lines of the leaves."""
    if node.left is None:
        lines = node.text.split("\n")
        return max(map(len, lines)), len(lines)
    (a, p), (b, q) = extent(node.left), extent(node.right)
    return max(a, b), max(p, q)


def box(axis: Axes, x: float, y: float, text: str, size_of_text: str) -> None:
    """Draw a leaf."""
    look = theme()
    axis.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=size_of_text,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": axis.get_facecolor(), "ec": look.accent},
    )


def short(text: str) -> str:
    """Write the numbers of a condition with four digits; tables have them all."""
    return re.sub(r"-?\d+\.\d{3,}$", lambda found: f"{float(found[0]):.4g}", text)


def branch(axis: Axes, x: float, y: float, end: float, text: str, lower: float) -> None:
    """Draw a branch with its condition, lowered by a part of a level."""
    look = theme()
    axis.plot([x, end, end], [y, y, y - 1.0], color=look.grey, linewidth=1.0, zorder=0)
    axis.text(
        end,
        y - 0.42 - lower,
        text,
        ha="center",
        va="center",
        fontsize="x-small",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": axis.get_facecolor(), "ec": "none"},
    )
