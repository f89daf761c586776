"""Compact letters: means that share one do not differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["letters"]

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letters(differ: NDArray[np.bool_], order: Sequence[int]) -> list[str]:
    """Return the letters of k means, such that two share a letter where they do not differ.

    Parameters
    ----------
    differ : ndarray of shape (k, k), bool
        Which pairs differ.
    order : sequence of int
        Positions of the means from the lowest on; the first has the letter a.

    Notes
    -----
    By insertion and absorption [1]_: a set of all means is split at each pair that differs, and a
    set within another is left out.

    References
    ----------
    .. [1] Piepho (2004), J. Comput. Graph. Stat. 13(2), 456-466.
    """
    k = len(differ)
    sets = [frozenset(range(k))]
    for i in range(k):
        for j in range(i + 1, k):
            if not differ[i, j]:
                continue
            split: list[frozenset[int]] = []
            for one in sets:
                split += [one - {i}, one - {j}] if {i, j} <= one else [one]
            unique = dict.fromkeys(split)
            sets = [one for one in unique if not any(one < other for other in unique)]
    place = {mean: rank for rank, mean in enumerate(order)}
    sets.sort(key=lambda one: sorted(place[mean] for mean in one))
    if len(sets) > len(ALPHABET):
        raise ValueError(f"the means need more than {len(ALPHABET)} letters; use pairs()")
    return [
        "".join(letter for letter, one in zip(ALPHABET, sets, strict=False) if mean in one)
        for mean in range(k)
    ]
