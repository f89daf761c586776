"""Smooth terms of a design: what they learn, and the columns and random-effects terms they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array
from ...errors import DataError, RanefWarning
from ...formula import Formula, Smooth
from ..coding import FittedFactor
from ..design import RandomTerm
from ..groups import Grouping, group_codes
from ..matrix import Store
from ..scope import Column
from ..structures.structure import Structure
from ..values import Categories, Numbers, Value

if TYPE_CHECKING:
    from .fitted import FittedSmooth

__all__ = ["add_smooths", "evaluated", "fixed_columns", "multiplier", "smooth_terms", "warn_beyond"]

Groups: TypeAlias = "Mapping[str, tuple[Any, pd.Index[Any]]]"


def add_smooths(
    formula: Formula, values: dict[str, Value], factors: dict[str, FittedFactor]
) -> tuple[FittedSmooth, ...]:
    """Learn every smooth of a formula; its columns join ``values`` and ``factors``."""
    found = [one for smooth in formula.smooths for one in _fitted(smooth, values)]
    labels = [one.label for one in found]
    for one in found:
        if labels.count(one.label) > 1 or one.label in values:
            raise DataError(
                f"two terms would be called {one.label!r}; a smooth may occur once in a formula",
                one.label,
            )
        values[one.label] = evaluated(one, values)
        names = (*one.fixed_names, *(f"{one.label}.{i + 1}" for i in range(one.n_random)))
        full = tuple((name, slot) for slot, name in enumerate(names))
        factors[one.label] = FittedFactor(one.label, None, False, full, full, np.empty((0, 0)), {})
    return tuple(found)


def _fitted(smooth: Smooth, values: dict[str, Value]) -> list[FittedSmooth]:
    """Learn a smooth; one for each level of a factor ``by``."""
    from .fitted import fit_smooth
    from .reading import stacked

    names = [factor.expr for factor in smooth.variables]
    numeric = [name for name in names if name in values]
    x = stacked(numeric, values, smooth)
    if smooth.by is None:
        group = next((name for name in names if name not in values), None)
        return [fit_smooth(smooth, x, True, group)]
    by = values[smooth.by.expr]
    if isinstance(by, Numbers):
        if len(by.arrays) > 1:
            raise DataError(
                f"by={smooth.by.expr} has {counted(len(by.arrays), 'column')}", smooth.by.expr
            )
        label = f"{smooth.label}:{smooth.by.expr.replace(' ', '')}"
        varies = bool(np.ptp(by.arrays[0]) > 0.0)
        return [replace(fit_smooth(smooth, x, not varies), label=label)]
    one = fit_smooth(smooth, x, True)
    return [
        replace(one, label=f"{one.label}:{smooth.by.expr}{level}", level=i)
        for i, level in enumerate(by.levels)
    ]


def evaluated(one: FittedSmooth, values: Mapping[str, Value]) -> Numbers:
    """Compute the columns of a smooth, fixed ones first, from the values of its variables."""
    from .reading import stacked

    x = stacked(one.variables, values, one.smooth)
    x = np.where(np.isnan(x), one.centre, x)
    fixed, random = one.columns(x, multiplier(one, values))
    columns = [*fixed.T, *random.T]
    return Numbers(tuple(np.ascontiguousarray(column) for column in columns))


def multiplier(one: FittedSmooth, values: Mapping[str, Value]) -> Array | None:
    """Return what ``by`` multiplies a smooth by."""
    if one.smooth.by is None:
        return None
    by = values[one.smooth.by.expr]
    if isinstance(by, Categories):
        return np.asarray(by.codes == one.level, dtype=np.float64)
    return by.arrays[0]


def fixed_columns(smooths: tuple[FittedSmooth, ...]) -> list[Column]:
    """List the columns whose coefficients are not penalised."""
    out, known = [], set()
    for one in smooths:
        for slot, name in enumerate(one.fixed_names):
            term = (one.smooth.by, one.level, name.removeprefix(one.label))
            if term not in known:  # a straight line that an earlier smooth has
                out.append(Column(name, ((one.label, slot),)))
            known.add(term)
    return out


def smooth_terms(
    smooths: tuple[FittedSmooth, ...],
    groups: Groups,
    keep: NDArray[np.bool_] | None,
    store: Store,
    n: int,
) -> tuple[list[RandomTerm], list[tuple[Column, ...]], list[Grouping]]:
    """Make a random-effects term from each smooth: one level, or the levels of its factor.

    Returns
    -------
    terms, recipes, groupings
        As :func:`ranef.design.random.random_terms`.
    """
    terms, recipes, groupings = [], [], []
    for one in smooths:
        first = len(one.fixed_names)
        columns = tuple(
            Column(f"{one.label}.{i + 1}", ((one.label, first + i),)) for i in range(one.n_random)
        )
        if one.group is not None:
            known, levels = groups[one.group]
            codes, grouping = group_codes(
                (one.group,), [(known if keep is None else known[keep], levels)]
            )
        else:
            codes = np.zeros(n, dtype=np.int32)
            grouping = Grouping((), (pd.Index([one.label]),), (), 1)
        terms.append(
            RandomTerm(
                one.label,
                codes,
                grouping.levels,
                tuple(store.refer(column) for column in columns),
                tuple(column.name for column in columns),
                (tuple(range(one.n_random)),),
                structures=(structure_of(one, columns),),
                smooth=one,
            )
        )
        recipes.append(columns)
        groupings.append(grouping)
    return terms, recipes, groupings


def structure_of(one: FittedSmooth, columns: tuple[Column, ...]) -> Structure:
    """Describe how variances of a smooth's random coefficients depend on standard deviations."""
    names = tuple(column.name for column in columns)
    if np.count_nonzero(one.D, axis=1).max() > 1:
        return Structure.precisions(names, one.D)
    forms = np.divide(1.0, one.D, out=np.zeros_like(one.D), where=one.D > 0.0)
    return Structure.variances(names, forms)


def warn_beyond(smooths: list[FittedSmooth], values: Mapping[str, Value]) -> None:
    """Warn of new rows outside the range that a smooth was fitted on."""
    from .cubic import Cyclic

    said: set[str] = set()
    for one in smooths:
        for j, (name, (low, high)) in enumerate(zip(one.variables, one.ranges, strict=True)):
            margin = one.margins[min(j, len(one.margins) - 1)]
            value = values[name]
            assert isinstance(value, Numbers)
            beyond = int(np.sum((value.arrays[0] < low) | (value.arrays[0] > high)))
            if isinstance(margin, Cyclic) or not beyond or name in said:
                continue
            said.add(name)
            rows = "1 new row" if beyond == 1 else f"{beyond:,} new rows"
            warnings.warn(
                RanefWarning(
                    f"{name!r} of {rows} lies outside {low:g} to {high:g}, the range of the fit: "
                    f"{one.label} is extrapolated there, without data to support it"
                ),
                stacklevel=5,
            )
