"""What the data themselves say against a model, before any fit: typed findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..design.design import INTERCEPT, Design, RandomTerm
from ..formula import Bar, Formula

__all__ = [
    "SEVERITIES",
    "Finding",
    "check_design",
    "crossed_pairs",
    "fix",
    "spelled",
    "varies_within",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int32]

#: From worst to mildest.
SEVERITIES = ("error", "warning", "note")
#: Distance of zero from the data, in standard deviations, that makes an intercept hard to read.
FAR = 10.0


@dataclass(frozen=True)
class Finding:
    """One thing that an analyst should know about a model or its data.

    Attributes
    ----------
    code : str
        Its name, by which ``ranef.help(code)`` explains it.
    severity : str
        "error" (the model cannot be estimated or is not what was meant), "warning" or "note".
    evidence : str
        What was seen, with numbers.
    advice : str
        What to do.
    fix : str
        A line of code that does it, or empty.
    """

    code: str
    severity: str
    evidence: str
    advice: str
    fix: str = ""


def spelled(formula: Formula, bars: list[Bar] | tuple[Bar, ...] | None = None) -> str:
    """Write a formula out, with other random-effects terms if they are given."""
    chosen = formula.random if bars is None else bars
    return " + ".join([formula.without_random().text, *(bar.source() for bar in chosen)])


def fix(text: str) -> str:
    """Write the call that fits a formula."""
    return f'ranef.{"lmer" if "|" in text else "feols"}("{text}", data)'


def check_design(design: Design) -> Iterator[Finding]:
    """Give every finding that needs no fit."""
    checks: tuple[Callable[[Design], Iterator[Finding]], ...] = (
        _too_many_effects,
        _constant_slopes,
        _single_rows,
        _few_levels,
        _unconnected,
        _leverage_one,
        _far_from_zero,
    )
    for check in checks:
        yield from check(design)


def _bar_text(term: RandomTerm) -> str:
    """Write a term as its names."""
    return f"({' + '.join(term.names)} | {term.group})"


def _simpler(design: Design, group: str) -> str:
    """Write the formula with only an intercept for one grouping factor."""
    formula: Formula = design.encoder.formula
    bars = [bar for bar in formula.random if bar.group != group]
    text = spelled(formula, bars)
    return f"{text} + (1 | {group})"


def _too_many_effects(design: Design) -> Iterator[Finding]:
    for term in design.random:
        q = term.n_levels * term.n_cols
        if q < design.n_obs:
            continue
        slopes = term.n_cols > 1 and term.n_levels < design.n_obs
        yield Finding(
            "effects-as-many-as-rows",
            "error",
            f"{_bar_text(term)} has {q} random effects ({term.n_levels} levels x {term.n_cols} "
            f"columns) for {design.n_obs} rows: they cannot be told from the residual error.",
            "Keep the intercept alone: with two rows a level, a slope takes up all that is left."
            if slopes
            else "Group by something that several rows share.",
            fix(_simpler(design, term.group)) if slopes else "",
        )


def varies_within(term: RandomTerm, column: Array) -> NDArray[np.bool_]:
    """Tell for each level whether the column varies in it, shape (l,)."""
    high = np.full(term.n_levels, -np.inf)
    low = np.full(term.n_levels, np.inf)
    np.maximum.at(high, term.codes, column)
    np.minimum.at(low, term.codes, column)
    spread = 1e-12 * float(np.abs(column).max(initial=1.0))
    return np.asarray(high - low > spread)


def _constant_slopes(design: Design) -> Iterator[Finding]:
    for term in design.random:
        for reference, name in zip(term.columns, term.names, strict=True):
            if reference == INTERCEPT:
                continue
            share = 1.0 - varies_within(term, design.columns[reference]).mean()
            indicator = set(np.unique(design.columns[reference])) <= {0.0, 1.0}
            if share < 1.0 and (share < 0.9 or indicator):
                continue
            yield Finding(
                "slope-constant-within",
                "warning",
                f"{name} does not vary within "
                + ("any" if share == 1.0 else f"{share:.0%}")
                + f" of the {term.n_levels} levels of {term.group}, so no slope shows.",
                f"Keep {name} in the fixed part and take it out of the term; its slope's variance "
                "would only describe how unequal the levels' variances are.",
                fix(_simpler(design, term.group)),
            )


def _single_rows(design: Design) -> Iterator[Finding]:
    for term in design.random:
        single = int((np.bincount(term.codes, minlength=term.n_levels) == 1).sum())
        if single < 0.5 * term.n_levels or term.n_levels >= design.n_obs:
            continue
        yield Finding(
            "one-row-levels",
            "warning",
            f"{single} of {term.n_levels} levels of {term.group} have one row; only the other "
            f"{term.n_levels - single} tell its variance from the residual one.",
            "Trust the sum of the two variances more than either; look at the profile interval "
            f"of sd_{term.names[0]}|{term.group}.",
        )


def _few_levels(design: Design) -> Iterator[Finding]:
    for term in design.random:
        count = term.n_levels
        if count >= 20:
            continue
        few = next(limit for limit in (5, 10, 20) if count < limit)
        advice = {
            5: f"Put {term.group} into the fixed part, or fit with a weak prior.",
            10: "Read the standard deviation with its profile interval; it can be off by half.",
            20: "Use Satterthwaite or Kenward-Roger degrees of freedom, and keep slopes few.",
        }[few]
        yield Finding(
            "few-levels",
            "warning" if few == 5 else "note",
            f"{term.group} has {count} levels (fewer than {few}): its variance is estimated from "
            f"{count} values.",
            advice,
            _as_fixed(design, term) if few == 5 else "",
        )


def _as_fixed(design: Design, term: RandomTerm) -> str:
    """Write the call with a grouping factor in the fixed part."""
    formula: Formula = design.encoder.formula
    bars = [bar for bar in formula.random if bar.group != term.group]
    if not bars:
        return ""
    text = f"{formula.without_random().text} + C({term.group.replace(':', '):C(')})"
    return fix(text + "".join(f" + {bar.source()}" for bar in bars))


def _unconnected(design: Design) -> Iterator[Finding]:
    for first, second in crossed_pairs(design):
        if set(first.group.split(":")) & set(second.group.split(":")):
            continue  # both lie within a shared factor, so they fall apart by design
        size = first.n_levels + second.n_levels
        links = coo_array(
            (np.ones(design.n_obs), (first.codes, second.codes + first.n_levels)),
            shape=(size, size),
        )
        parts, _ = connected_components(links, directed=False)
        if parts > 1:
            yield Finding(
                "unconnected",
                "note",
                f"{first.group} and {second.group} fall into {parts} parts that share no level: "
                "levels of different parts are compared only through the model's zero mean.",
                "Compare levels within a part; say so when you report ranks of random effects.",
            )


def crossed_pairs(design: Design) -> Iterator[tuple[RandomTerm, RandomTerm]]:
    """Pairs of grouping factors that are crossed: neither is nested in the other."""
    for i, first in enumerate(design.random):
        for second in design.random[i + 1 :]:
            cells = len(np.unique(first.codes.astype(np.int64) * second.n_levels + second.codes))
            if cells > max(first.n_levels, second.n_levels):
                yield first, second


def _leverage_one(design: Design) -> Iterator[Finding]:
    X = design.X
    scale = np.linalg.norm(X, axis=0)
    Q, R = np.linalg.qr(X / np.where(scale > 0, scale, 1.0))
    if np.abs(np.diag(R)).min(initial=1.0) < 1e-7:
        return  # aliased columns: their own finding
    rows = np.flatnonzero(np.einsum("ij,ij->i", Q, Q) > 1.0 - 1e-8)
    if len(rows):
        shown = ", ".join(str(r) for r in rows[:5])
        yield Finding(
            "rows-without-information",
            "note",
            f"{len(rows)} row{'s' * (len(rows) > 1)} (at {shown}{' ...' * (len(rows) > 5)}) "
            "have a coefficient of the fixed part to themselves, so they say nothing about "
            "anything else.",
            "Join the category or drop the row; the other results do not change.",
        )


def _far_from_zero(design: Design) -> Iterator[Finding]:
    for term in design.random:
        for block in term.blocks:
            if INTERCEPT not in [term.columns[i] for i in block]:
                continue
            for i in block:
                if term.columns[i] == INTERCEPT:
                    continue
                column, name = design.columns[term.columns[i]], term.names[i]
                sd = float(column.std())
                if sd == 0 or abs(column.mean()) < FAR * sd or not name.isidentifier():
                    continue
                middle = float(f"{column.mean():.4g}")
                yield Finding(
                    "intercept-far-from-data",
                    "note",
                    f"{name} runs from {column.min():g} to {column.max():g}, but the intercepts "
                    f"of {term.group} are those at {name} = 0: their variance and correlation with "
                    "the slopes describe a place without data. The fit itself is not harmed.",
                    f"Count {name} from a place inside the data; nothing is refitted.",
                    f'model.in_units({name}_c="{name} - {middle:g}")'
                    if name.isidentifier()
                    else "",
                )
