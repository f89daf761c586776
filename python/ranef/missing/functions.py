"""Functions of complete columns as predictors, and a warning of those of incomplete ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..design.expressions import columns_of, evaluate
from ..design.frame import Frame, open_frame
from ..design.values import Numbers, Value
from ..errors import RanefWarning
from ..formula import Factor, FactorKind, Formula
from .variables import Variable, Variables, level_of

__all__ = ["not_kept", "with_functions"]


def with_functions(variables: Variables) -> Variables:
    """Add functions of complete columns, such as ``I(time**2)``, to what predicts."""
    source, formula = open_frame(variables.frame), variables.formula
    columns, items = {}, dict(variables.items)
    for factor in functions(formula):
        names = columns_of(factor.expr, source, formula.evaluation)
        if is_incomplete(variables, names) or is_known(variables, names, factor):
            continue
        value = evaluate(factor.expr, source, {}, formula.evaluation)
        for name, column in columns_for(factor.expr, value).items():
            if column.nunique() < 2 or column.isna().any():
                continue
            columns[name] = column.set_axis(variables.frame.index)
            items[name] = made(name, columns[name], variables)
    return replace(variables, frame=variables.frame.assign(**columns), items=items)


def functions(formula: Formula) -> Iterator[Factor]:
    """Expressions among the factors of the right-hand side, each once."""
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    found = [factor for term in terms for factor in term.factors]
    yield from dict.fromkeys(f for f in found if f.kind is not FactorKind.NAME)


def is_incomplete(variables: Variables, names: list[str]) -> bool:
    """Whether one of some columns has missing values."""
    return any(variables.items[name].n_missing for name in names if name in variables.items)


def is_known(variables: Variables, names: list[str], factor: Factor) -> bool:
    """Whether an expression only codes the categories of one variable, as ``C(group)`` does."""
    return (
        len(names) == 1
        and names[0] in variables.items
        and bool(variables.items[names[0]].levels)
        and factor.expr.startswith("C(")
    )


def columns_for(expr: str, value: Value) -> dict[str, pd.Series[Any]]:
    """Name the columns of an expression."""
    if isinstance(value, Numbers):
        if len(value.arrays) == 1:
            return {expr: pd.Series(value.arrays[0])}
        return {f"{expr}[{j}]": pd.Series(array) for j, array in enumerate(value.arrays)}
    codes = pd.Categorical.from_codes(value.codes.tolist(), categories=value.levels)
    return {expr: pd.Series(codes)}


def made(name: str, column: pd.Series[Any], variables: Variables) -> Variable:
    """Describe a computed column."""
    observed = np.ones(len(column), bool)
    level = level_of(column, observed, variables.groups)
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = tuple(level for level in column.cat.categories if (column == level).any())
        return Variable(name, "categorical", level, observed, levels)
    return Variable(name, "continuous", level, observed)


def not_kept(variables: Variables) -> tuple[RanefWarning, ...]:
    """Warn of terms that no draw knows, whose effects imputation would therefore weaken."""
    source, formula = open_frame(variables.frame), variables.formula
    terms = [factor.expr for factor in functions(formula) if bent(variables, source, factor)]
    terms += [smooth.text for smooth in formula.smooths]
    if not terms:
        return ()
    verb, effects = ("is", "its effect") if len(terms) == 1 else ("are", "their effects")
    return (
        RanefWarning(
            f"{', '.join(terms)} {verb} not part of the imputation, which knows linear effects and "
            f"products of incomplete columns; {effects} will come out too small. Compare with a "
            "model of the complete rows"
        ),
    )


def bent(variables: Variables, source: Frame, factor: Factor) -> bool:
    """Whether a factor is a function of an incomplete column, other than its categories."""
    names = columns_of(factor.expr, source, variables.formula.evaluation)
    return is_incomplete(variables, names) and not is_known(variables, names, factor)
