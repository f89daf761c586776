"""What smooth terms learn from rows that come in chunks: a part of the rows, drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array, Positions
from ..design.frame import Frame
from ..design.reading import Reading
from ..design.smooths.fitted import FittedSmooth
from ..design.values import Numbers
from ..errors import UnsupportedError
from ..formula import Formula

__all__ = ["MOST_ROWS", "Extremes", "Kept", "check_smooths", "same_curves"]

#: Most rows that smooths are learned from.
MOST_ROWS = 100_000


def check_smooths(formula: Formula) -> None:
    """Refuse smooths that are random effects of a grouping factor.

    Raises
    ------
    UnsupportedError
        With the term, and what to write.
    """
    for smooth in formula.smooths:
        if smooth.bs[0] == "re":
            names = [factor.expr for factor in smooth.variables]
            raise UnsupportedError(
                f"{smooth.text} is a random effect, which data in chunks have as a bar: write "
                f"(1 | {names[0]}), or (0 + x | g) for a slope"
            )
        if smooth.bs[0] == "fs":
            raise UnsupportedError(
                f"{smooth.text} has a curve for each level, which needs the rows in memory; with "
                f"data in chunks write s({smooth.variables[0].expr}) and a bar with slopes"
            )


def same_curves(one: FittedSmooth, other: FittedSmooth) -> bool:
    """Return whether two smooths have the same columns: whether they agree at some places."""
    if one.label != other.label or one.ranges != other.ranges or one.D.shape != other.D.shape:
        return False
    shares = np.random.default_rng(0).random((50, len(one.ranges)))
    low, high = np.array(one.ranges).T
    at = low + (high - low) * shares
    pairs = zip(one.columns(at), other.columns(at), strict=True)
    return all(a.shape == b.shape and np.allclose(a, b, atol=1e-9) for a, b in pairs)


@dataclass
class Kept:
    """A random part of all rows so far, every one of them while they are few.

    Each row has a random number, and those with the smallest ones stay: which rows these are does
    not depend on where the chunks begin.
    """

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    parts: list[dict[str, Any]] = field(default_factory=list)
    numbers: Array = field(default_factory=lambda: np.empty(0))
    n_read: int = 0

    def add(self, frame: Frame, names: Sequence[str], usable: Positions) -> None:
        """Take the usable rows of a chunk that stay."""
        fresh = self.rng.random(len(usable))
        self.n_read += len(usable)
        limit = np.inf
        if self.is_part and len(self.numbers) >= MOST_ROWS:
            limit = float(np.partition(self.numbers, MOST_ROWS - 1)[MOST_ROWS - 1])
        chosen = fresh <= limit
        at = usable[chosen]
        self.parts.append({name: frame.series(name).iloc[at] for name in names})
        self.numbers = np.concatenate([self.numbers, fresh[chosen]])
        if len(self.numbers) > 2 * MOST_ROWS:
            self.thin()

    @property
    def is_part(self) -> bool:
        """Whether there were more rows than stay."""
        return self.n_read > MOST_ROWS

    def thin(self) -> dict[str, Any]:
        """Keep the rows that stay, in their order."""
        columns = {
            name: pd.concat([part[name] for part in self.parts], ignore_index=True)
            for name in self.parts[0]
        }
        if len(self.numbers) > MOST_ROWS:
            stay = np.sort(np.argpartition(self.numbers, MOST_ROWS - 1)[:MOST_ROWS])
            columns = {
                name: column.iloc[stay].reset_index(drop=True) for name, column in columns.items()
            }
            self.numbers = self.numbers[stay]
        self.parts = [columns]
        return columns


@dataclass
class Extremes:
    """The rows at the ends of each variable of a smooth so far, so that knots cover all rows."""

    at: dict[tuple[str, int], float] = field(default_factory=dict)
    rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def add(
        self, formula: Formula, reading: Reading, names: Sequence[str], usable: Positions
    ) -> None:
        """Take the rows of a chunk that lie beyond those before."""
        variables = {f.expr for smooth in formula.smooths for f in smooth.variables}
        for name in sorted(variables) if len(usable) else []:
            value = reading.values.get(name)
            if not isinstance(value, Numbers):
                continue
            for side in (-1, 1):
                x = side * value.arrays[0][usable]
                end = int(np.argmax(x))
                if x[end] > self.at.get((name, side), -np.inf):
                    self.at[name, side] = float(x[end])
                    row = [int(usable[end])]
                    self.rows[name, side] = {n: reading.frame.series(n).iloc[row] for n in names}
