"""Bars with a covariance structure: their columns, and what the data must satisfy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...errors import DataError, FormulaError
from ...formula import Bar, Factor, Formula
from ..design import RandomTerm
from ..matrix import Store
from ..scope import Column
from ..values import Numbers
from .structure import DISTANCES, Structure

__all__ = ["ORDERED", "check_occasions", "check_order", "columns_of_places", "structure_of"]

#: Structures whose columns are the levels of a factor, in order.
ORDERED = ("ar1", "toep")
#: Share of cells with several rows below which they look like a mistake.
FEW = 0.1


def structure_of(bar: Bar, columns: Sequence[Column]) -> Structure | None:
    """Return the covariance structure of a bar's columns; None if it is free."""
    names = tuple(column.name for column in columns)
    if bar.structure == "diag":
        return Structure("identity", names) if bar.homogeneous and len(names) > 1 else None
    if not bar.structure:
        return None
    if bar.structure in DISTANCES:
        places = np.array([column.at for column in columns])
        expressions = tuple(expr for expr, _ in columns[0].parts)
        return Structure(bar.structure, names, places=places, columns=expressions)
    return Structure(bar.structure, names, homogeneous=bar.homogeneous)


def columns_of_places(bar: Bar, formula: Formula, store: Store) -> list[Column]:
    """Make a column of each distinct place in the data, in ascending order."""
    names = [place_variable(term.factors, bar, formula, store) for term in bar.terms]
    if bar.structure == "ou" and len(names) > 1:
        message = f"ou() takes one column, the time: write ou(0 + {names[0]} | {bar.group})"
        raise FormulaError(message, formula.text, bar.start, bar.stop)
    points = np.column_stack([_numbers(store, name) for name in names])
    places = np.unique(points, axis=0)
    if len(places) < 2:
        raise DataError(
            f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} the same in all rows, so "
            f"{bar.structure}() has no distance to work with",
            names[0],
        )
    parts = tuple((name, 0) for name in names)
    return [Column(_label(names, place), parts, at=tuple(map(float, place))) for place in places]


def _label(names: list[str], place: Array) -> str:
    values = ", ".join(f"{value:.10g}" for value in place)
    return f"{names[0]}[{values}]" if len(names) == 1 else f"({', '.join(names)})[{values}]"


def _numbers(store: Store, name: str) -> Array:
    value = store.values[name]
    assert isinstance(value, Numbers)
    return np.asarray(value.arrays[0] + 0.0)


def place_variable(factors: tuple[Factor, ...], bar: Bar, formula: Formula, store: Store) -> str:
    """Check one term on the left of a bar of places: a single numeric column."""
    what = "the time" if bar.structure == "ou" else "a coordinate"
    if not factors:
        inside = "time" if bar.structure == "ou" else "x + y"
        raise FormulaError(
            f"{bar.structure}() has no intercept: write {bar.structure}(0 + {inside} | "
            f"{bar.group}), and (1 | {bar.group}) beside it if you want one",
            formula.text,
            bar.start,
            bar.stop,
        )
    if len(factors) > 1:
        raise FormulaError(
            f"each term in {bar.structure}() is {what}, one numeric column; make products in the "
            "data first",
            formula.text,
            bar.start,
            bar.stop,
        )
    name = factors[0].expr
    value = store.values[name]
    if not isinstance(value, Numbers):
        instead = f"; for the order of its levels write ar1(0 + {name} | {bar.group})"
        raise DataError(
            f"{bar.structure}() takes {what} as a number, and {name!r} has levels"
            f"{instead if bar.structure == 'ou' else ''}",
            name,
        )
    if len(value.arrays) != 1:
        raise DataError(
            f"{name!r} has several columns; {bar.structure}() takes one as {what}", name
        )
    return name


def check_order(bar: Bar, formula: Formula, store: Store) -> None:
    """Check that the columns of a bar are the levels of one factor."""
    factors = [factor.expr for term in bar.terms for factor in term.factors]
    numeric = [name for name in factors if isinstance(store.values[name], Numbers)]
    if len(factors) == 1 and numeric:
        (name,) = numeric
        raise DataError(
            f"{bar.structure}() takes a factor whose levels are the occasions, in order, and "
            f"{name!r} is numeric: write {bar.structure}(0 + C({name}) | {bar.group})"
            + (
                f", or ou(0 + {name} | {bar.group}) for times as they are"
                * (bar.structure == "ar1")
            ),
            name,
        )
    if len(factors) != 1 or any(not term.factors for term in bar.terms):
        name = factors[0] if factors else "occasion"
        raise FormulaError(
            f"{bar.structure}() takes the levels of one factor, without an intercept: write "
            f"{bar.structure}(0 + {name} | {bar.group})",
            formula.text,
            bar.start,
            bar.stop,
        )


def check_occasions(term: RandomTerm, bars: Sequence[Bar], store: Store) -> None:
    """Refuse occasional repeated occasions within a level, which look like a mistake."""
    n = len(term.codes)
    arrays = list(store.columns.values())
    for bar, block, structure in zip(bars, term.blocks, term.block_structures, strict=False):
        if structure is None or structure.kind != "ar1":
            continue
        occasion = np.zeros(n, dtype=np.intp)
        for place, j in enumerate(block):
            occasion[arrays[term.columns[j]] != 0.0] = place
        cells, counts = np.unique(term.codes * len(block) + occasion, return_counts=True)
        several = np.flatnonzero(counts > 1)
        if not 0 < len(several) < FEW * len(cells):
            continue
        level, place = divmod(int(cells[several[0]]), len(block))
        raise DataError(
            f"{counted(counts[several[0]], 'row')} of {bar.group} {term.levels[level]!r} are at "
            f"{term.names[block[place]]}, and {len(several)} of {len(cells)} occasions have "
            f"several rows: in {term.written} these share one effect. If that is a mistake, drop "
            "the rows; if they are replicates, average them first",
            bar.group,
        )
