"""Labels that are used again for other units: a nested factor taken for a crossed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

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

__all__ = ["check_labels", "may_hold"]

#: Gain in log-likelihood by nested labels that settles the question.
GAIN = 5.0
#: More labels than anybody numbers anew within a unit.
LABELS = 200
#: Above so many rows no second model is fitted to find out.
MANY_ROWS = 200_000
#: The same for factors that the model leaves out, of which there may be many.
MANY_ROWS_OUTSIDE = 20_000


def check_labels(design: Design, reml: bool) -> Iterator[tuple[str, Finding]]:
    """Find labels that are used again for other units: a group, and its finding.

    Two grouping factors are crossed by their labels. Where the model with the inner labels made
    unique by the outer ones has a log-likelihood higher by far, and the inner factor has few
    labels, the labels are those of different units.
    """
    for first, second in crossed_pairs(design):
        few, many = sorted((first, second), key=lambda term: term.n_levels)
        gains = []
        for inner, outer in ((few, many), (many, few)):
            if (llf := _compared(design, inner, outer, reml)) and llf[1] - llf[0] > GAIN:
                # The factor with fewer labels is the inner one, but for evidence against it.
                gains.append((llf[1] + (inner is few), inner, outer, llf))
        if gains:
            _, inner, outer, llf = max(gains, key=lambda found: found[0])
            yield inner.group, _reused(design, inner, outer, llf)


def _compared(
    design: Design, inner: RandomTerm, outer: RandomTerm, reml: bool
) -> tuple[float, float] | None:
    """Give the log-likelihood with the labels as they are, and with unique ones."""
    nested = _nested(design, inner, outer)
    if nested is None:
        return None
    try:
        lmm.check(nested)
        before, after = (
            lmm.fit(d, lmm.kernel(d), reml=reml, control=Control()).objective / -2.0
            for d in (design, nested)
        )
    except (ModelError, FitError):
        return None
    return before, after


def _nested(design: Design, inner: RandomTerm, outer: RandomTerm) -> Design | None:
    """Give the design with the inner labels made unique, where they are candidates for it."""
    if inner.n_levels > LABELS:
        return None
    cells, codes = np.unique(
        outer.codes.astype(np.int64) * inner.n_levels + inner.codes, return_inverse=True
    )
    if len(cells) < 3 * inner.n_levels or len(cells) > design.n_obs / 1.5:
        return None
    if design.n_obs > MANY_ROWS or not _numbered_anew(cells, inner.n_levels, outer.n_levels):
        return None
    unique = replace(
        inner, codes=np.ascontiguousarray(codes, dtype=np.int32), levels=pd.RangeIndex(len(cells))
    )
    return replace(
        design, random=tuple(unique if term is inner else term for term in design.random)
    )


def _numbered_anew(cells: NDArray[np.int64], n_inner: int, n_outer: int) -> bool:
    """Tell whether nearly every outer level has the first labels, and no others between."""
    within = cells // n_inner
    count = np.bincount(within, minlength=n_outer)
    last = np.zeros(n_outer, dtype=np.int64)
    np.maximum.at(last, within, cells % n_inner)
    return bool((last + 1 == count).mean() > 0.9)


def may_hold(design: Design, values: pd.Series[Any]) -> bool:
    """Tell whether a grouping factor's labels may be numbered anew within each of these values."""
    n = design.n_obs
    if n > MANY_ROWS_OUTSIDE or pd.api.types.is_float_dtype(values.dtype) or values.isna().any():
        return False
    codes, levels = pd.factorize(values)
    if not 3 <= len(levels) <= n / 3:
        return False
    for term in design.random:
        cells = np.unique(codes.astype(np.int64) * term.n_levels + term.codes)
        few = term.n_levels <= LABELS and 3 * term.n_levels <= len(cells) <= n / 1.5
        if few and _numbered_anew(cells, term.n_levels, len(levels)):
            return True
    return False


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
