"""Rows of groups, block by block: from a frame, or from files larger than memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._caller import warn_caller
from ..chunks.levels import LevelTable
from ..chunks.rows import Sample
from ..design.frame import Frame, open_frame
from ..design.values import read_codes
from ..errors import DataError, RanefWarning
from ..models.batch.blocks import Progress
from .response_files import files_of, need_pyarrow, stamp_of
from .responses import MOST, is_dataset

__all__ = ["GroupRows", "Rows", "group_files", "group_frame", "is_files"]

Codes = NDArray[np.intp]
Columns = dict[str, "pd.Series[Any]"]

#: Rows of a block, unless one group alone has more.
BLOCK_ROWS = 1_000_000
#: Pieces of files that are held in case the next block needs them too.
HELD = 2


@dataclass(frozen=True)
class Rows:
    """Rows of consecutive groups.

    Attributes
    ----------
    columns : dict of str to series of length n
        The columns of the formula.
    codes : ndarray of shape (n,)
        The group of each row, counted from the first group of the block.
    """

    columns: Columns
    codes: Codes


@dataclass(frozen=True)
class GroupRows:
    """Groups, and how to get their rows.

    Attributes
    ----------
    labels : Index of length m
        The groups, sorted.
    bounds : list of int
        The groups ``bounds[i]`` to ``bounds[i + 1]`` are block i.
    read : callable
        Reads the rows of a block.
    missing : int
        Rows that belong to no group.
    stamp : callable
        Identifies the data by a short text.
    """

    labels: pd.Index[Any]
    bounds: list[int]
    read: Callable[[int], Rows]
    missing: int
    stamp: Callable[[], str]


def is_files(data: Any) -> bool:
    """Return whether data are files."""
    return isinstance(data, (str, os.PathLike)) or is_dataset(data)


def cut(sizes: NDArray[np.int64]) -> list[int]:
    """Cut groups into blocks that depend only on the groups' sizes."""
    bounds, rows = [0], 0
    for i, size in enumerate(sizes.tolist()):
        if i > bounds[-1] and (rows + size > BLOCK_ROWS or i - bounds[-1] >= MOST):
            bounds.append(i)
            rows = 0
        rows += size
    return [*bounds, len(sizes)]


def group_frame(
    columns: Columns,
    codes: Codes,
    labels: pd.Index[Any],
    stamp: Callable[[], str],
    *,
    in_blocks: bool,
) -> GroupRows:
    """Return groups of rows in memory; codes are -1 where a row has no group."""
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    missing = len(codes) - int(sizes.sum())
    if not in_blocks:
        return GroupRows(labels, [0, len(labels)], lambda _: Rows(columns, codes), missing, stamp)
    order = np.argsort(codes, kind="stable")[missing:]
    start = np.concatenate([[0], np.cumsum(sizes)])
    bounds = cut(sizes)

    def read(block: int) -> Rows:
        first, last = bounds[block], bounds[block + 1]
        rows = np.sort(order[start[first] : start[last]])
        taken = {name: column.iloc[rows] for name, column in columns.items()}
        return Rows(taken, codes[rows] - first)

    return GroupRows(labels, bounds, read, missing, stamp)


def group_files(
    data: Any, by: Sequence[str], wanted: Callable[[str], bool], sample: Sample, *, progress: bool
) -> GroupRows:
    """Find the groups in files, and the pieces of files in which each has rows.

    Parameters
    ----------
    data : path, pattern, folder or pyarrow dataset
        The files.
    by : sequence of str
        Columns that make the groups.
    wanted : callable
        Tells whether the formula may need a column.
    sample : Sample
        Shown rows until it has seen every level of the predictors.
    progress : bool
        Whether to show a bar.
    """
    pieces, schema, stamp = open_pieces(data)
    for name in by:
        if name not in schema.names:
            open_frame(schema.empty_table()).check(name)
    used = [name for name in schema.names if wanted(name) or name in by]
    check_columns(pieces, used)
    files = Pieces(pieces, schema, used, LevelTable(tuple(by)))
    found = files.find_groups(sample, Progress(len(pieces), "pieces of files", shown=progress))
    sizes, within, missing = found
    if not len(sizes):
        raise DataError(f"{', '.join(map(repr, by))} is missing in every row", by[0])
    bounds = cut(sizes)
    block_of = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    blocks: list[list[int]] = [[] for _ in bounds[1:]]
    for piece, groups in enumerate(within):
        for block in np.unique(block_of[groups]).tolist():
            blocks[block].append(piece)
    warn_scattered(sum(map(len, blocks)), len(pieces), len(blocks), by)

    def read(block: int) -> Rows:
        return files.rows(blocks[block], bounds[block], bounds[block + 1])

    return GroupRows(files.labels(), bounds, read, missing, lambda: stamp)


def warn_scattered(reads: int, pieces: int, blocks: int, by: Sequence[str]) -> None:
    """Warn when files are read many times over because groups are spread over them."""
    if reads > 2 * (pieces + blocks):
        names = ", ".join(by)
        warn_caller(
            RanefWarning(
                "groups are spread over the files, each piece of which is read "
                f"{reads / pieces:.0f} times; sort the data by {names} first, e.g. in DuckDB: "
                f"COPY (SELECT * FROM 'rows/*.parquet' ORDER BY {names}) TO 'sorted.parquet'"
            )
        )


