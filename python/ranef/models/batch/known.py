"""Batches at known dispersions: profiles of dispersions, and fits at shrunk ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array, Positions
from ...design.design import Design
from .blocks import Progress
from .estimate import BatchEstimate, Settings
from .fits import kernel_terms, patterns
from .generalised import GlmmCore, generalised_core, store

__all__ = ["KnownDispersions", "log_means"]

#: Responses, (n, m).
Responses: TypeAlias = NDArray[np.floating[Any]]


@dataclass
class KnownDispersions:
    """Fits of many responses on one design at given dispersions.

    Attributes
    ----------
    design : Design
        Everything but the response.
    settings : Settings
        How to fit.
    line : Progress
        Told of every block.
    """

    design: Design
    settings: Settings
    line: Progress
    _whole: list[GlmmCore] = field(default_factory=list)

    def profile(self, Y: Responses, dispersions: Array) -> tuple[Array, Array]:
        """Return -2 log-likelihoods and slopes by log dispersion, each of shape (m, g).

        Parameters
        ----------
        Y : ndarray of shape (n, m)
            Responses; NaN where missing.
        dispersions : ndarray of shape (m, g)
            Points for each response; a row that is not finite is left out.
        """
        value, slope = (np.full(dispersions.shape, np.nan) for _ in range(2))
        for at, block, core in self._pieces(Y, np.asarray(np.isfinite(dispersions).all(axis=1))):
            for k in range(dispersions.shape[1]):
                rows = self._fit(core, block, dispersions[at, k])
                value[at, k], slope[at, k] = rows.objective, rows.by_dispersion
        return value, slope

    def refit(self, Y: Responses, dispersions: Array, out: BatchEstimate) -> None:
        """Fit each response at one dispersion, where that is finite, into ``out``."""
        for at, block, core in self._pieces(Y, np.isfinite(dispersions)):
            store(out, at, self._fit(core, block, dispersions[at]), len(block))

    def _fit(self, core: GlmmCore, block: Array, dispersions: Array) -> _core.GlmmBatchRows:
        control, team = self.settings.control, self.line.team(self.settings.workers)
        known = np.ascontiguousarray(dispersions)
        return core().fit(block, control.max_steps, control.tolerance, team, known)

    def _pieces(
        self, Y: Responses, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[Positions, Array, GlmmCore]]:
        """Take responses with the same missing rows together, a few at a time."""
        few = 4 * self.settings.workers
        for pattern in patterns(Y):
            members = pattern.members[wanted[pattern.members]]
            core = self._core(pattern.rows)
            for start in range(0, len(members), few):
                at = members[start : start + few]
                block = np.asarray(pattern.of(Y[:, at]), dtype=np.float64, order="F")
                yield at, block, core
                self.line.advance(len(at))
            self.line.advance(len(pattern.members) - len(members))

    def _core(self, rows: NDArray[np.bool_] | None) -> GlmmCore:
        """Return the kernel of some rows; the one of all rows is kept."""
        spec = self.settings.spec
        assert spec is not None
        if rows is not None:
            own = self.design.take(np.flatnonzero(rows))
            return generalised_core(own, spec, kernel_terms(own))
        if not self._whole:
            self._whole.append(generalised_core(self.design, spec, kernel_terms(self.design)))
        return self._whole[0]


def log_means(Y: Responses, offset: Array | None) -> Array:
    """Return the log of each response's total over that of the sizes of its rows; NaN for none."""
    size = np.ones(len(Y)) if offset is None else np.exp(offset - np.max(offset))
    seen = ~np.isnan(Y)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.log(np.where(seen, Y, 0.0).sum(axis=0) / (size @ seen))
    return np.asarray(np.where(np.isfinite(out), out, np.nan))
