"""What checks of residuals need from a cumulative link model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from ..._typing import Array
from ...errors import DataError
from ...families.links import mean_of
from ...inference.residuals.source import Source, Transform, by_draws
from ..parts import Base
from .fit import fit_found
from .parts import OrdinalParts

__all__ = ["Checks"]

#: Draws behind the probabilities of a category.
DRAWS = 250


class Checks(Base):
    """Residuals as probabilities of categories, and simulated fits."""

    parts: OrdinalParts

    def _source(self: Any, kind: str, rng: np.random.Generator) -> Source:
        parts: OrdinalParts = self.parts
        e = parts.estimate
        # responses drawn from the model have their maximum near its parameters
        near = None if e.is_singular or e.separated else (e.theta, e.standard)

        def transform(model: Any, y: Array) -> Transform:
            if kind == "conditional":
                return _conditional(model.parts, y)
            draws = model.simulate(DRAWS, seed=rng)
            return by_draws(y, draws, draws.mean(axis=1), np.maximum(draws.var(axis=1), 1e-12))

        def again(y: Array) -> Transform:
            if len(np.unique(y)) < len(parts.categories):
                raise DataError("a category did not occur", parts.design.response)
            found = (replace(parts.design, y=y), parts.nominal, parts.scale, parts.categories)
            return transform(type(self)(fit_found(parts.call, found, parts.data, near)), y)

        return Source(
            parts.design,
            parts.data,
            transform(self, parts.design.y),
            lambda rng: self.simulate(1, seed=rng)[:, 0],
            again,
            scale_is_free=True,
            categories=tuple(parts.categories),
            along="linear predictor" if kind == "conditional" else "mean position of categories",
        )


def _conditional(parts: OrdinalParts, y: Array) -> Transform:
    """Transform categories by their cumulative probabilities given the random effects."""
    link, estimate, n_categories = parts.call.link, parts.estimate, len(parts.categories)
    location, high, low, log_scale = estimate.eta.T[:4]
    scale = np.exp(log_scale)
    upper = np.where(y >= n_categories - 1, 1.0, mean_of(link, (high - location) / scale))
    lower = np.where(y <= 0, 0.0, mean_of(link, (low - location) / scale))
    middle = scipy.special.ndtri(np.clip(0.5 * (lower + upper), 1e-12, 1.0 - 1e-12))
    return Transform(lower, np.maximum(upper, lower), middle, location)
