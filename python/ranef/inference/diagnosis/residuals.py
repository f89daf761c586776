"""Findings about residuals: outliers, unequal variances, curves, correlation in time, group means.

Each is a score of what a model leaves out, against the same score of fits to simulated responses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT, Design, RandomTerm
from ..residuals.scores import Score, extreme, quadratic, score
from .finding import Finding

__all__ = ["Residuals", "check_residuals", "factors_of", "numbers_of"]

#: P-value of a finding, over all predictors that a check looks at.
LEVEL = 0.01
#: Residuals beyond this, in standard deviations, are not explained by anything else.
FAR = 8.0
#: Rows that are named.
MOST_NAMED = 5
#: Share of equal times within groups below which a column numbers them.
TIED = 0.02

#: Code that mends a finding of a code about a variable, perhaps none.
Fixes = Callable[[str, str], str]


@dataclass(frozen=True)
class Residuals:
    """What the checks examine.

    Attributes
    ----------
    design : Design
        The rows.
    z, simulated : ndarray of shape (n,) and (n, m)
        Residuals of the fit and of simulated fits, standard normal but for shrinkage.
    fitted, fitted_drawn : ndarray of shape (n,) and (n, m)
        Means.
    one_variance : bool
        Whether the residual variance is to be the same in all rows.
    has_effects : bool
        Whether the grouping factors have random effects.
    """

    design: Design
    z: Array
    simulated: Array
    fitted: Array
    fitted_drawn: Array
    one_variance: bool
    has_effects: bool


def numbers_of(design: Design) -> dict[str, Array]:
    """Return the numeric predictors that enter as they are, with more than two values."""
    out = {}
    for name, columns in design.fixed_terms:
        if len(columns) != 1 or design.fixed[columns[0]] == INTERCEPT or ":" in name:
            continue
        x = design.X[:, columns[0]]
        if design.fixed_names[columns[0]] == name and "(" not in name and len(np.unique(x)) > 2:
            out[name] = x
    return out


def factors_of(design: Design) -> dict[str, NDArray[np.intp]]:
    """Return the codes of predictors with levels."""
    out = {}
    for name, columns in design.fixed_terms:
        kept = [j for j in columns if design.fixed[j] != INTERCEPT]
        if not kept or ":" in name or "(" in name or name in numbers_of(design):
            continue
        out[name] = np.unique(design.X[:, kept], axis=0, return_inverse=True)[1].ravel()
    return out


def check_residuals(r: Residuals, fixes: Fixes, skipped: list[str]) -> Iterator[Finding]:
    """Return every finding about residuals; what waits for an earlier one is put on a list.

    A row far out bends curves and spreads variances, a curve that is missing looks like unequal
    variances, and unequal variances like outliers. So only the first one found is reported.
    """
    far = np.abs(r.z) > FAR
    waits = ""
    if far.any():
        yield from _outliers(r, fixes)
        r = replace(r, z=np.where(far, 0.0, r.z))
    numbers, factors = numbers_of(r.design), factors_of(r.design)
    for finding in _curves(r, numbers, fixes):
        yield finding
        waits = "the curve"
    if r.one_variance and not waits and not far.any():
        for finding in _variances(r, numbers, factors, fixes):
            yield finding
            waits = "the variances"
    elif r.one_variance:
        skipped.append(f"equal residual variances ({waits or 'rows far out'} first)")
    if waits and not far.any():
        skipped.append(f"outliers ({waits} first)")
    elif not far.any():
        yield from _outliers(r, fixes)
    terms = [term for term in r.design.random if term.n_levels < r.design.n_obs]
    if terms:
        yield from _serial(r, terms[0], numbers, fixes)
    if r.has_effects:
        yield from _means(r, terms, numbers, fixes)


def _worst(found: Mapping[str, Score]) -> tuple[str, Score] | None:
    """Return the smallest p-value if it is a finding among so many."""
    if not found:
        return None
    name = min(found, key=lambda each: (found[each].pvalue, -abs(found[each].t)))
    return (name, found[name]) if found[name].pvalue < LEVEL / len(found) else None


def _outliers(r: Residuals, fixes: Fixes) -> Iterator[Finding]:
    size = np.abs(r.z)
    found = extreme(float(size.max()), np.abs(r.simulated).max(axis=0))
    if found.pvalue >= LEVEL:
        return
    limit = float(np.quantile(np.abs(r.simulated).max(axis=0), 0.95))
    order = np.argsort(-size)[: max(1, int((size > limit).sum()))]
    at = order if r.design.rows is None else r.design.rows[order]
    labels = at if r.design.index is None else r.design.index[at]
    told = ", ".join(
        f"{label} ({r.z[i]:+.1f})" for label, i in zip(labels[:MOST_NAMED], order, strict=False)
    )
    yield Finding(
        "outliers",
        "warning",
        f"{counted(len(order), 'row')} with residuals, in standard deviations, beyond "
        f"those of the model: {told}{' ...' * (len(order) > MOST_NAMED)}.",
        "Look at how they came about; see whether the answer changes without them.",
        fixes("outliers", ""),
    )


def _curves(r: Residuals, numbers: dict[str, Array], fixes: Fixes) -> Iterator[Finding]:
    found = {}
    for name, x in numbers.items():
        line = np.column_stack([np.ones(len(x)), x - x.mean()])
        square = line[:, 1] ** 2
        w = square - line @ np.linalg.lstsq(line, square, rcond=None)[0]
        if np.linalg.norm(w) > 1e-8 * np.linalg.norm(square):
            found[name] = score(float(w @ r.z), w @ r.simulated)
    if worst := _worst(found):
        name, one = worst
        yield Finding(
            "curvature",
            "warning",
            f"residuals curve along {name}: the score of its square is {one.t:+.1f} standard "
            f"deviations (p = {one.pvalue:.2g}).",
            f"Let the effect of {name} curve: add a square or a spline, or change its scale.",
            fixes("curvature", name),
        )


def _variances(
    r: Residuals,
    numbers: dict[str, Array],
    factors: dict[str, NDArray[np.intp]],
    fixes: Fixes,
) -> Iterator[Finding]:
    own, drawn = r.z**2, r.simulated**2
    found = {
        name: score(float((x - x.mean()) @ own), (x - x.mean()) @ drawn)
        for name, x in numbers.items()
    }
    centred = r.fitted_drawn - r.fitted_drawn.mean(axis=0)
    along = float((r.fitted - r.fitted.mean()) @ own)
    found["fitted values"] = score(along, (centred * drawn).sum(axis=0))
    found |= _levels(factors, own, drawn)
    # Groups may be told apart by what a predictor says more simply, so they come last.
    if worst := _worst(found) or _worst(_levels(_several(r), own, drawn)):
        name, one = worst
        how = ""
        if name in numbers or name == "fitted values":
            x = r.fitted if name == "fitted values" else numbers[name]
            low, high = x <= np.quantile(x, 0.25), x >= np.quantile(x, 0.75)
            ratio = np.sqrt(own[high].mean() / max(float(own[low].mean()), 1e-300))
            how = f", {ratio:.2g} times as large in its highest quarter as in its lowest"
        yield Finding(
            "unequal-variance",
            "warning",
            f"the residual standard deviation changes with {name}{how} (score {one.t:+.1f} "
            f"standard deviations, p = {one.pvalue:.2g}).",
            "Standard errors and intervals assume that it is constant. Let it change, or take the "
            "logarithm of a positive response.",
            fixes("unequal-variance", name),
        )


def _levels(factors: Mapping[str, NDArray[Any]], own: Array, drawn: Array) -> dict[str, Score]:
    """Score the differences of mean squares between levels."""
    return {
        name: quadratic(float(_between(codes, own[:, None])[0]), _between(codes, drawn))
        for name, codes in factors.items()
    }


def _several(r: Residuals) -> dict[str, NDArray[np.int32]]:
    """Codes of the grouping factors whose levels have several rows each."""
    return {
        term.group: term.codes
        for term in r.design.random
        if term.n_levels > 1 and r.design.n_obs / term.n_levels >= 3.0
    }


def _between(codes: NDArray[np.integer], squares: Array) -> Array:
    """Sum of squares of the levels' mean squares about the overall one, (m,)."""
    counts = np.bincount(codes)
    sums = np.stack([np.bincount(codes, column, len(counts)) for column in squares.T], axis=1)
    means = sums / np.maximum(counts, 1)[:, None]
    return np.asarray((counts[:, None] * (means - squares.mean(axis=0)) ** 2).sum(axis=0))


