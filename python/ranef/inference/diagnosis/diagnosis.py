"""What the data themselves say against a model, before any fit: typed findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy

from ..._counted import counted
from ..._typing import Array
from ...design.design import Design, RandomTerm, only_plain
from ...models.spanned import Spanned, spanned_terms
from .finding import Finding
from .formulas import fix, without
from .terms import check_terms

__all__ = ["check_design", "check_identified", "crossed_pairs"]

Pair = tuple[RandomTerm, RandomTerm]

#: Possible cells of two factors up to which they are ticked off in a table instead of sorted.
TABLE = 200_000_000


def check_design(design: Design) -> Iterator[Finding]:
    """Return every finding that needs no fit."""
    only_plain(design, "a diagnosis", "see model.convergence and model.summary()")
    yield from check_terms(design)
    checks: tuple[Callable[[Design], Iterator[Finding]], ...] = (
        check_identified,
        _same_groups,
        _unconnected,
        _leverage_one,
    )
    for check in checks:
        yield from check(design)


def check_identified(design: Design, found: Sequence[Spanned] | None = None) -> Iterator[Finding]:
    """Report variances that the likelihood does not depend on, as fixed effects span the levels.

    Terms with the same groups as another have a finding of their own.
    """
    for one in spanned_terms(design) if found is None else found:
        if one.twin is not None:
            continue
        term, reason = design.random[one.term], one.reason(design)
        yield Finding(
            "not-identified",
            "error",
            f"{reason[0].upper()}{reason[1:]}.",
            f"Leave the term out, or take {term.group} out of the fixed part; the likelihood is "
            "the same at any value of the variance.",
            "" if term.smooth else fix(without(design, term, [term.names[j] for j in one.columns])),
            about=term.group,
        )


def _pairs(design: Design) -> Iterator[tuple[RandomTerm, RandomTerm, int]]:
    """Return each pair of grouping factors and the number of cells that have rows."""
    for i, first in enumerate(design.random):
        for second in design.random[i + 1 :]:
            cell = first.codes.astype(np.int64) * second.n_levels + second.codes
            size = first.n_levels * second.n_levels
            if size > TABLE:
                yield first, second, len(np.unique(cell))
                continue
            seen = np.zeros(size, dtype=bool)
            seen[cell] = True
            yield first, second, int(np.count_nonzero(seen))


def crossed_pairs(design: Design) -> Iterator[Pair]:
    """Pairs of grouping factors that are crossed: neither is nested in the other."""
    for first, second, cells in _pairs(design):
        if cells > max(first.n_levels, second.n_levels):
            yield first, second


def _same_groups(design: Design) -> Iterator[Finding]:
    for first, second, cells in _pairs(design):
        if not cells == first.n_levels == second.n_levels:
            continue
        shared = [name for name in second.names if name in first.names]
        if not shared:
            continue
        yield Finding(
            "same-groups",
            "error",
            f"{first.group} and {second.group} put the rows into the same "
            f"{counted(cells, 'group')}, so only the sum of their variances of {', '.join(shared)} "
            "shows in the data.",
            f"Keep one of the two; the likelihood does not change without {second.group}.",
            fix(without(design, second, shared)),
        )


def _unconnected(design: Design) -> Iterator[Finding]:
    for first, second in crossed_pairs(design):
        if set(first.group.split(":")) & set(second.group.split(":")):
            continue  # both lie within a shared factor, so they fall apart by design
        size = first.n_levels + second.n_levels
        links = scipy.sparse.coo_array(
            (np.ones(design.n_obs), (first.codes, second.codes + first.n_levels)),
            shape=(size, size),
        )
        parts, _ = scipy.sparse.csgraph.connected_components(links, directed=False)
        if parts > 1:
            yield Finding(
                "unconnected",
                "note",
                f"{first.group} and {second.group} fall into {counted(parts, 'part')} that share "
                "no level: levels of different parts are compared only through the model's zero "
                "mean.",
                "Compare levels within a part; say so when you report ranks of random effects.",
            )


def _leverage_one(design: Design) -> Iterator[Finding]:
    rows = np.flatnonzero(_leverages(design.X) > 1.0 - 1e-8)
    if len(rows):
        at = rows if design.rows is None else design.rows[rows]
        labels = at if design.index is None else design.index[at]
        shown = ", ".join(str(label) for label in labels[:5])
        yield Finding(
            "rows-without-information",
            "note",
            f"{counted(len(rows), 'row')} (at {shown}{' ...' * (len(rows) > 5)}) "
            "have a coefficient of the fixed part to themselves, so they say nothing about "
            "anything else.",
            "Join the category or drop the row; the other results do not change.",
        )


def _leverages(X: Array) -> Array:
    """Diagonal of the projection onto the columns of X, whatever their rank, shape (n,)."""
    scale = np.linalg.norm(X, axis=0)
    scaled = X / np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    kept = values > 1e-12 * values.max(initial=1.0)
    basis = scaled @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.asarray(np.einsum("ij,ij->i", basis, basis))
