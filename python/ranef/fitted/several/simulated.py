"""What checks of residuals ask of a model of several predictors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy

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
            discrete=parts.family.whole,
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
    given = parts.family.given(parts.call.link, eta, parts.trials)
    zero = np.zeros(parts.nobs)
    if parts.call.zero is not None:
        zero = np.asarray(scipy.special.expit(eta[-1]))
    each = [np.repeat(part, DRAWS) for part in eta]
    many = parts.family.given(parts.call.link, each, np.repeat(parts.trials, DRAWS))
    y = np.asarray(parts.family.draw(many, rng), dtype=np.float64)
    y = np.where(rng.random(len(y)) < np.repeat(zero, DRAWS), 0.0, y)
    mean, variance = parts.family.mean(given), parts.family.variance(given)
    return y.reshape(-1, DRAWS), np.asarray((1.0 - zero) * (variance + zero * mean**2))
