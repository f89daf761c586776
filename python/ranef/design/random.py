"""Random-effects terms of a design: bars on one grouping factor joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError, FormulaError, UnsupportedError
from ..formula import Bar, Formula
from .design import RandomTerm
from .groups import Grouping, group_codes
from .known.labels import places_among
from .known.members import MemberGrouping, Membership, MemberTerm
from .known.precision import KnownCovariance
from .matrix import Store
from .scope import Column, check_names, columns_of_terms
from .structures.bars import ORDERED, check_occasions, check_order, columns_of_places, structure_of
from .structures.structure import DISTANCES, Structure
from .values import Codes

__all__ = ["random_terms"]

Groups: TypeAlias = "Mapping[str, tuple[Codes, pd.Index[Any]]]"


class Spelled:
    """Levels of an interaction, spelled on first use: a million take half a second."""

    def __set__(self, term: RandomTerm, value: pd.Index[Any] | Grouping) -> None:
        term.__dict__["levels"] = value

    def __get__(self, term: RandomTerm, owner: type | None = None) -> pd.Index[Any]:
        value: pd.Index[Any] | Grouping = term.__dict__["levels"]
        if isinstance(value, Grouping):
            value = term.__dict__["levels"] = value.levels
        return value


class CrossedTerm(RandomTerm):
    """A random-effects term whose grouping factor is an interaction."""

    levels = Spelled()

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        value = self.__dict__["levels"]
        return value.n_levels if isinstance(value, Grouping) else len(value)


def random_terms(
    formula: Formula,
    groups: Groups,
    keep: NDArray[np.bool_] | None,
    store: Store,
    members: Mapping[str, Membership] | None = None,
    known: Mapping[str, KnownCovariance] | None = None,
) -> tuple[
    tuple[RandomTerm, ...],
    tuple[tuple[Column, ...], ...],
    tuple[Grouping | MemberGrouping, ...],
]:
    """Build the random-effects terms.

    Parameters
    ----------
    formula : Formula
        The formula.
    groups : mapping of str to (codes, levels)
        Grouping columns on all rows.
    keep : ndarray of bool, or None
        The rows used; None for all.
    store : Store
        Where the columns are kept.
    members : mapping of str to Membership, optional
        Groups of which a row has several, as the formula spells them, on all rows.
    known : mapping of str to KnownCovariance, optional
        By grouping factor.

    Returns
    -------
    terms : tuple of RandomTerm
        One for each grouping factor, in order of first appearance.
    recipes : tuple of tuple of Column
        How to compute the columns of each.
    groupings : tuple of Grouping
        How to code the levels of each.
    """
    used = {
        name: (codes if keep is None else codes[keep], lv) for name, (codes, lv) in groups.items()
    }
    terms: list[RandomTerm] = []
    recipes: list[tuple[Column, ...]] = []
    groupings: list[Grouping | MemberGrouping] = []
    for bars in bars_by_group(formula):
        columns, blocks, structures = join_bars(bars, formula, store)
        check_names(columns)
        references = tuple(store.refer(column) for column in columns)
        left = Left(references, tuple(column.name for column in columns), blocks)
        covariance = (known or {}).get(bars[0].group)
        grouping: Grouping | MemberGrouping
        term: RandomTerm
        if bars[0].members is not None:
            found = (members or {})[bars[0].members.source()]
            rows = found if keep is None else found.take(keep)
            term, grouping = member_term(bars[0], left, rows, covariance)
        elif covariance is not None:
            term, grouping = known_term(bars[0], left, used, covariance)
        else:
            term, grouping = level_term(bars, left, used)
        if structures:
            check_plain(bars, term)
            term = replace(term, structures=structures)
            check_occasions(term, bars, store)
        terms.append(term)
        recipes.append(tuple(columns))
        groupings.append(grouping)
    return tuple(terms), tuple(recipes), tuple(groupings)


class Left(NamedTuple):
    """What stands before the bars of one grouping factor."""

    references: tuple[int, ...]
    names: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]


def check_plain(bars: Sequence[Bar], term: RandomTerm) -> None:
    """Refuse a structure where levels are not independent, or a row has several."""
    if not term.is_plain:
        bar = next(bar for bar in bars if bar.structure)
        raise UnsupportedError(
            f"{bar.source()}: covariance structures are for levels that are independent, one a "
            f"row; write ({bar.left} | {bar.group})"
        )


def level_term(bars: Sequence[Bar], left: Left, used: Groups) -> tuple[RandomTerm, Grouping]:
    """Build a term of independent levels."""
    bar = bars[0]
    codes, grouping = group_codes(bar.factors, [used[name] for name in bar.factors])
    if not all(one.structure for one in bars):
        check_levels(bar, grouping)
    levels: Any = grouping if grouping.crossings else grouping.levels
    kind = CrossedTerm if grouping.crossings else RandomTerm
    places = places_of(grouping, used[bar.factors[0]][1])
    return kind(bar.group, codes, levels, *left, places), grouping


def known_term(
    bar: Bar, left: Left, used: Groups, covariance: KnownCovariance
) -> tuple[RandomTerm, Grouping]:
    """Build a term whose levels have a known covariance: all of them, with records or without."""
    if len(bar.factors) > 1:
        raise DataError(
            f"covariance[{bar.group!r}] is of an interaction; make it a column of the data, and "
            "name that",
            bar.group,
        )
    codes, grouping = group_codes(bar.factors, [used[name] for name in bar.factors])
    places = places_among(covariance.labels, grouping.levels, bar.group)
    codes = np.ascontiguousarray(places[codes], dtype=np.int32)
    labels = covariance.labels
    term = RandomTerm(bar.group, codes, labels, *left, known=covariance)
    return term, Grouping(bar.factors, (labels,), (), len(labels))


def member_term(
    bar: Bar, left: Left, rows: Membership, covariance: KnownCovariance | None
) -> tuple[RandomTerm, MemberGrouping]:
    """Build a term with several levels per row."""
    assert bar.members is not None
    there = rows.codes >= 0
    occurring = np.unique(rows.codes[there])
    if len(occurring) < 2:
        raise DataError(
            f"{bar.group} has {counted(len(occurring), 'level')} in the rows used; a random effect "
            "needs two",
            bar.group,
        )
    if covariance is None:
        places, levels = np.full(len(rows.levels), -1), rows.levels[occurring]
        places[occurring] = np.arange(len(occurring))
    else:
        places, levels = np.full(len(rows.levels), -1), covariance.labels
        places[occurring] = places_among(levels, rows.levels[occurring], bar.group)
    codes = np.where(there, places[rows.codes], -1).astype(np.int32)
    held = replace(rows, codes=codes, levels=levels)
    term = MemberTerm(bar.group, codes[0], levels, *left, known=covariance, membership=held)
    return term, MemberGrouping(bar.members, levels)


def places_of(grouping: Grouping, known: pd.Index[Any]) -> NDArray[np.intp] | None:
    """Places of the levels among all categories, if some do not occur."""
    if grouping.crossings or isinstance(known, pd.RangeIndex):
        return None
    (levels,) = grouping.parts
    return known.get_indexer(levels) if len(levels) < len(known) else None


def bars_by_group(formula: Formula) -> list[list[Bar]]:
    """Sort bars by grouping factor."""
    out: dict[tuple[Any, ...], list[Bar]] = {}
    for bar in formula.random:
        out.setdefault((bar.factors, bar.members), []).append(bar)
    labels = [bars[0].group for bars in out.values()]
    for label in labels:
        if labels.count(label) > 1:
            raise DataError(
                f"two grouping factors would be called {label!r}; rename a column", label
            )
    return list(out.values())


def check_levels(bar: Bar, grouping: Grouping) -> None:
    """Refuse a grouping factor of one level."""
    if grouping.n_levels < 2:
        (level,) = grouping.levels.tolist()
        raise DataError(
            f"grouping factor {bar.group!r} has only one level, {level!r}, in the rows used; "
            f"leave it out, or name a column that separates groups",
            bar.group,
        )


def join_bars(
    bars: Sequence[Bar], formula: Formula, store: Store
) -> tuple[list[Column], tuple[tuple[int, ...], ...], tuple[Structure | None, ...]]:
    """Lay the columns of bars on one grouping factor side by side, in blocks."""
    columns: list[Column] = []
    blocks: list[tuple[int, ...]] = []
    structures: list[Structure | None] = []
    for bar in bars:
        fresh = columns_of_bar(bar, formula, store)
        check_new(fresh, columns, bar, formula)
        places = range(len(columns), len(columns) + len(fresh))
        structure = structure_of(bar, fresh)
        apart = bar.uncorrelated or (bar.structure == "diag" and structure is None)
        blocks += [(i,) for i in places] if apart else [tuple(places)]
        structures += [structure] * (len(blocks) - len(structures))
        columns += fresh
    known = tuple(structures) if any(s is not None for s in structures) else ()
    return columns, tuple(blocks), known


def columns_of_bar(bar: Bar, formula: Formula, store: Store) -> list[Column]:
    """Lay out the columns on the left of a bar."""
    if bar.structure in DISTANCES:
        return columns_of_places(bar, formula, store)
    layout = columns_of_terms(bar.terms, store.factors)
    columns = [column for _, part in layout for column in part]
    if bar.structure in ORDERED:
        check_order(bar, formula, store)
    if bar.structure and bar.structure != "diag" and len(columns) < 2:
        raise FormulaError(
            f"{bar.structure}() has one column, and so no correlation; write ({bar.left} | "
            f"{bar.group})",
            formula.text,
            bar.start,
            bar.stop,
        )
    return columns


def check_new(
    fresh: Sequence[Column], columns: Sequence[Column], bar: Bar, formula: Formula
) -> None:
    """Refuse a column that already varies over the same groups."""
    if not columns:
        return
    keys = {column.key for column in columns}
    for column in fresh:
        if column.key in keys:
            raise FormulaError(
                f"{column.name} varies over {bar.group} in an earlier term too; leave it out of "
                "one of them, with 0 + for the intercept",
                formula.text,
                bar.start,
                bar.stop,
            )
