"""The estimates of a batch: settings in, arrays with a row for each fit out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ..glmm.estimate import GlmmSpec
from ..lmm import DECREMENT, SINGULAR, Control
from .kinship import KinshipRows

__all__ = [
    "COUNTS",
    "ERROR",
    "MISSING",
    "NOT_RUN",
    "SCALARS",
    "STATUSES",
    "TOO_FEW",
    "UNIDENTIFIED",
    "BatchEstimate",
    "Contrast",
    "Settings",
    "empty_estimate",
    "estimable",
    "joined",
]


#: Possible outcomes of a fit. The kernel's come first, in its order.
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
    "not identified",
    "out of range",
    "separated",
)
MISSING, ERROR, NOT_RUN, UNIDENTIFIED, TOO_FEW = (
    STATUSES.index(s) for s in ("missing", "error", "not run", "not identified", "too few rows")
)


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
        Their hypothetical values.
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
    spec : GlmmSpec, optional
        Family and link of generalised models.
    """

    reml: bool = True
    satterthwaite: bool = False
    workers: int = 1
    contrasts: tuple[Contrast, ...] = ()
    control: Control = field(default_factory=Control)
    spec: GlmmSpec | None = None

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
            max_steps=self.control.max_steps,
            tolerance=self.control.tolerance,
            contrasts=np.asfortranarray(self.rows(p)),
        )


#: Arrays with one value per fit, and arrays with one row per fit.
COUNTS = ("n_obs", "n_objective", "n_gradient")
OF_KERNEL = ("objective", "sigma", "smallest_sd", "decrement", "cone")
SCALARS = (*OF_KERNEL, "dispersion", "dispersion_error")
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
        As in ``LmmEstimate``; sigma is 1 in generalised models.
    dispersion, dispersion_error : ndarray of shape (m,)
        Of families that have one, and the standard error of its log; NaN otherwise.
    estimate, variance, df : ndarray of shape (m, h)
        The coefficients, then one-row contrasts minus their values; df is NaN unless asked for.
    F : ndarray of shape (m, n_joint)
        F statistics of the contrasts of several rows.
    factors : ndarray of shape (m, f)
        Lower triangles of the relative covariance factors, term by term, column by column. A term
        with a covariance structure has, block by block, the structure's natural parameters
        (standard deviations relative to sigma), or the triangle of a free block.
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
    dispersion: Array
    dispersion_error: Array

    @property
    def is_singular(self) -> NDArray[np.bool_]:
        """Whether a covariance matrix is singular, judged in the standardised basis."""
        return self.smallest_sd < SINGULAR

    def store(self, at: NDArray[np.intp], rows: _core.BatchRows | KinshipRows) -> None:
        """Take the kernel's rows for the fits ``at``."""
        for name in COUNTS:
            getattr(self, name)[at] = getattr(rows, name)
        for name in OF_KERNEL:
            getattr(self, name)[at] = getattr(rows, name)
        self.factors[at] = rows.factors.T
        self._store_tests(at, rows)
        self.outcome[at] = judged(rows)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every array by its name."""
        return {name: getattr(self, name) for name in ("outcome", *COUNTS, *SCALARS, *ROWS)}

    def part(self, start: int, stop: int) -> BatchEstimate:
        """Return a view of some fits: what is stored there is stored here."""
        out = object.__new__(BatchEstimate)
        out.settings, out.p = self.settings, self.p
        for name, array in self.arrays().items():
            setattr(out, name, array[start:stop])
        return out

    def place(self, at: NDArray[np.intp], other: BatchEstimate) -> None:
        """Take the fits of another estimate as the fits ``at``."""
        for name, array in reversed(self.arrays().items()):  # the outcome says that there is a fit
            array[at] = getattr(other, name)

    def unidentified(self, at: NDArray[np.intp]) -> None:
        """Report converged fits whose likelihood does not depend on one of their variances."""
        self.outcome[at[self.outcome[at] == 0]] = UNIDENTIFIED

    def blank(self) -> None:
        """Clear what an interrupted run has left half written."""
        left = self.outcome == NOT_RUN
        for name in COUNTS:
            getattr(self, name)[left] = 0
        for name in SCALARS:
            getattr(self, name)[left] = np.nan
        for name in ROWS:
            getattr(self, name)[left] = np.nan

    def _store_tests(self, at: NDArray[np.intp], rows: _core.BatchRows | KinshipRows) -> None:
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


def judged(rows: _core.BatchRows | KinshipRows) -> NDArray[np.int8]:
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


def n_factors(design: Design) -> int:
    """Count the numbers that describe all covariances."""
    return sum(
        term.n_covariances if term.is_structured else term.n_cols * (term.n_cols + 1) // 2
        for term in design.random
    )
