"""From a model and what was asked for as its priors to a sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...inference.posterior.coordinates import Coordinates
from ...inference.posterior.draws import Draws
from ...inference.posterior.priors import PosteriorPriors, Scales, posterior_priors
from ...inference.posterior.run import Settings, sample_generalised, sample_linear
from ...inference.priors.priors import Point
from ..glmm.parts import GlmmParts
from ..lmm.parts import LmmParts
from .source import GeneralisedSource, LinearSource, Source

__all__ = ["Ready", "prepared"]

#: Scale of the default priors of a residual, in standard deviations, and of a dispersion.
WIDTH, DISPERSION = 2.5, 10.0


@dataclass(frozen=True)
class Ready:
    """A model with its priors, ready to be sampled.

    Attributes
    ----------
    source : Source
        The model.
    priors : PosteriorPriors
        Its priors.
    draw : callable
        Takes settings and gives draws.
    """

    source: Source
    priors: PosteriorPriors
    draw: Callable[[Settings], Draws]


def prepared(model: Any, prior: Any) -> Ready:
    """Check the priors of a model."""
    if isinstance(model.parts, LmmParts):
        return _linear(model, model.parts, prior)
    return _generalised(model, model.parts, prior)


def _typical(design: Design, basis: Callable[[int], Array], size: float) -> tuple[Array, ...]:
    """Return the standard deviation of each column's effects that alone makes ``size``."""
    return tuple(size * np.linalg.norm(basis(t), axis=1) for t in range(len(design.random)))


def _coordinates(design: Design, prior: Any, has_scale: bool) -> Coordinates:
    residual = prior.get("residual") if isinstance(prior, Mapping) else None
    if isinstance(residual, Point) and has_scale and isinstance(residual.sigma, Real):
        known = float(residual.sigma)
        return Coordinates(design.random, has_scale=False, known_scale=known)
    return Coordinates(design.random, has_scale=has_scale)


def _linear(model: Any, parts: LmmParts, prior: Any) -> Ready:
    parts.exact_only("sampling a posterior")
    source = LinearSource(parts, type(model))
    design, estimate, core = parts.design, parts.estimate, source.core()
    given = parts.call.prior if prior is None else prior
    size = estimate.sigma * float(
        np.sqrt(1.0 + sum(np.sum(block**2) for block in estimate.lambda_standard))
    )
    typical = _typical(design, core.term_basis, size)
    coordinates = _coordinates(design, given, True)
    scales = Scales(typical, WIDTH * size, "residual", parts.reml)
    priors = posterior_priors(given, design, estimate.kept, coordinates, scales)

    def draw(settings: Settings) -> Draws:
        return sample_linear(design, estimate, core, coordinates, priors, typical, settings)

    return Ready(source, priors, draw)


def _generalised(model: Any, parts: GlmmParts, prior: Any) -> Ready:
    source = GeneralisedSource(parts, type(model))
    design, estimate = parts.design, parts.estimate
    given = parts.call.prior if prior is None else prior
    typical = _typical(design, parts.core.term_basis, 1.0)
    has_scale = estimate.spec.has_dispersion
    coordinates = Coordinates(design.random, has_scale=has_scale)
    scales = Scales(typical, DISPERSION if has_scale else None, "dispersion", False)
    priors = posterior_priors(given, design, estimate.kept, coordinates, scales)

    def draw(settings: Settings) -> Draws:
        return sample_generalised(
            design, estimate, parts.weights, coordinates, priors, typical, settings
        )

    return Ready(source, priors, draw)