def open_pieces(data: Any) -> tuple[list[Any], Any, str]:
    """Return the pieces (row groups) of files, their common schema, and a stamp."""
    need_pyarrow()
    from pyarrow import ArrowException, dataset

    source = data
    if isinstance(data, (str, os.PathLike)):
        files = files_of(os.fspath(data))
        try:
            source = dataset.dataset(files, format="parquet", partitioning="hive")
        except (OSError, ArrowException, ValueError) as error:
            raise DataError(f"{os.fspath(data)!r} cannot be read: {error}") from error
    pieces: list[Any] = []
    for fragment in source.get_fragments():
        try:
            split = getattr(fragment, "split_by_row_group", None)
            pieces += [fragment] if split is None else split()
        except (OSError, ArrowException) as error:
            raise DataError(f"{fragment.path!r} cannot be read as parquet: {error}") from error
    return pieces, source.schema, stamp_of(source.files, source.filesystem)


def check_columns(pieces: list[Any], used: list[str]) -> None:
    """Refuse a file that lacks a column; Arrow would take it for missing in every row."""
    from pyarrow.dataset import get_partition_keys

    for path, piece in {piece.path: piece for piece in pieces}.items():
        there = {*piece.physical_schema.names, *get_partition_keys(piece.partition_expression)}
        for name in used:
            if name not in there:
                raise DataError(f"{path!r} has no column {name!r}, which other files have", name)


class Pieces:
    """Pieces of files, read as they are needed.

    Parameters
    ----------
    pieces : list of pyarrow fragments
        The pieces.
    schema : pyarrow.Schema
        Their columns and types.
    used : list of str
        Columns to read.
    table : LevelTable
        The groups, filled by ``find_groups``.
    """

    def __init__(self, pieces: list[Any], schema: Any, used: list[str], table: LevelTable):
        self.pieces = pieces
        self.schema = schema
        self.used = used
        self.table = table
        self.held: dict[int, tuple[Any, Codes]] = {}

    def find_groups(
        self, sample: Sample, line: Progress
    ) -> tuple[NDArray[np.int64], list[Codes], int]:
        """Read the groups of every row: rows a group, groups a piece, rows without a group."""
        sizes = np.zeros(0, dtype=np.int64)
        within: list[Codes] = []
        missing = 0
        by = list(self.table.names)
        for i in range(len(self.pieces)):
            table = self.load(i, by if sample.is_complete else self.used)
            if not sample.is_complete and table.num_rows:
                sample.add(table)
            codes = self.codes(open_frame(table))
            known = codes[codes >= 0]
            missing += len(codes) - len(known)
            counts = np.bincount(known, minlength=self.table.n_levels)
            counts[: len(sizes)] += sizes
            sizes = counts
            within.append(np.unique(known))
            line.advance(1)
        line.close()
        if len(sizes) == 0:
            return sizes, within, missing
        rank = self.table.sort()[0]
        ordered = np.empty_like(sizes)
        ordered[rank] = sizes
        return ordered, [rank[groups].astype(np.intp) for groups in within], missing

    def labels(self) -> pd.Index[Any]:
        """Name the groups, in order."""
        values: list[pd.Index[Any]] = [levels[codes] for codes, levels in self.table.parts()]
        names = self.table.names
        if len(values) == 1:
            return values[0].rename(names[0])
        return pd.MultiIndex.from_arrays(values, names=list(names))

    def load(self, piece: int, columns: list[str]) -> Any:
        """Read some columns of a piece."""
        from pyarrow import ArrowException

        fragment = self.pieces[piece]
        try:
            return fragment.to_table(schema=self.schema, columns=columns)
        except (OSError, ArrowException, ValueError) as error:
            raise DataError(f"{fragment.path!r} cannot be read to its end: {error}") from error

    def codes(self, frame: Frame) -> Codes:
        """Return the group of each row, -1 where there is none."""
        names = self.table.names
        parts = [read_codes(frame.series(name), name) for name in names]
        inside = np.all([codes >= 0 for codes, _ in parts], axis=0)
        out = np.full(frame.n_rows, -1, dtype=np.intp)
        if inside.any():
            out[inside] = self.table.number([(codes[inside], levels) for codes, levels in parts])
        return out

    def rows(self, pieces: list[int], first: int, last: int) -> Rows:
        """Read the rows of the groups from first to last - 1."""
        from pyarrow import concat_tables

        tables, codes = [], []
        for piece in pieces:
            if piece not in self.held:
                while len(self.held) >= HELD:
                    self.held.pop(next(iter(self.held)))
                table = self.load(piece, self.used)
                self.held[piece] = table, self.codes(open_frame(table))
            table, of_rows = self.held[piece]
            chosen = np.flatnonzero((of_rows >= first) & (of_rows < last))
            tables.append(table.take(chosen))
            codes.append(of_rows[chosen] - first)
        frame = open_frame(concat_tables(tables))
        return Rows({name: frame.series(name) for name in self.used}, np.concatenate(codes))
