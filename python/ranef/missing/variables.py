"""The variables of a formula: their values, their kinds, and the level that they vary at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._options import check_option
from .._typing import Array, Positions
from ..design.expressions import columns_of
from ..design.frame import Frame, open_frame
from ..errors import DataError, RanefWarning, UnsupportedError
from ..fitted.warned import tell
from ..formula import FactorKind, Formula, parse

__all__ = ["KINDS", "Variable", "Variables", "numbers", "read_variables"]

#: How a variable is imputed, and what the kinds are called.
KINDS = ("continuous", "binary", "categorical", "count", "matching")


@dataclass(frozen=True)
class Variable:
    """One column of the analysis.

    Attributes
    ----------
    name : str
        The column.
    kind : str
        One of ``KINDS``.
    level : str
        "" for a variable of rows, or the grouping factor within whose levels it is constant.
    observed : ndarray of shape (n,) of bool
        Where it has a value.
    levels : tuple
        The values of a binary or categorical variable.
    """

    name: str
    kind: str
    level: str
    observed: np.ndarray[Any, np.dtype[np.bool_]]
    levels: tuple[Any, ...] = ()

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return int((~self.observed).sum())


@dataclass(frozen=True)
class Variables:
    """The columns that a formula uses, and how they are grouped.

    Attributes
    ----------
    formula : Formula
        The analysis.
    frame : DataFrame
        All of the caller's columns, in the caller's order.
    items : dict of str to Variable
        Response first, then predictors.
    outcome : str
        Column of the response.
    groups : dict of str to (codes, levels)
        Grouping factors.
    """

    formula: Formula
    frame: pd.DataFrame
    items: dict[str, Variable]
    outcome: str
    groups: dict[str, tuple[Positions, pd.Index[Any]]]

    @property
    def incomplete(self) -> list[str]:
        """Names of the variables with missing values."""
        return [name for name, item in self.items.items() if item.n_missing]


def read_variables(
    formula: str, data: Any, kinds: Mapping[str, str] | None = None, extra: Sequence[str] = ()
) -> Variables:
    """Read the columns of a formula.

    Raises
    ------
    DataError
        If a grouping column has missing values, or a variable has no values.
    """
    parsed = parse(formula)
    for bar in parsed.random:
        if bar.members is not None:
            raise UnsupportedError(
                f"{bar.group}: missing values are not imputed with several members a row"
            )
    source = open_frame(data)
    frame = pd.DataFrame({name: source.series(name) for name in source.names})
    outcome, predictors = columns(parsed, source)
    bars = {bar.group: bar.factors for bar in parsed.random}
    groups = {name: codes_of(frame, name, factors) for name, factors in bars.items()}
    grouping = {factor for factors in bars.values() for factor in factors}
    more = [extra] if isinstance(extra, str) else list(extra)
    for name in more:
        source.check(name)
    names = [outcome, *predictors, *more]
    chosen = dict(kinds or {})
    if unknown := set(chosen) - set(names):
        raise DataError(
            f"kinds names {sorted(unknown)[0]!r}, which the formula does not use; it uses "
            f"{', '.join(names)}",
            sorted(unknown)[0],
            tuple(names),
        )
    items = {
        name: variable(frame[name], name, chosen.get(name), groups)
        for name in dict.fromkeys(names)
        if name not in grouping or name in predictors
    }
    return Variables(parsed, frame, items, outcome, groups)


def columns(formula: Formula, frame: Frame) -> tuple[str, list[str]]:
    """Name the column of the response and those of the predictors."""
    left = used(formula.left, frame)
    if len(left) != 1:
        raise DataError(
            f"the response {formula.left.expr!r} is made of {counted(len(left), 'column')}; impute "
            "needs a response that is one column, or a function of one"
        )
    terms = [*formula.terms, *(term for bar in formula.random for term in bar.terms)]
    found = [name for term in terms for factor in term.factors for name in used(factor, frame)]
    found += [name for factor in formula.offsets for name in used(factor, frame)]
    return left[0], [name for name in dict.fromkeys(found) if name != left[0]]


def used(factor: Any, frame: Frame) -> list[str]:
    """Columns of one factor."""
    if factor.kind is FactorKind.NAME:
        frame.check(factor.expr)
        return [factor.expr]
    return columns_of(factor.expr, frame)


def codes_of(
    frame: pd.DataFrame, name: str, factors: Sequence[str]
) -> tuple[Positions, pd.Index[Any]]:
    """Code the levels of a grouping factor."""
    for factor in factors:
        if missing := int(frame[factor].isna().sum()):
            raise DataError(
                f"the grouping column {factor!r} has {counted(missing, 'missing value')}; rows "
                "without a group cannot be imputed. Drop them, or find out where they belong",
                factor,
            )
    if len(factors) == 1:
        codes, levels = pd.factorize(frame[factors[0]], sort=True)
    else:
        codes, levels = pd.factorize(pd.MultiIndex.from_frame(frame[list(factors)]), sort=True)
    return np.asarray(codes, np.intp), pd.Index(levels)


def variable(
    column: pd.Series[Any],
    name: str,
    kind: str | None,
    groups: Mapping[str, tuple[Positions, pd.Index[Any]]],
) -> Variable:
    """Determine the kind and the level of one column."""
    observed = column.notna().to_numpy()
    if not observed.any():
        raise DataError(f"{name!r} is missing in every row; nothing can be imputed for it", name)
    values = column[observed]
    if len(values) == 1:
        raise DataError(
            f"{name!r} has only one observed value, so nothing can be learnt from it", name
        )
    if kind is not None:
        kind = check_option(f"kinds[{name!r}]", kind, KINDS)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    distinct = sorted_values(values) if not numeric or kind in ("binary", "categorical") else []
    if kind is None:
        if numeric:
            two = set(pd.unique(values)) <= {0, 1}
            kind, distinct = ("binary", [0, 1]) if two else ("continuous", [])
        else:
            kind = "binary" if len(distinct) == 2 else "categorical"
    if numeric and (endless := int(np.isinf(values.to_numpy(float)).sum())):
        raise DataError(
            f"{name!r} is infinite in {counted(endless, 'row')}; make them "
            "missing, or correct them",
            name,
        )
    if kind in ("continuous", "count", "matching") and not numeric:
        raise DataError(f"{name!r} is not a number, so it cannot be imputed as {kind}", name)
    if kind == "count" and ((values < 0).any() or (values != np.floor(values)).any()):
        raise DataError(f"{name!r} has values that are not counts 0, 1, 2, ...", name)
    level = level_of(column, observed, groups)
    if kind == "continuous" and not level:
        tell(tuple(nearly_of_groups(column, observed, groups, name)))
    return Variable(name, kind, level, observed, tuple(distinct))


def numbers(column: pd.Series[Any], item: Variable) -> Array:
    """Values of a variable as numbers, categories by their place, NaN where missing."""
    if not item.levels:
        return column.to_numpy(dtype=float, na_value=np.nan).copy()
    out = np.full(len(column), np.nan)
    for k, level in enumerate(item.levels):
        out[item.observed & (column == level).to_numpy(dtype=bool, na_value=False)] = k
    return out


def nearly_of_groups(
    column: pd.Series[Any],
    observed: np.ndarray[Any, np.dtype[np.bool_]],
    groups: Mapping[str, tuple[Positions, pd.Index[Any]]],
    name: str,
) -> list[RanefWarning]:
    """Warn of a variable constant within most groups: perhaps a group variable with errors."""
    codes = pd.Series(pd.factorize(column[observed])[0])
    for group, (where, levels) in groups.items():
        by = codes.groupby(where[observed])
        several = by.count() > 1
        varies = (by.nunique() > 1) & several
        if 0 < varies.sum() <= 0.2 * several.sum():
            first = plain(levels[int(varies.index[int(np.argmax(varies))])])
            return [
                RanefWarning(
                    f"{name!r} is constant within all but {int(varies.sum())} of "
                    f"{counted(int(several.sum()), 'level')} of {group}, such as {first!r}; it is "
                    f"imputed row by row. If it belongs to {group}, correct these rows"
                )
            ]
    return []


def plain(value: Any) -> Any:
    """Return a level as a plain Python value."""
    return value.item() if isinstance(value, np.generic) else value


def sorted_values(values: pd.Series[Any]) -> list[Any]:
    """Return the distinct values, in the order of a categorical or sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [value for value in values.cat.categories if (values == value).any()]
    return sorted(pd.unique(values))


def level_of(
    column: pd.Series[Any],
    observed: np.ndarray[Any, np.dtype[np.bool_]],
    groups: Mapping[str, tuple[Positions, pd.Index[Any]]],
) -> str:
    """Find the coarsest grouping factor within whose levels a column is constant."""
    codes, _ = pd.factorize(column[observed])
    candidates = []
    for name, (group, levels) in groups.items():
        pairs = pd.DataFrame({"group": group[observed], "value": codes}).drop_duplicates()
        several = np.bincount(group[observed], minlength=len(levels)).max() > 1
        if several and not pairs["group"].duplicated().any():
            candidates.append((len(levels), name))
    return min(candidates)[1] if candidates else ""
