"""Fitted values and residuals of rows that come in chunks, given or written chunk by chunk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ...chunks.source import open_source
from ...design.build import response_vector
from ...design.frame import open_frame, to_pandas
from ...design.reading import Reading, read_argument, read_factor
from ...errors import RanefError
from ...parallel.writing import whole_file

__all__ = ["augmented_chunks", "write_chunks"]


def augmented_chunks(model: Any, source: Any) -> Iterator[pd.DataFrame]:
    """Return the chunks of a source with fitted values and residuals."""
    passes, _ = open_source(source, lambda name: True)
    for chunk in passes():
        frame = to_pandas(chunk)
        yield frame.assign(**residuals(model, frame))


def residuals(model: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """Compute .fitted, .resid, .fixed, and .wtres under weights; NaN where a value is missing."""
    formula = model.parts.design.encoder.formula
    reading = Reading(open_frame(frame), evaluation=formula.evaluation)
    read_factor(formula.left, reading)
    y = response_vector(formula, reading.values[formula.left.expr], "numeric")
    fitted = model.predict(frame)
    out = {".fitted": fitted, ".resid": y - fitted, ".fixed": model.predict(frame, random="none")}
    if model.call.weights is not None:
        w = read_argument(model.call.weights, "weights", reading)
        assert w is not None
        out[".wtres"] = np.sqrt(w) * out[".resid"]
    return out


def write_chunks(chunks: Iterator[pd.DataFrame], path: Any) -> int:
    """Write chunks to a parquet file, which appears once complete; return the number of rows."""
    import pyarrow as pa
    from pyarrow import parquet

    rows, writer = 0, None
    try:
        with whole_file(path) as partial, contextlib.ExitStack() as stack:
            for chunk in chunks:
                table = pa.Table.from_pandas(chunk, preserve_index=False)
                if writer is None:
                    writer = stack.enter_context(parquet.ParquetWriter(partial, table.schema))
                writer.write_table(table.cast(writer.schema))
                rows += len(chunk)
    except pa.ArrowException as error:
        raise RanefError(f"{os.fspath(path)!r} cannot be written: {error}") from error
    return rows
