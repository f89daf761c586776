"""Cross products of rows in chunks: all that a fit needs, in bounded memory."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .. import _core
from .._typing import Array
from ..design.design import Design, RandomTerm
from ..design.groups import Grouping
from ..design.random import CrossedTerm, bars_by_group, check_levels
from ..errors import DataError, UnsupportedError
from ..formula import FactorKind, parse
from .curves import check_smooths, same_curves
from .levels import LevelTable
from .places import check_occasions
from .rows import ChunkRows, Sample, learn, read_chunk
from .summed import SummedDesign

__all__ = ["Collapsed", "Sums"]


@dataclass(frozen=True)
class Staged:
    """The rows of a frame, ready to be added up.

    Attributes
    ----------
    rows : ChunkRows
        Usable rows.
    tables : list of LevelTable
        The levels of each term once these rows are added.
    terms : list of (codes, n_levels)
        Level of each row by term; meaningless if no row is usable.
    """

    rows: ChunkRows
    tables: list[LevelTable]
    terms: list[tuple[Any, int]]


@dataclass(frozen=True)
class Collapsed:
    """Rows merged where their design is equal.

    Attributes
    ----------
    frame : DataFrame
        The distinct rows, none missing; the response is the weighted mean of those it stands for.
    weights, counts, sum_log_w, squares : ndarray of shape (m,)
        Sum of weights (the number of rows where there are none), number of rows, sum of the
        logarithms of their weights, and weighted squares of the response around its mean.
    """

    frame: Any
    weights: Array
    counts: Array
    sum_log_w: Array
    squares: Array


class Sums:
    """Cross products of the rows so far, their levels, and how to read more rows."""

    def __init__(
        self,
        formula: str,
        schema: Any = None,
        *,
        weights: str | None = None,
        offset: str | None = None,
        contrasts: Mapping[str, Any] | None = None,
    ):
        self.formula = formula
        self._parsed = parse(formula)
        check_smooths(self._parsed)
        self.weights = weights
        self.offset = offset
        self.contrasts = contrasts
        self._levels: Mapping[str, Iterable[Any]] = {}
        self._design: Design | None = None
        self._tables = [LevelTable(bars[0].factors) for bars in bars_by_group(self._parsed)]
        self._sums: _core.Accumulator | None = None
        self._lent = False
        self._dropped: Counter[str] = Counter()
        self.n_read = 0
        self._alone = threading.RLock()
        if isinstance(schema, Mapping):
            self._levels = schema
        elif schema is not None:
            self.learn(lambda: iter([schema]))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_alone"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._alone = threading.RLock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.n_obs:,} rows for {self.formula!r}>"

    @property
    def n_obs(self) -> int:
        """Rows added, those with missing values left out."""
        return 0 if self._sums is None else self._sums.n_obs

    @property
    def dropped(self) -> dict[str, int]:
        """Rows dropped because values are missing, by column."""
        return {name: count for name, count in self._dropped.items() if count}

    @property
    def plain_columns(self) -> tuple[str, str | None] | None:
        """Names of the response and the weights, None unless only untransformed columns enter."""
        terms = [*self._parsed.terms, *(term for bar in self._parsed.random for term in bar.terms)]
        factors = [factor for term in terms for factor in term.factors]
        plain = all(f.kind is FactorKind.NAME for f in [self._parsed.left, *factors])
        if not plain or self._parsed.smooths or self._parsed.offsets or self.offset is not None:
            return None
        return self._parsed.left.expr, self.weights

    def asks_for(self, name: str) -> bool:
        """Report whether the formula, the weights or the offset may use a column."""
        return name in self._parsed.text or name in (self.weights, self.offset)

    def learn(self, passes: Callable[[], Iterator[Any]]) -> Self:
        """Learn the levels of categorical predictors, from all chunks where there are any.

        Parameters
        ----------
        passes : callable
            Starts a pass over the chunks; nothing is added up.

        Returns
        -------
        Sums
            This object.
        """
        with self._alone:
            if self._design is not None:
                raise ValueError("the levels are known already; learn comes before add")
            sample = self.sample(passes())
            self._take(learn(sample, self._levels, self.weights, self.offset, self.contrasts))
        return self

    def sample(self, chunks: Iterable[Any]) -> Sample:
        """Take rows that include all levels of the categorical predictors."""
        sample = Sample(self._parsed, self.weights, self.offset)
        for chunk in chunks:
            sample.add(chunk)
            if sample.is_complete:
                break
        return sample

    def _take(self, design: Design) -> None:
        """Begin with a design and no rows."""
        layout = [
            (list(t.columns), [b for b, block in enumerate(t.blocks) for _ in block])
            for t in design.random
        ]
        as_is = [term.is_structured for term in design.random]
        self._sums = _core.Accumulator(list(design.fixed), layout, as_is)
        self._design = design

    def add(self, chunk: Any) -> Self:
        """Add the rows of a frame.

        Parameters
        ----------
        chunk : DataFrame
            Rows with the columns of the formula.

        Returns
        -------
        Sums
            This object.

        Raises
        ------
        DataError
            If a column is not there or has another type than before, or a categorical predictor has
            a level that is not known. Nothing of the chunk is added in that case.
        """
        with self._alone:
            staged = self._stage(chunk)
            self._sum(staged)
            self._count(staged)
        return self

    def add_collapsed(self, chunk: Collapsed) -> Self:
        """Add rows of which those of equal design were made one.

        Parameters
        ----------
        chunk : Collapsed
            The distinct rows with the mean response of each, and what that leaves out.

        Returns
        -------
        Sums
            This object, as if the single rows had been added.
        """
        with self._alone:
            staged = self._stage(chunk.frame)
            weights = np.ascontiguousarray(chunk.weights, dtype=np.float64)
            staged = replace(staged, rows=replace(staged.rows, weights=weights))
            self._sum(staged)
            self._count(staged)
            if len(weights):
                more = int(chunk.counts.sum()) - len(weights)
                self._own().add_within(
                    more,
                    float(chunk.sum_log_w.sum() - np.log(weights).sum()),
                    float(chunk.squares.sum()),
                )
                self.n_read += more
        return self

    def count_dropped(self, dropped: Mapping[str, int], n_read: int) -> None:
        """Count rows that were dropped before this point."""
        self._dropped.update(dropped)
        self.n_read += n_read

    def add_all(self, chunks: Iterable[Any], progress: Callable[[int], object]) -> Self:
        """Add the rows of many frames, the next one read while one is added up.

        Parameters
        ----------
        chunks : iterable of DataFrame
            Frames; all before one that does not fit are added, that one is not.
        progress : callable
            Called with the number of rows of each frame.

        Returns
        -------
        Sums
            This object, the same to the last bit as by :meth:`add`.
        """
        with self._alone, ThreadPoolExecutor(1) as pool:
            adding: Future[None] | None = None
            for chunk in chunks:
                staged = self._stage(chunk)
                if adding is not None:
                    adding.result()
                self._count(staged)
                adding = pool.submit(self._sum, staged)
                progress(staged.rows.n_read)
            if adding is not None:
                adding.result()
        return self

    def _stage(self, chunk: Any) -> Staged:
        """Read the usable rows of a frame and number their levels; nothing changes."""
        if self._design is None:
            self._check_known()
            self.learn(lambda: iter([chunk]))
        assert self._design is not None
        rows = read_chunk(self._design, chunk, self.weights, self.offset)
        tables = [table.copy() for table in self._tables]
        terms = []
        for table in tables if len(rows.y) else []:
            codes = table.number([rows.groups[name] for name in table.names])
            terms.append((codes, table.n_levels))
        if len(rows.y):
            terms += [(np.zeros(len(rows.y), dtype=np.int32), 1)] * self._n_smooths
        return Staged(rows, tables, terms)

    def _check_known(self) -> None:
        """Refuse rows added before smooths have placed their knots."""
        if self._parsed.smooths:
            raise UnsupportedError(
                f"{self._parsed.smooths[0].text} learns its knots from all rows before any is "
                "added up: give a path, a list of frames, or a function that starts an iterator, "
                "which can be read twice; or call learn() with such a function first"
            )

    @property
    def _n_smooths(self) -> int:
        """Number of smooth terms, one for each level of a factor ``by``."""
        return 0 if self._design is None else len(self._design.encoder.smooths)

    def _sum(self, staged: Staged) -> None:
        """Add up the products of staged rows."""
        rows = staged.rows
        if len(rows.y):
            self._own().add(rows.y, rows.columns, staged.terms, rows.weights)

    def _count(self, staged: Staged) -> None:
        """Take over the levels of staged rows, and count the rows."""
        self._tables = staged.tables
        self._dropped.update(staged.rows.dropped)
        self.n_read += staged.rows.n_read

    def _own(self) -> _core.Accumulator:
        """Return the sums, copied first if a fitted model holds them."""
        assert self._sums is not None
        if self._lent:
            self._sums = copy.deepcopy(self._sums)
            self._lent = False
        return self._sums

    def __add__(self, other: Sums) -> Self:
        if not isinstance(other, Sums):
            return NotImplemented
        out = copy.deepcopy(self)
        out += other
        return out

    def __iadd__(self, other: Sums) -> Self:
        if not isinstance(other, Sums):
            return NotImplemented
        if self.formula != other.formula:
            raise DataError(
                f"cross products of {self.formula!r} and of {other.formula!r} do not add up"
            )
        theirs = copy.deepcopy(other)
        with self._alone:
            if self._design is None:
                self.__setstate__(theirs.__getstate__())
            elif theirs._design is not None:
                self._merge(theirs)
        return self

    def _merge(self, other: Sums) -> None:
        """Add the sums of another object, which are used up."""
        assert self._design is not None
        assert other._design is not None
        assert other._sums is not None
        check_same(self._design, other._design)
        tables = [table.copy() for table in self._tables]
        if other.n_obs:
            numbers = [
                table.number(theirs.parts())
                for table, theirs in zip(tables, other._tables, strict=True)
            ]
            other._sums.renumber(*self._with_smooths(numbers, tables))
            self._own().merge(other._sums)
        self._tables = tables
        self._dropped.update(other._dropped)
        self.n_read += other.n_read

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        with self._alone:
            out = copy.copy(self)
            out.__dict__.update(
                _sums=copy.deepcopy(self._sums, memo),
                _lent=False,
                _tables=[table.copy() for table in self._tables],
                _dropped=self._dropped.copy(),
            )
        return out

    def _with_smooths(
        self, numbers: Sequence[Any], tables: Sequence[LevelTable]
    ) -> tuple[list[list[int]], list[int]]:
        """Return new numbers of levels by term, and how many there are; smooths have one."""
        n = self._n_smooths
        levels = [table.n_levels for table in tables]
        return [*(number.tolist() for number in numbers), *[[0]] * n], [*levels, *[1] * n]

    def design(self) -> SummedDesign:
        """Return a design without rows: the sums so far and the levels seen.

        Raises
        ------
        DataError
            If no rows were added.
        """
        if self._design is None or self.n_obs == 0:
            raise DataError("no rows were added")
        with self._alone:
            return self._summed()

    def _summed(self) -> SummedDesign:
        design, sums = self._design, self._own()
        assert design is not None
        sorted_ = [table.sort() for table in self._tables]
        sums.renumber(*self._with_smooths([number for number, _ in sorted_], self._tables))
        self._lent = True
        groupings = tuple(grouping for _, grouping in sorted_)
        for bars, grouping in zip(bars_by_group(self._parsed), groupings, strict=True):
            if not all(bar.structure for bar in bars):
                check_levels(bars[0], grouping)
        groupings = (*groupings, *design.encoder.groupings[len(groupings) :])
        out = SummedDesign(
            y=np.empty(0),
            columns=(),
            fixed=design.fixed,
            fixed_names=design.fixed_names,
            fixed_terms=design.fixed_terms,
            random=tuple(map(sorted_term, design.random, groupings)),
            weights=None if self.weights is None else np.empty(0),
            offset=None if self.offset is None else np.empty(0),
            response=design.response,
            rows=None,
            n_data=self.n_read,
            index=None,
            dropped=self.dropped,
            encoder=replace(design.encoder, groupings=groupings),
            n_rows=self.n_obs,
            sums=sums,
        )
        check_occasions(out)
        return out


def sorted_term(term: RandomTerm, grouping: Grouping) -> RandomTerm:
    """Return a term with the levels of a grouping factor and no rows."""
    if term.smooth is not None:
        return replace(term, codes=np.empty(0, dtype=np.int32))
    kind = CrossedTerm if grouping.crossings else RandomTerm
    levels: Any = grouping if grouping.crossings else grouping.levels
    codes = np.empty(0, dtype=np.int32)
    left = (term.columns, term.names, term.blocks)
    return kind(term.group, codes, levels, *left, structures=term.structures)


def check_same(design: Design, other: Design) -> None:
    """Refuse designs whose columns mean different things."""
    if design.fixed_names != other.fixed_names:
        lacking = set(design.fixed_names) ^ set(other.fixed_names)
        raise DataError(
            f"the two were learned with different levels ({', '.join(sorted(lacking))}); give both "
            "the same schema"
        )
    for mine, their in zip(design.encoder.smooths, other.encoder.smooths, strict=True):
        if not same_curves(mine, their):
            raise DataError(
                f"the two learned {mine.label} from different rows, so that their columns mean "
                "different things; call learn() once, and let each part begin with a copy",
                mine.label,
            )
    for expr, factor in design.encoder.factors.items():
        theirs = other.encoder.factors[expr]
        if factor.levels is not None and not factor.levels.equals(theirs.levels):
            raise DataError(
                f"the two know different levels of {expr!r}; give both the same schema", expr
            )
