"""Columns of a factor: indicators of levels, contrasts, or the numbers themselves."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic.transforms.contrasts import Contrasts, ContrastsRegistry, CustomContrasts
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError
from .aligned import rows_by_name
from .values import Categories, Numbers, Value

__all__ = ["FittedFactor", "fit_factor", "resolve_contrasts"]


@dataclass(frozen=True)
class FittedFactor:
    """What a factor learned from the data: its columns, and the state to make them again.

    A categorical factor's slots 0 to L - 1 are the indicators of its L levels, later ones the
    columns of ``extra``. A numeric factor's slots are its columns.

    Attributes
    ----------
    expr : str
        Column or expression.
    levels : Index or None
        Levels of a categorical factor.
    spans_intercept : bool
        Whether the full columns add up to a constant.
    full, reduced : tuple of (str, int)
        Names and slots of the columns, with and without the constant.
    extra : ndarray of shape (L, n_extra)
        Contrast columns that are not indicators.
    state : dict
        What stateful transforms remember.
    """

    expr: str
    levels: pd.Index[Any] | None
    spans_intercept: bool
    full: tuple[tuple[str, int], ...]
    reduced: tuple[tuple[str, int], ...]
    extra: NDArray[np.float64]
    state: dict[str, Any]

    @property
    def is_categorical(self) -> bool:
        """Whether the factor has levels."""
        return self.levels is not None

    def column(self, value: Value, slot: int) -> NDArray[np.float64]:
        """Compute one column from the factor's value; NaN where it is missing."""
        if isinstance(value, Numbers):
            return value.arrays[slot]
        assert self.levels is not None
        if slot < len(self.levels):
            return np.asarray(value.codes == slot, dtype=np.float64)
        contrast: NDArray[np.float64] = self.extra[:, slot - len(self.levels)][value.codes]
        return contrast


def fit_factor(expr: str, value: Value, contrasts: Any, state: dict[str, Any]) -> FittedFactor:
    """Name and number the columns of a factor.

    Parameters
    ----------
    expr : str
        Column or expression.
    value : Numbers or Categories
        The factor on the rows of the fit; every level occurs.
    contrasts : object
        Contrasts asked for by name of the column, None for those of the value.
    state : dict
        What stateful transforms learned.
    """
    if isinstance(value, Numbers):
        if contrasts is not None:
            raise DataError(
                f"contrasts are given for {expr!r}, which is numeric; write C({expr})", expr
            )
        return fit_numbers(expr, value, state)
    asked = value.contrasts if contrasts is None else contrasts
    labels = value.levels.tolist()
    asked = rows_by_name(asked, labels, f"the contrasts of {expr!r}")
    chosen = resolve_contrasts(asked, expr)
    if len(labels) < 2:
        only = f" only one level, {labels[0]!r}" if labels else " no level"
        raise DataError(f"{expr!r} has{only} in the rows used; leave it out", expr)
    if chosen is None:
        return fit_treatment(expr, value, labels, state)
    return fit_contrasts(expr, value, chosen, state)


def fit_numbers(expr: str, value: Numbers, state: dict[str, Any]) -> FittedFactor:
    """Name the columns of a numeric factor."""
    names = [f"{expr}[{label}]" for label in value.labels] or [expr]
    full = tuple((name, slot) for slot, name in enumerate(names))
    kept = (column for column in full if not value.spans_intercept or column[1] != value.dropped)
    return FittedFactor(
        expr, None, value.spans_intercept, full, tuple(kept), np.empty((0, 0)), state
    )


def fit_treatment(
    expr: str, value: Categories, labels: Sequence[Any], state: dict[str, Any]
) -> FittedFactor:
    """Code levels by indicators, omitting the first if there is a constant."""
    full = tuple((f"{expr}[{label}]", slot) for slot, label in enumerate(labels))
    reduced = tuple((f"{expr}[T.{label}]", slot) for slot, label in enumerate(labels) if slot)
    extra = np.empty((len(labels), 0))
    return FittedFactor(expr, value.levels, value.spans_intercept, full, reduced, extra, state)


def fit_contrasts(
    expr: str, value: Categories, contrasts: Contrasts, state: dict[str, Any]
) -> FittedFactor:
    """Code levels by contrasts of formulaic's."""
    labels = value.levels.tolist()
    extra: list[NDArray[np.float64]] = []
    sides = []
    for reduced in (False, True):
        try:
            matrix = np.asarray(contrasts.get_coding_matrix(labels, reduced), dtype=float)
            names = list(contrasts.get_coding_column_names(labels, reduced))
            pattern = contrasts.get_factor_format(labels, reduced)
        except Exception as error:
            raise DataError(f"the contrasts of {expr!r} do not fit: {error}", expr) from error
        if matrix.shape != (len(labels), len(names)):
            raise DataError(
                f"the contrasts of {expr!r} have {counted(len(matrix), 'row')} for "
                f"{counted(len(labels), 'level')}",
                expr,
            )
        texts = [pattern.format(name=expr, field=name) for name in names]
        slots = [slot_of(column, extra) for column in matrix.T]
        sides.append(tuple(zip(texts, slots, strict=True)))
    table = np.column_stack(extra) if extra else np.empty((len(labels), 0))
    return FittedFactor(expr, value.levels, value.spans_intercept, sides[0], sides[1], table, state)


def slot_of(column: NDArray[np.float64], extra: list[NDArray[np.float64]]) -> int:
    """Return a contrast column's slot: a level's if it is its indicator, else a new one."""
    at = np.flatnonzero(column)
    if len(at) == 1 and column[at[0]] == 1.0:
        return int(at[0])
    for i, known in enumerate(extra):
        if np.array_equal(known, column):
            return len(column) + i
    extra.append(column)
    return len(column) + len(extra) - 1


def resolve_contrasts(asked: Any, expr: str) -> Contrasts | None:
    """Resolve the caller's contrasts; None for treatment contrasts."""
    if asked is None or isinstance(asked, Contrasts):
        return asked
    if isinstance(asked, str):
        asked = named_contrasts(asked, expr)
    if inspect.isclass(asked) and issubclass(asked, Contrasts):
        return asked()
    try:
        return CustomContrasts(asked)
    except Exception as error:
        raise DataError(f"cannot read the contrasts of {expr!r}: {error}", expr) from error


def named_contrasts(name: str, expr: str) -> Any:
    """Look contrasts up by a name such as "sum" or R's "contr.sum"."""
    known = {n.lower(): n for n in vars(ContrastsRegistry) if n[0] != "_" and n != "custom"}
    short = name.removeprefix("contr.").lower()
    if short not in known:
        message = f"there are no contrasts {name!r} (for {expr!r}); there are {', '.join(known)}"
        raise DataError(message, expr, tuple(known))
    return getattr(ContrastsRegistry, known[short])
