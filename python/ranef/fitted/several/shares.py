"""Variances of a model of several linear predictors, on the scales of predictor and responses.

``parts`` are a ``SeveralParts``, which asks these functions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..._typing import Array
from ...design.design import INTERCEPT, Design
from ...errors import UnsupportedError
from ...families.links import link_named
from ...families.scale import ELSEWHERE, check_scale, needs_mean, row_variance
from ...inference.prediction.integrated import averaged, spread_of_rows
from ...inference.shares.observed import Observed, observed
from ...inference.shares.r2 import Variances, variances_of, without_rows
from ...models.glmm.plan import plan_of, whole_design
from ...models.glmm.several import fit_parts

__all__ = ["latent", "observed_parts"]


def latent(parts: Any, method: str) -> tuple[Design, Variances]:
    """Compute the parts of the variance of the location's linear predictor, and their terms.

    Raises
    ------
    UnsupportedError
        Where the distribution's variance has no place on that scale.
    """
    parts.scale_word(method)
    family, link = parts.family, link_named(parts.call.link)
    check_scale(family, link, parts.call.zero is not None)
    zero = constant_zero(parts)
    own = dict(parts.designs)["location"]
    linear = parts.predictors(random=False)[0]
    linear = linear if own.offset is None else linear - own.offset
    sigmas = [parts.estimate.sigmas[t] for _, t in parts.terms_of("location")]
    found = variances_of(own, linear, sigmas, distribution(parts, method, zero), counts(parts))
    return without_rows(own, found)


def counts(parts: Any) -> Array | None:
    """Return how often each row counts; trials do not count as rows."""
    return None if parts.family.has_trials else parts.design.weights


def constant_zero(parts: Any) -> float:
    """Return the probability of a structural zero; 0 without a zero part.

    Raises
    ------
    UnsupportedError
        Where it varies, since it is then a second way in which predictors act.
    """
    if parts.call.zero is None:
        return 0.0
    design = dict(parts.designs)["zero"]
    if design.random or design.offset is not None or design.fixed != (INTERCEPT,):
        raise UnsupportedError(
            "predictors and groups act on the zeros as well, and not on the scale of one linear "
            f"predictor; {ELSEWHERE}"
        )
    return float(parts.zero_share(parts.predictors(random=False))[0])


def distribution(parts: Any, method: str, zero: float) -> float:
    """Compute the mean over rows of the variance that the distribution adds."""
    family, link = parts.family, link_named(parts.call.link)
    eta = parts.predictors(random=False)
    wants = needs_mean(family) or parts.call.dispersion is not None
    mu = null_mean(parts) if wants and link.name != "identity" else 1.0
    eta[0] = np.full(len(eta[0]), float(link.function(np.array([mu]))[0]))
    spread: list[Array | None] = [None] * len(eta)
    known = dict(parts.designs)
    if "dispersion" in known and known["dispersion"].random:
        spread[parts.positions["dispersion"]] = sum(by_group(parts, "dispersion").values())
    trials = np.ones(len(eta[0]))

    def of_rows(at: list[Array], rows: slice) -> Array:
        flat = [np.ascontiguousarray(one.ravel()) for one in at]
        size = np.repeat(trials[rows], at[0].shape[1])
        mean, params = parts.given(flat, size)
        return row_variance(family, link, mean, params, method, zero).reshape(at[0].shape)

    return float(np.average(averaged(of_rows, eta, spread), weights=counts(parts)))


def null_mean(parts: Any) -> float:
    """Mean location of the model whose location has no predictors, averaged over new levels."""
    own = dict(parts.designs)["location"]
    if len(own.fixed) > 1 or own.fixed[0] != INTERCEPT:
        alone = replace(
            own,
            fixed=(INTERCEPT,),
            fixed_names=("Intercept",),
            fixed_terms=(("Intercept", (0,)),),
        )
        parts = refitted(parts, (("location", alone), *parts.designs[1:]))
        own = alone
    sigmas = [parts.estimate.sigmas[t] for _, t in parts.terms_of("location")]
    eta = parts.predictors(random=False)[0]
    total = variances_of(own, eta, sigmas, 0.0, counts(parts)).random
    link = link_named(parts.call.link)
    spread = np.full(len(eta), total) if own.random else None
    mean = averaged(lambda at, rows: link.mean(at[0]), [eta], [spread])
    return float(np.average(mean, weights=counts(parts)))


def refitted(parts: Any, designs: tuple[tuple[str, Design], ...]) -> Any:
    """Fit other designs of the same rows, from where the predictors stand."""
    names = ["location", *parts.family.parameters, *(["zero"] if parts.call.zero else [])]
    starts = dict(zip(names, parts.predictors(random=False), strict=True))
    plan = plan_of(parts.family, parts.call.link, designs, starts)
    whole = whole_design(designs)
    estimate = fit_parts(plan, nagq=parts.call.nagq, control=parts.call.control)
    return replace(parts, design=whole, designs=designs, kernel_plan=plan, estimate=estimate)


def by_group(parts: Any, part: str) -> dict[str, Array]:
    """Variance of the random effects of a part by grouping factor, row by row."""
    design = dict(parts.designs)[part]
    out: dict[str, Array] = {}
    for term, (_, t) in zip(design.random, parts.terms_of(part), strict=True):
        own = spread_of_rows(design, [term], [parts.estimate.sigmas[t]])
        out[term.group] = out.get(term.group, 0.0) + own
    return out


def observed_parts(parts: Any) -> Observed:
    """Compute the parts of the variance of the responses, structural zeros included."""
    eta = parts.predictors(random=False)
    variance: list[dict[str, Array]] = [{} for _ in eta]
    for part, _ in parts.designs:
        variance[parts.positions[part]] = by_group(parts, part)
    n = parts.design.n_obs
    rows_ = {term.group for _, d in parts.designs for term in d.random if term.n_levels == n}
    trials = parts.trials

    def moments(at: list[Array], rows: slice) -> tuple[Array, Array]:
        shape = at[0].shape
        flat = [np.ascontiguousarray(one.ravel()) for one in at]
        size = np.repeat(trials[rows], shape[1])
        mean, spread = parts.response_moments(flat, size)
        return mean.reshape(shape), spread.reshape(shape)

    return observed(moments, eta, variance, rows_, counts(parts))
