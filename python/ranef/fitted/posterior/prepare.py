"""From a model and the requested priors to a sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import Design
from ...errors import UnsupportedError
from ...families import Family
from ...families.links import slope_of
from ...inference.posterior.coordinates import Coordinates
from ...inference.posterior.draws import Draws
from ...inference.posterior.generalised import GeneralisedTarget, ShapePrior, Standing
from ...inference.posterior.improper import check_proper_priors, check_separated
from ...inference.posterior.priors import PosteriorPriors, Scales, posterior_priors
from ...inference.posterior.run import Settings, inside, sample_generalised, sample_linear
from ...inference.priors.priors import Point
from ...models.glmm.plan import Plan, plan_of
from ..glmm.parts import GlmmParts
from ..lmm.parts import LmmParts
from ..several.parts import SeveralParts
from .generalised import GeneralisedSource
from .linear import LinearSource
from .several import SeveralSource
from .source import Source

__all__ = ["Ready", "other_parts", "prepared"]

#: Scale of the default priors of a residual, in standard deviations, and of a dispersion.
WIDTH, DISPERSION = 2.5, 10.0
#: Standard deviation of the normal priors of standardised coefficients of other parts.
OTHER_PARTS = 2.5


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
        Takes settings and returns draws.
    """

    source: Source
    priors: PosteriorPriors
    draw: Callable[[Settings], Draws]


def prepared(model: Any, prior: Any) -> Ready:
    """Check the priors of a model."""
    parts = model.parts
    _check_terms(parts.design, isinstance(parts, LmmParts))
    if isinstance(parts, LmmParts):
        return _linear(model, parts, prior)
    if isinstance(parts, GlmmParts):
        return _generalised(model, parts, prior)
    return _several(model, parts, prior)


def _check_terms(design: Design, is_linear: bool) -> None:
    """Refuse terms whose covariance parameters have no prior, or whose effects no sampler.

    Raises
    ------
    UnsupportedError
        With the term, and what there is instead.
    """
    for term in design.random:
        why, instead = "", "model.conf_int('profile') and model.bootstrap() have intervals"
        if term.smooth is not None:
            why = "is a smooth, whose standard deviations have no prior here"
            instead = "model.smooth() has intervals of the curve"
        elif term.is_structured:
            kind = next(one.kind for one in term.structures if one is not None)
            why = f"has the covariance structure {kind}, whose parameters have no prior here"
        elif not (is_linear or term.is_plain):
            why = "has levels of known covariance" if term.known else "has several levels a row"
            why += ", which sample() draws for linear models (lmer) only"
        if why:
            raise UnsupportedError(
                f"a posterior of this model is not available: {term.written} {why}. {instead}"
            )


def _typical(design: Design, bases: Callable[[int], Array], size: float) -> tuple[Array, ...]:
    """Return the standard deviation of each column's effects that alone makes ``size``."""
    return tuple(size * np.linalg.norm(bases(t), axis=1) for t in range(len(design.random)))


def _sizes(family: Family, link: str, y: Array, eta: Array) -> tuple[float, float]:
    """Return a typical size of random effects, and the scale of a dispersion's default prior.

    The size is the standard deviation of the responses, by the slope of the link at their mean; of
    shares of trials, which say little of it, 1.
    """
    if family.shapes and family.shapes[0].name == "sigma":
        size = float(np.exp(family.shapes[0].start(y)))
        return size, WIDTH * size
    if family.has_trials:
        return 1.0, DISPERSION
    slope = abs(float(slope_of(link, np.mean(eta, keepdims=True))[0]))
    size = float(np.std(y)) / slope if slope > 0.0 else 1.0
    return (size if 0.0 < size < np.inf else 1.0), DISPERSION


def _coordinates(design: Design, prior: Any) -> Coordinates:
    residual = prior.get("residual") if isinstance(prior, Mapping) else None
    if isinstance(residual, Point) and isinstance(residual.sigma, Real):
        known = float(residual.sigma)
        return Coordinates(design.random, has_scale=False, known_scale=known)
    return Coordinates(design.random, has_scale=True)


def _linear(model: Any, parts: LmmParts, prior: Any) -> Ready:
    parts.exact_only("sampling a posterior")
    source = LinearSource(parts, type(model))
    design, estimate, core = parts.design, parts.estimate, source.core()
    given = parts.call.prior if prior is None else prior
    size = estimate.sigma * float(
        np.sqrt(1.0 + sum(np.sum(block**2) for block in estimate.lambda_standard))
    )
    typical = _typical(design, core.term_basis, size)
    coordinates = _coordinates(design, given)
    scales = Scales(typical, WIDTH * size, "residual", parts.reml)
    priors = posterior_priors(given, design, estimate.kept, coordinates, scales)

    def draw(settings: Settings) -> Draws:
        return sample_linear(design, estimate, core, coordinates, priors, typical, settings)

    return Ready(source, priors, draw)


