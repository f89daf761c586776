"""Which columns of its factors a term needs given the terms before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from ..errors import DataError, shortened
from ..formula import Term
from .coding import FittedFactor

__all__ = ["Column", "check_names", "columns_of_terms"]

#: Most columns of one term, and most factors with levels that it may multiply.
MOST_COLUMNS = 100_000
HIGHEST_ORDER = 10

Scoped = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Column:
    """How to compute one column of a model matrix; without parts, the constant.

    Attributes
    ----------
    name : str
        Name of the coefficient.
    parts : tuple of (str, int)
        Factors and slots to multiply.
    scale : float
        A number to multiply by.
    at : tuple of float
        If given, the column marks the rows in which the factors have these values.
    """

    name: str
    parts: tuple[tuple[str, int], ...]
    scale: float = 1.0
    at: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for columns with equal values."""
        ordered = self.at or len(self.parts) < 2
        return (*(self.parts if ordered else sorted(self.parts)), self.scale, *self.at)


def columns_of_terms(
    terms: Iterable[Term], factors: Mapping[str, FittedFactor]
) -> list[tuple[Term, list[Column]]]:
    """Lay out the columns of a model matrix, term by term.

    A categorical factor stands in a term with all its indicators, or with contrasts where the
    terms before already span the rest, so that the columns are independent by construction.
    """
    spanned: set[frozenset[tuple[str, bool]]] = set()
    out = []
    for term in terms:
        fresh = {frozenset(s): s for s in spans_of(term, factors)}
        fresh = {key: s for key, s in fresh.items() if key not in spanned}
        spanned.update(fresh)
        parts = widened(fresh.values()) if len(fresh) > 1 else fresh.values()
        out.append((term, [c for scoped in parts for c in columns_of(scoped, term.scale, factors)]))
    return out


def spans_of(term: Term, factors: Mapping[str, FittedFactor]) -> list[Scoped]:
    """Split a term's space into what its factors span with and without a constant."""
    if not term.factors:
        return [()]
    refuse_many(term, factors)
    choices = []
    for factor in term.factors:
        if factors[factor.expr].spans_intercept:
            choices.append([((factor.expr, True),), ()])
        else:
            choices.append([((factor.expr, False),)])
    return list(
        dict.fromkeys(tuple(p for part in parts for p in part) for parts in product(*choices))
    )


def refuse_many(term: Term, factors: Mapping[str, FittedFactor]) -> None:
    """Raise for a term with more columns than a model can hold."""
    if len(term.factors) < 2:
        return
    sizes = [len(factors[factor.expr].full) for factor in term.factors]
    spanning = sum(factors[factor.expr].spans_intercept for factor in term.factors)
    count = prod(sizes)
    if count > MOST_COLUMNS or spanning > HIGHEST_ORDER:
        shown = f"{count:,}" if count < 10**12 else f"about {float(min(count, 10**300)):.0e}"
        raise DataError(
            f"the term {shortened(term.name)!r} has {shown} columns; a term may have "
            f"{MOST_COLUMNS:,} and {HIGHEST_ORDER} factors with levels. Let its levels vary at "
            "random, as in (1 | g), or absorb them with feols",
            term.name,
        )


def widened(parts: Iterable[Scoped]) -> list[Scoped]:
    """Merge a part with the same part times a contrast into the part times all indicators."""
    out: list[Scoped] = []
    for part in sorted(parts, key=len):
        for i, known in enumerate(out):
            rest = [p for p in part if p not in known]
            if len(known) == len(part) - 1 and len(rest) == 1 and rest[0][1]:
                wide = tuple(
                    (expr, reduced and (expr, reduced) != rest[0]) for expr, reduced in part
                )
                out = widened([*out[:i], *out[i + 1 :], wide])
                break
        else:
            out.append(part)
    return out


def columns_of(
    scoped: Scoped, scale: float, factors: Mapping[str, FittedFactor]
) -> Iterator[Column]:
    """Multiply the columns of factors, the first factor's running fastest."""
    if not scoped:
        yield Column("Intercept", (), scale)
        return
    if len(scoped) == 1:
        ((expr, reduced),) = scoped
        for name, slot in side(factors[expr], reduced):
            yield Column(name, ((expr, slot),), scale)
        return
    choices = [
        [(name, (expr, slot)) for name, slot in side(factors[expr], reduced)]
        for expr, reduced in scoped
    ]
    for chosen in product(*reversed(choices)):
        names, parts = zip(*reversed(chosen), strict=True)
        yield Column(":".join(names), parts, scale)


def side(factor: FittedFactor, reduced: bool) -> tuple[tuple[str, int], ...]:
    """Return a factor's columns with or without the constant."""
    return factor.reduced if reduced else factor.full


def check_names(columns: Sequence[Column]) -> None:
    """Refuse two coefficients of one name."""
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            name = column.name
            raise DataError(f"two coefficients would be called {name!r}; rename a column", name)
        seen.add(column.name)
