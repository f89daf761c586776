"""What the data say against single random-effects terms, before any fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from keyword import iskeyword

import numpy as np
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT, Design, RandomTerm
from .finding import Finding
from .formulas import as_fixed, fix, simpler, without

__all__ = ["check_levels", "check_terms", "spanned_columns", "varies_within"]


#: Distance of zero from the data, in standard deviations, that makes an intercept hard to read.
FAR = 10.0
#: Standard deviation of a predictor, and its inverse, beyond which its slopes are hard to read.
LARGE = 1e4
#: Share of a standardised column that earlier ones leave over, below which they span it.
SPANNED = 1e-7


def check_terms(design: Design) -> Iterator[Finding]:
    """Return every finding about one random-effects term that needs no fit."""
    checks: tuple[Callable[[Design, RandomTerm], Iterator[Finding]], ...] = (
        _too_many_effects,
        _constant_slopes,
        _spanned,
        _few_rows,
        _far_from_zero,
        _units,
    )
    for check in checks:
        for term in design.random:
            yield from check(design, term)
    yield from check_levels(design)


def _bar_text(term: RandomTerm) -> str:
    """Write a term as its names."""
    return term.written


def _too_many_effects(design: Design, term: RandomTerm) -> Iterator[Finding]:
    q = term.n_levels * term.n_cols
    if q < design.n_obs:
        return
    slopes = term.n_cols > 1 and term.n_levels < design.n_obs
    yield Finding(
        "effects-as-many-as-rows",
        "error",
        f"{_bar_text(term)} has {counted(q, 'random effect')} ({counted(term.n_levels, 'level')} x "
        f"{term.n_cols} columns) for {counted(design.n_obs, 'row')}: they cannot be separated from "
        "the residual error.",
        "Keep the intercept alone: with two rows a level, a slope uses up all that is left."
        if slopes
        else "Group by something that several rows share.",
        fix(simpler(design, term.group)) if slopes else "",
        about=term.group,
    )


def varies_within(term: RandomTerm, column: Array) -> NDArray[np.bool_]:
    """Find for each level whether the column varies in it, shape (l,)."""
    high = np.full(term.n_levels, -np.inf)
    low = np.full(term.n_levels, np.inf)
    np.maximum.at(high, term.codes, column)
    np.minimum.at(low, term.codes, column)
    spread = 1e-12 * float(np.abs(column).max(initial=0.0))
    return np.asarray(high - low > spread)


def _constant_slopes(design: Design, term: RandomTerm) -> Iterator[Finding]:
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
            + f" of the {counted(term.n_levels, 'level')} of {term.group}, so no slope shows.",
            f"Keep {name} in the fixed part and take it out of the term; its slope's variance "
            "would only describe how unequal the levels' variances are.",
            fix(without(design, term, [name])),
        )


def spanned_columns(design: Design, term: RandomTerm) -> dict[str, list[str]]:
    """Return each column that earlier ones of its block span, and those that span it."""
    found: dict[str, list[str]] = {}
    for block in term.blocks:
        z = design.z(term)[:, list(block)]
        slopes = np.array([term.columns[i] != INTERCEPT for i in block])
        if not slopes.all():
            z[:, slopes] -= z[:, slopes].mean(axis=0)
        size = np.linalg.norm(z, axis=0)
        R = np.asarray(np.linalg.qr(z / np.where(size > 0, size, 1.0), mode="r"))
        kept: list[int] = []
        for j, i in enumerate(block):
            weights = np.linalg.lstsq(R[:, kept], R[:, j], rcond=None)[0]
            if np.linalg.norm(R[:, j] - R[:, kept] @ weights) > SPANNED:
                kept.append(j)
                continue
            heavy = np.flatnonzero(np.abs(weights) > SPANNED)
            found[term.names[i]] = [term.names[block[kept[k]]] for k in heavy] or ["Intercept"]
    return found


def _spanned(design: Design, term: RandomTerm) -> Iterator[Finding]:
    for name, others in spanned_columns(design, term).items():
        yield Finding(
            "random-aliased",
            "warning",
            f"in {_bar_text(term)} the column {name} is a combination of {', '.join(others)}, so "
            "its slopes cannot be separated from theirs: many covariance matrices have the same "
            "likelihood.",
            f"Take {name} out of the term; likelihood and predictions stay the same.",
            fix(without(design, term, [name])),
        )


def _few_rows(design: Design, term: RandomTerm) -> Iterator[Finding]:
    size, count = term.n_cols, term.n_levels
    short = int((np.bincount(term.codes, minlength=count) <= size).sum())
    if short < 0.5 * count or count * size >= design.n_obs:
        return
    if size == 1:
        yield Finding(
            "one-row-levels",
            "warning",
            f"{short} of {counted(count, 'level')} of {term.group} have one row; only the other "
            f"{count - short} separate its variance from the residual variance.",
            "Trust the sum of the two variances more than either; look at the profile interval "
            f"of sd_{term.names[0]}|{term.group}.",
        )
        return
    yield Finding(
        "few-rows-a-level",
        "note",
        f"{short} of {counted(count, 'level')} of {term.group} have no more rows than the "
        f"{counted(size, 'column')} of {_bar_text(term)}; only the other {count - short} "
        "separate its covariance from the residual variance.",
        "Look at the profile intervals of the standard deviations; take a column out where one "
        "reaches zero.",
    )


def check_levels(design: Design) -> Iterator[Finding]:
    """Report grouping factors with few levels; needs no rows."""
    for term in design.random:
        if term.n_levels < 20:
            yield _few_levels(design, term)


def _few_levels(design: Design, term: RandomTerm) -> Finding:
    count = term.n_levels
    few = next(limit for limit in (5, 10, 20) if count < limit)
    advice = {
        5: f"Put {term.group} into the fixed part, or fit with a weak prior.",
        10: "Read the standard deviation with its profile interval; it can be off by half.",
        20: "Use Satterthwaite or Kenward-Roger degrees of freedom, and keep slopes few.",
    }[few]
    return Finding(
        "few-levels",
        "warning" if few == 5 else "note",
        f"{term.group} has {counted(count, 'level')} (fewer than {few}): its variance is estimated "
        f"from {counted(count, 'value')}.",
        advice,
        _for_few(design, term) if few == 5 else "",
        about=term.group,
    )


def _for_few(design: Design, term: RandomTerm) -> str:
    """Write the call for a factor of fewer than five levels: fixed, or with a prior."""
    text = as_fixed(design, term)
    if "|" in text:
        return fix(text)
    return f'ranef.lmer("{design.encoder.formula.text}", data, prior="weak")'


def _slopes(design: Design, term: RandomTerm) -> Iterator[tuple[str, Array, bool]]:
    """Return name, values and company of an intercept of each slope that is a plain column."""
    for block in term.blocks:
        has_intercept = INTERCEPT in [term.columns[i] for i in block]
        for i in block:
            name = term.names[i]
            if term.columns[i] != INTERCEPT and name.isidentifier() and not iskeyword(name):
                yield term.names[i], design.columns[term.columns[i]], has_intercept


def _far_from_zero(design: Design, term: RandomTerm) -> Iterator[Finding]:
    for name, column, has_intercept in _slopes(design, term):
        sd = float(column.std())
        if not has_intercept or sd == 0 or abs(column.mean()) < FAR * sd:
            continue
        middle = float(f"{column.mean():.4g}")
        yield Finding(
            "intercept-far-from-data",
            "note",
            f"{name} runs from {column.min():g} to {column.max():g}, but the intercepts of "
            f"{term.group} are those at {name} = 0: their variance and correlation with the "
            "slopes describe a place without data. The fit itself is not harmed.",
            f"Centre {name} within the data; nothing is refitted.",
            f'model.in_units({name}_c="{name} - {middle:g}")',
        )


def _units(design: Design, term: RandomTerm) -> Iterator[Finding]:
    for name, column, _ in _slopes(design, term):
        sd = float(column.std())
        if sd == 0 or 1.0 / LARGE < sd < LARGE:
            continue
        power = round(np.log10(sd))
        yield Finding(
            "slope-units",
            "note",
            f"{name} has a standard deviation of {sd:.3g}, so a slope for one unit of it is "
            f"{'tiny' if sd > 1 else 'huge'} and so is its variance between levels of "
            f"{term.group}. The fit itself is not harmed.",
            f"Measure {name} in units of 1e{power}; nothing is refitted.",
            f'model.in_units({name}_u="{name} / 1e{power}")',
        )
