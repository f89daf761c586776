"""Models with one random-effects term reduced or left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ... import _core
from ...design.design import INTERCEPT, Design, RandomTerm
from ...design.encode import Encoder
from ...design.random import bars_by_group
from ...design.scope import columns_of_terms
from ...design.structures.structure import Structure
from ...formula import Bar, Term
from ...models import lmm
from ...models.lmm import Control
from ...models.states import of_size, unpacked

__all__ = ["Reduction", "n_covariances", "reduced_objective", "reductions"]


@dataclass(frozen=True)
class Reduction:
    """A smaller random part.

    Attributes
    ----------
    label : str
        What is left out.
    random : tuple of RandomTerm
        The terms that remain.
    """

    label: str
    random: tuple[RandomTerm, ...]


@dataclass(frozen=True)
class Cut:
    """Columns to leave out of a term, and the block that takes a constant in their place."""

    label: str
    columns: frozenset[int]
    constant_for: int | None = None


def reductions(design: Design) -> list[Reduction]:
    """List the models in which one random-effects term is one step smaller.

    A term ``(x | g)`` becomes ``(1 | g)``, ``(0 + f | g)`` of a factor f likewise, ``(1 | g)``
    goes.
    """
    encoder: Encoder = design.encoder
    out = []
    for t, bars in enumerate(bars_by_group(encoder.formula)):
        for cut in cuts(design.random[t], bars, encoder):
            smaller = reduced(design.random[t], cut)
            rest = (*design.random[:t], *smaller, *design.random[t + 1 :])
            out.append(Reduction(cut.label, rest))
    return out


def cuts(term: RandomTerm, bars: list[Bar], encoder: Encoder) -> Iterator[Cut]:
    """State what can be taken out of one grouping factor's columns."""
    start = 0
    for bar in bars:
        block = next((block for block in term.blocks if block[0] == start), ())
        if bar.structure and term.block_structures[term.blocks.index(block)] is not None:
            yield Cut(bar.source(), frozenset(block))
            start += len(block)
            continue
        places = []
        for part, columns in columns_of_terms(bar.terms, encoder.factors):
            places.append((part, frozenset(range(start, start + len(columns)))))
            start += len(columns)
        text = f"({bar.left.strip()} {'||' if bar.uncorrelated else '|'} {bar.group})"
        if bar.uncorrelated or bar.structure:
            loose = places
        else:
            loose = [(part, at) for part, at in places if is_free(part, bar)]
        if not loose or (len(places) == 1 and not spans(places[0][0], encoder)):
            yield Cut(text, frozenset().union(*(at for _, at in places)))
            continue
        for part, at in loose:
            stands_in = (
                not (bar.uncorrelated or bar.structure)
                and spans(part, encoder)
                and INTERCEPT not in (term.columns[i] for i in range(term.n_cols))
            )
            yield Cut(f"{part.name} in {text}", at, block_of(term, at) if stands_in else None)


def is_free(part: Term, bar: Bar) -> bool:
    """Return whether a term can go while all others of the bar keep their meaning."""
    own = set(part.factors)
    return bool(own) and not any(own < set(other.factors) for other in bar.terms)


def spans(part: Term, encoder: Encoder) -> bool:
    """Return whether a term's columns add up to a constant when they are coded in full."""
    return bool(part.factors) and all(
        encoder.factors[factor.expr].spans_intercept for factor in part.factors
    )


def block_of(term: RandomTerm, columns: frozenset[int]) -> int:
    """Find the block that holds some columns."""
    return next(b for b, block in enumerate(term.blocks) if columns & set(block))


def reduced(term: RandomTerm, cut: Cut) -> tuple[RandomTerm, ...]:
    """Take columns out of a term; nothing is left when they were all."""
    columns: list[int] = []
    names: list[str] = []
    blocks: list[tuple[int, ...]] = []
    structures: list[Structure | None] = []
    for b, block in enumerate(term.blocks):
        first = len(columns)
        if b == cut.constant_for:
            columns.append(INTERCEPT)
            names.append("Intercept")
        for i in block:
            if i not in cut.columns:
                columns.append(term.columns[i])
                names.append(term.names[i])
        if len(columns) > first:
            blocks.append(tuple(range(first, len(columns))))
            structures.append(term.block_structures[b])
    if not columns:
        return ()
    known = tuple(structures) if any(structures) else ()
    smaller = replace(
        term,
        columns=tuple(columns),
        names=tuple(names),
        blocks=tuple(blocks),
        structures=known,
    )
    return (smaller,)


def n_covariances(random: tuple[RandomTerm, ...]) -> int:
    """Count the covariance parameters of a random part."""
    return sum(term.n_covariances for term in random)


def reduced_objective(
    design: Design, core: _core.Lmm, reduction: Reduction, *, reml: bool, control: Control
) -> float:
    """Minimise the criterion of a reduced model, on the columns that the design has already.

    Parameters
    ----------
    design, core : Design, Lmm
        The whole model and its kernel.
    reduction : Reduction
        The random part to fit.
    reml : bool
        Whether to give the REML criterion.
    control : Control
        Settings of the search.
    """
    if not reduction.random:
        none = of_size(core.parameters, design.structures, 0.0)
        zero = unpacked(core.parameters, none, design.random)
        return core.objective(zero, reml)
    smaller = replace(design, random=reduction.random)
    estimate = lmm.fit(smaller, lmm.kernel(smaller), reml=reml, control=replace(control, start=()))
    return estimate.objective
