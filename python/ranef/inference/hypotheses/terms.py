"""Hypotheses of the terms of the fixed part: types 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array
from ...design.coding import FittedFactor
from ...design.design import Design
from ...design.encode import Encoder
from ...design.scope import Column, columns_of_terms
from ...formula import Term

__all__ = ["contains", "term_hypotheses"]

#: A product of numeric columns and of indicators of levels other than the first.
Monomial = tuple[tuple[tuple[str, int], ...], frozenset[tuple[str, int]]]

TYPES = (1, 2, 3)
#: Relative size below which a number is rounding.
ZERO = 1e-9


def term_type(kind: int | str) -> int:
    """Read the type of a test of terms, in Roman or Arabic numerals."""
    known = {"I": 1, "II": 2, "III": 3, "1": 1, "2": 2, "3": 3}
    found = known.get(str(kind).strip().upper()) if isinstance(kind, str) else kind
    if isinstance(found, bool) or found not in TYPES:
        raise ValueError(f"type must be 1, 2 or 3, or 'I', 'II' or 'III', not {kind!r}")
    return int(found)


def term_hypotheses(
    design: Design, kept: NDArray[np.intp], aliased: Sequence[int], alias: Array, kind: int | str
) -> dict[str, Array]:
    """Return the hypothesis matrix of each term but the intercept.

    Parameters
    ----------
    design : Design
        The design.
    kept, aliased : sequence of int
        Columns of X that stand on their own, and the others.
    alias : ndarray of shape (n_kept, n_aliased)
        Aliased columns as combinations of the kept ones.
    kind : {1, 2, 3} or {"I", "II", "III"}
        1: each term after those before it. 2: each after all that do not contain it. 3: marginal to
        all others, whatever the coding of the factors.

    Returns
    -------
    dict of str to ndarray of shape (rank, n_kept)
        Independent rows in the kept coefficients, by name of the term; no row where nothing can be
        tested.

    Notes
    -----
    Types 1 and 2 take rows of the triangular factor of X'X, terms in order, or a term after all
    terms that do not contain it. Type 3 takes, among the estimable functions of the columns of a
    term and of terms that contain it, those that are orthogonal to the functions of containing
    terms alone; "columns" are indicators of all levels, so that the coding plays no part [1]_.

    References
    ----------
    .. [1] Goodnight (1980), Tests of hypotheses in fixed effects linear models, Communications in
       Statistics A9(2), 167-180.
    """
    kind = term_type(kind)
    encoder: Encoder = design.encoder
    terms = encoder.formula.terms
    space = np.zeros((len(kept), len(design.fixed)))
    space[:, kept] = np.eye(len(kept))
    if len(aliased):
        space[:, list(aliased)] = alias
    place = {int(column): i for i, column in enumerate(kept)}
    own = [[place[c] for c in columns if c in place] for _, columns in design.fixed_terms]
    X = design.X[:, kept]
    if kind == 1 or sum(bool(term.factors) for term in terms) < 2:
        found = in_order(X, own)
    elif kind == 2:
        R = np.asarray(np.linalg.qr(X, mode="r"))
        found = beyond_all_levels(after_others(R, own, encoder), R, own, space, encoder)
    else:
        found = marginal(space, encoder)
        found = [without_rounding(L) for L in by_coefficients(found, space, encoder)]
    return {term.name: L for term, L in zip(terms, found, strict=True) if term.factors}


def contains(outer: Term, inner: Term, factors: Mapping[str, FittedFactor]) -> bool:
    """Return whether a term contains another: the same numeric, and more categorical factors."""
    big, small = {f.expr for f in outer.factors}, {f.expr for f in inner.factors}
    return small < big and all(factors[expr].is_categorical for expr in big - small)


def above(t: int, encoder: Encoder) -> list[int]:
    """Positions of the terms that contain a term."""
    terms = encoder.formula.terms
    return [s for s, other in enumerate(terms) if contains(other, terms[t], encoder.factors)]


def in_order(X: Array, own: Sequence[Sequence[int]]) -> list[Array]:
    """Hypothesis of each term after those before it."""
    _, R = np.linalg.qr(X)
    return [R[rows] / np.diag(R)[rows, None] for rows in own]


def after_others(X: Array, own: Sequence[Sequence[int]], encoder: Encoder) -> list[Array]:
    """Hypothesis of each term when it is put after all terms that do not contain it."""
    found = []
    for t, columns in enumerate(own):
        last = above(t, encoder)
        L = np.zeros((len(columns), X.shape[1]))
        if last:
            first = [s for s in range(len(own)) if s != t and s not in last]
            order = [c for s in [*first, t, *last] for c in own[s]]
            begin = sum(len(own[s]) for s in first)
            (L[:, order],) = in_order(X[:, order], [list(range(begin, begin + len(columns)))])
        else:
            L[:, columns] = np.eye(len(columns))
        found.append(L)
    return found


def beyond_all_levels(
    found: Sequence[Array], X: Array, own: Sequence[Sequence[int]], space: Array, encoder: Encoder
) -> list[Array]:
    """Put each term after the indicators of all levels of the others, not after their columns.

    Without an intercept the first factor has a column for every level, and the constant is in the
    span of any other factor: what these share belongs to neither.

    Parameters
    ----------
    found : sequence of ndarray
        Hypotheses by ``after_others``.
    X, own, space, encoder
        As in ``term_hypotheses``.
    """
    full = [full_columns(term, encoder) for term in encoder.formula.terms]
    coded, indicators = in_treatment(encoder, [encoder.fixed, [c for cs in full for c in cs]])
    of_fixed = np.linalg.lstsq(coded, indicators, rcond=None)[0]
    spanned = np.abs(coded @ of_fixed - indicators).max(axis=0, initial=0.0) < ZERO
    owner = np.repeat(np.arange(len(full)), [len(columns) for columns in full])
    out = list(found)
    for t, columns in enumerate(own):
        others = [s for s in range(len(own)) if s != t and s not in above(t, encoder)]
        levels = X @ (space @ of_fixed[:, np.isin(owner, others) & spanned])
        before = orthonormal(np.hstack([X[:, [c for s in others for c in own[s]]], levels]))
        if before.shape[1] == sum(len(own[s]) for s in others):
            continue
        out[t] = orthonormal(X[:, columns], before).T @ X
    equivalent = by_coefficients(out, space, encoder)
    return [e if o is not f else f for f, o, e in zip(found, out, equivalent, strict=True)]


def orthonormal(A: Array, before: Array | None = None) -> Array:
    """Orthonormal basis of the span of columns, or of what others leave of it."""
    size = np.linalg.norm(A, axis=0)
    rest: Array = A / np.where(size > 0.0, size, 1.0)
    if before is not None:
        rest = rest - before @ (before.T @ rest)
        rest = rest - before @ (before.T @ rest)
    U, d, _ = np.linalg.svd(rest, full_matrices=False)
    return U[:, d > ZERO]


def marginal(space: Array, encoder: Encoder) -> list[Array]:
    """Hypothesis of each term given all others, by estimable functions of the indicators of levels.

    Parameters
    ----------
    space : ndarray of shape (n_kept, p)
        A basis of the rows that X can have.
    encoder : Encoder
        Coding of the fixed part.
    """
    full = [full_columns(term, encoder) for term in encoder.formula.terms]
    owner = np.repeat(np.arange(len(full)), [len(columns) for columns in full])
    own, indicators = in_treatment(encoder, [encoder.fixed, [c for cs in full for c in cs]])
    estimable = space @ np.linalg.lstsq(own, indicators, rcond=None)[0]
    found = []
    for t in range(len(full)):
        containing = above(t, encoder)
        basis = null_space(estimable[:, ~np.isin(owner, [t, *containing])].T)
        free = basis @ null_space(estimable[:, owner == t].T @ basis)
        if free.shape[1]:
            basis = basis @ null_space((estimable.T @ free).T @ (estimable.T @ basis))
        found.append(basis.T)
    return found


def by_coefficients(found: Sequence[Array], space: Array, encoder: Encoder) -> list[Array]:
    """Replace hypotheses by equivalent ones, a row for each coefficient of its term.

    A row has 1 for one coefficient of the term in treatment coding and 0 for its others; where the
    term has more coefficients than hypotheses, rows are orthonormal. The approximate degrees of
    freedom of a joint test depend on this choice.
    """
    laid_out = treatment_columns(encoder)
    sides = [encoder.fixed, [c for columns in laid_out for c in columns]]
    coded, plain = in_treatment(encoder, sides)
    into = space @ np.linalg.pinv(coded) @ plain
    first_come = independent_columns(into)
    owner = np.repeat(np.arange(len(laid_out)), [len(columns) for columns in laid_out])
    out: list[Array] = []
    for t, L in enumerate(found):
        rows = L @ into[:, first_come]
        square = rows[:, owner[first_come] == t]
        if square.shape[1] != len(L) or np.linalg.matrix_rank(square, tol=ZERO) < len(L):
            square = np.linalg.qr(rows.T)[1].T
        out.append(np.asarray(np.linalg.solve(square, L)))
    return out


def without_rounding(L: Array) -> Array:
    """Put what is rounding in codings, numbers around one, to zero: coefficients have units."""
    return np.where(np.abs(L) > 1e-12 * np.abs(L).max(initial=0.0), L, 0.0)


def treatment_columns(encoder: Encoder) -> list[list[Column]]:
    """Columns of each fixed term if every factor had indicators for its contrasts."""
    plain = {}
    for expr, factor in encoder.factors.items():
        if factor.levels is not None:
            full = tuple((str(level), slot) for slot, level in enumerate(factor.levels))
            factor = replace(factor, full=full, reduced=full[1:])
        plain[expr] = factor
    return [columns for _, columns in columns_of_terms(encoder.formula.terms, plain)]


def independent_columns(A: Array) -> list[int]:
    """Positions of the columns that those before them do not span."""
    found: list[int] = []
    basis = np.empty((len(A), 0))
    for j, column in enumerate(A.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > ZERO * max(float(np.linalg.norm(column)), 1.0):
            found.append(j)
            basis = np.column_stack([basis, rest / size])
    return found


def full_columns(term: Term, encoder: Encoder) -> list[Column]:
    """Columns of a term with indicators of all levels of its categorical factors."""
    used = {part for column in encoder.fixed for part in column.parts}
    choices = []
    for factor in term.factors:
        fitted = encoder.factors[factor.expr]
        if fitted.levels is not None:
            slots = list(range(len(fitted.levels)))
        else:
            slots = [slot for _, slot in fitted.full if (factor.expr, slot) in used]
        choices.append([(factor.expr, slot) for slot in slots])
    return [Column("", parts, term.scale) for parts in product(*choices)]


def in_treatment(encoder: Encoder, sides: Sequence[Sequence[Column]]) -> list[Array]:
    """Write columns as combinations of the same treatment contrasts, (n_contrasts, n) a side."""
    rows: dict[Monomial, int] = {}
    entries = [
        [
            (rows.setdefault(monomial, len(rows)), j, weight)
            for j, column in enumerate(columns)
            for monomial, weight in expand(column, encoder.factors)
        ]
        for columns in sides
    ]
    tables = [np.zeros((len(rows), len(columns))) for columns in sides]
    for table, side in zip(tables, entries, strict=True):
        for i, j, weight in side:
            table[i, j] += weight
    return tables


def expand(column: Column, factors: Mapping[str, FittedFactor]) -> Iterator[tuple[Monomial, float]]:
    """Write a column as a sum of products of numeric columns and indicators of later levels."""
    numeric = tuple(sorted(p for p in column.parts if not factors[p[0]].is_categorical))
    choices = []
    for expr, slot in column.parts:
        if factors[expr].is_categorical:
            values = level_values(factors[expr], slot)
            steps = values - values[0]
            options = [((expr, level), steps[level]) for level in np.flatnonzero(steps).tolist()]
            choices.append([(None, values[0]), *options] if values[0] else options)
    for chosen in product(*choices):
        weight = column.scale * float(np.prod([w for _, w in chosen]))
        yield (numeric, frozenset(key for key, _ in chosen if key is not None)), weight


def level_values(factor: FittedFactor, slot: int) -> Array:
    """Value of one column of a categorical factor at each of its levels."""
    assert factor.levels is not None
    size = len(factor.levels)
    return np.eye(size)[slot] if slot < size else factor.extra[:, slot - size]


def null_space(A: Array) -> Array:
    """Orthonormal basis of the vectors that A takes to zero, shape (columns, nullity)."""
    if not A.shape[0] or not A.shape[1]:
        return np.eye(A.shape[1])
    _, d, Vt = np.linalg.svd(A)
    rank = int((d > ZERO * max(d.max(initial=0.0), 1.0)).sum())
    return Vt[rank:].T
