"""The frozen design: what every estimator of ranef starts from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import UnsupportedError
from .known.precision import KnownCovariance
from .method import EXACT, Method
from .structures.structure import Structure

if TYPE_CHECKING:
    from .smooths.fitted import FittedSmooth

__all__ = ["INTERCEPT", "NO_TRIALS", "Design", "RandomTerm", "Rows", "only_plain"]

#: The level of each row, and the weight of its membership where that is not one.
Rows = tuple[NDArray[np.int32], NDArray[np.float64] | None]

#: Ending of the reason why rows without trials are left out.
NO_TRIALS = ", no trials"

#: The reference of the constant column, which is never stored.
INTERCEPT = -1


@dataclass(frozen=True)
class RandomTerm:
    """One grouping factor and all columns whose coefficients vary over its levels.

    Formula terms with the same grouping factor are one term with several ``blocks``.

    Attributes
    ----------
    group : str
        The grouping factor as written, ``a:b`` for an interaction.
    codes : ndarray of shape (n,), int32
        The level of each row, 0 to n_levels - 1; every level occurs.
    levels : Index of length n_levels
        Labels of the levels; for an interaction ``"a1:b1"``.
    columns : tuple of int, length s
        References into ``Design.columns``; ``INTERCEPT`` for the constant.
    names : tuple of str, length s
        Names of the columns, "Intercept" for the constant.
    blocks : tuple of tuple of int
        A partition of range(s), in order: columns in one part are correlated, columns in
        different parts independent.
    places : ndarray of shape (n_levels,), int, or None
        Place of each level among all categories of the column, if some do not occur.
    known : KnownCovariance or None
        Covariance of the levels, up to scale; None if independent. It has levels that do not
        occur in the rows, too.
    structures : tuple of Structure or None
        What is known about the covariance of each block; empty if nothing is.
    smooth : FittedSmooth or None
        The smooth whose penalised part the term is.
    """

    group: str
    codes: NDArray[np.int32]
    levels: pd.Index[Any]
    columns: tuple[int, ...]
    names: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]
    places: NDArray[np.intp] | None = field(default=None, repr=False, compare=False)
    known: KnownCovariance | None = field(default=None, repr=False, compare=False)
    structures: tuple[Structure | None, ...] = field(default=(), repr=False, compare=False)

    @property
    def is_structured(self) -> bool:
        """Whether the covariance of a block has a structure."""
        return any(structure is not None for structure in self.structures)

    @property
    def block_structures(self) -> tuple[Structure | None, ...]:
        """Return the structure of each block; None where it is free."""
        return self.structures or (None,) * len(self.blocks)

    @property
    def cores(self) -> list[Any]:
        """The structures as the kernel takes them."""
        return [None if one is None else one.core for one in self.structures]

    @property
    def n_covariances(self) -> int:
        """Number of covariance parameters."""
        return sum(
            len(block) * (len(block) + 1) // 2 if structure is None else structure.n_parameters
            for block, structure in zip(self.blocks, self.block_structures, strict=True)
        )

    smooth: FittedSmooth | None = field(default=None, repr=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether levels are independent and each row has one."""
        return self.known is None

    @property
    def is_single(self) -> bool:
        """Whether each row has one level, known covariance or not."""
        return True

    @property
    def tells_levels_apart(self) -> bool:
        """Whether a known covariance distinguishes the effects from residual variation."""
        return self.known is not None and not self.known.is_diagonal

    @property
    def memberships(self) -> tuple[Rows, ...]:
        """Levels of the rows: one for each row, or one for each member."""
        return ((self.codes, None),)

    def effect(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lay out a value of each level by rows, shape (n,)."""
        return values[self.codes]

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw effects of variance one, columns independent, shape (n_levels, n_cols)."""
        if self.known is not None:
            return self.known.draw(rng, self.n_cols)
        return rng.standard_normal((self.n_levels, self.n_cols))

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Variance of each row's effect relative to its column's, shape (n,)."""
        return np.ones(len(self.codes)) if self.known is None else self.known.diagonal[self.codes]

    @property
    def is_curve(self) -> bool:
        """Whether it is a smooth that all groups share, not an effect of each group."""
        return self.smooth is not None and self.smooth.is_curve

    @property
    def written(self) -> str:
        """The term as in a formula, with only the first of many columns."""
        if self.smooth is not None:
            return self.smooth.smooth.text
        more = f" + ... ({self.n_cols:,} columns)" if self.n_cols > 8 else ""
        names = self.names if not more else self.names[:3]
        return f"({' + '.join(names)}{more} | {self.group})"

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.levels)

    @property
    def n_cols(self) -> int:
        """Number of columns, s."""
        return len(self.columns)

    def take(self, rows: NDArray[np.intp]) -> RandomTerm:
        """Take some rows, and the levels that occur there; all of a known covariance."""
        if self.known is not None:
            return replace(self, codes=self.codes[rows])
        used, codes = np.unique(self.codes[rows], return_inverse=True)
        places = None if self.places is None else self.places[used]
        return replace(self, codes=codes.astype(np.int32), levels=self.levels[used], places=places)


@dataclass(frozen=True)
class Design:
    """Response, model matrices and random-effects terms of one formula on one data set.

    Columns of X and of all random-effects terms are kept once, in ``columns``; X and the terms
    refer to them, so that ``y ~ x + (1 + x | g)`` stores x once and the constant never.

    Attributes
    ----------
    y : ndarray of shape (n,)
        Response, as the formula transforms it, offset not subtracted. Contiguous float64.
    columns : tuple of ndarray of shape (n,)
        The distinct numeric columns, contiguous float64.
    fixed : tuple of int, length p
        References of the columns of X into ``columns``; ``INTERCEPT`` for the constant.
    fixed_names : tuple of str, length p
        Names of the coefficients, "Intercept" for the constant.
    fixed_terms : tuple of (str, tuple of int)
        Each term of the fixed part and the positions of its columns in ``fixed``, in formula order.
    random : tuple of RandomTerm
        Random-effects terms in formula order.
    weights : ndarray of shape (n,) or None
        Precision weights, Var(e_i) = sigma^2 / w_i.
    offset : ndarray of shape (n,) or None
        Known part of the linear predictor: offset() terms and the argument, added up.
    response : str
        The left side of the formula as written.
    rows : ndarray of shape (n,) int, or None
        Positions in the caller's frame of the rows that were used; None when all were.
    n_data : int
        Rows in the caller's frame.
    index : Index of length n_data, or None
        The caller's row labels, when it was a pandas frame.
    dropped : mapping of str to int
        Column to number of rows that were left out because it is missing there.
    encoder : object
        Applies the formula, with the state it learned, to new rows (see ``design.encode``).
    owners : tuple
        The caller's columns that arrays here are views of. While they are held, pandas copies
        before it changes such a column, and the design stays as it is.
    method : Method
        How a linear mixed model of it is computed.
    """

    y: NDArray[np.float64]
    columns: tuple[NDArray[np.float64], ...]
    fixed: tuple[int, ...]
    fixed_names: tuple[str, ...]
    fixed_terms: tuple[tuple[str, tuple[int, ...]], ...]
    random: tuple[RandomTerm, ...]
    weights: NDArray[np.float64] | None
    offset: NDArray[np.float64] | None
    response: str
    rows: NDArray[np.intp] | None
    n_data: int
    index: pd.Index[Any] | None
    dropped: dict[str, int] = field(default_factory=dict)
    encoder: Any = None
    owners: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    method: Method = EXACT

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "owners": ()}

    def by(self, method: Method) -> Self:
        """Return the same design, computed by another method."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, method=method)  # with owners, which a copy would drop
        return other

    @property
    def n_obs(self) -> int:
        """Number of rows used, n."""
        return len(self.y)

    @property
    def bars(self) -> tuple[RandomTerm, ...]:
        """Terms that are not part of a smooth; they come first."""
        return tuple(term for term in self.random if term.smooth is None)

    def without_smooths(self) -> Design:
        """Leave the smooth terms out of what is known about the random effects."""
        count = len(self.bars)
        if count == len(self.random):
            return self
        encoder = replace(
            self.encoder,
            random=self.encoder.random[:count],
            groupings=self.encoder.groupings[:count],
        )
        return replace(self, random=self.random[:count], encoder=encoder)

    @property
    def grouped(self) -> tuple[RandomTerm, ...]:
        """Terms whose effects belong to levels of a factor: all but curves."""
        return tuple(term for term in self.random if not term.is_curve)

    @property
    def structures(self) -> tuple[tuple[Structure | None, ...], ...]:
        """What is known about the covariance of each term's blocks."""
        return tuple(term.structures for term in self.random)

    @property
    def X(self) -> NDArray[np.float64]:
        """Build the fixed-effects matrix, shape (n, p), Fortran order."""
        return assemble(self.columns, self.fixed, self.n_obs)

    def z(self, term: RandomTerm) -> NDArray[np.float64]:
        """Build the columns of a random-effects term, shape (n, s), Fortran order."""
        return assemble(self.columns, term.columns, self.n_obs)

    @property
    def lost(self) -> str:
        """State how many rows were left out, and why."""
        trials = {n: count for n, count in self.dropped.items() if n.endswith(NO_TRIALS)}
        gaps = [f"{n} ({count})" for n, count in self.dropped.items() if n not in trials]
        why = [f"values are missing in {', '.join(gaps)}"] if gaps else []
        why += [f"{n.removesuffix(NO_TRIALS)} has no trials ({c})" for n, c in trials.items()]
        count = self.n_data - self.n_obs
        verb = "was" if count == 1 else "were"
        return f"{count} of {self.n_data} rows {verb} dropped because {' and '.join(why)}"

    def take(self, rows: NDArray[np.intp], random: tuple[RandomTerm, ...] | None = None) -> Design:
        """Take some rows, in the order given.

        Parameters
        ----------
        rows : ndarray of shape (m,) int
            Positions among the rows used; a row may be taken several times.
        random : tuple of RandomTerm, optional
            The terms on those rows. By default the same ones with the levels that occur there.
        """
        if random is None:
            random = tuple(term.take(rows) for term in self.random)
        in_data = np.arange(self.n_data) if self.rows is None else self.rows
        return replace(
            self,
            y=np.ascontiguousarray(self.y[rows]),
            columns=tuple(np.ascontiguousarray(column[rows]) for column in self.columns),
            random=random,
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            rows=in_data[rows],
        )


def only_plain(design: Design, what: str, instead: str = "") -> None:
    """Raise unless levels are independent and each row has one.

    Raises
    ------
    UnsupportedError
        If a term has a known covariance, or several members per row.
    """
    for term in design.random:
        if not term.is_plain:
            why = "several levels a row" if term.known is None else "levels of known covariance"
            raise UnsupportedError(
                f"{what} is not available with {term.written}, which has {why}"
                + (f"; {instead}" if instead else "")
            )


def assemble(
    columns: tuple[NDArray[np.float64], ...], references: tuple[int, ...], n: int
) -> NDArray[np.float64]:
    """Lay referenced columns side by side, shape (n, len(references)), Fortran order."""
    out = np.empty((n, len(references)), order="F")
    for j, reference in enumerate(references):
        out[:, j] = 1.0 if reference == INTERCEPT else columns[reference]
    return out
