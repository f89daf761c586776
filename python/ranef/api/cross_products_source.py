"""Sources of rows that are read chunk by chunk: files, datasets, queries, iterators."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DataError, UnsupportedError
from .cross_products import CrossProducts
from .fitted import Call
from .mixed_model import LinearMixedModel

__all__ = ["fit_source", "is_source"]

#: Rows of a chunk, where the source lets us choose.
CHUNK_ROWS = 131_072

#: How far pyarrow reads ahead: enough to keep it busy.
AHEAD = {"batch_readahead": 2, "fragment_readahead": 1}

Passes = Callable[[], Iterator[Any]]


def is_source(data: Any) -> bool:
    """Tell whether data are read in chunks, not held in memory."""
    if isinstance(data, (str, os.PathLike, CrossProducts, list, tuple)) or callable(data):
        return True
    return kind_of(data) in READERS or isinstance(data, Iterator)


def fit_source(call: Call, data: Any) -> LinearMixedModel:
    """Fit a call whose data come in chunks, in one pass, or two to learn the predictors' levels."""
    for name, value in (("weights", call.weights), ("offset", call.offset)):
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(f"{name} must be a column's name where data are read in chunks")
    if isinstance(data, CrossProducts):
        if data.formula != call.formula:
            raise DataError(f"the cross products are of {data.formula!r}, not of {call.formula!r}")
        return data.fit(reml=call.reml, control=call.control)
    sums = CrossProducts(
        call.formula, weights=call.weights, offset=call.offset, contrasts=call.contrasts
    )
    passes, again = open_source(data, sums.asks_for)
    if again:
        sums.learn(passes)
    sums.add_all(passes(), lambda rows: None)
    if call.missing == "raise" and sums.dropped:
        raise DataError(f"rows have missing values, by column: {sums.dropped}")
    return sums.fit(reml=call.reml, control=call.control)


def open_source(data: Any, asks_for: Callable[[str], bool]) -> tuple[Passes, bool]:
    """Give a function that starts a pass over the chunks, and whether it can be called twice."""
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


def open_files(path: str) -> Any:
    """Open a file, a folder or a pattern of files as a dataset."""
    try:
        from pyarrow import dataset
    except ImportError:
        raise ImportError("reading files needs pyarrow: pip install 'ranef[data]'") from None
    files: Any = path
    if not os.path.exists(path):
        files = sorted(glob.glob(path, recursive=True))
        if not files:
            raise DataError(f"there is no file {path!r}")
    last = path if isinstance(files, str) else files[0]
    suffix = os.path.splitext(last)[1].lstrip(".").lower()
    kind = suffix if suffix in ("csv", "feather", "arrow") else "parquet"
    try:
        return dataset.dataset(files, format=kind)
    except (OSError, ValueError) as error:
        raise DataError(f"{path!r} cannot be read: {error}") from error


def dataset_chunks(dataset: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a pyarrow dataset."""
    import pyarrow as pa

    names = [name for name in dataset.schema.names if asks_for(name)]
    options = scan_options(dataset)

    def chunks() -> Iterator[Any]:
        try:
            for batch in dataset.to_batches(columns=names, batch_size=CHUNK_ROWS, **options):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"the data cannot be read to the end: {error}") from error

    return chunks


def scan_options(dataset: Any) -> dict[str, Any]:
    """Say how a pyarrow dataset is read in little memory."""
    from pyarrow import fs
    from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

    options: dict[str, Any] = dict(AHEAD)
    of_parquet = isinstance(getattr(dataset, "format", None), ParquetFileFormat)
    if of_parquet and isinstance(dataset.filesystem, fs.LocalFileSystem):
        # What is buffered for a file stays until its last row.
        options["fragment_scan_options"] = ParquetFragmentScanOptions(pre_buffer=False)
    return options


def relation_chunks(relation: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a DuckDB relation."""
    import pyarrow as pa

    names = [name for name in relation.columns if asks_for(name)]
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)

    def chunks() -> Iterator[Any]:
        for batch in relation.project(quoted).fetch_arrow_reader(CHUNK_ROWS):
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
