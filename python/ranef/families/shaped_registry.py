"""Families of several predictors by name."""

from __future__ import annotations

from .shaped import ShapedFamily
from .shaped_counts import COUNTS
from .shaped_measures import MEASURES

__all__ = ["SHAPED", "shaped_family"]

SHAPED = {family.name: family for family in (*COUNTS, *MEASURES)}


def shaped_family(name: str) -> ShapedFamily:
    """Look a family up.

    Raises
    ------
    ValueError
        For a name that is none, with those that are.
    """
    found = SHAPED.get(str(name).lower())
    if found is None:
        raise ValueError(f"family is one of {', '.join(SHAPED)}, not {name!r}")
    return found
