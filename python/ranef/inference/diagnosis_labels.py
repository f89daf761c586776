"""Labels that are used again for other units: a nested factor taken for a crossed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.design import Design, RandomTerm
from ..errors import FitError, ModelError
from ..models import lmm
from ..models.lmm import Control
from .diagnosis import crossed_pairs
from .diagnosis_formulas import fix, nested
from .finding import Finding

__all__ = ["check_labels"]

#: Gain in log-likelihood by nested labels that settles the question.
GAIN = 5.0
#: Above so many rows no second model is fitted to find out.
MANY_ROWS = 200_000


def check_labels(design: Design, reml: bool) -> Iterator[tuple[str, Finding]]:
    """Find labels that are used again for other units: a group, and its finding.

    Two grouping factors are crossed by their labels. Where the model with the inner labels made
    unique by the outer ones has a log-likelihood higher by far, and the inner factor has few
    labels, the labels are those of different units.
    """
    for first, second in crossed_pairs(design):
        inner, outer = sorted((first, second), key=lambda term: term.n_levels)
        nested = _nested(design, inner, outer)
        if nested is None:
            continue
        try:
            lmm.check(nested)
            before, after = (
                lmm.fit(d, lmm.kernel(d), reml=reml, control=Control()).objective / -2.0
                for d in (design, nested)
            )
        except (ModelError, FitError):
            continue
        if after - before > GAIN:
            yield inner.group, _reused(design, inner, outer, (before, after))


def _nested(design: Design, inner: RandomTerm, outer: RandomTerm) -> Design | None:
    """Give the design with the inner labels made unique, where they are candidates for it."""
    cells, codes = np.unique(
        outer.codes.astype(np.int64) * inner.n_levels + inner.codes, return_inverse=True
    )
    if len(cells) < 3 * inner.n_levels or len(cells) > design.n_obs / 1.5:
        return None
    if design.n_obs > MANY_ROWS or not _numbered_anew(cells, inner, outer):
        return None
    unique = replace(
        inner, codes=np.ascontiguousarray(codes, dtype=np.int32), levels=pd.RangeIndex(len(cells))
    )
    return replace(
        design, random=tuple(unique if term is inner else term for term in design.random)
    )


def _numbered_anew(cells: NDArray[np.int64], inner: RandomTerm, outer: RandomTerm) -> bool:
    """Tell whether nearly every outer level has the first labels, and no others between."""
    within = cells // inner.n_levels
    count = np.bincount(within, minlength=outer.n_levels)
    last = np.zeros(outer.n_levels, dtype=np.int64)
    np.maximum.at(last, within, cells % inner.n_levels)
    return bool((last + 1 == count).mean() > 0.9)


def _reused(
    design: Design, inner: RandomTerm, outer: RandomTerm, llf: tuple[float, float]
) -> Finding:
    return Finding(
        "labels-reused",
        "error",
        f"{inner.group} has {inner.n_levels} labels, which occur again and again across the "
        f"{outer.n_levels} levels of {outer.group}. Taken as the same units everywhere, the "
        f"log-likelihood is {llf[0]:.3f}; taken as units of their own within {outer.group}, "
        f"{llf[1]:.3f}.",
        f"If {inner.group} 1 of one {outer.group} is not {inner.group} 1 of another, nest it.",
        fix(nested(design, inner.group, outer.group)),
    )
