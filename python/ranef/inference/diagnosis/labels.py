"""Labels that are used again for other units: a nested factor taken for a crossed one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._counted import counted
from ...design.design import Design, RandomTerm
from ...errors import FitError, ModelError
from ...models import lmm
from ...models.lmm import Control
from .diagnosis import crossed_pairs
from .finding import Finding
from .formulas import fix, nested

__all__ = ["Reused", "check_labels", "is_numbering", "may_hold"]

#: Gain in log-likelihood by nested labels that settles the question.
GAIN = 5.0
#: Gain by the labels as they are, on top of nested ones, that shows that they mean something.
SHARED = 2.0
#: More labels than anybody numbers anew within a unit.
LABELS = 200
#: Above so many rows no second model is fitted to find out.
MANY_ROWS = 200_000
#: The same for factors that the model leaves out, of which there may be many.
MANY_ROWS_OUTSIDE = 20_000


@dataclass(frozen=True)
class Reused:
    """Labels of one grouping factor that are used again within another.

    Attributes
    ----------
    inner, outer : str
        The factors.
    finding : Finding
        What is found.
    """

    inner: str
    outer: str
    finding: Finding


def check_labels(design: Design, reml: bool, among: str | None = None) -> Iterator[Reused]:
    """Find labels that are used again for other units.

    Two grouping factors are crossed by their labels. Where the model with the inner labels made
    unique by the outer ones has a log-likelihood higher by far, the inner factor has few labels,
    and the labels as they are add nothing to that, they are those of different units.

    Parameters
    ----------
    design : Design
        The model.
    reml : bool
        Which likelihood.
    among : str, optional
        A grouping factor: only labels used again within it.
    """
    for first, second in crossed_pairs(design):
        if among not in (None, first.group, second.group):
            continue
        few, many = sorted((first, second), key=lambda term: term.n_levels)
        gains = []
        for inner, outer in ((few, many), (many, few)):
            if among not in (None, outer.group):
                continue
            if (llf := _compared(design, inner, outer, reml)) and llf[1] - llf[0] > GAIN:
                # The factor with fewer labels is the inner one, but for evidence against it.
                gains.append((llf[1] + (inner is few), inner, outer, llf))
        if gains:
            _, inner, outer, llf = max(gains, key=lambda found: found[0])
            finding = _reused(design, inner, outer, llf)
            yield Reused(inner.group, outer.group, finding)


def _compared(
    design: Design, inner: RandomTerm, outer: RandomTerm, reml: bool
) -> tuple[float, float] | None:
    """Return the log-likelihood with the labels as they are, and with unique ones."""
    nested = _nested(design, inner, outer)
    if nested is None or _is_property(design, inner, outer):
        return None

    wider = _with_columns(design, inner, outer)
    nested = replace(
        nested,
        random=tuple(
            new if old is inner else changed
            for old, new, changed in zip(design.random, nested.random, wider.random, strict=True)
        ),
    )

    def llf(model: Design) -> float:
        lmm.check(model)
        return lmm.fit(model, lmm.kernel(model), reml=reml, control=Control()).objective / -2.0

    try:
        before, after = llf(wider), llf(nested)
        if after - before > GAIN:
            both = replace(nested, random=(*nested.random, inner))
            if llf(both) - after > SHARED:
                return None
    except (ModelError, FitError):
        return None
    return before, after


def _with_columns(design: Design, inner: RandomTerm, outer: RandomTerm) -> Design:
    """Give the outer factor the inner one's columns too, lest slopes pass for labels."""
    if set(inner.columns) <= set(outer.columns):
        return design
    richer = replace(inner, codes=outer.codes, levels=outer.levels, group=outer.group)
    return replace(
        design, random=tuple(richer if term is outer else term for term in design.random)
    )


