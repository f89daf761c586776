"""Proportions of variance of a generalised linear mixed model, on the linear predictor's scale.

The variance that the distribution itself adds is given a value on that scale, and joined by the
variance of effects of single rows: extra dispersion, which explains nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..._typing import Array
from ...design.design import INTERCEPT, Design
from ...families.scale import distribution_variance, needs_mean
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate
from ...models.lmm import Control
from ..prediction.integrated import spread_of_rows
from ..prediction.predict import fixed_part
from .observed import Observed, observed
from .r2 import Variances, variances

__all__ = ["null_mean", "observed_parts", "parts_of_variance"]


def null_mean(design: Design, estimate: GlmmEstimate) -> float:
    """Mean of the response in the model without predictors.

    The mean over rows of exp(beta + offset + sum of variances / 2), so that the unit of an exposure
    makes no difference.
    """
    alone = replace(
        design,
        fixed=(INTERCEPT,),
        fixed_names=("Intercept",),
        fixed_terms=(("Intercept", (0,)),),
    )
    spec = replace(estimate.spec, nagq=min(estimate.spec.nagq, 1))
    if len(design.fixed) > 1 or design.fixed[0] != INTERCEPT:
        estimate = glmm.fit(alone, glmm.kernel(alone, spec), spec, control=Control())
    counts = frequencies(design, estimate)
    known = np.zeros(design.n_obs) if design.offset is None else design.offset
    exposure = float(np.average(np.exp(known), weights=counts))
    half = 0.5 * variances(alone, estimate, counts).random
    return exposure * float(np.exp(estimate.beta[0] + half))


def frequencies(design: Design, estimate: GlmmEstimate) -> Array | None:
    """Return how often each row counts; trials do not count as rows."""
    return None if estimate.spec.distribution.has_trials else design.weights


def parts_of_variance(design: Design, estimate: GlmmEstimate, method: str) -> Variances:
    """Compute the parts of the variance.

    The residual one is the distribution's and that of the effects of single rows.

    References
    ----------
    Nakagawa and Schielzeth (2010), Biol. Rev. 85, 935-956, for additive overdispersion; Nakagawa,
    Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213.
    """
    spec, params = estimate.spec, estimate.params()
    family, link = spec.distribution, spec.transform
    distribution_variance(family, link, 1.0, params, method)  # refuses before anything is fitted
    mean = null_mean(design, estimate) if needs_mean(family) else 1.0
    own = distribution_variance(family, link, mean, params, method)
    parts = variances(design, estimate, frequencies(design, estimate))
    groups = [term for term in design.random if not term.is_curve]
    by_row = np.array([term.n_levels == design.n_obs for term in groups], dtype=bool)
    return replace(
        parts,
        groups=tuple(term.group for term in groups if term.n_levels < design.n_obs),
        mean=parts.mean[~by_row],
        slopes=parts.slopes[~by_row],
        residual=own + float(parts.mean[by_row].sum() + parts.slopes[by_row].sum()),
    )


def observed_parts(design: Design, estimate: GlmmEstimate, trials: Array) -> Observed:
    """Compute the parts of the variance of the responses, rows with their exposures and trials."""
    family, link = estimate.spec.distribution, estimate.spec.transform
    variance: dict[str, Array] = {}
    for term, cov in zip(design.random, estimate.sigmas, strict=True):
        if not term.is_curve:
            own = spread_of_rows(design, [term], [cov])
            variance[term.group] = variance.get(term.group, 0.0) + own
    by_row = {term.group for term in design.random if term.n_levels == design.n_obs}

    def moments(at: list[Array], rows: slice) -> tuple[Array, Array]:
        mu = link.mean(at[0])
        return mu, np.asarray(family.variance(mu, estimate.params(trials[rows][:, None])))

    eta = [fixed_part(design, estimate)]
    return observed(moments, eta, [variance], by_row, frequencies(design, estimate))
