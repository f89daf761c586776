"""Designs whose rows are correlated within groups and vary by a factor or a covariate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import Array, Codes
from ..errors import DataError, UnsupportedError
from ..formula import Bar, Formula, Term, like, parse
from .build import build
from .design import INTERCEPT, Design, RandomTerm
from .frame import open_frame
from .grouped import _parts, group_term
from .times import times_of

__all__ = ["StructuredDesign", "build_structured"]


@dataclass(frozen=True)
class StructuredDesign:
    """A design, and where each row stands in groups, in time and in variance.

    Attributes
    ----------
    design : Design
        The formula's; ``random`` holds its random-effects terms.
    cluster : ndarray of shape (n,), int32
        The group of each row; rows themselves when there are no groups.
    levels : Index
        Labels of the groups.
    unit : ndarray of shape (n,), int32
        The coarsest grouping factor, in which all others are nested: rows of different units are
        independent.
    time : ndarray of shape (n,), or None
        Time of each row.
    time_levels : Index or None
        Labels of the distinct times, ascending.
    strata : RandomTerm or None
        The factor whose levels have separate standard deviations.
    D : ndarray of shape (n, d)
        Columns in which the log standard deviation is linear, without a constant.
    D_names : tuple of str
        Their names.
    """

    design: Design
    cluster: Codes
    levels: pd.Index[Any]
    unit: Codes
    time: Array | None
    time_levels: pd.Index[Any] | None
    strata: RandomTerm | None
    D: Array
    D_names: tuple[str, ...]


def build_structured(
    formula: Formula,
    data: Any,
    *,
    groups: str | None,
    time: str | None,
    variance: str | None,
    **options: Any,
) -> StructuredDesign:
    """Build a design together with its groups, times and variances.

    Rows in which a grouping column, a time or a level of ``variance`` is missing are left out
    together with those that the formula loses, and counted with them.

    Parameters
    ----------
    formula : Formula
        The formula; its random-effects terms are nested in, or hold, the groups.
    data : frame or mapping
        The caller's data.
    groups, time : str, optional
        Columns, or ``a:b``.
    variance : str, optional
        A column whose levels have their own standard deviations, or ``"~ terms"``.
    **options
        Passed on to `build`.

    Raises
    ------
    UnsupportedError
        If grouping factors cross each other.
    """
    by_formula = variance is not None and "~" in variance
    asked = [groups, time, None if by_formula else variance]
    names = dict.fromkeys(name for name in asked if name is not None)
    columns = set(map(str, open_frame(data).names)) if any(":" in name for name in names) else set()
    parts = {name: _parts(name, columns) for name in names}
    present = {bar.factors for bar in formula.random}
    helpers = tuple(
        Bar("1", (Term(),), name, factors, False)
        for name, factors in parts.items()
        if factors not in present
    )
    whole = build(replace(formula, random=formula.random + helpers), data, **options)
    own = {bar.group for bar in formula.random}
    design = replace(whole, random=tuple(term for term in whole.random if term.group in own))
    term = None if groups is None else _term(whole, groups, parts)
    every = [*design.random, *([] if term is None else [term])]
    when = None if time is None else _term(whole, time, parts)
    strata, D = None, np.empty((design.n_obs, 0), order="F")
    D_names: tuple[str, ...] = ()
    if variance is not None and by_formula:
        D, D_names = _covariates(formula, variance, data, design)
    elif variance is not None:
        strata = _term(whole, variance, parts)
        D, D_names = _indicators(strata)
    return StructuredDesign(
        design=design,
        cluster=np.arange(design.n_obs, dtype=np.int32) if term is None else term.codes,
        levels=pd.RangeIndex(design.n_obs) if term is None else term.levels,
        unit=_coarsest(every, design.n_obs),
        time=None if when is None else times_of(when, warn=True),
        time_levels=None if when is None else _occurring(when),
        strata=strata,
        D=D,
        D_names=D_names,
    )


def _term(design: Design, name: str, parts: dict[str, tuple[str, ...]]) -> RandomTerm:
    """Return the term of a grouping column, also where a bar spells an interaction otherwise."""
    try:
        return group_term(design, name)
    except KeyError:
        return group_term(design, ":".join(parts[name]))


def _occurring(term: RandomTerm) -> pd.Index[Any]:
    """Labels of the distinct times in ascending order of `times_of`."""
    times = times_of(term)
    order = np.unique(times, return_index=True)[1]
    return term.levels[term.codes[order]]


def _indicators(strata: RandomTerm) -> tuple[Array, tuple[str, ...]]:
    """Columns of the levels of a factor after the first."""
    D = np.zeros((len(strata.codes), strata.n_levels - 1), order="F")
    rows = np.flatnonzero(strata.codes > 0)
    D[rows, strata.codes[rows] - 1] = 1.0
    return D, tuple(map(str, strata.levels[1:]))


def _covariates(
    formula: Formula, variance: str, data: Any, design: Design
) -> tuple[Array, tuple[str, ...]]:
    """Columns of ``~ terms`` on the rows of the design, without the constant."""
    right = variance.partition("~")[2]
    parsed = parse(like(f"{formula.response} ~ {right}", formula))
    if variance.partition("~")[0].strip() or parsed.random or parsed.offsets:
        raise ValueError(
            f'variance is a column or "~ terms" without bars and offsets, not {variance!r}'
        )
    whole = build(parsed, data)
    used = np.arange(design.n_data) if design.rows is None else design.rows
    has = np.arange(whole.n_data) if whole.rows is None else whole.rows
    at = np.minimum(np.searchsorted(has, used), len(has) - 1)
    lost = int(np.sum(has[at] != used))
    if lost:
        raise DataError(
            f"a column of variance={variance!r} is missing in {counted(lost, 'row')} that the "
            "formula uses; drop these rows first, or fill it in",
            variance,
        )
    kept = [j for j, column in enumerate(whole.fixed) if column != INTERCEPT]
    if not kept:
        raise ValueError(f"variance={variance!r} names no column; leave it out")
    names = tuple(whole.fixed_names[j] for j in kept)
    return np.asfortranarray(whole.X[at][:, kept]), names


def _coarsest(terms: list[RandomTerm], n: int) -> Codes:
    """Codes of the factor in which all others are nested."""
    if not terms:
        return np.arange(n, dtype=np.int32)
    outer = min(terms, key=lambda term: term.n_levels)
    for term in terms:
        first = np.full(term.n_levels, -1, np.int32)
        first[term.codes] = outer.codes
        crossed = np.flatnonzero(first[term.codes] != outer.codes)
        if len(crossed):
            level = term.levels[term.codes[crossed[0]]]
            raise UnsupportedError(
                f"{term.group!r} and {outer.group!r} cross each other: level {level!r} of "
                f"{term.group!r} occurs in several levels of {outer.group!r}. Correlated or "
                "unequal residuals need grouping factors nested in one another; if they are, and "
                f"labels are used again, write {outer.group}:{term.group}. Crossed random effects "
                "with equal, independent residuals are fitted by ranef.lmer"
            )
    return outer.codes
