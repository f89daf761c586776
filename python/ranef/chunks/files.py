"""Parquet, CSV and Feather files, read chunk by chunk or in pieces."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DataError
from .csv import TEXT_KINDS, csv_format

__all__ = ["CHUNK_ROWS", "dataset_chunks", "open_files", "pieces_of", "steady_chunks"]

#: Rows of a chunk, where the source lets us choose.
CHUNK_ROWS = 131_072
#: Fewest rows of a piece that a worker takes.
PIECE_ROWS = 2_000_000
#: How far pyarrow reads ahead: enough to keep it busy.
AHEAD = {"batch_readahead": 2, "fragment_readahead": 1}

#: Endings of compressed files, and of table formats that are not read here.
PACKED = ("gz", "bz2", "xz", "zip", "zst", "7z")
UNREADABLE = ("xls", "xlsx", "ods", "sav", "dta", "sas7bdat", "rds", "rdata", "json", "h5")

Passes = Callable[[], Iterator[Any]]


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
    try:
        return dataset.dataset(files, format=format_of(first_file(files)))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path!r} cannot be read: {reason}") from error


def first_file(files: str | list[str]) -> str:
    """Find the file that shows how all are written."""
    if not isinstance(files, str):
        return files[0]
    if not os.path.isdir(files):
        return files
    inside = (
        os.path.join(folder, name)
        for folder, _, names in sorted(os.walk(files))
        for name in sorted(names)
        if not name.startswith((".", "_"))
    )
    return next(inside, files)


def format_of(path: str) -> Any:
    """Tell the format of a file from its name, and how it is written from its first lines."""
    endings = os.path.basename(path).lower().split(".")[1:]
    packed = endings[-1:] if endings and endings[-1] in PACKED else []
    kind = (endings[-2:-1] if packed else endings[-1:]) or ["parquet"]
    if packed and (kind[0] not in TEXT_KINDS or packed[0] not in ("gz", "bz2")):
        raise DataError(
            f"{path!r} is compressed; decompress it first (CSV files may be .csv.gz or .csv.bz2)"
        )
    if kind[0] in TEXT_KINDS:
        return csv_format(path)
    if kind[0] in UNREADABLE:
        raise DataError(
            f"{path!r} cannot be read by its name; read it with pandas, or write it as parquet"
        )
    return kind[0] if kind[0] in ("feather", "arrow") else "parquet"


def dataset_chunks(dataset: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a pyarrow dataset."""
    import pyarrow as pa

    names = [name for name in dataset.schema.names if asks_for(name)]
    options = scan_options(dataset)

    def chunks() -> Iterator[Any]:
        check_files(dataset, names)
        try:
            for batch in dataset.to_batches(columns=names, batch_size=CHUNK_ROWS, **options):
                if batch.num_rows:
                    yield pa.Table.from_batches([batch])
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{broken_file(dataset, names)} cannot be read to the end: {error}"
            ) from error

    return chunks


def steady_chunks(dataset: Any, asks_for: Callable[[str], bool]) -> Passes:
    """Read a parquet dataset one row group at a time, for rows that are slow to add.

    A scan of a whole dataset reads ahead of a slow reader, by up to a gigabyte.
    """
    import pyarrow as pa
    from pyarrow.dataset import ParquetFileFormat

    if not isinstance(getattr(dataset, "format", None), ParquetFileFormat):
        return dataset_chunks(dataset, asks_for)
    names = [name for name in dataset.schema.names if asks_for(name)]

    def chunks() -> Iterator[Any]:
        check_files(dataset, names)
        for piece in row_groups(dataset, True):
            try:
                table = piece.to_table(schema=dataset.schema, columns=names, use_threads=False)
            except (OSError, pa.ArrowInvalid) as error:
                raise DataError(f"{piece.path!r} cannot be read to the end: {error}") from error
            yield table

    return chunks


def check_files(dataset: Any, names: list[str]) -> None:
    """Refuse files that lack a column or hold a type of values other than the dataset's."""
    from pyarrow.dataset import get_partition_keys
    from pyarrow.types import is_null

    for fragment in dataset.get_fragments() if hasattr(dataset, "files") else ():
        try:
            own = fragment.physical_schema
        except (OSError, ValueError) as error:
            raise DataError(f"{fragment.path!r} cannot be read: {error}") from error
        given = get_partition_keys(fragment.partition_expression)
        for name in (n for n in names if n not in given):
            if name not in own.names:
                raise DataError(f"{fragment.path!r} has no column {name!r}; other files have", name)
            found, expected = own.field(name).type, dataset.schema.field(name).type
            if not is_null(found) and kind_of_type(found) != kind_of_type(expected):
                raise DataError(
                    f"{fragment.path!r} has {found} in column {name!r}, and other files have "
                    f"{expected}; convert it to one type",
                    name,
                )


def kind_of_type(kind: Any) -> str:
    """Tell numbers, texts and truth values apart; anything else by its own name."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    return str(kind)


def broken_file(dataset: Any, names: list[str]) -> str:
    """Find the file that cannot be read to the end."""
    import pyarrow as pa

    for fragment in dataset.get_fragments() if hasattr(dataset, "files") else ():
        try:
            for _ in fragment.to_batches(schema=dataset.schema, columns=names):
                pass
        except (OSError, pa.ArrowInvalid):
            return repr(fragment.path)
    return "a file of the data"


def scan_options(dataset: Any) -> dict[str, Any]:
    """Describe how a pyarrow dataset is read in little memory."""
    from pyarrow import fs
    from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

    options: dict[str, Any] = dict(AHEAD)
    of_parquet = isinstance(getattr(dataset, "format", None), ParquetFileFormat)
    if of_parquet and isinstance(dataset.filesystem, fs.LocalFileSystem):
        # What is buffered for a file is kept until its last row.
        options["fragment_scan_options"] = ParquetFragmentScanOptions(pre_buffer=False)
    return options


def pieces_of(dataset: Any, asks_for: Callable[[str], bool]) -> Iterator[Any]:
    """Return a dataset's row groups in pieces of some million rows, each a dataset that pickles."""
    from pyarrow.dataset import FileSystemDataset, ParquetFileFormat

    check_files(dataset, [name for name in dataset.schema.names if asks_for(name)])
    fields = [field for field in dataset.schema if asks_for(field.name)]
    schema = dataset.schema.empty_table().select([f.name for f in fields]).schema
    gathered: list[Any] = []
    rows = 0
    for fragment in row_groups(dataset, isinstance(dataset.format, ParquetFileFormat)):
        gathered.append(fragment)
        rows += fragment.count_rows()
        if rows >= PIECE_ROWS:
            yield FileSystemDataset(gathered, schema, dataset.format, dataset.filesystem)
            gathered, rows = [], 0
    if gathered:
        yield FileSystemDataset(gathered, schema, dataset.format, dataset.filesystem)


def row_groups(dataset: Any, of_parquet: bool) -> Iterator[Any]:
    """Return the row groups of parquet files, or whole files of another kind."""
    for fragment in dataset.get_fragments():
        if of_parquet:
            yield from fragment.split_by_row_group()
        else:
            yield fragment
