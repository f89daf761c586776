"""How many threads a run uses."""

from __future__ import annotations

import os

__all__ = ["worker_count"]


def worker_count(workers: int | None, default: int | None = None) -> int:
    """Return a number of threads: as requested, else the default, else one per core.

    Raises
    ------
    ValueError
        If it is not a positive integer.
    """
    if workers is None:
        return default or _cores()
    if workers != int(workers) or workers < 1:
        raise ValueError(f"workers must be a positive integer, not {workers!r}")
    return int(workers)


def _cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
