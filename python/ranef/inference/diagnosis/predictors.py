"""Findings about predictors and the response, before any fit: collinearity, kinds of responses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT, Design
from ...formula import Term
from .finding import Finding

__all__ = ["check_collinear", "check_placeholders", "check_response", "inflation"]

#: Inflation of a variance, of one degree of freedom, above which it is a finding; a bad one.
INFLATED, BADLY = 5.0, 10.0
#: Values up to which whole numbers look like categories, and a mean above which counts are normal.
FEW_VALUES, LARGE_MEAN = 7, 20.0
#: Texts that stand for a missing value in many files, in small letters without blanks.
PLACEHOLDERS = {"", ".", "..", "?", "-", "--", "na", "n/a", "#n/a", "nan", "null", "missing"}


def inflation(design: Design) -> dict[str, tuple[float, int]]:
    """Return each term's inflation of variance by the other terms, and its number of columns.

    Terms that are products of others, or functions of another one's column, are left out: they go
    with the terms that they are made of however these are scaled.

    References
    ----------
    .. [1] Fox and Monette (1992), J. Am. Stat. Assoc. 87, 178-183.
    """
    parsed: dict[str, Term] = {term.name: term for term in design.encoder.formula.terms}
    plain = {
        factor.expr
        for term in parsed.values()
        for factor in term.factors
        if factor.kind.value == "name"
    }
    chosen: list[tuple[str, list[int]]] = []
    for name, columns in design.fixed_terms:
        term = parsed.get(name)
        if term is None or len(term.factors) != 1:
            continue
        factor = term.factors[0]
        if factor.kind.value != "name" and any(word in factor.expr for word in plain):
            continue
        kept = [j for j in columns if design.fixed[j] != INTERCEPT]
        if kept:
            chosen.append((name, kept))
    if len(chosen) < 2:
        return {}
    X = design.X[:, [j for _, columns in chosen for j in columns]]
    return _inflated(X, chosen)


def _inflated(X: Array, chosen: list[tuple[str, list[int]]]) -> dict[str, tuple[float, int]]:
    """Compute the inflation of each term from determinants of correlation matrices."""
    left = X - X.mean(axis=0)
    size = np.linalg.norm(left, axis=0)
    if (size <= 1e-12 * np.abs(X).max(axis=0, initial=1.0)).any():
        return {}
    R = (left / size).T @ (left / size)
    whole = np.linalg.slogdet(R)
    if whole[0] <= 0.0 or whole[1] < -60.0:  # aliased, which has a finding of its own
        return {}
    out, taken = {}, 0
    for name, columns in chosen:
        mine = np.arange(taken, taken + len(columns))
        taken += len(columns)
        rest = np.setdiff1d(np.arange(len(R)), mine)
        logs = [np.linalg.slogdet(R[np.ix_(part, part)])[1] for part in (mine, rest)]
        out[name] = float(np.exp(sum(logs) - whole[1])), len(columns)
    return out


def check_collinear(design: Design) -> Iterator[Finding]:
    """Report predictors that the others all but determine."""
    found = inflation(design)
    one = {name: value ** (1.0 / df) for name, (value, df) in found.items()}
    high = sorted((name for name in one if one[name] > INFLATED), key=lambda name: -one[name])
    if not high:
        return
    worst = one[high[0]]
    told = ", ".join(
        f"{name} {found[name][0]:.2f}" + (f" ({found[name][1]} df)" if found[name][1] > 1 else "")
        for name in high
    )
    yield Finding(
        "collinear",
        "warning" if worst > BADLY else "note",
        f"variance inflation factors: {told}. Other predictors carry most of what these "
        f"carry, so the standard error of {high[0]} is {np.sqrt(worst):.1f} times what it would be "
        "if it were unrelated to them.",
        "The coefficients are valid: each is the effect of one at fixed values of the others, and "
        "the data have little variation of that kind. Where that is not the question, keep one "
        "of them or take their mean; predictions are not affected.",
    )


def check_placeholders(frame: pd.DataFrame, formula: str) -> Iterator[Finding]:
    """Report levels of the formula's columns that may stand for missing values."""
    for name in frame.columns:
        if (
            not isinstance(name, str)
            or not _names(formula, name)
            or pd.api.types.is_numeric_dtype(frame[name])
        ):
            continue
        texts = frame[name][[isinstance(value, str) for value in frame[name]]].astype(str)
        marked = texts[texts.str.strip().str.lower().isin(PLACEHOLDERS)]
        if not len(marked):
            continue
        level, column = str(marked.iloc[0]), f"data[{name!r}]"
        yield Finding(
            "placeholder",
            "warning",
            f"{name} has the level {level!r} in {counted(int((marked == level).sum()), 'row')}, "
            "which many files write for a missing value; the model treats it as a level like any "
            "other.",
            "If it means missing, mark it as missing before the fit; these rows are then dropped "
            "and counted.",
            f"data = data.assign(**{{{name!r}: {column}.where({column} != {level!r})}})",
            about=name,
        )


def _names(formula: str, column: str) -> bool:
    """Return whether a formula names a column: not in a text, a call, or a longer name."""
    bare = re.sub(r'"[^"]*"|\'[^\']*\'', "", formula)
    if f"`{column}`" in bare:
        return True
    bare = re.sub(r"`[^`]*`", "", bare)
    return bool(re.search(rf"(?<![\w.]){re.escape(column)}(?![\w.]|\s*\()", bare))


def check_response(design: Design, formula: str) -> Iterator[Finding]:
    """Report a response that is yes or no, a count, or a category."""
    y = design.y
    values = np.unique(y)
    is_share = design.weights is not None or design.offset is not None
    if len(values) == 2:
        fixable = set(values) == {0.0, 1.0} and not is_share
        yield Finding(
            "binary-response",
            "warning",
            f"{design.response} has two values, {values[0]:g} and {values[1]:g}, so its residuals "
            "are not normal, their variance depends on the mean, and fitted values may leave the "
            "range.",
            "Fit the probability of the larger value.",
            f'ranef.glmer("{formula}", data, family="binomial")' if fixable else "",
        )
        return
    if not (len(values) > 2 and values[0] >= 0.0 and (y == np.round(y)).all()):
        return
    if values[0] > 0.0 and np.ptp(values) < FEW_VALUES and len(values) <= FEW_VALUES:
        yield Finding(
            "ordered-response",
            "note",
            f"{design.response} has the {len(values)} whole values {values[0]:g} to "
            f"{values[-1]:g}, as grades and ratings have, with unknown distances between them.",
            "If it is a rating, compare with ranef.clmm, which needs an ordered categorical.",
        )
    elif values[0] <= 2.0 and y.mean() < LARGE_MEAN:
        fixable = not is_share
        yield Finding(
            "count-response",
            "note",
            f"{design.response} has whole values from {values[0]:g} with mean {y.mean():.3g}, as "
            "counts have, whose variance grows with the mean.",
            "If it is a count, model the logarithm of its mean.",
            f'ranef.glmer("{formula}", data, family="poisson")' if fixable else "",
        )
