"""Which covariance structures lie in which, for models that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import Design, RandomTerm, assemble
from ...design.structures.structure import Structure
from .random import CovarianceBlock, covariance_block, zero_directions

__all__ = ["structured_zeros"]

#: Kind, with one standard deviation or not, and the kinds that hold it on the same columns.
WITHIN = {
    ("identity", True): (("cs", True), ("ar1", True), ("toep", True)),
    ("cs", True): (("cs", False), ("toep", True)),
    ("ar1", True): (("ar1", False), ("toep", True)),
    ("toep", True): (("toep", False),),
    ("cs", False): (("toep", False), ("us", False)),
    ("ar1", False): (("toep", False), ("us", False)),
    ("toep", False): (("us", False),),
    ("ou", True): (("exponential", True),),
    ("exponential", True): (("ou", True), ("matern", True)),
    ("matern", True): (("us", False),),
}


@dataclass(frozen=True)
class _Block:
    """A block of a model: its term, its columns and its kind."""

    design: Design
    term: RandomTerm
    columns: tuple[int, ...]
    structure: Structure | None

    @property
    def is_free(self) -> bool:
        """Whether the covariance is any, levels are independent and a row has one."""
        return self.structure is None and self.term.is_plain

    @property
    def kind(self) -> tuple[str, bool]:
        if self.structure is None:
            return ("us", False)
        return (self.structure.kind, self.structure.homogeneous)

    def is_on(self, other: _Block) -> bool:
        """Whether both vary over the same levels, in the same columns."""
        if len(self.columns) != len(other.columns):
            return False
        if not (_same_levels(self.term, other.term) and _same_known(self.term, other.term)):
            return False
        return all(
            np.array_equal(assemble(self.design.columns, (a,), self.design.n_obs), b_values)
            for a, b_values in zip(
                (self.term.columns[j] for j in self.columns),
                (
                    assemble(other.design.columns, (other.term.columns[j],), other.design.n_obs)
                    for j in other.columns
                ),
                strict=True,
            )
        )

    def lies_in(self, other: _Block) -> bool:
        """Whether any of its covariances is one of the other's."""
        reached, left = {self.kind}, [self.kind]
        while left:
            for kind in WITHIN.get(left.pop(), ()):
                if kind not in reached:
                    reached.add(kind)
                    left.append(kind)
        return other.kind in reached


def _same_levels(one: RandomTerm, other: RandomTerm) -> bool:
    """Whether rows belong to the same levels, with the same weights."""
    mine, theirs = one.memberships, other.memberships
    return len(mine) == len(theirs) and all(
        np.array_equal(codes, others) and _alike(w, v)
        for (codes, w), (others, v) in zip(mine, theirs, strict=True)
    )


def _alike(one: Array | None, other: Array | None) -> bool:
    """Whether weights are equal, or there are none on both sides."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _same_known(one: RandomTerm, other: RandomTerm) -> bool:
    """Whether levels have the same known covariance, or none has one."""
    mine, theirs = one.known, other.known
    if mine is None or theirs is None or mine is theirs:
        return mine is theirs
    pairs: list[tuple[Any, Any]] = list(zip(mine.triangle, theirs.triangle, strict=True))
    return len(mine) == len(theirs) and all(np.array_equal(a, b) for a, b in pairs)


def _blocks(design: Design) -> list[_Block]:
    return [
        _Block(design, term, columns, structure)
        for term in design.random
        for columns, structure in zip(term.blocks, term.block_structures, strict=True)
    ]


def structured_zeros(small: Design, large: Design, weights: Array | None) -> int | None:
    """Count the variances at zero that make the larger model the smaller; None if none do.

    Blocks on the same levels and columns, whose levels have the same known covariance, are compared
    by their kinds. A structure, or a term of known covariance, that the smaller model does without
    counts as one variance at zero.
    """
    mine, theirs = _blocks(small), _blocks(large)
    for one in [block for block in mine if not block.is_free]:
        fits = [other for other in theirs if one.is_on(other) and one.lies_in(other)]
        if not fits:
            return None
        mine.remove(one)
        theirs.remove(fits[0])
    extra = [block for block in theirs if not block.is_free]
    rest = [block for block in theirs if block.is_free]
    if not mine and not rest:
        return len(extra)
    zeros = zero_directions(_free(mine), _free(rest), weights)
    return None if zeros is None else zeros + len(extra)


def _free(blocks: Sequence[_Block]) -> list[CovarianceBlock]:
    return [covariance_block(block.design, block.term, block.columns) for block in blocks]
