"""Covariance structures inside bars where rows come in chunks: their places and occasions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .._counted import counted
from .._typing import Array, Positions
from ..design.design import Design, RandomTerm
from ..design.reading import Reading
from ..design.structures.bars import FEW
from ..design.structures.structure import DISTANCES
from ..design.values import Numbers
from ..errors import DataError, ModelError
from ..formula import Bar, Formula
from .summed import SummedDesign

__all__ = ["MOST_PLACES", "Places", "check_occasions", "check_places", "has_places"]

#: Distinct places beyond which no level is small enough to be fitted in less than hours.
MOST_PLACES = 1250


def has_places(formula: Formula) -> bool:
    """Return whether a bar has columns that are places: the distinct values of all rows."""
    return any(bar.structure in DISTANCES for bar in formula.random)


@dataclass
class Places:
    """The distinct places of each bar that has some, in the rows so far."""

    seen: dict[str, set[tuple[float, ...]]] = field(default_factory=dict)

    def new(self, formula: Formula, reading: Reading, usable: Positions) -> list[int]:
        """Find rows that show a place for the first time.

        Raises
        ------
        ModelError
            If there are more places than a fit can have.
        """
        out: list[int] = []
        for bar in formula.random if len(usable) else ():
            points = _points(bar, reading, usable)
            if points is None:
                continue
            known = self.seen.setdefault(bar.source(), set())
            places, first = np.unique(points, axis=0, return_index=True)
            fresh = [i for i, place in enumerate(places) if tuple(place) not in known]
            known.update(tuple(map(float, places[i])) for i in fresh)
            out += [int(usable[first[i]]) for i in fresh]
            if len(known) > MOST_PLACES:
                names = " and ".join(term.factors[0].expr for term in bar.terms)
                raise ModelError(
                    f"{bar.source()} has more than {MOST_PLACES:,} distinct places, whose matrices "
                    f"take hours. Round {names} in the data to fewer values."
                )
        return out


def _points(bar: Bar, reading: Reading, usable: Positions) -> Array | None:
    """Coordinates of the usable rows; None where the design will refuse the bar, or has none."""
    if bar.structure not in DISTANCES:
        return None
    values = [reading.values.get(f.expr) for term in bar.terms for f in term.factors]
    columns = [one.arrays[0][usable] for one in values if isinstance(one, Numbers)]
    return np.column_stack(columns) + 0.0 if len(columns) == len(values) > 0 else None


def check_places(design: Design, columns: Sequence[Array]) -> None:
    """Refuse rows of a chunk at a place that the design does not know.

    Parameters
    ----------
    design : Design
        What the chunk is read with.
    columns : sequence of ndarray of shape (m,)
        The distinct columns of the chunk.

    Raises
    ------
    DataError
        With the term, and what to do.
    """
    for term in design.random:
        for block, structure in zip(term.blocks, term.block_structures, strict=True):
            if structure is None or not structure.columns:
                continue
            marks = np.column_stack([columns[term.columns[j]] for j in block])
            lost = int(np.sum(~marks.any(axis=1)))
            if lost:
                name = " and ".join(structure.columns)
                raise DataError(
                    f"{counted(lost, 'row')} of a chunk {'is' if lost == 1 else 'are'} at values "
                    f"of {name} that earlier chunks do not have, and each is a column of "
                    f"{structure.kind}(... | {term.group}): give a path, a list of frames or a "
                    "function that starts an iterator, which can be read twice; or call learn() "
                    "with such a function first",
                    structure.columns[0],
                )


def check_occasions(design: SummedDesign) -> None:
    """Refuse occasional repeated occasions within a level of ar1; see the check of rows.

    Raises
    ------
    DataError
        With the number of rows, and what to do.
    """
    for t, term in enumerate(design.random):
        for block, structure in zip(term.blocks, term.block_structures, strict=True):
            if structure is None or structure.kind != "ar1":
                continue
            cells = _cells(design, t, term)[:, list(block)]
            n_cells = int(np.sum(cells > 0.0))
            more = design.n_obs - n_cells
            if 0 < more < FEW * n_cells:
                raise DataError(
                    f"{counted(more, 'row')} of {design.n_obs:,} share an occasion with another "
                    f"row of the same {term.group}{_first(design, term, block, cells)}: in "
                    f"{term.written} these share one effect. If that is a mistake, drop the rows; "
                    "if they are replicates, average them first",
                    term.group,
                )


def _cells(design: SummedDesign, t: int, term: RandomTerm) -> Array:
    """Weight of each level's rows at each column that marks occasions, (levels, columns)."""
    own = np.asarray(design.sums.__getstate__()[8][t])
    squares = own.T.reshape(own.shape[1], term.n_cols, term.n_cols)
    return np.asarray(np.diagonal(squares, axis1=1, axis2=2))


def _first(design: SummedDesign, term: RandomTerm, block: tuple[int, ...], cells: Array) -> str:
    """Name the first such cell, where rows have no weights and so cells have counts."""
    if design.weights is not None:
        return ""
    level, place = (int(at[0]) for at in np.nonzero(cells > 1.5))
    return f" (the first are at {term.names[block[place]]} of {term.levels[level]!r})"
