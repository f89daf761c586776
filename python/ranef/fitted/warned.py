"""Warnings of a fit: issued at the caller's line, or raised as errors."""

from __future__ import annotations

from .._caller import warn_caller
from ..design import Design
from ..design.width import numbers_as_text
from ..errors import DroppedRowsWarning, RanefWarning

__all__ = ["as_error", "dropped_rows", "tell"]


def tell(found: tuple[RanefWarning, ...], *, strict: bool = False) -> None:
    """Issue the warnings of a fit at the line outside ranef that asked for it.

    Raises
    ------
    RanefWarning
        The first of them, if ``strict``.
    """
    if strict and found:
        raise as_error(found)
    for warning in found:
        warn_caller(warning)


def as_error(found: tuple[RanefWarning, ...]) -> RanefWarning:
    """Turn the first warning into an exception that carries the others as notes."""
    first, *others = found
    error = type(first)(*first.args)
    for other in others:
        error.add_note(f"{type(other).__name__}: {other}")
    return error


def dropped_rows(design: Design) -> list[RanefWarning]:
    """State which rows were left out, and which predictors are text that reads as numbers."""
    texts = [RanefWarning(note) for note in numbers_as_text(design)]
    if not design.dropped:
        return texts
    return [*texts, DroppedRowsWarning(design.lost)]
