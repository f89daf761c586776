"""Files whose columns are responses: one file, several with other columns, or with more rows."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._counted import counted
from ..errors import DataError

__all__ = ["ColumnFiles", "files_of", "need_pyarrow", "open_columns", "stamp_of"]

#: Name that pandas writes row labels under.
INDEX = "__index_level_"


@dataclass(frozen=True)
class ColumnFiles:
    """Columns of numbers in files.

    Attributes
    ----------
    label : str
        What messages call the files.
    names : list of str, length m
        The columns, those of the design left out.
    n_rows : int
        Rows of each column.
    read : callable
        Returns the columns of some names, shape (n_rows, k).
    stamp : str or None
        Identifies the files, so that changed ones are noticed.
    """

    label: str
    names: list[str]
    n_rows: int
    read: Callable[[Sequence[str]], NDArray[np.float64]]
    stamp: str | None


def need_pyarrow() -> None:
    """State which extra brings pyarrow."""
    try:
        import pyarrow.dataset  # noqa: F401
    except ImportError:
        raise ImportError("parquet needs pyarrow: pip install 'ranef[data]'") from None


def files_of(path: str) -> list[str]:
    """Return the parquet files of a path, a folder or a pattern, sorted by name."""
    if os.path.isdir(path):
        files = sorted(glob.glob(os.path.join(path, "**", "*.parquet"), recursive=True))
    else:
        files = [path] if os.path.exists(path) else sorted(glob.glob(path, recursive=True))
    if not files:
        raise DataError(f"there is no parquet file {path!r}")
    return files


def stamp_of(files: Iterable[str], filesystem: Any = None) -> str:
    """Sum up names, sizes and times of files."""
    from pyarrow import fs

    filesystem = filesystem or fs.LocalFileSystem()
    told = [
        f"{info.base_name} {info.size} {info.mtime_ns}"
        for info in filesystem.get_file_info(list(files))
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def open_columns(source: Any, design: Iterable[Any]) -> ColumnFiles:
    """Open a path, pattern or dataset whose columns are responses; ``design``'s columns are not."""
    need_pyarrow()
    left_out = {name for name in design if isinstance(name, str)}
    if isinstance(source, str):
        return open_parquet(source, left_out)
    return open_dataset(source, left_out)


def open_dataset(source: Any, left_out: set[str]) -> ColumnFiles:
    """Open a pyarrow dataset."""
    from pyarrow import ArrowException

    def read(chosen: Sequence[str]) -> NDArray[np.float64]:
        try:
            return numbers(source.to_table(columns=list(chosen)), "the dataset")
        except (OSError, ArrowException) as error:
            raise DataError(f"the dataset of responses cannot be read: {error}") from error

    files = getattr(source, "files", None)
    try:
        n_rows = source.count_rows()
    except (OSError, ArrowException) as error:
        raise DataError(f"the dataset of responses cannot be read: {error}") from error
    names = responses_in(source.schema, left_out, "the dataset")
    stamp = stamp_of(files, source.filesystem) if files else None
    return ColumnFiles("the dataset", names, n_rows, read, stamp)


@lru_cache(maxsize=4)
def open_file(file: str) -> Any:
    """Open a parquet file; few are kept, since the footer of a wide one is large."""
    from pyarrow import ArrowException, parquet

    try:
        return parquet.ParquetFile(file)
    except (OSError, ArrowException) as error:
        raise DataError(f"{file!r} cannot be read as parquet: {error}") from error


def open_parquet(path: str, left_out: set[str]) -> ColumnFiles:
    """Open parquet files that hold different columns each, or successive rows of the same."""
    open_file.cache_clear()
    files = files_of(path)
    names, rows = [], []
    for file in files:
        opened = open_file(file)
        names.append(responses_in(opened.schema_arrow, left_out, repr(file)))
        rows.append(opened.metadata.num_rows)
    label = repr(path) if len(files) > 1 else repr(files[0])
    if len(files) > 1 and all(found == names[0] for found in names):
        return ColumnFiles(
            label,
            names[0],
            sum(rows),
            lambda chosen: np.concatenate([read_file(file, chosen) for file in files]),
            stamp_of(files),
        )
    owner: dict[str, int] = {}
    for i, found in enumerate(names):
        for name in found:
            if name in owner:
                raise DataError(
                    f"{files[owner[name]]!r} and {files[i]!r} both have a column {name!r}, and not "
                    "all columns are the same; files must contain either different responses, or "
                    "more rows of the same ones",
                    name,
                )
            owner[name] = i
        if rows[i] != rows[0]:
            raise DataError(
                f"{files[0]!r} has {counted(rows[0], 'row')} and {files[i]!r} has {rows[i]}"
            )

    def read(chosen: Sequence[str]) -> NDArray[np.float64]:
        places = dict.fromkeys(owner[name] for name in chosen)
        wanted = [(files[i], [name for name in chosen if owner[name] == i]) for i in places]
        parts = [read_file(file, columns) for file, columns in wanted]
        return parts[0] if len(parts) == 1 else np.asfortranarray(np.hstack(parts))

    return ColumnFiles(label, list(owner), rows[0], read, stamp_of(files))


def read_file(file: str, columns: Sequence[str]) -> NDArray[np.float64]:
    """Read some columns of a parquet file."""
    from pyarrow import ArrowException

    try:
        table = open_file(file).read(columns=list(columns))
    except (OSError, ArrowException) as error:
        raise DataError(f"{file!r} cannot be read to its end: {error}") from error
    return numbers(table.select(columns), repr(file))


def responses_in(schema: Any, left_out: set[str], label: str) -> list[str]:
    """Return the columns that are responses; refuse those that are not numeric."""
    from pyarrow import types

    names: dict[str, None] = {}
    for field in schema:
        if field.name in left_out or field.name.startswith(INDEX):
            continue
        if not any(
            is_kind(field.type)
            for is_kind in (
                types.is_floating,
                types.is_integer,
                types.is_boolean,
                types.is_decimal,
                types.is_null,
            )
        ):
            raise DataError(
                f"column {field.name!r} of {label} contains {field.type}, not numbers; "
                "responses are all columns that do not have the name of a column of the data",
                field.name,
            )
        if field.name in names:
            raise DataError(f"{label} has two columns {field.name!r}; rename one", field.name)
        names[field.name] = None
    if not names:
        raise DataError(f"{label} has no column besides those of the data")
    return list(names)


def numbers(table: Any, label: str) -> NDArray[np.float64]:
    """Turn an Arrow table into a matrix in Fortran order, NaN where a value is missing."""
    import pyarrow as pa

    float64 = pa.float64()
    out = np.empty((table.num_rows, table.num_columns), order="F")
    for j, name in enumerate(table.column_names):
        column = table.column(j)
        try:
            out[:, j] = (column if column.type == float64 else column.cast(float64)).to_numpy()
        except pa.ArrowException as error:
            raise DataError(f"column {name!r} of {label} cannot be read: {error}", name) from error
    return out