def _generalised(model: Any, parts: GlmmParts, prior: Any) -> Ready:
    source = GeneralisedSource(parts, type(model))
    design, estimate = parts.design, parts.estimate
    family = estimate.spec.distribution
    flat = np.zeros(design.n_obs)
    starts = {"location": flat, **dict.fromkeys(family.parameters, flat)}
    plan = plan_of(family, estimate.spec.link, [("location", design)], starts)
    given = parts.call.prior if prior is None else prior
    size, width = _sizes(family, estimate.spec.link, design.y, estimate.eta)
    typical = _typical(design, plan.bases.__getitem__, size / plan.unit)
    has_scale = bool(family.shapes)
    scales = Scales(typical, width if has_scale else None, "dispersion", False)
    coordinates = Coordinates(design.random, has_scale=False)
    priors = posterior_priors(given, design, estimate.kept, coordinates, scales)
    check_proper_priors(priors, coordinates, design)
    told = [] if priors.fixed is None else estimate.kept[priors.fixed.index].tolist()
    check_separated(design.fixed_names, estimate.separated, told)
    back = np.linalg.inv(plan.blocks[0].T)
    standard, cov = back @ estimate.beta[estimate.kept], back @ estimate.cov_beta @ back.T
    shapes = []
    if has_scale:
        standard = np.append(standard, np.log(estimate.dispersion))
        cov = np.pad(cov, (0, 1))
        cov[-1, -1] = estimate.dispersion_se**2
        shapes = [ShapePrior(len(standard) - 1, family.shapes[0].natural, priors.residual)]
    covariances = inside(estimate.sigmas, typical)
    at = Standing(standard, cov, covariances, estimate.modes)
    target = GeneralisedTarget(plan, design.random, at, coordinates, priors, shapes)

    def draw(settings: Settings) -> Draws:
        found = sample_generalised(target, settings)
        places = plan.blocks[0].places
        scale = np.exp(found.beta[..., -1]) if has_scale else found.scale
        return replace(found, beta=found.beta[..., places] @ plan.blocks[0].T.T, scale=scale)

    return Ready(source, priors, draw)


def _several(model: Any, parts: SeveralParts, prior: Any) -> Ready:
    if not parts.design.random:
        raise UnsupportedError("sample() is for mixed models; this one has no random effects")
    source = SeveralSource(parts, type(model))
    design, estimate, plan = parts.design, parts.estimate, parts.plan
    size, width = _sizes(parts.family, parts.call.link, design.y, estimate.eta[:, 0])
    typical = _typical(design, plan.bases.__getitem__, size / plan.unit)
    constant = bool(parts.family.shapes) and parts.call.dispersion is None
    scales = Scales(typical, width if constant else None, "dispersion", False)
    coordinates = Coordinates(design.random, has_scale=False)
    priors = posterior_priors(prior, design, estimate.kept, coordinates, scales)
    check_proper_priors(priors, coordinates, design)
    location = [
        design.fixed_names.index(name) for part, name in estimate.separated if part == "location"
    ]
    told = [] if priors.fixed is None else estimate.kept[priors.fixed.index].tolist()
    check_separated(design.fixed_names, location, told)
    said = dict(priors.said)
    shapes = other_parts(parts, plan, priors, constant, said)
    covariances = inside(estimate.sigmas, typical)
    at = Standing(estimate.standard, estimate.standard_cov, covariances, estimate.modes)
    told_priors = replace(priors, said=said)
    target = GeneralisedTarget(plan, design.random, at, coordinates, told_priors, shapes)
    return Ready(source, told_priors, lambda settings: sample_generalised(target, settings))


def other_parts(
    parts: SeveralParts,
    plan: Plan,
    priors: PosteriorPriors,
    constant: bool,
    said: dict[str, Any],
) -> list[ShapePrior]:
    """Priors of the coefficients of shapes, dispersion and zeros."""
    out = []
    for block in plan.blocks[1:]:
        places = range(block.places.start, block.places.stop)
        if constant and block.part == parts.family.shapes[0].name:
            out.append(ShapePrior(places[0], parts.family.shapes[0].natural, priors.residual))
            continue
        # Of a dispersion, whose unit is the response's, about the moments; of zeros, about 1/2.
        means = np.zeros(len(plan.start)) if block.part == "zero" else plan.start
        about = "" if block.part == "zero" else " about their values by moments"
        said[block.part] = f"normal, sd {OTHER_PARTS}, by standardised columns{about}"
        out += [ShapePrior(at, None, OTHER_PARTS, float(means[at])) for at in places]
    return out
