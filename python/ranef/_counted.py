"""Counts in words."""

from __future__ import annotations

from typing import SupportsIndex

__all__ = ["counted"]


def counted(n: SupportsIndex, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun: ``1 row``, ``2 rows``.

    Parameters
    ----------
    n : int
        The number.
    noun : str
        What is counted, of one; a verb may follow it.
    plural : str, optional
        The same of several; by default the noun with an s.

    Examples
    --------
    >>> counted(1, "row"), counted(0, "row"), counted(3, "category", "categories")
    ('1 row', '0 rows', '3 categories')
    >>> counted(1, "row has", "rows have")
    '1 row has'
    """
    number = n.__index__()
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
