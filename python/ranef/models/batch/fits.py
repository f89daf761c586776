"""One design and many responses, or one formula on many slices of rows: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design, only_plain
from ..lmm import too_many_effects
from ..spanned import levels_of_slices, spanned_terms
from .blocks import Progress, run_blocks
from .count_slices import fit_count_slices
from .estimate import MISSING, NOT_RUN, TOO_FEW, BatchEstimate, Settings, empty_estimate
from .generalised import fit_counts, generalised_core
from .kinship import ROTATED, Kinship, KinshipRows, is_kinship

__all__ = ["Core", "fit_responses", "fit_slices", "patterns", "shared_core"]

Terms = list[tuple[NDArray[np.int32], int, list[int], list[int]]]


def kernel_terms(design: Design, keep: NDArray[np.bool_] | None = None) -> Terms:
    """Lay out random-effects terms as the kernel takes them, on all rows or some."""
    only_plain(design, "a batch of fits", "fit one response at a time by ranef.lmer")
    terms: Terms = []
    for term in design.random:
        codes, n_levels = term.codes, term.n_levels
        if keep is not None:
            used, inverse = np.unique(codes[keep], return_inverse=True)
            codes, n_levels = inverse.astype(np.int32), len(used)
        blocks = [b for b, block in enumerate(term.blocks) for _ in block]
        terms.append((codes, n_levels, list(term.columns), blocks))
    return terms


@dataclass(frozen=True)
class Pattern:
    """Responses that have values in the same rows.

    Attributes
    ----------
    rows : ndarray of shape (n,), bool, or None
        The rows; None for all.
    members : ndarray of int
        The responses.
    """

    rows: NDArray[np.bool_] | None
    members: NDArray[np.intp]

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """Restrict rows of an array."""
        return array if self.rows is None else np.ascontiguousarray(array[self.rows])

    def design(self, design: Design) -> Design:
        """Restrict the rows of a design."""
        return design if self.rows is None else design.take(np.flatnonzero(self.rows))


def patterns(
    Y: NDArray[np.floating[Any]], W: NDArray[np.floating[Any]] | None = None
) -> list[Pattern]:
    """Group columns of Y (n, m) by where they, or their weights, are missing; complete ones first.

    A sum other than NaN shows that a column has no gap; only the others are examined row by row.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        total = Y.sum(axis=0) if W is None else Y.sum(axis=0) + W.sum(axis=0)
    some = np.flatnonzero(np.isnan(total))
    missing = np.isnan(Y[:, some])
    if W is not None:
        missing |= np.isnan(W[:, some])
    found = missing.any(axis=0)
    some, missing = some[found], missing[:, found]
    gaps = np.zeros(Y.shape[1], dtype=bool)
    gaps[some] = True
    out = []
    if not gaps.all():
        out.append(Pattern(None, np.flatnonzero(~gaps)))
    if len(some) == 0:
        return out
    packed = np.ascontiguousarray(np.packbits(missing, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, inverse = np.unique(keys, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    for columns in np.split(order, np.cumsum(np.bincount(inverse))[:-1]):
        out.append(Pattern(~missing[:, columns[0]], some[columns]))
    return out


def response_block(
    Y: NDArray[np.floating[Any]], at: NDArray[np.intp], design: Design, pattern: Pattern
) -> Array:
    """Take responses ``at`` on the pattern's rows, minus the offset, in Fortran order."""
    consecutive = at[-1] - at[0] + 1 == len(at)
    chosen = Y[:, at[0] : at[-1] + 1] if consecutive else Y[:, at]
    block = np.asarray(pattern.of(chosen), dtype=np.float64, order="F")
    if design.offset is not None:
        block = np.asfortranarray(block - pattern.of(design.offset)[:, None])
    return block


def fit_responses(
    design: Design,
    Y: NDArray[np.floating[Any]],
    settings: Settings,
    *,
    W: NDArray[np.floating[Any]] | None = None,
    progress: Progress,
    out: BatchEstimate | None = None,
    complete: Core | None = None,
) -> BatchEstimate:
    """Fit every column of ``Y`` on one design; missing values group the columns by pattern.

    Parameters
    ----------
    design : Design
        Everything but the response.
    Y : ndarray of shape (n, m)
        Responses; NaN where missing.
    settings : Settings
        How to fit.
    W : ndarray of shape (n, m), optional
        Precision weights of each response, in place of the design's.
    progress : Progress
        Called with every block, and marked when the run was interrupted.
    out : BatchEstimate, optional
        Results of an earlier run, to go on with: fits that have been made stay as they are.
    complete : callable, optional
        The kernel of the whole design, kept from one call to the next by ``shared_core``.

    Returns
    -------
    BatchEstimate
        A row for each response, including fits that failed.
    """
    out = out or empty_estimate(Y.shape[1], design, settings)
    with progress.interruptible():
        for pattern in patterns(Y, W):
            members = pattern.members[out.outcome[pattern.members] == NOT_RUN]
            if len(members) == 0:
                continue
            if (refused := refusal(design, pattern)) is not None:
                out.outcome[members] = refused
                progress.advance(len(members))
                continue
            team = progress.team(settings.workers)
            if settings.spec is not None:
                fit_members(members, counts_fit(design, Y, pattern, team, out), out, progress)
            elif W is None:
                core = complete if complete and pattern.rows is None else None
                fit = shared_fit(design, Y, pattern, settings, team, core)
                least = ROTATED if is_kinship(design) else 1
                store_blocks(members, fit, out, progress, least=least)
            else:
                fit = weighted_fit(design, Y, W, pattern, settings, team)
                store_blocks(members, fit, out, progress)
            if spanned_terms(pattern.design(design)):
                out.unidentified(members)
    out.blank()
    return out


def refusal(design: Design, pattern: Pattern) -> int | None:
    """Return what rules out every fit on the rows of a pattern; None if nothing does.

    The kernel counts the levels and columns of free terms itself.
    """
    if pattern.rows is None:
        return None
    if not pattern.rows.any():
        return MISSING
    if any(term.is_structured for term in design.random) and too_many_effects(
        pattern.design(design)
    ):
        return TOO_FEW
    return None


BlockFit = Callable[[NDArray[np.intp]], "_core.BatchRows | KinshipRows"]
#: Which of some fits have a variance that the likelihood does not depend on.
Flat = Callable[[NDArray[np.intp]], NDArray[np.bool_]]
Core = Callable[[], "_core.Batch | Kinship"]


def fit_members(
    members: NDArray[np.intp],
    fit: Callable[[NDArray[np.intp]], None],
    out: BatchEstimate,
    progress: Progress,
    flat: Flat | None = None,
    least: int = 1,
) -> None:
    """Call what fits and stores some of a batch, block by block; the first has one fit a thread."""

    def work(start: int, stop: int) -> None:
        at = members[start:stop]
        fit(at)
        if flat is not None:
            out.unidentified(at[flat(at)])

    run_blocks(len(members), work, progress, first=out.settings.workers, least=least)


def store_blocks(
    members: NDArray[np.intp],
    fit: BlockFit,
    out: BatchEstimate,
    progress: Progress,
    flat: Flat | None = None,
    least: int = 1,
) -> None:
    """Fit some of a batch, block by block, and store the kernel's rows."""
    fit_members(members, lambda at: out.store(at, fit(at)), out, progress, flat, least)


def counts_fit(
    design: Design,
    Y: NDArray[np.floating[Any]],
    pattern: Pattern,
    team: _core.Team,
    out: BatchEstimate,
) -> Callable[[NDArray[np.intp]], None]:
    """Return what fits and stores responses of a generalised model."""
    settings, own, rows = out.settings, design, pattern.rows
    assert settings.spec is not None
    if rows is not None:
        own = design.take(np.flatnonzero(rows))
    core = generalised_core(own, settings.spec, kernel_terms(own))
    return fit_counts(core, Y, rows, settings, team, out)


def make_core(design: Design, pattern: Pattern) -> _core.Batch | Kinship:
    """Make the cross products of a design on the rows of a pattern, or their substitute."""
    if is_kinship(design):
        return Kinship(pattern.design(design))
    weights = None if design.weights is None else pattern.of(design.weights)
    columns = [pattern.of(column) for column in design.columns]
    n = design.n_obs if pattern.rows is None else int(pattern.rows.sum())
    terms = kernel_terms(design, pattern.rows)
    return _core.Batch(n, columns, list(design.fixed), terms, weights, structures(design))


def structures(design: Design) -> list[list[Any]]:
    """Structures of each term, as the kernel takes them."""
    return [term.cores for term in design.random]


def shared_core(design: Design) -> Core:
    """Return a function that makes the whole kernel when first called, and keeps it."""
    return cache(lambda: make_core(design, Pattern(None, np.arange(0))))


def shared_fit(
    design: Design,
    Y: NDArray[np.floating[Any]],
    pattern: Pattern,
    settings: Settings,
    team: _core.Team,
    core: Core | None = None,
) -> BlockFit:
    """Fit responses whose weights are the design's."""
    kernel = core() if core else make_core(design, pattern)
    if isinstance(kernel, Kinship):
        return lambda at: kernel.fit(response_block(Y, at, design, pattern), reml=settings.reml)
    kernel_settings = settings.to_kernel(len(design.fixed))
    return lambda at: kernel.fit(response_block(Y, at, design, pattern), kernel_settings, team)


def weighted_fit(
    design: Design,
    Y: NDArray[np.floating[Any]],
    W: NDArray[np.floating[Any]],
    pattern: Pattern,
    settings: Settings,
    team: _core.Team,
) -> BlockFit:
    """Fit responses that have their own weights."""
    columns = [pattern.of(column) for column in design.columns]
    terms = kernel_terms(design, pattern.rows)
    kernel_settings = settings.to_kernel(len(design.fixed))
    return lambda at: _core.fit_weighted(
        response_block(Y, at, design, pattern),
        np.array(pattern.of(W[:, at]), dtype=np.float64, order="F"),
        columns,
        list(design.fixed),
        terms,
        kernel_settings,
        team,
        structures(design),
    )


def fit_slices(
    design: Design,
    start: Sequence[int],
    settings: Settings,
    *,
    members: NDArray[np.bool_] | None = None,
    progress: Progress,
    out: BatchEstimate | None = None,
) -> BatchEstimate:
    """Fit the design on slices ``start[i]:start[i + 1]`` of its rows, those of ``members`` only.

    ``out`` holds the results of an earlier run, whose fits stay as they are.
    """
    out = out or empty_estimate(len(start) - 1, design, settings)
    wanted = out.outcome == NOT_RUN
    chosen = np.flatnonzero(wanted if members is None else wanted & members)
    design, bounds = only_slices(design, np.asarray(start), chosen)
    flat = partial(_flat_slices, design, bounds)
    with progress.interruptible():
        if settings.spec is None:
            fit = linear_slices(design, bounds, out, progress)
            store_blocks(chosen, fit, out, progress, flat)
        else:
            terms = kernel_terms(design)
            of_counts = fit_count_slices(design, terms, bounds, out)
            fit_members(chosen, of_counts, out, progress, flat)
    out.blank()
    return out


def only_slices(
    design: Design, start: NDArray[np.intp], chosen: NDArray[np.intp]
) -> tuple[Design, NDArray[np.intp]]:
    """Leave out the rows of slices that are not chosen, so that each ends where the next begins."""
    size = np.zeros(len(start) - 1, dtype=np.intp)
    size[chosen] = np.diff(start)[chosen]
    if size.sum() == start[-1] - start[0]:
        return design, start
    kept = np.zeros(len(size), dtype=bool)
    kept[chosen] = True
    rows = start[0] + np.flatnonzero(np.repeat(kept, np.diff(start)))
    random = tuple(replace(term, codes=term.codes[rows]) for term in design.random)
    return design.take(rows, random), np.concatenate([[0], np.cumsum(size)])


def linear_slices(
    design: Design, start: NDArray[np.intp], out: BatchEstimate, progress: Progress
) -> BlockFit:
    """Return what fits a linear model on slices of the rows, which follow each other."""
    y = np.ascontiguousarray(design.y if design.offset is None else design.y - design.offset)
    arguments = (list(design.columns), list(design.fixed), kernel_terms(design), design.weights)
    kernel_settings = out.settings.to_kernel(out.p)
    team = progress.team(out.settings.workers)

    def fit(at: NDArray[np.intp]) -> _core.BatchRows:
        bounds = [*start[at].tolist(), int(start[at[-1] + 1])]
        return _core.fit_slices(y, *arguments, bounds, kernel_settings, team)

    return fit


def _flat_slices(
    design: Design, start: NDArray[np.intp], at: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Find which of the slices ``at`` have a term that their fixed effects span.

    Only those with no more levels of a term than fixed effects are examined.
    """
    bounds = np.append(start[at], start[at[-1] + 1])
    near = np.zeros(len(at), dtype=bool)
    filled = np.flatnonzero(bounds[1:] > bounds[:-1])
    for term in design.random if len(filled) else ():
        levels = levels_of_slices(term.codes, np.append(bounds[filled], bounds[-1]))
        near[filled] |= levels <= len(design.fixed)
    for i in np.flatnonzero(near):
        near[i] = bool(spanned_terms(design.take(np.arange(bounds[i], bounds[i + 1]))))
    return near
