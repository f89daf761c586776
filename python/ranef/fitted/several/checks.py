"""What checks of residuals ask of a model of several predictors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...inference.residuals.source import Source, Transform, by_draws
from .fit import fit_designs
from .rows import PartsRows

__all__ = ["Checks"]

#: Draws behind the probabilities of a response.
DRAWS = 250


class Checks(PartsRows):
    """Residuals as probabilities, by draws from the family, and simulated fits."""

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        def again(y: Array) -> Transform:
            designs = tuple((name, replace(d, y=y)) for name, d in self._parts.designs)
            parts = fit_designs(self.call, designs)
            new = object.__new__(type(self))  # without a look at warnings
            new.__dict__.update(
                self.__dict__, _parts=parts, _design=parts.whole, _estimate=parts.estimate
            )
            return new.transform(y, kind, rng)

        return Source(
            self._design,
            self._data,
            self.transform(self._design.y, kind, rng),
            lambda rng: self.simulate(1, seed=rng)[:, 0],
            again,
            discrete=self._family.whole,
        )

    def transform(self, y: Array, kind: str, rng: np.random.Generator) -> Transform:
        """Transform responses by draws from the family."""
        if kind == "marginal":
            draws = self.simulate(DRAWS, seed=rng)
            mean, variance = draws.mean(axis=1), draws.var(axis=1, ddof=1)
            return by_draws(y, draws, mean, np.maximum(variance, 1e-300))
        eta = self._fitted_predictors(True)
        draws = self._draws([np.repeat(part, DRAWS) for part in eta], rng)
        mean = self._means("response", eta, self._trials())
        return by_draws(y, draws.reshape(len(y), DRAWS), mean, self._variance(eta))

    def _draws(self, eta: list[Array], rng: np.random.Generator) -> Array:
        """Draw a response for each of the predictors, structural zeros included."""
        trials = np.repeat(self._trials(), DRAWS)
        y = np.asarray(self._family.draw(self._given(eta, trials), rng), dtype=np.float64)
        return np.where(rng.random(len(y)) < self._zero(eta), 0.0, y)
