"""Sets of terms that respect the field's rule: no product without the terms that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from ..formula import Formula, Term

__all__ = ["count_subsets", "droppable", "margins", "spelled", "subsets"]

#: Most sets that are counted one by one; beyond that, it is only known that there are more.
MOST_COUNTED = 1_000_000


def margins(terms: Sequence[Term]) -> dict[str, set[str]]:
    """Return the terms that each term needs: those made of some of its factors."""
    return {
        term.name: {
            other.name
            for other in terms
            if other.factors and set(other.factors) < set(term.factors)
        }
        for term in terms
    }


def droppable(terms: Sequence[Term]) -> list[Term]:
    """Return the terms that no other one needs."""
    needed = margins(terms)
    return [
        term
        for term in terms
        if term.factors and not any(term.name in needs for needs in needed.values())
    ]


def subsets(terms: Sequence[Term], free: Sequence[str]) -> Iterator[tuple[Term, ...]]:
    """Return every set of terms that includes all that are not free and what each term needs."""
    needed = margins(terms)
    always = {term.name for term in terms} - set(free)
    for size in range(len(free) + 1):
        for chosen in combinations(free, size):
            held = always | set(chosen)
            if all(needed[name] <= held for name in held):
                yield tuple(term for term in terms if term.name in held)


def count_subsets(terms: Sequence[Term], free: Sequence[str]) -> int:
    """Count the sets; without products there are two to the power of the free terms."""
    needed = margins(terms)
    if not any(needed[name] & set(free) for name in free):
        return 1 << len(free)
    if 1 << len(free) > MOST_COUNTED:
        return 1 << len(free)
    return sum(1 for _ in subsets(terms, free))


def spelled(formula: Formula, terms: Sequence[Term]) -> str:
    """Write a formula with other terms in the fixed part, intercept and offsets as they are."""
    from ..formula.terms import offset_source

    right = [term.source() for term in terms if term.factors]
    has_intercept = any(not term.factors for term in terms)
    first = ["1"] if has_intercept else ["0"]
    bars = [bar.source() for bar in formula.random]
    offsets = [offset_source(factor) for factor in formula.offsets]
    return f"{formula.response} ~ {' + '.join([*first, *right, *offsets, *bars])}"
