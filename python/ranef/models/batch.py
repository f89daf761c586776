"""One design and many responses, or one formula on many slices of rows: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..design.design import Design
from .batch_blocks import Progress, run_blocks
from .lmm import DECREMENT, SINGULAR, Control

__all__ = [
    "STATUSES",
    "BatchEstimate",
    "Contrast",
    "Settings",
    "empty_estimate",
    "fit_responses",
    "fit_slices",
    "joined",
    "patterns",
    "shared_core",
]

Array = NDArray[np.float64]
Terms = list[tuple[NDArray[np.int32], int, list[int], list[int]]]

#: What can become of a fit. The kernel's outcomes come first, in its order.
STATUSES = (
    "converged",
    "step limit",
    "stalled",
    "perfect fit",
    "explained",
    "failed",
    "too few rows",
    "too few levels",
    "not finite",
    "missing",
    "error",
    "not run",
)
MISSING, ERROR, NOT_RUN = (STATUSES.index(s) for s in ("missing", "error", "not run"))


@dataclass(frozen=True)
class Contrast:
    """A hypothesis about the coefficients: ``rows @ beta == values``.

    Attributes
    ----------
    name : str
        What the tables call it.
    rows : ndarray of shape (r, p)
        Coefficients of the hypothesis, over all columns of X.
    values : ndarray of shape (r,)
        What it says they come to.
    """

    name: str
    rows: Array
    values: Array


@dataclass(frozen=True)
class Settings:
    """How the fits of a batch are made.

    Attributes
    ----------
    reml : bool
        Whether to maximise the restricted likelihood.
    satterthwaite : bool
        Whether to compute degrees of freedom for each coefficient and one-row contrast.
    workers : int
        Threads.
    contrasts : tuple of Contrast
        Hypotheses beyond the coefficients.
    control : Control
        Settings of the search.
    """

    reml: bool = True
    satterthwaite: bool = False
    workers: int = 1
    contrasts: tuple[Contrast, ...] = ()
    control: Control = field(default_factory=Control)

    @property
    def single(self) -> tuple[Contrast, ...]:
        """Contrasts of one row."""
        return tuple(c for c in self.contrasts if len(c.rows) == 1)

    @property
    def joint(self) -> tuple[Contrast, ...]:
        """Contrasts of several rows."""
        return tuple(c for c in self.contrasts if len(c.rows) > 1)

    def rows(self, p: int) -> Array:
        """Rows of every t test, shape (h, p): the coefficients, then the one-row contrasts."""
        return np.vstack([np.eye(p), *(c.rows for c in self.single)])

    def to_kernel(self, p: int) -> _core.BatchSettings:
        """Hand the settings to the kernel."""
        return _core.BatchSettings(
            reml=self.reml,
            satterthwaite=self.satterthwaite,
            threads=self.workers,
            max_steps=self.control.max_steps,
            tolerance=self.control.tolerance,
            contrasts=np.asfortranarray(self.rows(p)),
        )


#: What every fit has one of, and what it has a row of.
COUNTS = ("n_obs", "n_objective", "n_gradient")
SCALARS = ("objective", "sigma", "smallest_sd", "decrement", "cone")
ROWS = ("estimate", "variance", "df", "F", "factors")


class BatchEstimate:
    """Results of m fits; NaN where a fit has no answer.

    Attributes
    ----------
    outcome : ndarray of shape (m,), int
        Positions in ``STATUSES``.
    n_obs, n_objective, n_gradient : ndarray of shape (m,), int
        Rows used and evaluations.
    objective, sigma, smallest_sd, decrement, cone : ndarray of shape (m,)
        As in ``LmmEstimate``.
    estimate, variance, df : ndarray of shape (m, h)
        The coefficients, then one-row contrasts less their values; df is NaN unless asked for.
    F : ndarray of shape (m, n_joint)
        F statistics of the contrasts of several rows.
    factors : ndarray of shape (m, f)
        Lower triangles of the relative covariance factors, term by term, column by column.
    """

    def __init__(self, count: int, p: int, n_factors: int, settings: Settings):
        self.settings = settings
        self.p = p
        self.outcome = np.full(count, NOT_RUN, dtype=np.int8)
        for name in COUNTS:
            setattr(self, name, np.zeros(count, dtype=np.int32))
        for name in SCALARS:
            setattr(self, name, np.full(count, np.nan))
        h = p + len(settings.single)
        self.estimate, self.variance, self.df = (np.full((count, h), np.nan) for _ in range(3))
        self.F = np.full((count, len(settings.joint)), np.nan)
        self.factors = np.full((count, n_factors), np.nan)

    n_obs: NDArray[np.int32]
    n_objective: NDArray[np.int32]
    n_gradient: NDArray[np.int32]
    objective: Array
    sigma: Array
    smallest_sd: Array
    decrement: Array
    cone: Array

    @property
    def is_singular(self) -> NDArray[np.bool_]:
        """Whether a covariance matrix is singular, judged in the standardised basis."""
        return self.smallest_sd < SINGULAR

    def store(self, at: NDArray[np.intp], rows: _core.BatchRows) -> None:
        """Take the kernel's rows for the fits ``at``."""
        for name in COUNTS:
            getattr(self, name)[at] = getattr(rows, name)
        for name in SCALARS:
            getattr(self, name)[at] = getattr(rows, name)
        self.factors[at] = rows.factors.T
        self._store_tests(at, rows)
        self.outcome[at] = judged(rows)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give every array by its name."""
        return {name: getattr(self, name) for name in ("outcome", *COUNTS, *SCALARS, *ROWS)}

    def part(self, start: int, stop: int) -> BatchEstimate:
        """Give a view of some fits: what is stored there is stored here."""
        out = object.__new__(BatchEstimate)
        out.settings, out.p = self.settings, self.p
        for name, array in self.arrays().items():
            setattr(out, name, array[start:stop])
        return out

    def blank(self) -> None:
        """Clear what an interrupted run has half written."""
        left = self.outcome == NOT_RUN
        for name in COUNTS:
            getattr(self, name)[left] = 0
        for name in SCALARS:
            getattr(self, name)[left] = np.nan
        for name in ROWS:
            getattr(self, name)[left] = np.nan

    def _store_tests(self, at: NDArray[np.intp], rows: _core.BatchRows) -> None:
        """Turn coefficients and the root of their covariance into tests."""
        p = self.p
        root = rows.cov_root.reshape(p, p, len(at), order="F")
        variance = rows.sigma**2
        self.estimate[at, :p] = rows.beta.T
        self.variance[at, :p] = (variance * np.einsum("rcb,rcb->rb", root, root)).T
        if rows.df.size:
            self.df[at] = rows.df.T
        if self.settings.contrasts:
            root = np.where(np.isnan(root), 0.0, root)
        for j, contrast in enumerate(self.settings.single, p):
            estimate = estimable(contrast.rows, rows.beta)[0] - contrast.values[0]
            half = np.einsum("r,rcb->cb", contrast.rows[0], root)
            self.estimate[at, j] = estimate
            # NaN where the contrast is not estimable
            self.variance[at, j] = variance * (half**2).sum(axis=0) + 0.0 * estimate
        for j, contrast in enumerate(self.settings.joint):
            self.F[at, j] = f_statistics(contrast, rows.beta, root, rows.sigma)


def judged(rows: _core.BatchRows) -> NDArray[np.int8]:
    """Judge searches by the exact conditions at the stop."""
    outcome = np.asarray(rows.outcome, dtype=np.int8)
    good = (rows.decrement < DECREMENT) & (rows.cone > -DECREMENT * rows.n_obs)
    searched = outcome < 3
    outcome[searched & good] = 0
    outcome[searched & ~good & (outcome == 0)] = 2
    return outcome


def estimable(C: Array, beta: Array) -> Array:
    """Compute C beta, (h, m), NaN where a coefficient that takes part is aliased."""
    aliased = np.isnan(beta)
    out = C @ np.where(aliased, 0.0, beta)
    if aliased.any():
        out[(C != 0.0).astype(float) @ aliased > 0] = np.nan
    return np.asarray(out)


def f_statistics(contrast: Contrast, beta: Array, root: Array, sigma: Array) -> Array:
    """Compute F statistics of one joint hypothesis, shape (m,)."""
    difference = estimable(contrast.rows, beta).T - contrast.values
    half = np.einsum("hr,rcb->bhc", contrast.rows, root, optimize=True)
    cov = half @ half.transpose(0, 2, 1) * (sigma**2)[:, None, None]
    good = np.isfinite(difference).all(axis=1) & np.isfinite(cov).all(axis=(1, 2))
    out = np.full(len(sigma), np.nan)
    solved = np.linalg.solve(cov[good], difference[good][:, :, None])[:, :, 0]
    out[good] = (difference[good] * solved).sum(axis=1) / len(contrast.rows)
    return out


def kernel_terms(design: Design, keep: NDArray[np.bool_] | None = None) -> Terms:
    """Lay out random-effects terms as the kernel takes them, on all rows or some."""
    terms: Terms = []
    for term in design.random:
        codes, n_levels = term.codes, term.n_levels
        if keep is not None:
            used, inverse = np.unique(codes[keep], return_inverse=True)
            codes, n_levels = inverse.astype(np.int32), len(used)
        blocks = [b for b, block in enumerate(term.blocks) for _ in block]
        terms.append((codes, n_levels, list(term.columns), blocks))
    return terms


def n_factors(design: Design) -> int:
    """Count the elements in the lower triangles of all covariance factors."""
    return sum(term.n_cols * (term.n_cols + 1) // 2 for term in design.random)


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


def patterns(
    Y: NDArray[np.floating[Any]], W: NDArray[np.floating[Any]] | None = None
) -> list[Pattern]:
    """Group columns of Y (n, m) by where they, or their weights, are missing; complete ones first.

    A column's sum tells at once that it has no gap; only the others are looked at row by row.
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
    """Take responses ``at`` on the pattern's rows, the offset taken off, in Fortran order."""
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
        Told of every block, and marked when the run was interrupted.
    out : BatchEstimate, optional
        Results of an earlier run, to go on with: fits that have been made stay as they are.
    complete : callable, optional
        The kernel of the whole design, kept from one call to the next by ``shared_core``.

    Returns
    -------
    BatchEstimate
        A row for each response, whatever became of its fit.
    """
    out = out or empty_estimate(Y.shape[1], design, settings)
    with progress.interruptible():
        for pattern in patterns(Y, W):
            members = pattern.members[out.outcome[pattern.members] == NOT_RUN]
            if len(members) == 0:
                continue
            if pattern.rows is not None and not pattern.rows.any():
                out.outcome[members] = MISSING
                progress.advance(len(members))
                continue
            if W is None:
                core = complete if complete and pattern.rows is None else None
                fit = shared_fit(design, Y, pattern, settings, core)
            else:
                fit = weighted_fit(design, Y, W, pattern, settings)
            store_blocks(members, fit, out, progress)
    out.blank()
    return out


def empty_estimate(count: int, design: Design, settings: Settings) -> BatchEstimate:
    """Make room for some fits of a design."""
    return BatchEstimate(count, len(design.fixed), n_factors(design), settings)


def joined(parts: Sequence[BatchEstimate], design: Design, settings: Settings) -> BatchEstimate:
    """Put the fits of several parts one after the other."""
    out = empty_estimate(sum(len(part.outcome) for part in parts), design, settings)
    for name, array in out.arrays().items():
        if parts:
            np.concatenate([getattr(part, name) for part in parts], out=array)
    return out


BlockFit = Callable[[NDArray[np.intp]], "_core.BatchRows"]
Core = Callable[[], "_core.Batch"]


def store_blocks(
    members: NDArray[np.intp], fit: BlockFit, out: BatchEstimate, progress: Progress
) -> None:
    """Fit some of a batch, block by block."""

    def work(start: int, stop: int) -> None:
        at = members[start:stop]
        out.store(at, fit(at))

    run_blocks(len(members), work, progress)


def make_core(design: Design, pattern: Pattern) -> _core.Batch:
    """Make the cross products of a design on the rows of a pattern."""
    weights = None if design.weights is None else pattern.of(design.weights)
    columns = [pattern.of(column) for column in design.columns]
    n = design.n_obs if pattern.rows is None else int(pattern.rows.sum())
    return _core.Batch(n, columns, list(design.fixed), kernel_terms(design, pattern.rows), weights)


def shared_core(design: Design) -> Core:
    """Give a function that makes the kernel of the whole design when first called, and keeps it."""
    return cache(lambda: make_core(design, Pattern(None, np.arange(0))))


def shared_fit(
    design: Design,
    Y: NDArray[np.floating[Any]],
    pattern: Pattern,
    settings: Settings,
    core: Core | None = None,
) -> BlockFit:
    """Fit responses whose weights are the design's."""
    kernel = core() if core else make_core(design, pattern)
    kernel_settings = settings.to_kernel(len(design.fixed))
    return lambda at: kernel.fit(response_block(Y, at, design, pattern), kernel_settings)


def weighted_fit(
    design: Design,
    Y: NDArray[np.floating[Any]],
    W: NDArray[np.floating[Any]],
    pattern: Pattern,
    settings: Settings,
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
    y = np.ascontiguousarray(design.y if design.offset is None else design.y - design.offset)
    arguments = (list(design.columns), list(design.fixed), kernel_terms(design), design.weights)
    kernel_settings = settings.to_kernel(out.p)

    def fit(at: NDArray[np.intp]) -> _core.BatchRows:
        bounds = [*(start[i] for i in at), start[at[-1] + 1]]
        return _core.fit_slices(y, *arguments, bounds, kernel_settings)

    with progress.interruptible():
        store_blocks(chosen, fit, out, progress)
    out.blank()
    return out
