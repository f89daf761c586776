"""Warnings of a fit: as errors, and those that every fit may have."""

from __future__ import annotations

from ..design import Design
from ..errors import DroppedRowsWarning, RanefWarning

__all__ = ["as_error"]


def as_error(found: tuple[RanefWarning, ...]) -> RanefWarning:
    """Give the first warning as an exception that carries the others as notes."""
    first, *others = found
    error = type(first)(*first.args)
    for other in others:
        error.add_note(f"{type(other).__name__}: {other}")
    return error


def dropped_rows(design: Design) -> list[RanefWarning]:
    """Say which rows were left out."""
    if not design.dropped:
        return []
    lost = design.n_data - design.n_obs
    where = ", ".join(f"{column} ({count})" for column, count in design.dropped.items())
    return [
        DroppedRowsWarning(
            f"{lost} of {design.n_data} rows are left out because values are missing in {where}"
        )
    ]
