"""Read the variables of smooth terms, and write random effects among them as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...errors import DataError
from ...formula import Bar, Factor, FactorKind, Formula, Smooth, Term
from ..frame import Frame
from ..reading import Reading, read_factor, read_group
from ..values import Categories, Numbers, Value, is_numbers

__all__ = ["grouping_of", "read_smooth", "stacked", "with_random_smooths"]


def with_random_smooths(formula: Formula, frame: Frame) -> Formula:
    """Replace smooths with the basis "re" by the equivalent bars.

    ``s(g, bs="re")`` is ``(1 | g)``, ``s(g, x, bs="re")`` is ``(0 + x | g)``.
    """
    bars = [bar_of(smooth, frame) for smooth in formula.smooths if smooth.bs[0] == "re"]
    if not bars:
        return formula
    rest = tuple(smooth for smooth in formula.smooths if smooth.bs[0] != "re")
    return replace(formula, random=(*formula.random, *bars), smooths=rest)


def bar_of(smooth: Smooth, frame: Frame) -> Bar:
    """Write a random-effects smooth as a bar; its non-numeric columns are the groups."""
    for factor in smooth.variables:
        if factor.kind is not FactorKind.NAME:
            raise DataError(
                f"{smooth.text} groups by {factor.expr!r}; make that column in the data first",
                factor.expr,
            )
    names = [factor.expr for factor in smooth.variables]
    groups = [n for n in names if not is_numbers(frame.series(n), n)] or names[:1]
    slopes = [n for n in names if n not in groups]
    left = ":".join(Factor(n).source() for n in slopes)
    terms = (Term(tuple(Factor(n) for n in slopes)),)
    text = f"0 + {left}" if slopes else "1"
    return Bar(text, terms, ":".join(groups), tuple(groups), True, smooth.start, smooth.stop)


def grouping_of(smooth: Smooth, frame: Frame) -> str:
    """Name the factor for whose levels a smooth has curves."""
    names = [factor.expr for factor in smooth.variables]
    found = [n for n in names if n in frame.names and not is_numbers(frame.series(n), n)]
    return (found or names[1:])[0]


def read_smooth(smooth: Smooth, reading: Reading) -> None:
    """Read every variable of a smooth, and note what is missing."""
    group = grouping_of(smooth, reading.frame) if smooth.bs[0] == "fs" else None
    for factor in smooth.factors:
        if factor.expr == group:
            read_group(factor.expr, reading)
        else:
            read_factor(factor, reading)


def stacked(variables: Sequence[str], values: Mapping[str, Value], smooth: Smooth) -> Array:
    """Lay the numeric variables of a smooth side by side, (n, d)."""
    out = []
    for expr in variables:
        value = values[expr]
        if isinstance(value, Categories):
            raise DataError(
                f"{expr!r} is not numeric, and {smooth.text} is a smooth of numbers; a factor goes "
                f'into by={expr}, s({expr}, bs="re") or s(x, {expr}, bs="fs")',
                expr,
            )
        assert isinstance(value, Numbers)
        if len(value.arrays) > 1:
            raise DataError(
                f"{expr!r} has {counted(len(value.arrays), 'column')}; a smooth takes one", expr
            )
        out.append(value.arrays[0])
    return np.column_stack(out)
