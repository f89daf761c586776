"""What checks of residuals need from a model of several predictors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..._typing import Array
from ...inference.residuals.source import Source, Transform, by_draws
from ..parts import Base
from .fit import fit_designs
from .parts import SeveralParts

__all__ = ["Checks"]

#: Draws behind the probabilities of a response.
DRAWS = 250


class Checks(Base):
    """Residuals as probabilities, by draws from the family, and simulated fits."""

    parts: SeveralParts

    def _source(self: Any, kind: str, rng: np.random.Generator) -> Source:
        parts: SeveralParts = self.parts

        def again(y: Array) -> Transform:
            designs = tuple((name, replace(d, y=y)) for name, d in parts.designs)
            return _transform(type(self)(fit_designs(parts.call, designs)), y, kind, rng)

        return Source(
            parts.design,
            parts.data,
            _transform(self, parts.design.y, kind, rng),
            lambda rng: self.simulate(1, seed=rng)[:, 0],
            again,
            discrete=parts.family.support.discrete,
        )


def _transform(model: Any, y: Array, kind: str, rng: np.random.Generator) -> Transform:
    """Transform responses by draws, given the random effects or with new ones."""
    if kind == "marginal":
        draws = model.simulate(DRAWS, seed=rng)
        return by_draws(y, draws, draws.mean(axis=1), np.maximum(draws.var(axis=1), 1e-300))
    parts: SeveralParts = model.parts
    draws, variance = _draws(parts, rng)
    return by_draws(y, draws, model.fittedvalues.to_numpy(), variance)


def _draws(parts: SeveralParts, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw responses given the random effects, (n, DRAWS), and their variances, (n,)."""
    eta = parts.predictors(random=True)
    each = [np.repeat(part, DRAWS) for part in eta]
    y = parts.draws(each, np.repeat(parts.trials, DRAWS), rng)
    return y.reshape(-1, DRAWS), parts.response_variance(eta)
