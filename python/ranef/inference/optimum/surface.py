"""The likelihood over one or two standard deviations, the others maximised out or held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from ... import _core
from ..._typing import Array
from ...design.design import Design

__all__ = ["Deviance", "Explorer", "LinearDeviance", "SearchDeviance", "sd_names"]


def sd_names(design: Design) -> dict[str, tuple[int, int]]:
    """Return the term and column of each standard deviation, labelled ``sd_TERM|GROUP``."""
    return {
        f"sd_{name}|{term.group}": (t, j)
        for t, term in enumerate(design.random)
        for j, name in enumerate(term.names)
    }


class Deviance(Protocol):
    """-2 log-likelihood by factors of the covariances and by what else is not profiled out."""

    def __call__(self, factors: list[Array], rest: Array) -> tuple[float, list[Array], Array]:
        """Return it, its derivatives by all elements of the factors, and those by the rest.

        The factors are lower triangular, in the standardised basis.
        """


@dataclass(frozen=True)
class LinearDeviance:
    """Of a linear model: coefficients and sigma are profiled out, and nothing is left."""

    core: _core.Lmm
    reml: bool

    def __call__(self, factors: list[Array], rest: Array) -> tuple[float, list[Array], Array]:
        """Return it and its derivatives."""
        at = self.core.curvature(factors, self.reml)
        slopes = [2.0 * S @ L for S, L in zip(at.score, factors, strict=True)]
        return self.core.objective_standard(factors, self.reml), slopes, np.zeros(0)


class Searched(Protocol):
    """The criterion of a generalised model, by theta and then all else."""

    m: int

    @property
    def core(self) -> _core.Glmm | _core.Predictors:
        """The kernel."""

    def value(self, x: Array) -> float:
        """Evaluate the criterion."""

    def gradient(self) -> Array:
        """Differentiate at the last point."""


@dataclass(frozen=True)
class SearchDeviance:
    """Of a generalised model: coefficients and dispersion are coordinates as in its search."""

    criterion: Searched

    def __call__(self, factors: list[Array], rest: Array) -> tuple[float, list[Array], Array]:
        """Return it and its derivatives; infinite where it has no value."""
        core = self.criterion.core
        theta = [factors[t][i, j] for t, i, j in core.parameters]
        value = self.criterion.value(np.concatenate([theta, rest]))
        if not np.isfinite(value):
            return np.inf, [np.zeros_like(block) for block in factors], np.zeros_like(rest)
        gradient = self.criterion.gradient()
        return value, core.gradient_by_factors(), gradient[self.criterion.m :]


@dataclass(frozen=True)
class Explorer:
    """-2 log-likelihood as a function of some (relative) standard deviations.

    Attributes
    ----------
    design : Design
        The rows.
    bases : sequence of ndarray of shape (s, s)
        Standardised columns of each term to those as written.
    deviance : Deviance
        What is explored.
    states : sequence of ndarray of shape (s, s)
        The estimate: factors in the standardised basis.
    rest : ndarray
        All else at the estimate, as ``deviance`` takes it.
    fixed : tuple of (int, int)
        Term and column of each standard deviation that is set.
    hold : bool
        Whether all else stays at the estimate, correlations included, instead of being chosen
        again for each value.
    """

    design: Design
    bases: Sequence[Array]
    deviance: Deviance
    states: Sequence[Array]
    rest: Array
    fixed: tuple[tuple[int, int], ...]
    hold: bool

    def value(self, sds: Array) -> float:
        """-2 log-likelihood at (relative) standard deviations."""
        units = self._units()
        blocks = [(b / u)[m] for b, u, m in self._parts(units)]
        start = np.concatenate([*blocks, self.rest])
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

    def estimates(self) -> tuple[float, ...]:
        """Return the standard deviations that are set at the estimate."""
        return tuple(float(np.linalg.norm(self._user(t)[j])) for t, j in self.fixed)

    def upper(self, which: int, rise: float = 12.0) -> float:
        """Return the standard deviation at which -2 log-likelihood has risen by ``rise``."""
        t, j = self.fixed[which]
        alone = replace(self, fixed=((t, j),), hold=True)
        sd = max(self.estimates()[which], 1e-3 / self._size(t, j))
        least = alone.value(np.array(alone.estimates()))
        for _ in range(40):
            if alone.value(np.array([sd])) - least > rise:
                break
            sd *= 1.3
        return sd

    def _user(self, term: int) -> Array:
        """Return a root of a term's covariance at the estimate, as the formula scales columns."""
        return np.asarray(self.bases[term] @ self.states[term])

    def _size(self, t: int, j: int) -> float:
        """Root mean square of a column."""
        return float(1.0 / np.linalg.norm(self.bases[t][j]))

    def _units(self) -> list[Array]:
        """Return each row's standard deviation of note, by which rows are scaled."""
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
        lifted = [
            block if self.hold else np.hstack([block, 0.1 * np.eye(len(block))])
            for block in self.states
        ]
        roots = [T @ block for T, block in zip(self.bases, lifted, strict=True)]
        factors = [triangle(root)[0] for root in roots]
        yield from zip(factors, units, self._masks(), strict=True)

    def _at(self, raw: Array, sds: Array, units: list[Array]) -> tuple[float, Array]:
        """-2 log-likelihood and its gradient by the scaled elements, rows that are set aside."""
        rest = raw[len(raw) - len(self.rest) :]
        factors, lengths = self._unpacked(raw, sds, units)
        roots = [np.linalg.solve(T, block) for T, block in zip(self.bases, factors, strict=True)]
        turned = [triangle(np.asarray(root, dtype=np.float64)) for root in roots]
        value, by_factor, by_rest = self.deviance([L for L, _ in turned], rest)
        slopes = [
            np.linalg.solve(T.T, G @ Q.T)
            for T, G, (_, Q) in zip(self.bases, by_factor, turned, strict=True)
        ]
        for (t, j), (length, direction), sd in zip(self.fixed, lengths, sds, strict=True):
            along = slopes[t][j] - direction * (slopes[t][j] @ direction)
            slopes[t][j] = along * (sd / length)
        gradient = [
            (slope * unit)[mask]
            for slope, unit, mask in zip(slopes, units, self._masks(), strict=True)
        ]
        return value, np.concatenate([*gradient, by_rest])

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


def triangle(B: Array) -> tuple[Array, Array]:
    """Return the lower-triangular L = B Q with a diagonal of no negative sign, and Q.

    Q has orthonormal columns, as many as B has rows.
    """
    Q, R = np.linalg.qr(B.T)
    sign = np.where(np.diag(R) < 0.0, -1.0, 1.0)
    return np.asfortranarray(R.T * sign), np.asarray(Q * sign)