def _times(term: RandomTerm, numbers: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Columns that tell the rows of a level apart, as times do."""
    for name, x in numbers.items():
        pairs = len(np.unique(np.column_stack([term.codes, x]), axis=0))
        if pairs >= (1.0 - TIED) * len(x):
            yield name, x


def _serial(
    r: Residuals, term: RandomTerm, numbers: dict[str, Array], fixes: Fixes
) -> Iterator[Finding]:
    for name, x in _times(term, numbers):
        order = np.lexsort((x, term.codes))
        same = np.diff(term.codes[order]) == 0
        if not same.any():
            continue
        before, after = order[:-1][same], order[1:][same]
        products = (r.simulated[before] * r.simulated[after]).sum(axis=0)
        one = score(float(r.z[before] @ r.z[after]), products)
        if one.pvalue < LEVEL:
            yield Finding(
                "serial-correlation",
                "warning",
                f"within {term.group}, residuals that follow one another in {name} are "
                f"{'alike' if one.t > 0 else 'opposed'}: their products are {one.t:+.1f} standard "
                f"deviations from those of independent ones (p = {one.pvalue:.2g}).",
                "Standard errors assume independence. Let them be correlated, or let the "
                f"effect of {name} vary between levels of {term.group}.",
                fixes("serial-correlation", f"{term.group}|{name}"),
            )
            return


def _means(
    r: Residuals, terms: list[RandomTerm], numbers: dict[str, Array], fixes: Fixes
) -> Iterator[Finding]:
    found = {}
    for term in terms:
        counts = np.bincount(term.codes, minlength=term.n_levels)
        for name, x in numbers.items():
            means = np.bincount(term.codes, x, term.n_levels) / np.maximum(counts, 1)
            w = means[term.codes] - x.mean()
            within = np.linalg.norm(x - means[term.codes])
            if min(within, np.linalg.norm(w)) > 1e-3 * np.linalg.norm(x - x.mean()):
                found[f"{name}|{term.group}"] = score(float(w @ r.z), w @ r.simulated)
    if worst := _worst(found):
        key, one = worst
        name, _, group = key.partition("|")
        yield Finding(
            "effects-correlated",
            "warning",
            f"effects of {group} go with the level's mean of {name} (score {one.t:+.1f} standard "
            f"deviations, p = {one.pvalue:.2g}): {name} has another slope between levels than "
            "within them, and the coefficient is a mixture of the two.",
            "Fit the two slopes separately; the one within levels is that of fixed effects.",
            fixes("effects-correlated", key),
        )
