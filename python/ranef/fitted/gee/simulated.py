"""What checks of residuals need from a marginal model."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import scipy

from ..._typing import Array, Codes
from ...design.grouped import group_term, times_of
from ...families import Params
from ...inference.residuals.source import Source, Transform, by_cdf, normal
from ...models.gee import GeeEstimate, sort_rows, working_correlation
from ..parts import Base
from .fit import fit_design
from .parts import GeeParts

__all__ = ["Checks"]


class Checks(Base):
    """Residuals as probabilities of the family, and simulated fits.

    Estimating equations have no joint distribution; responses are drawn with the family's margins
    and the working correlation between their normal scores.
    """

    parts: GeeParts

    def _source(self, kind: str, rng: np.random.Generator) -> Source:
        parts, design, e = self.parts, self.parts.design, self.parts.estimate
        family, call = parts.spec.distribution, parts.call
        times = None if call.time is None else times_of(group_term(design, call.time))
        rows = sort_rows(group_term(design, call.groups).codes, times)
        R = working_correlation(parts.spec.corr, e.alpha, parts.times(), parts.spec.fixed)

        def again(y: Array) -> Transform:
            return _transform(parts, fit_design(replace(design, y=y), rows, parts.spec), y)

        def draw(rng: np.random.Generator) -> Array:
            scores = np.empty(design.n_obs)
            for at, wave in _groups(rows.start, rows.order, rows.wave):
                root = np.linalg.cholesky(R[np.ix_(wave, wave)])
                scores[at] = root @ rng.standard_normal(len(wave))
            if family.in_units:
                return e.mu + _sd(parts, e) * scores
            return family.need("quantile")(scipy.special.ndtr(scores), e.mu, _params(parts, e))

        discrete = family.support.discrete
        free = family.in_units
        own = _transform(parts, e, design.y)
        return Source(design, parts.data, own, draw, again, discrete=discrete, scale_is_free=free)


def _groups(start: Codes, order: Codes, wave: Codes) -> list[tuple[Codes, Codes]]:
    """Rows of each group, and the places of their times."""
    return [(order[a:b], wave[a:b]) for a, b in pairwise(start)]


def _sd(parts: GeeParts, e: GeeEstimate) -> Array:
    """Return the standard deviation of each row of a normal response."""
    w = 1.0 if parts.design.weights is None else parts.design.weights
    return np.asarray(np.sqrt(e.phi / w))


def _params(parts: GeeParts, e: GeeEstimate) -> Params:
    """Name the parameters of the family: the scale, where the family has one."""
    return parts.spec.distribution.params(e.phi)


def _transform(parts: GeeParts, e: GeeEstimate, y: Array) -> Transform:
    """Transform responses by the family's distribution at the fitted means."""
    family = parts.spec.distribution
    if family.in_units:
        return normal(y, e.mu, _sd(parts, e))
    params = _params(parts, e)
    unit = np.ones(len(y)) if family.support.discrete else None
    cdf, variance = family.need("cdf"), family.variance(e.mu, params)
    return by_cdf(y, lambda at: cdf(at, e.mu, params), unit, e.mu, variance)
