"""What checks of residuals need from least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...inference.residuals.source import Source, Transform, normal
from ..parts import Base
from .fit import fit_design
from .parts import FeolsParts

__all__ = ["Checks"]


class Checks(Base):
    """Residuals as probabilities, and simulated fits: normal errors of one variance."""

    parts: FeolsParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        parts, design, ols = self.parts, self.parts.design, self.parts.ols
        spread = 1.0 if design.weights is None else 1.0 / np.sqrt(design.weights)

        def again(y: Array) -> Transform:
            found = fit_design(replace(design, y=y), parts.call.absorb).within.ols
            return normal(y, found.fitted, np.sqrt(found.sigma2) * spread)

        def draw(rng: np.random.Generator) -> Array:
            noise = np.sqrt(ols.sigma2) * spread * rng.standard_normal(design.n_obs)
            return np.asarray(ols.fitted + noise)

        own = normal(design.y, ols.fitted, np.sqrt(ols.sigma2) * spread)
        return Source(design, parts.data, own, draw, again, scale_is_free=True)
