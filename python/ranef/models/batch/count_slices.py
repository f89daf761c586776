"""A generalised model on many slices of a design's rows: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ...design.design import Design
from .estimate import STATUSES, BatchEstimate, Settings
from .generalised import Terms, store

__all__ = ["fit_count_slices"]

#: What the kernel reports for each fit.
OF_KERNEL = (
    "outcome",
    "n_objective",
    "n_gradient",
    "separated",
    "objective",
    "dispersion",
    "dispersion_error",
    "smallest_sd",
    "decrement",
    "beta",
    "cov",
    "factors",
)


def fit_count_slices(
    design: Design, terms: Terms, start: NDArray[np.intp], out: BatchEstimate
) -> Callable[[NDArray[np.intp]], None]:
    """Return what fits slices ``start[i]:start[i + 1]`` of a design's rows and stores them."""
    settings = out.settings

    def fit(at: NDArray[np.intp]) -> None:
        workers = min(settings.workers, len(at))
        shares = [at[k::workers] for k in range(workers)]
        work = partial(some_slices, design, terms, start, settings)
        if workers == 1:
            found = [work(at)]
        else:
            with ThreadPoolExecutor(workers) as pool:
                found = list(pool.map(work, shares))
        for share, (fitted, rows, refused) in zip(shares, found, strict=True):
            sizes = start[share + 1] - start[share]
            if rows is not None:
                store(out, share[fitted], rows, sizes[fitted])
            out.n_obs[share[~fitted]] = sizes[~fitted]
            out.outcome[share[~fitted]] = refused

    return fit


def some_slices(
    design: Design,
    terms: Terms,
    start: NDArray[np.intp],
    settings: Settings,
    at: NDArray[np.intp],
) -> tuple[NDArray[np.bool_], Any, list[int]]:
    """Fit some slices on one thread: which were fitted, their rows, and the others' statuses."""
    fitted = np.zeros(len(at), dtype=bool)
    found: list[_core.GlmmBatchRows] = []
    refused: list[int] = []
    team = _core.Team(1)
    try:
        for k, i in enumerate(at.tolist()):
            rows = slice(int(start[i]), int(start[i + 1]))
            own = [compressed(term, rows) for term in terms]
            status = too_small(design, own, rows, settings)
            if status is not None:
                refused.append(STATUSES.index(status))
                continue
            fitted[k] = True
            found.append(one_slice(design, own, rows, settings, team))
    finally:
        team.close()
    return fitted, side_by_side(found) if found else None, refused


def compressed(term: tuple[NDArray[np.int32], int, list[int], list[int]], rows: slice) -> Any:
    """Take the rows of a slice, with the levels that occur there numbered again."""
    codes, _, columns, blocks = term
    levels, inverse = np.unique(codes[rows], return_inverse=True)
    return inverse.astype(np.int32), len(levels), columns, blocks


def too_small(design: Design, terms: Terms, rows: slice, settings: Settings) -> str | None:
    """Say why the rows of a slice do not support the model, by the rules of a single fit."""
    assert settings.spec is not None
    n, family = rows.stop - rows.start, settings.spec.distribution
    if len(design.fixed) >= n:
        return "too few rows"
    single = design.weights is None or not np.median(design.weights[rows]) > 1.0
    beside = family.has_dispersion or (family.has_trials and single)
    for _, n_levels, columns, _ in terms:
        if n_levels < 2:
            return "too few levels"
        if n_levels * len(columns) + beside > n:
            return "too few rows"
    return None


def one_slice(
    design: Design, terms: Terms, rows: slice, settings: Settings, team: _core.Team
) -> _core.GlmmBatchRows:
    """Fit the rows of a slice."""
    spec, n = settings.spec, rows.stop - rows.start
    assert spec is not None
    kernel = _core.GlmmBatch(
        n,
        [column[rows] for column in design.columns],
        list(design.fixed),
        terms,
        np.ones(n) if design.weights is None else design.weights[rows],
        np.zeros(n) if design.offset is None else design.offset[rows],
        spec.distribution.core,
        spec.link,
    )
    y = np.asarray(design.y[rows], dtype=np.float64).reshape(-1, 1, order="F")
    return kernel.fit(y, settings.control.max_steps, settings.control.tolerance, team)


def side_by_side(found: Sequence[_core.GlmmBatchRows]) -> Any:
    """Put the rows of several calls of the kernel together."""
    return SimpleNamespace(
        **{
            name: np.concatenate([getattr(rows, name) for rows in found], axis=-1)
            for name in OF_KERNEL
        }
    )