def _is_property(design: Design, inner: RandomTerm, outer: RandomTerm) -> bool:
    """Return whether a third factor, with levels in several outer ones, fixes the inner label.

    A state lies in one region, year after year: then a region's label means the same every year.
    """
    for term in design.random:
        if term is inner or term is outer or term.n_levels <= inner.n_levels:
            continue
        with_inner = np.unique(term.codes.astype(np.int64) * inner.n_levels + inner.codes)
        with_outer = np.unique(term.codes.astype(np.int64) * outer.n_levels + outer.codes)
        if len(with_inner) == term.n_levels and len(with_outer) > 1.5 * term.n_levels:
            return True
    return False


def _nested(design: Design, inner: RandomTerm, outer: RandomTerm) -> Design | None:
    """Return the design with the inner labels made unique, where they are candidates for it."""
    if inner.n_levels > LABELS:
        return None
    cells, codes = np.unique(
        outer.codes.astype(np.int64) * inner.n_levels + inner.codes, return_inverse=True
    )
    if len(cells) < 3 * inner.n_levels or len(cells) > design.n_obs / 1.5:
        return None
    if not is_numbering(inner.levels):
        return None
    if design.n_obs > MANY_ROWS or not _numbered_anew(cells, inner.n_levels, outer.n_levels):
        return None
    unique = replace(
        inner, codes=np.ascontiguousarray(codes, dtype=np.int32), levels=pd.RangeIndex(len(cells))
    )
    return replace(
        design, random=tuple(unique if term is inner else term for term in design.random)
    )


def is_numbering(levels: pd.Index[Any]) -> bool:
    """Return whether labels count units: 1, 2, 3 or a, b, c or plot1, plot2, and not yes and no.

    A count from 0 needs a third label: 0 and 1 code a property.
    """
    labels = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in levels]
    if all(re.fullmatch("[A-Za-z]", label) for label in labels):
        places = sorted(ord(label.lower()) - ord("a") for label in labels)
        return places == list(range(len(labels)))
    parts = [re.fullmatch(r"(.*?)(\d{1,6})", label) for label in labels]
    found = [part for part in parts if part is not None]
    if len(found) < len(labels) or len({part[1] for part in found}) > 1:
        return False
    numbers = sorted(int(part[2]) for part in found)
    first = 1 if len(labels) < 3 else min(numbers[0], 1)
    return numbers == list(range(first, first + len(labels)))


def _numbered_anew(cells: NDArray[np.int64], n_inner: int, n_outer: int) -> bool:
    """Return whether nearly every outer level has the first labels, and no others between."""
    within = cells // n_inner
    count = np.bincount(within, minlength=n_outer)
    last = np.zeros(n_outer, dtype=np.int64)
    np.maximum.at(last, within, cells % n_inner)
    return bool((last + 1 == count).mean() > 0.9)


def may_hold(design: Design, values: pd.Series[Any]) -> bool:
    """Return whether a factor's labels may be numbered again within each of these values."""
    n = design.n_obs
    if n > MANY_ROWS_OUTSIDE or pd.api.types.is_float_dtype(values.dtype) or values.isna().any():
        return False
    codes, levels = pd.factorize(values)
    if not 3 <= len(levels) <= n / 3:
        return False
    for term in design.random:
        cells = np.unique(codes.astype(np.int64) * term.n_levels + term.codes)
        few = (
            term.n_levels <= LABELS
            and is_numbering(term.levels)
            and 3 * term.n_levels <= len(cells) <= n / 1.5
        )
        if few and _numbered_anew(cells, term.n_levels, len(levels)):
            return True
    return False


def _reused(
    design: Design, inner: RandomTerm, outer: RandomTerm, llf: tuple[float, float]
) -> Finding:
    return Finding(
        "labels-reused",
        "error",
        f"{inner.group} has {counted(inner.n_levels, 'label')}, which occur again and again across "
        f"the {counted(outer.n_levels, 'level')} of {outer.group}. Taken as the same units "
        f"everywhere, the log-likelihood is {llf[0]:.3f}; taken as units of their own within "
        f"{outer.group}, {llf[1]:.3f}.",
        f"If {inner.group} 1 of one {outer.group} is not {inner.group} 1 of another, nest it.",
        fix(nested(design, inner.group, outer.group)),
        about=inner.group,
    )
