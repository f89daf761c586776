"""One design and many responses of a generalised model: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ..glmm.estimate import GlmmSpec
from ..lmm import DECREMENT
from .estimate import STATUSES, BatchEstimate, Settings, estimable

__all__ = ["GlmmCore", "Terms", "fit_counts", "generalised_core", "store"]

#: Makes the kernel of a whole design.
GlmmCore = Callable[[], "_core.GlmmBatch"]
#: Terms as the kernel takes them.
Terms = list[tuple[NDArray[np.int32], int, list[int], list[int]]]


def generalised_core(design: Design, spec: GlmmSpec, terms: Terms) -> GlmmCore:
    """Return a function that makes the kernel when first called, and keeps it.

    ``terms`` are the design's, on the same rows.
    """
    n = design.n_obs

    @cache
    def make() -> _core.GlmmBatch:
        return _core.GlmmBatch(
            n,
            list(design.columns),
            list(design.fixed),
            terms,
            np.ones(n) if design.weights is None else design.weights,
            np.zeros(n) if design.offset is None else design.offset,
            spec.distribution.core,
            spec.link,
            [term.cores for term in design.random],
        )

    return make


def fit_counts(
    core: GlmmCore,
    Y: NDArray[np.floating[Any]],
    rows: NDArray[np.bool_] | None,
    settings: Settings,
    team: _core.Team,
    out: BatchEstimate,
) -> Callable[[NDArray[np.intp]], None]:
    """Return what fits some columns of ``Y`` and stores them.

    Parameters
    ----------
    core : callable
        The kernel.
    Y : ndarray of shape (n, m)
        Responses.
    rows : ndarray of shape (n,), bool, or None
        The kernel's rows, on which the responses are complete; None for all.
    settings : Settings
        How to fit.
    team : Team
        Threads.
    out : BatchEstimate
        Where the fits go.
    """
    control = settings.control

    def fit(at: NDArray[np.intp]) -> None:
        chosen = Y[:, at] if rows is None else Y[np.ix_(rows, at)]
        block = np.asarray(chosen, dtype=np.float64, order="F")
        found = core().fit(block, control.max_steps, control.tolerance, team)
        store(out, at, found, len(block))

    return fit


#: Outcomes of the kernel, in its order.
OUTCOMES = (
    "converged",
    "step limit",
    "stalled",
    "stalled",
    "failed",
    "out of range",
    "explained",
)


def store(out: BatchEstimate, at: NDArray[np.intp], rows: Any, n_obs: Any) -> None:
    """Take the kernel's rows for the fits ``at``."""
    settings, p = out.settings, out.p
    assert settings.spec is not None
    out.n_obs[at] = n_obs
    out.n_objective[at], out.n_gradient[at] = rows.n_objective, rows.n_gradient
    found = np.isfinite(rows.objective)
    out.objective[at], out.smallest_sd[at] = rows.objective, rows.smallest_sd
    out.decrement[at] = rows.decrement
    out.sigma[at] = np.where(found, 1.0, np.nan)
    if settings.spec.has_dispersion:
        out.dispersion[at], out.dispersion_error[at] = rows.dispersion, rows.dispersion_error
    out.factors[at] = rows.factors.T
    cov = rows.cov.T.reshape(-1, p, p)
    out.estimate[at, :p] = rows.beta.T
    out.variance[at, :p] = positive(np.einsum("bii->bi", cov))
    aliased = np.isnan(rows.beta.T)
    whole = np.where(aliased[:, :, None] | aliased[:, None, :], 0.0, cov)
    for j, contrast in enumerate(settings.single, p):
        estimate = estimable(contrast.rows, rows.beta)[0] - contrast.values[0]
        row = contrast.rows[0]
        out.estimate[at, j] = estimate
        out.variance[at, j] = positive(np.einsum("i,bij,j->b", row, whole, row)) + 0.0 * estimate
    for j, contrast in enumerate(settings.joint):
        out.F[at, j] = wald_f(contrast.rows, contrast.values, rows.beta, whole)
    outcome = np.array([STATUSES.index(name) for name in OUTCOMES])[rows.outcome]
    short = (outcome == 0) & ~(rows.decrement < DECREMENT)
    outcome[short] = STATUSES.index("stalled")
    outcome[(outcome < 3) & (np.asarray(rows.separated) > 0)] = STATUSES.index("separated")
    out.outcome[at] = outcome


def positive(variance: Array) -> Array:
    """Treat a variance that rounding has put at or below zero as unknown."""
    return np.where(variance > 0.0, variance, np.nan)


def wald_f(rows: Array, values: Array, beta: Array, cov: Array) -> Array:
    """Wald statistics over their numbers of rows, shape (m,)."""
    left = estimable(rows, beta).T - values
    spread = np.einsum("ri,bij,sj->brs", rows, cov, rows)
    good = np.isfinite(left).all(axis=1) & np.isfinite(spread).all(axis=(1, 2))
    good[good] &= np.linalg.cond(spread[good]) < 1e14
    out = np.full(len(left), np.nan)
    solved = np.linalg.solve(spread[good], left[good][:, :, None])[:, :, 0]
    out[good] = (left[good] * solved).sum(axis=1) / len(rows)
    return out
