"""Rows of a structured model in the order of units, groups and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._typing import Array, Codes
from ...design.structured import StructuredDesign

__all__ = ["TIMED", "Layout", "lay_out"]


#: Those that need places in time.
TIMED = ("ar1", "car1", "toeplitz", "unstructured")
#: Those that number the distinct times.
INDEXED = ("toeplitz", "unstructured")


@dataclass(frozen=True)
class Layout:
    """Rows in the order of units, groups and time.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Position in the design of each sorted row.
    start : ndarray of shape (units + 1,), int32
        First sorted row of each unit.
    cluster : ndarray of shape (n,), int32
        Group of each sorted row.
    place : ndarray of shape (n,)
        Where it stands in the correlation: 0; time since the group's first row in units of
        ``unit``; or the number of its time.
    n_places, largest : int
        Distinct times; rows of the largest group.
    unit : float
        Time that one step of ``place`` takes.
    """

    order: NDArray[np.intp]
    start: Codes
    cluster: Codes
    place: Array
    n_places: int
    largest: int
    unit: float


def lay_out(rows: StructuredDesign, corr: str) -> Layout:
    """Sort rows by unit, group, and time or stratum."""
    n = rows.design.n_obs
    stratum = np.zeros(n) if rows.strata is None else rows.strata.codes
    within = np.zeros(n) if rows.time is None else rows.time
    order = np.lexsort((stratum, within, rows.cluster, rows.unit))
    unit, cluster = rows.unit[order], rows.cluster[order]
    start = np.append(np.flatnonzero(np.diff(unit, prepend=-1)), n).astype(np.int32)
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    counts = np.diff(np.append(first, n))
    place, step, n_places = np.zeros(n), 1.0, 1
    if corr in TIMED:
        since = np.repeat(first, counts)
        if rows.time is None:
            place = (np.arange(n) - since).astype(float)
            n_places = int(counts.max())
        elif corr in INDEXED:
            times, number = np.unique(rows.time[order], return_inverse=True)
            place, n_places = number.astype(float), len(times)
        else:
            time = rows.time[order]
            place = time - time[since]
            gaps = np.diff(time)[np.diff(cluster) == 0]
            if corr == "car1" and len(gaps):
                step = float(np.median(gaps))
            elif corr == "ar1" and len(gaps):
                step = _common_step(gaps)
            place = place / step
    return Layout(order, start, cluster, place, n_places, int(counts.max()), step)


def _common_step(gaps: Array) -> float:
    """Largest whole number of which all distances are multiples; 1 where they are not whole."""
    whole = np.round(gaps)
    if not np.allclose(whole, gaps, rtol=0.0, atol=1e-6) or whole.max() > 2.0**53:
        return 1.0
    return float(max(1, np.gcd.reduce(whole.astype(np.int64))))
