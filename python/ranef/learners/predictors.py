"""The fixed part of a formula as predictors of a learner: numbers, and an indicator per level."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from .. import design as designs
from .._typing import Array
from ..design.coding import FittedFactor
from ..design.design import Design
from ..design.encode import NewRows, encode
from ..design.expressions import columns_of
from ..design.frame import Frame, open_frame
from ..design.scope import Column
from ..errors import FormulaError, ModelError
from ..formula import Factor, FactorKind, Formula, Term, like, parse
from ..formula.terms import quoted

__all__ = ["Predictors", "read_predictors", "written_out"]

LONE_DOT = re.compile(r"(?<![\w.`)\]])\.(?![\w.`(])")


@dataclass(frozen=True, eq=False)
class Predictors:
    """Rows of a fit as a learner takes them.

    Attributes
    ----------
    base : Design
        Response, random-effects terms, weights and offset of the rows used.
    encoder : Design
        The same, with an encoder that makes X of new rows.
    X : ndarray of shape (n, p)
        Predictors.
    names : tuple of str, length p
        Names of the columns.
    variables : tuple of str, length p
        The term of the formula that each column is of.
    labels : tuple of (str, str) or None, length p
        Of an indicator, the variable and its level.
    """

    base: Design
    encoder: Design
    X: Array
    names: tuple[str, ...]
    variables: tuple[str, ...]
    labels: tuple[tuple[str, str] | None, ...]

    def encode(self, newdata: Any, groups: list[str], new_levels: str) -> NewRows:
        """Read new rows: predictors, offset, and levels of some grouping factors."""
        return encode(self.encoder, newdata, random=groups, new_levels=new_levels)

    def columns(self, variable: str) -> list[int]:
        """Positions of the columns of a variable."""
        return [j for j, name in enumerate(self.variables) if name == variable]


def read_predictors(
    text: str, data: Any, *, weights: Any = None, offset: Any = None, missing: str = "drop"
) -> Predictors:
    """Apply a formula to data for a learner.

    A categorical variable of three or more levels has an indicator for each of them.

    Raises
    ------
    FormulaError
        If there is no random-effects term, or no predictor.
    DataError
        If formula and data do not fit.
    """
    formula = checked(written_out(text, data, (weights, offset)))
    base = designs.build(formula, data, weights=weights, offset=offset, missing=missing)
    if np.ptp(base.y) == 0.0:
        raise ModelError(
            f"the response {base.response!r} is {base.y[0]:g} in every row; there is nothing to "
            "learn"
        )
    encoder = base.encoder
    columns, variables, labels = full_columns(formula, encoder.factors)
    fixed = replace(base, encoder=replace(encoder, fixed=tuple(columns)))
    without = replace(fixed, encoder=replace(fixed.encoder, offset=None))
    X = encode(without, data, random=False).X
    return Predictors(
        base,
        fixed,
        np.ascontiguousarray(X if base.rows is None else X[base.rows]),
        tuple(column.name for column in columns),
        tuple(variables),
        tuple(labels),
    )


def checked(formula: Formula) -> Formula:
    """Refuse a formula without predictors for the learner or without random effects."""
    formula.refuse_smooths("a learner, which finds curves by itself,")
    if not formula.random:
        raise FormulaError(
            "no bar: a learner with random effects needs a term such as (1 | g). Without one, fit "
            "the learner itself by scikit-learn",
            formula.text,
            0,
            len(formula.text),
        )
    if not any(term.factors for term in formula.terms):
        raise FormulaError(
            "the fixed part has no predictor for the learner; write y ~ x + z + (1 | g), or "
            "y ~ . + (1 | g) for all other columns",
            formula.text,
            0,
            len(formula.text),
        )
    return formula


def written_out(text: str, data: Any, arguments: Sequence[Any] = ()) -> Formula:
    """Parse a formula; a lone dot on the right side is every column that nothing else uses."""
    left, tilde, right = str(text).partition("~")
    if isinstance(text, Formula) or not tilde or not LONE_DOT.search(right):
        return parse(text)
    frame = open_frame(data)
    bare = parse(like(f"{left}~{LONE_DOT.sub('1', right)}", parse("y ~ 1")))
    taken = set(used([bare.left, *bare.offsets], frame))
    taken |= {name for bar in bare.random for name in bar.factors}
    taken |= {name for bar in bare.random if bar.members for name in bar.members.columns}
    taken |= {argument for argument in arguments if isinstance(argument, str)}
    rest = [quoted(str(name)) for name in frame.names if name not in taken]
    if not rest:
        raise FormulaError("the dot stands for no column; all are used", text, text.index("."))
    return parse(f"{left}~{LONE_DOT.sub(lambda _: ' + '.join(rest), right)}")


def used(factors: Sequence[Factor], frame: Frame) -> list[str]:
    """Columns of the data that factors read."""
    return [
        name
        for factor in factors
        for name in (
            [factor.expr] if factor.kind is FactorKind.NAME else columns_of(factor.expr, frame)
        )
    ]


def full_columns(
    formula: Formula, factors: Mapping[str, FittedFactor]
) -> tuple[list[Column], list[str], list[tuple[str, str] | None]]:
    """List the columns of the fixed part, with the variable and the level of each."""
    columns: list[Column] = []
    variables: list[str] = []
    labels: list[tuple[str, str] | None] = []
    for term in formula.terms:
        if term.factors:
            for column, label in of_term(term, factors):
                columns.append(column)
                variables.append(term.name)
                labels.append(label)
    return columns, variables, labels


def of_term(
    term: Term, factors: Mapping[str, FittedFactor]
) -> list[tuple[Column, tuple[str, str] | None]]:
    """List the columns of one term."""
    choices = [slots(factors[factor.expr]) for factor in term.factors]
    out: list[tuple[Column, tuple[str, str] | None]] = []
    for chosen in product(*choices):
        name = ":".join(text for _, text, _ in chosen)
        parts = tuple(
            (factor.expr, slot) for factor, (slot, _, _) in zip(term.factors, chosen, strict=True)
        )
        label = chosen[0][2] if len(chosen) == 1 else None
        out.append((Column(name, parts, term.scale), label))
    return out


def slots(factor: FittedFactor) -> list[tuple[int, str, tuple[str, str] | None]]:
    """Slots of one factor with their names: one of two levels, all of more."""
    if factor.levels is None:
        return [(slot, name, None) for name, slot in factor.full]
    levels = list(pd.Index(factor.levels))
    known: list[tuple[int, str, tuple[str, str] | None]] = [
        (slot, f"{factor.expr}[{v}]", (factor.expr, str(v))) for slot, v in enumerate(levels)
    ]
    return known[1:] if len(levels) == 2 else known
