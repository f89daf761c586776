"""Marginal means and slopes of pooled models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._counted import counted
from .._typing import Array
from ..errors import ModelError
from ..inference.pooling import d1, rubin
from ..report.emmeans import MarginalMeans

__all__ = ["PooledMeans", "pooled_means"]


@dataclass(frozen=True)
class PooledMeans:
    """The reference distribution of means over imputations, by Rubin's rules.

    Attributes
    ----------
    each : tuple of MarginalMeans
        The means of each model.
    """

    each: tuple[MarginalMeans, ...]

    @property
    def values(self) -> Array:
        """Means of each imputation, shape (m, cells)."""
        return np.array([one.L @ one.beta + one.offset for one in self.each])

    @property
    def covariances(self) -> Array:
        """Their covariances, shape (m, cells, cells)."""
        return np.array([one.L @ one.approximation.cov @ one.L.T for one in self.each])

    @property
    def cov(self) -> Array:
        """Within and (1 + 1/m) between imputations, shape (cells, cells)."""
        return rubin(self.values, self.covariances).total

    def df(self, L: Array) -> Array:
        """Barnard and Rubin's degrees of freedom; of complete data: means over the models."""
        q, u = self.values @ L.T, L @ self.covariances @ L.T
        complete = np.mean([one.approximation.df(L @ one.L) for one in self.each], axis=0)
        found = [
            rubin(q[:, [r]], u[:, [r], :][:, :, [r]], value) for r, value in enumerate(complete)
        ]
        return np.array([one.df[0] for one in found])

    def joint(self, L: Array) -> tuple[float, float]:
        """Scale of the F and its degrees of freedom, as of D1."""
        pooled = rubin(self.values, self.covariances)
        return 1.0, d1(pooled, L, L @ pooled.estimate).den_df


def pooled_means(each: Sequence[MarginalMeans]) -> MarginalMeans:
    """Pool the means that the models of several imputations have for the same cells.

    Raises
    ------
    ModelError
        If the cells are not the same.
    """
    first = each[0]
    for one in each[1:]:
        if not one.cells.equals(first.cells):
            raise ModelError(
                "the models have means for different cells; name the values by at=, or make the "
                "columns Categoricals with all levels"
            )
    found = PooledMeans(tuple(each))
    cells = len(first.L)
    known = np.asarray(np.isfinite(found.values).all(axis=0))
    notes = [note for note in first.notes if not note.startswith("at ")]
    return MarginalMeans(
        first.what,
        first.cells,
        first.by,
        np.where(known[:, None], np.eye(cells), np.nan),
        np.zeros(cells),
        np.where(known, found.values.mean(axis=0), 0.0),
        found,
        first.level,
        (
            *notes,
            f"pooled over {counted(len(each), 'imputation')}; other variables at the means of each",
        ),
        first.link,
        first.method,
        first.response,
        first.is_predictor,
    )
