"""Predictors split into group means and deviations from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..._typing import Array
from ...design import INTERCEPT, Design, RandomTerm
from ...errors import DataError, ModelError
from ...formula import Bar, Formula, Term, like
from ...models.within import is_constant_within

__all__ = ["Split", "group_means", "split_columns", "with_intercept_of"]


def with_intercept_of(formula: Formula, groups: str) -> Formula:
    """Add the groups' random intercept to a formula without random-effects terms."""
    if not formula.random:
        bar = Bar("1", (Term(),), groups, tuple(groups.split(":")), False)
        text = like(f"{formula.text} + (1 | {groups})", formula)
        return replace(formula, random=(bar,), text=text)
    if groups not in [bar.group for bar in formula.random]:
        raise ModelError(
            f"{groups!r} is not a grouping factor of the formula; add (1 | {groups}) or name one "
            "of "
            f"{', '.join(bar.group for bar in formula.random)}"
        )
    return formula


@dataclass(frozen=True)
class Split:
    """A design whose columns are split, and where the parts are.

    Attributes
    ----------
    design : Design
        The new design.
    pairs : tuple of (str, int, int)
        Column, position of its part within, position of its part between.
    """

    design: Design
    pairs: tuple[tuple[str, int, int], ...]


def split_columns(design: Design, term: RandomTerm, form: str) -> Split:
    """Split every column that varies within and between groups."""
    columns = list(design.columns)
    fixed: list[int] = []
    names: list[str] = []
    means: list[tuple[str, int, Array]] = []
    for j, reference in enumerate(design.fixed):
        name = design.fixed_names[j]
        if reference == INTERCEPT or is_constant_within(columns[reference], term.codes):
            fixed.append(reference)
            names.append(name)
            continue
        x = columns[reference]
        mean = group_means(x, term, design.weights)
        if np.ptp(mean) > 1e-9 * np.abs(x).max():
            means.append((name, len(fixed), mean))
        within = x - mean if form == "hybrid" else x
        columns.append(np.ascontiguousarray(within))
        fixed.append(len(columns) - 1)
        names.append(f"{name} within" if form == "hybrid" else name)
    if not any(reference != INTERCEPT for reference in fixed):
        raise DataError("the formula has no column to split", None)
    pairs = []
    for name, place, mean in means:
        pairs.append((name, place, len(fixed)))
        columns.append(mean)
        fixed.append(len(columns) - 1)
        names.append(f"{name} between" if form == "hybrid" else f"{name} mean")
    terms = tuple((name, (j,)) for j, name in enumerate(names))
    new = replace(
        design,
        columns=tuple(columns),
        fixed=tuple(fixed),
        fixed_names=tuple(names),
        fixed_terms=terms,
    )
    return Split(new, tuple(pairs))


def group_means(x: Array, term: RandomTerm, weights: Array | None) -> Array:
    """Return each row the (weighted) mean of its group, shape (n,)."""
    w = np.ones(len(x)) if weights is None else weights
    size = term.n_levels
    mean = np.bincount(term.codes, w * x, size) / np.bincount(term.codes, w, size)
    return np.asarray(mean[term.codes])
