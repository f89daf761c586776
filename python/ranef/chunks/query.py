"""Rows of equal design merged inside DuckDB, so that only distinct rows leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .files import CHUNK_ROWS
from .sums import Collapsed, Sums

__all__ = ["add_collapsed", "arrow_reader", "quoted", "repetition"]

#: Types whose values repeat; columns of other types are not expected to.
REPEATING = ("VARCHAR", "ENUM", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT")
#: Distinct rows as a share of all, above which nothing is gained.
WORTH = 0.5
#: Distinct rows that are kept between two passes; where there are more, DuckDB groups twice.
HELD = 4_000_000


@dataclass(frozen=True)
class Repetition:
    """A relation whose rows repeat.

    Attributes
    ----------
    relation : DuckDBPyRelation
        The rows.
    design : list of str
        Columns of the design.
    y, weights : str, and str or None
        Columns of the response and the weights.
    total, distinct : int
        Approximate number of rows, and of distinct rows.
    centre : float
        Mean response.
    missing : dict of str to int
        Rows with a missing value, by column.
    """

    relation: Any
    design: list[str]
    y: str
    weights: str | None
    total: int
    distinct: int
    centre: float
    missing: dict[str, int]


def repetition(sums: Sums, relation: Any) -> Repetition | None:
    """Return whether a model's rows repeat: its columns are factors, and few are distinct."""
    if sums.plain_columns is None:
        return None
    y, weights = sums.plain_columns
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    design = [name for name in kinds if sums.asks_for(name) and name not in (y, weights)]
    if y not in kinds or not design or (weights is not None and weights not in kinds):
        return None
    if not all(kinds[name].startswith(REPEATING) for name in design):
        return None
    if kinds[y].startswith(("VARCHAR", "ENUM", "BOOLEAN")):
        return None
    found = described(relation, design, y, weights)
    return found if found.distinct < WORTH * found.total else None


def add_collapsed(sums: Sums, rows: Repetition, progress: Callable[[int], object]) -> None:
    """Add the rows of a relation, grouped by the columns of the design."""
    y, weights = rows.y, rows.weights
    value = f"(CAST({quoted(y)} AS DOUBLE) - {rows.centre!r})"
    w = "1" if weights is None else f"CAST({quoted(weights)} AS DOUBLE)"
    logs = "0" if weights is None else f"sum(ln({w}))"
    groups = ", ".join(map(quoted, rows.design))
    usable = " AND ".join(f"NOT {gap(name, name in (y, weights))}" for name in rows.missing)
    distinct = rows.relation.filter(usable).aggregate(
        f"{groups}, count(*) AS n__, sum({w}) AS w__, sum({w} * {value}) AS wy__, "
        f"sum({w} * {value} * {value}) AS wyy__, {logs} AS log__",
        groups,
    )
    held = list(arrow_reader(distinct)) if rows.distinct < HELD else None

    def chunks() -> Iterator[Collapsed]:
        for batch in arrow_reader(distinct) if held is None else held:
            if batch.num_rows:
                yield collapsed(batch, rows.design, y, weights, rows.centre)

    sums.learn(lambda: (chunk.frame for chunk in chunks()))
    for chunk in chunks():
        sums.add_collapsed(chunk)
        progress(int(chunk.counts.sum()))
    sums.count_dropped(rows.missing, rows.total - sums.n_read)


def described(relation: Any, design: list[str], y: str, weights: str | None) -> Repetition:
    """Count rows, distinct rows and gaps, and find the mean response."""
    numbers = [name for name in (y, weights) if name is not None]
    used = [*design, *numbers]
    gaps = [f"count(*) FILTER ({gap(name, name in numbers)})" for name in used]
    infinite = [f"count(*) FILTER (isinf(CAST({quoted(name)} AS DOUBLE)))" for name in numbers]
    low = "1" if weights is None else f"min({quoted(weights)})"
    mean = f"avg(CAST({quoted(y)} AS DOUBLE)) FILTER (isfinite(CAST({quoted(y)} AS DOUBLE)))"
    distinct = f"approx_count_distinct(row({', '.join(map(quoted, design))}))"
    asked = ", ".join(["count(*)", distinct, mean, low, *gaps, *infinite])
    total, n_distinct, centre, lowest, *counts = relation.aggregate(asked).fetchall()[0]
    for name, count in zip(numbers, counts[len(used) :], strict=True):
        if count:
            raise DataError(f"{name!r} is infinite in a row; drop or correct it", name)
    if lowest is not None and lowest <= 0:
        raise DataError("weights must be above zero", "weights")
    missing = dict(zip(used, counts[: len(used)], strict=True))
    return Repetition(relation, design, y, weights, total, n_distinct, centre or 0.0, missing)


def collapsed(
    batch: Any, design: list[str], y: str, weights: str | None, centre: float
) -> Collapsed:
    """Turn a batch of distinct rows into what cross products take."""
    import pyarrow as pa

    n, w, wy, wyy, log = (
        batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("n__", "w__", "wy__", "wyy__", "log__")
    )
    columns = {name: batch.column(name) for name in design}
    columns[y] = pa.array(centre + wy / w)
    if weights is not None:
        columns[weights] = pa.array(w)
    return Collapsed(pa.table(columns), w, n, log, np.maximum(wyy - wy * wy / w, 0.0))


def gap(name: str, is_number: bool) -> str:
    """Write in SQL whether a column is missing."""
    column = quoted(name)
    not_a_number = f" OR isnan(CAST({column} AS DOUBLE))" if is_number else ""
    return f"({column} IS NULL{not_a_number})"


def arrow_reader(relation: Any) -> Any:
    """Run a relation; return batches of its rows, by the method that this DuckDB has."""
    read = getattr(type(relation), "to_arrow_reader", None) or type(relation).fetch_arrow_reader
    return read(relation, CHUNK_ROWS)


def quoted(name: str) -> str:
    """Write a column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'
