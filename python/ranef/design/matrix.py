"""Compute model-matrix columns, each distinct one once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .coding import FittedFactor
from .design import INTERCEPT
from .scope import Column
from .values import Value

__all__ = ["Store", "compute", "matrix"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Store:
    """Distinct columns in order of first use.

    Attributes
    ----------
    values : mapping of str to value
        Factors on the rows used.
    factors : mapping of str to FittedFactor
        How their columns are made.
    columns : dict of key to array of shape (n,)
        The columns so far.
    """

    values: Mapping[str, Value]
    factors: Mapping[str, FittedFactor]
    columns: dict[tuple[object, ...], Vector] = field(default_factory=dict)
    numbers: dict[tuple[object, ...], int] = field(default_factory=dict)

    def refer(self, column: Column) -> int:
        """Return the reference of a column, computing it if it is new."""
        if not column.parts:
            return INTERCEPT
        key = column.key
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.numbers)
            self.columns[key] = compute(column, self.values, self.factors)
        return number


def compute(
    column: Column, values: Mapping[str, Value], factors: Mapping[str, FittedFactor]
) -> Vector:
    """Multiply the parts of one column, shape (n,); a single part is not copied."""
    if column.at:
        there = [
            factors[expr].column(values[expr], slot) == value
            for (expr, slot), value in zip(column.parts, column.at, strict=True)
        ]
        return np.asarray(np.all(there, axis=0), dtype=np.float64)
    first, *rest = (factors[expr].column(values[expr], slot) for expr, slot in column.parts)
    for part in rest:
        first = first * part
    return first if column.scale == 1.0 else first * column.scale


def matrix(
    columns: Sequence[Column],
    values: Mapping[str, Value],
    factors: Mapping[str, FittedFactor],
    n: int,
) -> Vector:
    """Lay columns side by side, shape (n, len(columns)), Fortran order."""
    out = np.empty((n, len(columns)), order="F")
    for j, column in enumerate(columns):
        out[:, j] = compute(column, values, factors) if column.parts else column.scale
    return out
