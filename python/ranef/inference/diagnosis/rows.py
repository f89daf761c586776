"""Findings about rows: missing ones, by variable and group, and levels that stop early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT, Design, RandomTerm
from ...design.frame import open_frame
from .finding import Finding

__all__ = ["check_rows"]


def check_rows(design: Design, data: Any) -> Iterator[Finding]:
    """Return the findings about rows; ``data`` may be None when they are no longer known."""
    if design.dropped:
        yield _missing(design, data)
    yield from _dropout(design)


def _missing(design: Design, data: Any) -> Finding:
    lost = design.n_data - design.n_obs
    evidence = f"{design.lost}."
    if data is not None and design.rows is not None:
        evidence += "".join(_by_group(design, data))
    return Finding(
        "missing-rows",
        "warning" if lost > 0.05 * design.n_data else "note",
        evidence,
        "Likelihood inference assumes that they are missing at random: given the values that are "
        "there. Where missing predictors are many, impute them several times.",
        "",
    )


def _by_group(design: Design, data: Any) -> Iterator[str]:
    """State where the rows were lost, grouping factor by grouping factor."""
    frame = open_frame(data)
    kept = np.zeros(design.n_data, dtype=bool)
    kept[design.rows] = True
    for term, grouping in zip(design.random, design.encoder.groupings, strict=True):
        if not term.is_single:
            continue
        columns = [frame.series(name).astype(object).map(str) for name in grouping.names]
        labels = np.array([":".join(parts) for parts in zip(*columns, strict=True)], dtype=object)
        rows = pd.Series(kept).groupby(labels).agg(["size", "sum"])
        gone = rows.index[rows["sum"] == 0]
        lost = (rows["size"] - rows["sum"]).sort_values(ascending=False, kind="stable")
        lost = lost[lost > 0]
        if len(gone):
            shown = ", ".join(gone[:3]) + (" ..." if len(gone) > 3 else "")
            verb = "is" if len(gone) == 1 else "are"
            of = f"{counted(len(rows), 'level')} of {term.group}"
            yield f" {len(gone)} of {of} {verb} lost whole ({shown})."
        if 0 < len(lost) < len(rows):
            top = ", ".join(f"{label} ({count})" for label, count in lost.iloc[:3].items())
            some = counted(len(lost), "level loses rows", "levels lose rows")
            yield f" Of {term.group}, {some}, most {top}."


def _dropout(design: Design) -> Iterator[Finding]:
    """Levels that start together and end apart."""
    for term in (term for term in design.random if term.is_single):
        for column, name in _times(design, term):
            last = _last(term, column)
            early = last < column.max() - 1e-9 * np.ptp(column)
            rows = np.bincount(term.codes, minlength=term.n_levels)
            # A unit with all its rows did not leave, even if its last one came early.
            stopped = early & (rows < rows.max())
            if stopped.mean() >= 0.05 and early.mean() < 0.95:
                yield _dropout_finding(design, term, (column, name), stopped)
                return


def _times(design: Design, term: RandomTerm) -> Iterator[tuple[Array, str]]:
    """Columns that look like time: every level has its own values, all from one start."""
    seen = set()
    names = [*zip(term.columns, term.names, strict=True)]
    names += [*zip(design.fixed, design.fixed_names, strict=True)]
    for reference, name in names:
        if reference == INTERCEPT or reference in seen or term.n_levels > design.n_obs // 2:
            continue
        seen.add(reference)
        column = design.columns[reference]
        if len(np.unique(column)) < 3:
            continue
        pairs = pd.DataFrame({"level": term.codes, "value": column})
        first = pairs.groupby("level")["value"].min().to_numpy()
        if pairs.duplicated().mean() < 0.02 and (first == column.min()).mean() > 0.9:
            yield column, name


def _last(term: RandomTerm, column: Array) -> Array:
    last = np.full(term.n_levels, -np.inf)
    np.maximum.at(last, term.codes, column)
    return last


def _dropout_finding(
    design: Design, term: RandomTerm, time: tuple[Array, str], stopped: NDArray[np.bool_]
) -> Finding:
    column, name = time
    start = column == column.min()
    left = stopped[term.codes[start]]
    y = design.y[start]
    evidence = (
        f"{int(stopped.sum())} of {counted(term.n_levels, 'level')} of {term.group} end before "
        f"{name} = {column.max():g}."
    )
    if left.any() and (~left).any() and y.std() > 0:
        gap = (y[left].mean() - y[~left].mean()) / y.std()
        evidence += f" At the start they are {gap:+.2f} standard deviations from those that stay."
    return Finding(
        "dropout",
        "note",
        evidence,
        "Dropout that depends on what was observed is allowed for by the likelihood; dropout that "
        "depends on what was not observed is not. Add what predicts it to the model.",
    )
