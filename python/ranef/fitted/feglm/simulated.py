"""What checks of residuals need from a generalised linear model with absorbed factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...families import Params
from ...inference.residuals.source import Source, Transform, by_cdf
from ..parts import Base
from .fit import absorbed, conditional
from .fitted import ConditionalFit, GlmFit
from .parts import FeglmParts

__all__ = ["Checks"]


class Checks(Base):
    """Residuals as probabilities of the family, and simulated fits."""

    parts: FeglmParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        parts, design, e = self.parts, self.parts.design, self.parts.estimate
        family, params = parts.family, _params(parts)

        def again(y: Array) -> Transform:
            return _transform(parts, _mean_given(parts, y), y)

        def draw(rng: np.random.Generator) -> Array:
            if isinstance(e, ConditionalFit):
                return e.strata.draw(rng, e.found.beta)
            return family.draw(rng, e.mu, params)

        return Source(
            design, parts.data, _transform(parts, e.mu, design.y), draw, again, discrete=True
        )


def _mean_given(parts: FeglmParts, y: Array) -> Array:
    """Fit another response of the same rows, whose edges are left as they are."""
    design, names = replace(parts.design, y=y), parts.call.absorb
    found: GlmFit = (
        conditional(design, names)
        if parts.is_conditional
        else absorbed(design, names, parts.family)
    )
    return found.mu


def _params(parts: FeglmParts) -> Params:
    """Name the trials."""
    weights = parts.design.weights
    return {"trials": np.ones(parts.nobs) if weights is None else weights}


def _transform(parts: FeglmParts, mu: Array, y: Array) -> Transform:
    """Transform responses by the family's distribution at means."""
    params, cdf = _params(parts), parts.family.need("cdf")
    trials = params["trials"] if parts.family.has_trials else 1.0
    variance = np.maximum(parts.family.variance(mu, params), 1e-300)
    return by_cdf(y, lambda at: cdf(at, mu, params), 1.0 / trials * np.ones(len(y)), mu, variance)
