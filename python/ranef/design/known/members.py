"""Terms with several weighted levels per row: multimembership."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..._counted import counted
from ...errors import DataError, UnsupportedError
from ...formula.terms import Members
from ..design import RandomTerm, Rows
from ..reading import Reading, note
from ..values import Numbers, find_levels, read_codes, read_series
from .labels import named

__all__ = ["MemberGrouping", "MemberTerm", "Membership", "read_members", "uneven_weights"]

#: How far from one the sum of a row's weights may be without a warning.
EVEN = 5e-3

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Membership:
    """Levels of each row and their weights.

    Attributes
    ----------
    codes : ndarray of shape (members, n), int32
        The level of each member; -1 for no member or an unseen one.
    weights : ndarray of shape (members, n)
        Its weight; 0 without a member.
    levels : Index
        The levels.
    """

    codes: NDArray[np.int32]
    weights: Vector
    levels: pd.Index[Any]

    def take(self, keep: NDArray[Any]) -> Membership:
        """Take some rows."""
        return replace(self, codes=self.codes[:, keep], weights=self.weights[:, keep])

    def rows(self) -> tuple[tuple[NDArray[np.int32], Vector], ...]:
        """Levels and weights, member by member."""
        known = np.where(self.codes < 0, 0, self.codes).astype(np.int32)
        weights = np.where(self.codes < 0, 0.0, self.weights)
        return tuple(zip(known, weights, strict=True))


class Hidden:
    """Stands in for the single level of each row, which does not exist."""

    def __get__(self, term: MemberTerm, owner: type | None = None) -> NoReturn:
        raise UnsupportedError(
            f"this is not available with {term.written}: a row has several levels there, and it "
            "needs one"
        )

    def __set__(self, term: MemberTerm, value: object) -> None:
        pass


@dataclass(frozen=True, eq=False)
class MemberTerm(RandomTerm):
    """A random-effects term with several levels per row.

    Attributes
    ----------
    membership : Membership
        The levels of each row.
    """

    codes = Hidden()
    membership: Membership = field(default=None, repr=False)  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<MemberTerm {self.written}, {counted(self.n_levels, 'level')}>"

    @property
    def is_plain(self) -> bool:
        """Whether levels are independent and each row has one."""
        return False

    @property
    def is_single(self) -> bool:
        """Whether each row has one level, known covariance or not."""
        return False

    @property
    def memberships(self) -> tuple[Rows, ...]:
        """Levels of the rows: one for each row, or one for each member."""
        return self.membership.rows()

    def effect(self, values: Vector) -> Vector:
        """Lay out a value of each level by rows, shape (n,)."""
        parts = self.membership.rows()
        return np.asarray(sum(weight * values[codes] for codes, weight in parts))

    @property
    def sizes(self) -> Vector:
        """Variance of each row's effect relative to its column's, shape (n,)."""
        if self.known is not None:
            raise UnsupportedError(
                f"the mean variance of {self.written} is not available where its levels have a "
                "known covariance and a row has several"
            )
        return np.asarray((self.membership.weights**2).sum(axis=0))

    def take(self, rows: NDArray[np.intp]) -> RandomTerm:
        """Take some rows; all levels stay."""
        return self._with(self.membership.take(rows))

    def _with(self, membership: Membership) -> MemberTerm:
        other = object.__new__(MemberTerm)
        other.__dict__.update(self.__dict__, membership=membership)
        return other


@dataclass(frozen=True)
class MemberGrouping:
    """What a grouping factor with several members per row learned.

    Attributes
    ----------
    members : Members
        What the formula names.
    levels : Index
        The levels.
    """

    members: Members
    levels: pd.Index[Any]

    def read(self, reading: Reading, new_levels: str) -> Membership:
        """Read the members of new rows.

        Raises
        ------
        DataError
            If a level is new and ``new_levels`` is "raise".
        """
        found = read_members(self.members, reading, self.levels)
        if new_levels == "raise":
            for name, codes in zip(self.members.columns, found.codes, strict=True):
                series = reading.frame.series(name)
                new = np.flatnonzero((codes < 0) & series.notna().to_numpy())
                if len(new):
                    labels = pd.Index(series.iloc[new[:1000]]).unique()
                    raise DataError(
                        f"{name!r} of {self.members.label} has levels that the fit did not see: "
                        f"{named(labels, range(len(labels)))}; "
                        f'with new_levels="population" they are given no effect of their own',
                        name,
                    )
        return found


def read_members(
    members: Members, reading: Reading, known: pd.Index[Any] | None = None
) -> Membership:
    """Read the members of each row and their weights.

    Parameters
    ----------
    members : Members
        What the formula names.
    reading : Reading
        Where a weight that is missing for a member is noted.
    known : Index, optional
        Levels to code by; by default those that occur.

    Notes
    -----
    A missing member is no membership, whatever its weight. Without weights the members of a row
    share a weight of one.

    Raises
    ------
    DataError
        If the weights are no numbers.
    """
    columns = [read_codes(reading.frame.series(name), name) for name in members.columns]
    levels = _levels([levels for _, levels in columns]) if known is None else known
    codes = np.stack(
        [np.append(find_levels(levels, own), -1)[codes] for codes, own in columns]
    ).astype(np.int32)
    present = np.stack([codes >= 0 for codes, _ in columns])
    if not members.weights:
        count = np.maximum(present.sum(axis=0), 1)
        weights = np.where(present, 1.0 / count, 0.0)
    else:
        weights = np.stack(
            [
                _weights(name, there, reading)
                for name, there in zip(members.weights, present, strict=True)
            ]
        )
    return Membership(codes, weights, levels)


def uneven_weights(terms: Sequence[RandomTerm]) -> list[str]:
    """State where the weights of members do not sum to one."""
    notes = []
    for term in terms:
        if not isinstance(term, MemberTerm):
            continue
        sums = np.where(term.membership.codes >= 0, term.membership.weights, 0.0).sum(axis=0)
        off = np.abs(sums - 1.0) > EVEN
        none = int((term.membership.codes < 0).all(axis=0).sum())
        if off.any():
            without = f"; {counted(none, 'row has', 'rows have')} no member" if none else ""
            notes.append(
                f"the weights of {term.group} do not sum to one in {int(off.sum())} of {len(sums)} "
                f"rows (from {sums[off].min():.4g} to {sums[off].max():.4g}){without}. The "
                "variance is that of a level with the weight one."
            )
    return notes


def _weights(name: str, present: NDArray[np.bool_], reading: Reading) -> Vector:
    """Read the weights of one member; a gap in one that is used makes a row missing."""
    value = read_series(reading.frame.series(name), name)
    if not isinstance(value, Numbers):
        raise DataError(f"the weights {name!r} of mm() are not numbers", name)
    weights = np.where(present, value.arrays[0], 0.0)
    note(name, Numbers((weights,)), reading)
    return weights


def _levels(parts: Sequence[pd.Index[Any]]) -> pd.Index[Any]:
    """Join the levels of several columns, sorted where they can be."""
    first = parts[0]
    if all(first.equals(other) for other in parts[1:]):
        return first
    joined = pd.unique(pd.Series(np.concatenate([np.asarray(p, dtype=object) for p in parts])))
    kinds = {part.dtype for part in parts}
    index = pd.Index(joined, dtype=first.dtype if len(kinds) == 1 else None)
    try:
        return index.sort_values()
    except TypeError:
        return index
