"""Random-effects terms whose levels' indicators fixed effects, or other terms, span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..chunks.summed import SummedDesign
from ..design.design import Design, RandomTerm

__all__ = ["Spanned", "held_columns", "levels_of_slices", "spanned_terms"]


#: Share of a column that may lie outside a space that contains it.
OUTSIDE = 1e-9
#: Most columns that a message names.
NAMED = 4
#: Numbers in a table of levels by slices, for each row, up to which one is made.
TABLE = 8


@dataclass(frozen=True)
class Spanned:
    """Columns of a random-effects term whose levels' indicators something else spans.

    Attributes
    ----------
    term : int
        Position in ``Design.random``.
    columns : tuple of int
        Columns of the term.
    by : tuple of str
        Fixed effects that make up the indicators; none where another term does.
    twin : int, optional
        Position of an earlier term with the same columns in the same groups.
    held : bool
        Whether the fit holds the variance at zero.
    """

    term: int
    columns: tuple[int, ...]
    by: tuple[str, ...] = ()
    twin: int | None = None
    held: bool = True

    def name(self, design: Design) -> str:
        """Write the part of the term that is not identified."""
        term = design.random[self.term]
        columns = ["1" if term.names[j] == "Intercept" else term.names[j] for j in self.columns]
        return f"({' + '.join(columns)} | {term.group})"

    def reason(self, design: Design) -> str:
        """State which term is not identified, and what spans it."""
        if self.twin is not None:
            other = design.random[self.twin].group
            return (
                f"the variances of {self.name(design)} and of the same in {other} are not "
                "identified: the two put the rows into the same groups, so that only their sum "
                "shows in the data"
            )
        more = f" and {len(self.by) - NAMED} more" if len(self.by) > NAMED else ""
        return (
            f"the variance of {self.name(design)} is not identified: the fixed effects "
            f"{', '.join(self.by[:NAMED])}{more} span the indicators of its levels, so that both "
            "describe the same differences"
        )

    def text(self, design: Design) -> str:
        """State which term is not identified, what spans it, and what was done about it."""
        group = design.random[self.term].group
        where = "leave the term out"
        if self.twin is None:
            where += f", or take {group} out of the fixed part"
        if self.held:
            return (
                f"{self.reason(design)}. It is held at zero, and standard errors are for exactly "
                f"these levels; {where}."
            )
        return (
            f"{self.reason(design)}. The value reported is one of many that fit equally well; "
            f"{where}."
        )

    def short(self, design: Design) -> str:
        """Name the term and what spans it, briefly."""
        if self.twin is not None:
            return f"{self.name(design)}, which groups the rows as another term does"
        return f"{self.name(design)}, which fixed effects span" + ", held at zero" * self.held


def spanned_terms(design: Design) -> list[Spanned]:
    """Find the columns of random-effects terms that the fixed effects span, level by level.

    Notes
    -----
    The residuals that the restricted likelihood is made of are free of the fixed effects, and so of
    such a term: the likelihood does not depend on its variance.
    """
    if isinstance(design, SummedDesign):
        return []
    found = _by_fixed(design)
    return [*found, *_by_terms(design)] if len(design.random) > 1 else found


def _by_fixed(design: Design) -> list[Spanned]:
    """Terms that fixed effects span."""
    p = len(design.fixed)
    near = [
        t
        for t, term in enumerate(design.random)
        if term.n_levels <= p and len(term.memberships) == 1
    ]
    if not near:
        return []
    size = np.linalg.norm(design.X, axis=0)
    X = design.X / np.where(size > 0.0, size, 1.0)
    U, d, Vt = np.linalg.svd(X, full_matrices=False)
    rank = int((d > OUTSIDE * d[0]).sum())
    U, back = U[:, :rank], Vt[:rank].T / d[:rank]
    found = []
    for t in near:
        term = design.random[t]
        if term.n_levels > rank:
            continue
        inside = [(j, _inside(design, term, j, U)) for j in range(term.n_cols)]
        held = [(j, sums) for j, sums in inside if sums is not None]
        if held:
            used = np.max([np.abs(sums @ back.T).max(axis=0) for _, sums in held], axis=0)
            by = [design.fixed_names[i] for i in np.flatnonzero(used > 1e-6 * used.max())]
            free = term.is_plain and not term.is_structured
            found.append(Spanned(t, tuple(j for j, _ in held), tuple(by), held=free))
    return found


def _by_terms(design: Design) -> list[Spanned]:
    """Terms with columns of an earlier one, in the same groups."""
    free = [
        t
        for t, term in enumerate(design.random)
        if term.is_plain and not term.is_structured and term.smooth is None
    ]
    found = []
    for a, t in enumerate(free):
        term = design.random[t]
        for other in free[:a]:
            first = design.random[other]
            shared = tuple(j for j, c in enumerate(term.columns) if c in first.columns)
            if shared and first.n_levels == term.n_levels and _same_groups(first, term):
                found.append(Spanned(t, shared, twin=other, held=False))
                break
    return found


def _same_groups(first: RandomTerm, second: RandomTerm) -> bool:
    """Whether two factors put the rows into the same groups."""
    partner = np.full(first.n_levels, -1, dtype=np.int64)
    partner[first.codes] = second.codes
    return bool((partner[first.codes] == second.codes).all()) and len(
        np.unique(partner[partner >= 0])
    ) == int((partner >= 0).sum())


def held_columns(design: Design, term: int) -> list[str]:
    """Name the columns of a term whose variances are held at zero for being spanned."""
    return [
        design.random[term].names[j]
        for one in spanned_terms(design)
        if one.term == term and one.held
        for j in one.columns
    ]


def _inside(design: Design, term: RandomTerm, j: int, U: Array) -> Array | None:
    """Coordinates of a column's indicators in a basis, shape (levels, rank); None if outside."""
    reference = term.columns[j]
    z = np.ones(design.n_obs) if reference < 0 else design.columns[reference]
    squares = np.bincount(term.codes, weights=z * z, minlength=term.n_levels)
    sums = np.column_stack(
        [np.bincount(term.codes, weights=z * u, minlength=term.n_levels) for u in U.T]
    )
    left = squares - (sums**2).sum(axis=1)
    return np.asarray(sums, float) if bool((left <= OUTSIDE * squares).all()) else None


def levels_of_slices(codes: NDArray[np.int32], start: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count the distinct levels in the slices ``start[i]:start[i + 1]`` of the rows, none empty."""
    begin, rows = start[:-1] - start[0], codes[start[0] : start[-1]].astype(np.intp)
    low = np.minimum.reduceat(rows, begin)
    width = np.maximum.reduceat(rows, begin) - low + 1
    first = np.concatenate([[0], np.cumsum(width)])
    if first[-1] > TABLE * len(rows):
        ids = np.repeat(np.arange(len(begin)), np.diff(start))
        pairs = np.unique(ids * (int(rows.max()) + 1) + rows)
        return np.bincount(pairs // (int(rows.max()) + 1), minlength=len(begin))
    seen = np.zeros(first[-1], dtype=np.intp)
    seen[rows + np.repeat(first[:-1] - low, np.diff(start))] = 1
    return np.add.reduceat(seen, first[:-1])
