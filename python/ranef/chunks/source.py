"""Sources of rows that are read chunk by chunk: files, datasets, queries, iterators."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DataError, UnsupportedError
from ..parallel.engines import frame_kind
from ..parallel.progress import open_bar
from .files import CHUNK_ROWS, dataset_chunks, open_files, pieces_of, steady_chunks
from .parts import add_parts, run_on_frame, run_on_pieces
from .query import add_collapsed, arrow_reader, quoted, repetition
from .summed import SummedDesign
from .sums import Sums

__all__ = ["is_source", "open_steadily", "read"]

Passes = Callable[[], Iterator[Any]]


def read(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
    executor: Any = None,
    progress: bool = True,
) -> SummedDesign:
    """Add up data that come in chunks, in one pass, or two to learn the predictors' levels.

    Parameters
    ----------
    formula : str
        The model.
    data : Sums, path, dataset, relation, lazy frame, iterator or list of frames, or a function
        Rows in chunks.
    weights, offset : str, optional
        Columns.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values.
    executor : Executor, callable, Client or module, optional
        Where chunks are added up.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    SummedDesign

    Raises
    ------
    UnsupportedError
        If weights or offset are arrays.
    DataError
        If rows are missing and may not be, or the sums are of another formula.
    """
    for name, value in (("weights", weights), ("offset", offset)):
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(f"{name} must be a column's name where data are read in chunks")
    if isinstance(data, Sums):
        if data.formula != formula:
            raise DataError(f"the cross products are of {data.formula!r}, not of {formula!r}")
        return data.design()
    sums = Sums(formula, weights=weights, offset=offset, contrasts=contrasts)
    with open_bar(None, "rows", shown=progress, scaled=True) as bar:
        add_source(sums, data, executor, bar.update)
    if missing == "raise" and sums.dropped:
        raise DataError(f"rows have missing values, by column: {sums.dropped}")
    return sums.design()


def is_source(data: Any) -> bool:
    """Return whether data are read in chunks, not held in memory."""
    if isinstance(data, (str, os.PathLike, Sums, list, tuple)) or callable(data):
        return True
    return kind_of(data) in READERS or isinstance(data, Iterator) or frame_kind(data) is not None


def add_source(sums: Sums, data: Any, executor: Any, progress: Callable[[int], object]) -> None:
    """Add all rows of a source to empty cross products."""
    if frame_kind(data) is not None:
        if executor is not None:
            raise ValueError(f"a {type(data).__name__} runs on its own engine; leave executor out")
        return add_parts(sums, run_on_frame(data, sums.asks_for), True, progress)
    if executor is not None:
        pieces, again = open_pieces(data, sums.asks_for)
        return add_parts(sums, run_on_pieces(executor, pieces), again, progress)
    if kind_of(data) == "duckdb.DuckDBPyRelation" and (found := repetition(sums, data)):
        return add_collapsed(sums, found, progress)
    passes, again = open_source(data, sums.asks_for)
    if again:
        sums.learn(passes)
    sums.add_all(passes(), progress)
    return None


def open_pieces(data: Any, asks_for: Callable[[str], bool]) -> tuple[Passes, bool]:
    """Return a function that starts a pass over pieces of work, and whether it can be called twice.

    Pieces of files are read where they are added up; anything else is read here.
    """
    if isinstance(data, (str, os.PathLike)):
        data = open_files(os.fspath(data))
    if hasattr(data, "get_fragments") and hasattr(data, "filesystem"):
        return lambda: pieces_of(data, asks_for), True
    return open_source(data, asks_for)


def open_steadily(data: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Return a function that starts a pass over the chunks, none of which is read ahead."""
    if isinstance(data, (str, os.PathLike)):
        data = open_files(os.fspath(data))
    if kind_of(data) == "pyarrow.Dataset":
        return steady_chunks(data, asks_for)
    return open_source(data, asks_for)[0]


def open_source(data: Any, asks_for: Callable[[str], bool]) -> tuple[Passes, bool]:
    """Return a function that starts a pass over the chunks, and whether it can be called twice."""
    if isinstance(data, (str, os.PathLike)):
        return dataset_chunks(open_files(os.fspath(data)), asks_for), True
    if callable(data):
        return lambda: iter(data()), True
    if isinstance(data, (list, tuple)):
        return lambda: iter(data), True
    if reader := READERS.get(kind_of(data)):
        return reader(data, asks_for), True
    return lambda: iter(data), False


def kind_of(data: Any) -> str:
    """Name a type by its package and name."""
    kind = type(data)
    for base in kind.__mro__:
        label = f"{base.__module__.split('.')[0].lstrip('_')}.{base.__name__}"
        if label in READERS:
            return label
    return f"{kind.__module__}.{kind.__qualname__}"


def relation_chunks(relation: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a DuckDB relation."""
    import pyarrow as pa

    names = [name for name in relation.columns if asks_for(name)]
    chosen = relation.project(", ".join(map(quoted, names)))

    def chunks() -> Iterator[Any]:
        for batch in arrow_reader(chosen):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])

    return chunks


def lazy_chunks(frame: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a polars LazyFrame, slice by slice."""
    names = [name for name in frame.collect_schema().names() if asks_for(name)]
    chosen = frame.select(names)

    def chunks() -> Iterator[Any]:
        start = 0
        while True:
            chunk = chosen.slice(start, CHUNK_ROWS).collect()
            if len(chunk):
                yield chunk
            if len(chunk) < CHUNK_ROWS:
                return
            start += CHUNK_ROWS

    return chunks


READERS: dict[str, Callable[[Any, Callable[[str], bool]], Passes]] = {
    "pyarrow.Dataset": dataset_chunks,
    "duckdb.DuckDBPyRelation": relation_chunks,
    "polars.LazyFrame": lazy_chunks,
}
