"""The likelihood over one or two standard deviations, the others maximised out or held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design
from ...models.lmm import LmmEstimate
from .em import lower_factor
from .optimizers import user_factors

__all__ = ["Explorer", "sd_names"]


def sd_names(design: Design) -> dict[str, tuple[int, int]]:
    """Return the term and column of each standard deviation, labelled ``sd_TERM|GROUP``."""
    return {
        f"sd_{name}|{term.group}": (t, j)
        for t, term in enumerate(design.random)
        for j, name in enumerate(term.names)
    }


@dataclass(frozen=True)
class Explorer:
    """-2 log-likelihood as a function of some relative standard deviations.

    Attributes
    ----------
    design, core, estimate
        The fit.
    fixed : tuple of (int, int)
        Term and column of each standard deviation that is set.
    hold : bool
        Whether all else stays at the estimate, correlations included, instead of being chosen
        again for each value.
    """

    design: Design
    core: _core.Lmm
    estimate: LmmEstimate
    fixed: tuple[tuple[int, int], ...]
    hold: bool

    def value(self, sds: Array) -> float:
        """-2 log-likelihood at relative standard deviations, sigma always profiled out."""
        units = self._units()
        start = np.concatenate([(b / u)[m] for b, u, m in self._parts(units)])
        if self.hold:
            return self._at(start, sds, units)[0]
        found = scipy.optimize.minimize(
            self._at,
            start,
            args=(sds, units),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-6, "maxiter": 500},
        )
        return float(found.fun)

    def upper(self, which: int, rise: float = 12.0) -> float:
        """Relative standard deviation at which -2 log-likelihood has risen by ``rise``."""
        t, j = self.fixed[which]
        alone = Explorer(self.design, self.core, self.estimate, ((t, j),), True)
        sd = max(float(np.linalg.norm(self.estimate.lambda_[t][j])), 1e-3 / self._size(t, j))
        for _ in range(40):
            if alone.value(np.array([sd])) - self.estimate.objective > rise:
                break
            sd *= 1.3
        return sd

    def _size(self, t: int, j: int) -> float:
        """Root mean square of a column."""
        return float(1.0 / np.linalg.norm(self.core.term_basis(t)[j]))

    def _units(self) -> list[Array]:
        """Return each row's relative standard deviation of note, by which rows are scaled."""
        return [
            np.array([[1.0 / self._size(t, j)] for j in range(term.n_cols)])
            for t, term in enumerate(self.design.random)
        ]

    def _masks(self) -> Iterator[NDArray[np.bool_]]:
        """Elements of each factor that are parameters: lower triangles of blocks."""
        for term in self.design.random:
            mask = np.zeros((term.n_cols, term.n_cols), dtype=bool)
            for block in term.blocks:
                mask[np.ix_(block, block)] = np.tri(len(block), dtype=bool)
            yield mask

    def _parts(self, units: list[Array]) -> Iterator[tuple[Array, Array, NDArray[np.bool_]]]:
        """Factors to start from, off the boundary unless they are held."""
        standard = [
            block if self.hold else lower_factor(np.hstack([block, 0.1 * np.eye(len(block))]))
            for block in self.estimate.lambda_standard
        ]
        yield from zip(user_factors(self.core, standard), units, self._masks(), strict=True)

    def _at(self, raw: Array, sds: Array, units: list[Array]) -> tuple[float, Array]:
        """-2 log-likelihood and its gradient by the scaled elements, rows that are set aside."""
        factors, lengths = self._unpacked(raw, sds, units)
        bases = [self.core.term_basis(t) for t in range(len(factors))]
        standard = [
            lower_factor(np.asarray(np.linalg.solve(T, block), dtype=np.float64))
            for T, block in zip(bases, factors, strict=True)
        ]
        at = self.core.curvature(standard, self.estimate.reml)
        slopes = []
        for t, (T, block, S) in enumerate(zip(bases, factors, at.score, strict=True)):
            inverse = np.linalg.inv(T)
            slope = 2.0 * (inverse.T @ S @ inverse) @ block
            for (term, j), (length, direction), sd in zip(self.fixed, lengths, sds, strict=True):
                if term == t:
                    along = slope[j] - direction * (slope[j] @ direction)
                    slope[j] = along * (sd / length)
            slopes.append(slope * units[t])
        objective = self.core.objective_standard(standard, self.estimate.reml)
        gradient = [s[m] for s, m in zip(slopes, self._masks(), strict=True)]
        return objective, np.concatenate(gradient)

    def _unpacked(
        self, raw: Array, sds: Array, units: list[Array]
    ) -> tuple[list[Array], list[tuple[float, Array]]]:
        """Factors, rows that are set brought to their length, with the length they had."""
        factors, at = [], 0
        for unit, mask in zip(units, self._masks(), strict=True):
            block = np.zeros(mask.shape)
            block[mask] = raw[at : at + int(mask.sum())]
            factors.append(block * unit)
            at += int(mask.sum())
        lengths = []
        for (t, j), sd in zip(self.fixed, sds, strict=True):
            row = factors[t][j].copy()
            length = float(np.linalg.norm(row))
            if length == 0.0:
                row = np.eye(len(row))[j] * units[t][j]
                length = float(np.linalg.norm(row))
            factors[t][j] = sd * row / length
            lengths.append((length, row / length))
        return factors, lengths
