"""What checks of residuals need from a generalised linear mixed model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ... import _core
from ..._typing import Array
from ...inference.prediction import predict as prediction
from ...inference.prediction.generalised import Predictive
from ...inference.residuals.source import Source, Transform, by_cdf
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate
from ..parts import Base
from .fit import estimated
from .parts import GlmmParts

__all__ = ["Checks", "generalised_source"]


class Checks(Base):
    """Residuals as probabilities, and simulated fits."""

    parts: GlmmParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        return generalised_source(self.parts, kind)


def generalised_source(parts: GlmmParts, kind: str) -> Source:
    """Set up the checks of a fit."""
    parts.each_row("simulated_residuals")
    design, e = parts.design, parts.estimate
    family = e.spec.distribution

    def again(y: Array) -> Transform:
        new = replace(design, y=y)
        return _transform(parts, estimated(new, glmm.kernel(new, e.spec), parts.call), y, kind)

    def held(y: Array) -> Transform:
        core = glmm.kernel(replace(design, y=y), e.spec)
        beta = np.asarray(core.evaluate(e.theta, np.zeros(0), e.dispersion).beta)
        return _transform(parts, _moved(parts, core, beta), y, kind)

    def draw(rng: np.random.Generator) -> Array:
        modes = prediction.random_draws(design, e.lambda_, 1.0, rng)
        eta = prediction.fixed_part(design, e) + prediction.random_part(design, modes)
        return family.draw(rng, e.spec.transform.mean(eta), e.params(parts.weights))

    own = _transform(parts, e, design.y, kind)
    return Source(design, parts.data, own, draw, again, held, discrete=family.support.discrete)


def _moved(parts: GlmmParts, core: _core.Glmm, beta: Array) -> GlmmEstimate:
    """Replace the estimate by the joint mode of fixed and random effects."""
    e = parts.estimate
    full, p = np.full(len(e.beta), np.nan), len(e.kept)
    full[e.kept] = np.asarray(core.T)[:p, :p] @ beta
    return replace(e, beta=full, eta=np.asarray(core.eta))


def _transform(parts: GlmmParts, e: GlmmEstimate, y: Array, kind: str) -> Transform:
    """Transform responses by the family, given the random effects or mixed over them."""
    design, family = parts.design, e.spec.distribution
    unit = None
    if family.support.discrete:
        unit = 1.0 / parts.weights if family.has_trials else np.ones(len(y))
    if kind == "conditional":
        mu, params = e.spec.transform.mean(e.eta), e.params(parts.weights)
        cdf, variance = family.need("cdf"), family.variance(mu, params)
        return by_cdf(y, lambda at: cdf(at, mu, params), unit, mu, variance)
    between = prediction.random_variance(design, e.sigmas)
    mixed = Predictive(
        e.spec, e.dispersion, prediction.fixed_part(design, e), between, parts.weights
    )
    mean, sd = mixed.moments()
    return by_cdf(y, mixed.distribution, unit, mean, sd**2)
