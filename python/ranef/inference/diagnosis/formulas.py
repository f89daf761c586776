"""Formulas of smaller models, for the code that a finding proposes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from keyword import iskeyword

from ...design.design import Design, RandomTerm
from ...formula import Bar, Formula, like

__all__ = [
    "as_fixed",
    "fix",
    "inside",
    "nested",
    "part_of",
    "simpler",
    "spelled",
    "uncorrelated",
    "without",
]


def spelled(formula: Formula, bars: Iterable[Bar] | None = None) -> str:
    """Write a formula out, with other random-effects terms if they are given."""
    chosen = formula.random if bars is None else bars
    text = " + ".join([formula.without_random().text, *(bar.source() for bar in chosen)])
    return like(text, formula)


def fix(text: str) -> str:
    """Write the call that fits a formula; empty without a formula."""
    if not text:
        return ""
    return f'ranef.{"lmer" if "|" in text else "feols"}("{text}", data)'


def inside(name: str) -> str:
    """Write a column's name so that an expression can hold it."""
    plain = name.isidentifier() and not iskeyword(name)
    return name if plain or name.startswith("`") else f"`{name}`"


def simpler(design: Design, group: str) -> str:
    """Write the formula with only an intercept for one grouping factor."""
    formula: Formula = design.encoder.formula
    bars = [bar for bar in formula.random if bar.group != group]
    return f"{spelled(formula, bars)} + (1 | {group})"


def as_fixed(design: Design, term: RandomTerm) -> str:
    """Write the formula with a grouping factor in the fixed part."""
    formula: Formula = design.encoder.formula
    bars = [bar for bar in formula.random if bar.group != term.group]
    columns = ":".join(f"C({inside(name)})" for name in term.group.split(":"))
    text = f"{formula.without_random().text} + {columns}"
    return text + "".join(f" + {bar.source()}" for bar in bars)


def nested(design: Design, inner: str, outer: str) -> str:
    """Write the formula with the labels of ``inner`` taken within ``outer``."""
    formula: Formula = design.encoder.formula
    outside = tuple(outer.split(":"))
    return spelled(
        formula,
        [
            replace(bar, factors=(*outside, *bar.factors)) if bar.group == inner else bar
            for bar in formula.random
        ],
    )


def uncorrelated(design: Design, group: str) -> str:
    """Write the formula with the correlations of one grouping factor's terms left out."""
    formula: Formula = design.encoder.formula
    bars = [
        replace(bar, uncorrelated=True) if bar.group == group and len(bar.terms) > 1 else bar
        for bar in formula.random
    ]
    return spelled(formula, bars)


def without(design: Design, term: RandomTerm, names: Sequence[str]) -> str:
    """Write the formula without columns of a random-effects term.

    Nothing where the columns are some, but not all, of those of a factor: no formula says that.
    """
    formula: Formula = design.encoder.formula
    gone = {part_of(name) for name in names}
    if any(part_of(name) in gone and name not in names for name in term.names):
        return ""
    bars: list[Bar] = []
    for bar in formula.random:
        if bar.group != term.group:
            bars.append(bar)
            continue
        kept = tuple(part for part in bar.terms if part.name not in gone)
        if kept == bar.terms:
            bars.append(bar)
        elif kept:
            left = [part.source() if part.factors else "1" for part in kept]
            left = left if any(not part.factors for part in kept) else ["0", *left]
            single = bar.uncorrelated and len(kept) > 1
            bars.append(replace(bar, left=" + ".join(left), terms=kept, uncorrelated=single))
    return spelled(formula, bars)


def part_of(name: str) -> str:
    """Return the name of the term that a column belongs to: ``f[T.b]:x`` to ``f:x``."""
    return re.sub(r"\[[^\]]*\]", "", name)
