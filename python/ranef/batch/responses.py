"""Responses of a batch: matrices, columns, files of columns, iterators of blocks."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._counted import counted
from ..design.aligned import check_rows, side_by_side
from ..design.frame import Frame, did_you_mean, open_frame
from ..design.width import number_hint
from ..errors import DataError
from .response_files import ColumnFiles, open_columns

__all__ = ["Block", "Responses", "in_memory", "open_responses"]

Matrix = NDArray[np.floating[Any]]

#: Bytes of a block of responses, and the fewest and most responses in a block.
BLOCK_BYTES = 64_000_000
FEWEST, MOST = 16, 8192


@dataclass(frozen=True)
class Block:
    """Some of the responses.

    Attributes
    ----------
    names : Index of length k
        Their names.
    load : callable
        Reads them, shape (n_data, k).
    """

    names: pd.Index[Any]
    load: Callable[[], Matrix]


@dataclass(frozen=True)
class Responses:
    """Responses that are read block by block.

    Attributes
    ----------
    names : Index of length m, or None
        All names; None where an iterator supplies them.
    blocks : callable
        Starts a pass over the blocks, which are the same in every pass.
    one : callable or None
        Returns the response at a position; None where blocks come only once.
    stamp : str or None
        Shows whether files are the same as before; None where a block's values have to show it.
    """

    names: pd.Index[Any] | None
    blocks: Callable[[], Iterator[Block]]
    one: Callable[[int], Matrix] | None
    stamp: str | None = None


def block_size(n_rows: int) -> int:
    """Count the responses of a block; it must not depend on speed, so that a run can go on."""
    return int(np.clip(BLOCK_BYTES // (8 * max(n_rows, 1)), FEWEST, MOST))


def open_responses(responses: Any, frame: Frame) -> Responses | None:
    """Open responses that are not in memory; None when they are."""
    if isinstance(responses, str) and responses in frame.names:
        return None
    if isinstance(responses, (str, os.PathLike)):
        path = os.fspath(responses)
        if not (os.path.exists(path) or glob.glob(path, recursive=True)):
            raise DataError(
                f"responses={path!r} is neither a file nor a column of the data"
                f"{did_you_mean(path, frame.names)}",
                path,
            )
        return of_files(open_columns(path, frame.names), frame.n_rows)
    if is_dataset(responses):
        return of_files(open_columns(responses, frame.names), frame.n_rows)
    if (found := sparse_columns(responses)) is not None:
        names, matrix = found
        if matrix.shape[0] != frame.n_rows:
            raise DataError(
                f"responses has {counted(matrix.shape[0], 'row')} and the data have "
                f"{frame.n_rows}; pass a value for each row of the data, responses as columns"
            )
        return sliced(names, frame.n_rows, lambda at: dense_columns(matrix, at), None)
    if isinstance(responses, Iterator) or callable(responses):
        start = responses if callable(responses) else lambda: responses
        return Responses(None, lambda: iterated(start(), frame), None)
    return None


def sparse_columns(responses: Any) -> tuple[pd.Index[Any], Any] | None:
    """Return names and columns of a sparse matrix, or of an AnnData's; None for anything else.

    Nothing is made dense, and neither scipy.sparse nor anndata is imported.
    """
    names = None
    if hasattr(responses, "var_names") and hasattr(responses, "X"):
        names, responses = pd.Index(responses.var_names), responses.X
        if not hasattr(responses, "tocsc"):
            return names, np.asarray(responses)
    if not hasattr(responses, "tocsc") or isinstance(responses, pd.DataFrame):
        return None
    matrix = responses.tocsc()
    if matrix.shape[1] == 0:
        raise DataError("responses has no columns")
    if np.dtype(matrix.dtype).kind not in "fiub":
        raise DataError(f"responses must be numbers, not {matrix.dtype}")
    return pd.RangeIndex(matrix.shape[1]) if names is None else names, matrix


def dense_columns(matrix: Any, at: slice) -> Matrix:
    """Make some columns dense."""
    found = matrix[:, at]
    dense = found.toarray(order="F") if hasattr(found, "toarray") else found
    return np.asarray(dense, dtype=np.float64)


def is_dataset(data: Any) -> bool:
    """Return whether something is a pyarrow dataset, without importing pyarrow."""
    return any(
        base.__name__ == "Dataset" and base.__module__.startswith("pyarrow")
        for base in type(data).__mro__
    )


def in_memory(names: pd.Index[Any], Y: Matrix) -> Responses:
    """Return the columns of a matrix in blocks."""
    return sliced(names, len(Y), lambda at: Y[:, at], None)


def of_files(files: ColumnFiles, n_rows: int) -> Responses:
    """Return the columns of files in blocks."""
    if files.n_rows != n_rows:
        raise DataError(
            f"{files.label} has {counted(files.n_rows, 'row')} and the data have {n_rows}; pass a "
            "value for each row of the data, responses as columns"
        )
    names = pd.Index(files.names)
    return sliced(names, n_rows, lambda at: files.read(files.names[at]), files.stamp)


def sliced(
    names: pd.Index[Any], n_rows: int, take: Callable[[slice], Matrix], stamp: str | None
) -> Responses:
    """Cut columns into blocks whose size depends only on the number of rows."""
    size = block_size(n_rows)

    def blocks() -> Iterator[Block]:
        for first in range(0, len(names), size):
            at = slice(first, min(first + size, len(names)))
            yield Block(names[at], lambda at=at: take(at))  # type: ignore[misc]

    return Responses(names, blocks, lambda i: take(slice(i, i + 1))[:, 0], stamp)


def iterated(blocks: Any, frame: Frame) -> Iterator[Block]:
    """Read the blocks of an iterator: frames, matrices, or mappings of names to columns."""
    seen: set[Any] = set()
    count = 0
    for number, block in enumerate(blocks, 1):
        try:
            names, Y = read_responses(block, frame)
        except DataError as error:
            raise DataError(f"block {number} of the responses: {error}", error.column) from None
        if isinstance(block, np.ndarray):
            names = pd.RangeIndex(count, count + len(names))
        if twice := next((name for name in names if name in seen), None):
            raise DataError(f"block {number} of the responses has {twice!r} a second time", twice)
        seen.update(names)
        count += len(names)
        yield Block(names, lambda Y=Y: Y)  # type: ignore[misc]


def digest(Y: Matrix) -> str:
    """Identify values by a short text."""
    return hashlib.sha256(np.ascontiguousarray(Y).view(np.uint8).data).hexdigest()[:32]


def read_responses(responses: Any, frame: Frame) -> tuple[pd.Index[Any], Matrix]:
    """Return names of responses in memory and their matrix, shape (n_data, m)."""
    if isinstance(responses, str):
        responses = [responses]
    if isinstance(responses, Sequence) and all(isinstance(name, str) for name in responses):
        return columns_of_data(responses, frame)
    responses = side_by_side(responses, "responses")
    if isinstance(responses, pd.Series):
        responses = responses.to_frame()
    if not hasattr(responses, "shape") and not isinstance(responses, Mapping):
        responses = np.asarray(responses)
    if isinstance(responses, np.ndarray):
        Y, names = responses, None
    else:
        table = open_frame(responses)
        names = pd.Index(table.names)
        if not len(names):
            raise DataError("responses has no columns")
        check_rows(responses, "responses", frame.index, frame.n_rows)
        Y = np.column_stack([floats(table.series(n), n) for n in table.names])
    if Y.ndim == 1 and len(Y) == frame.n_rows:
        Y = Y[:, None]
    if Y.ndim != 2:
        raise DataError(
            f"responses has {Y.ndim} dimension(s); pass a matrix with a row for each row of the "
            "data and a column for each response"
        )
    if len(Y) != frame.n_rows:
        turned = " (its transpose has as many)" if Y.shape[1] == frame.n_rows else ""
        raise DataError(
            f"responses has {counted(len(Y), 'row')} and the data have {frame.n_rows}{turned}; "
            "give a value for each row of the data"
        )
    if Y.shape[1] == 0:
        raise DataError("responses has no columns")
    if Y.dtype.kind not in "fiub":
        raise DataError(f"responses must be numbers, not {Y.dtype}")
    Y = Y if Y.dtype.kind == "f" else Y.astype(np.float64)
    return pd.RangeIndex(Y.shape[1]) if names is None else names, Y


def columns_of_data(names: Sequence[str], frame: Frame) -> tuple[pd.Index[Any], Matrix]:
    """Return columns of the data as responses."""
    if not names:
        raise DataError("responses is empty; name at least one column")
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise DataError(f"responses names {twice!r} more than once", twice)
    columns = [frame.series(name) for name in names]
    return pd.Index(names), np.column_stack([floats(c, str(c.name)) for c in columns])


def floats(series: pd.Series[Any], name: str) -> NDArray[np.float64]:
    """Return a response's values, NaN where missing."""
    if series.dtype.kind in "mM":
        raise DataError(f"response {name!r} contains {series.dtype}, not numbers", name)
    try:
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        hint = number_hint(pd.Index(series.dropna().unique()).astype(str), name)
        raise DataError(
            f"response {name!r} cannot be read as numbers: {hint or error}", name
        ) from None
