"""The conditional Akaike criterion of counts and of shares of trials, by refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..design.design import Design
from ..errors import UnsupportedError
from ..models.glmm import model as glmm
from ..models.glmm.estimate import GlmmEstimate
from ..models.lmm import Control, off_boundary
from ..parallel.progress import bar
from .caic import NOTE, ConditionalAic

__all__ = ["caic_of_counts"]


def caic_of_counts(
    design: Design, estimate: GlmmEstimate, control: Control, *, progress: bool
) -> ConditionalAic:
    """Compute the criterion of a Poisson or binomial model.

    Notes
    -----
    With eta(y) the predictors at the modes of a fit to y, the degrees of freedom of counts are
    sum_i y_i (eta_i(y) - eta_i(y - e_i)), by a fit for each count above zero [1]_. A share of
    trials is taken for as many 0/1 responses: of each trial mu (1 - mu) times the difference that
    turning it over makes to its predictor [2]_.

    References
    ----------
    .. [1] Lian (2012), Statistics and Computing 22, 449-460; Saefken, Kneib, van Waveren and Greven
       (2014), Electronic Journal of Statistics 8, 201-225.
    .. [2] Efron (2004), J. Am. Stat. Assoc. 99, 619-632.
    """
    family = estimate.spec.distribution
    if not family.support.discrete or family.has_dispersion:
        raise UnsupportedError(
            f"the conditional AIC is exact for Poisson and binomial responses, not for "
            f"{family.label} ones; compare by model.aic, or by ranef.cross_validate(model, "
            "'new_groups', folds=10)"
        )
    start = off_boundary(estimate.lambda_standard)
    near = replace(control, start=start)

    def predictor(i: int, value: float) -> float:
        y = design.y.copy()
        y[i] = value
        moved = replace(design, y=y)
        found = glmm.fit(moved, glmm.kernel(moved, estimate.spec), estimate.spec, control=near)
        return float(found.eta[i])

    y, eta = design.y, estimate.eta
    if not family.has_trials:
        changes = [(int(i), float(y[i]) - 1.0, float(y[i])) for i in np.flatnonzero(y > 0.0)]
    else:
        changes = turned_over(design, estimate)
    df = 0.0
    with bar(len(changes), "fits", shown=progress) as advance:
        for i, value, weight in changes:
            df += weight * following(eta[i], predictor(i, value), value < y[i])
            advance(1)
    cll = estimate.conditional_log_likelihood
    return ConditionalAic(-2.0 * cll + 2.0 * df, df, df, cll, (), NOTE)


def turned_over(design: Design, estimate: GlmmEstimate) -> list[tuple[int, float, float]]:
    """List rows with a success fewer or more, and the weight of the change of their predictor."""
    trials = np.ones(design.n_obs) if design.weights is None else design.weights
    mu = estimate.spec.transform.mean(estimate.eta)
    spread = mu * (1.0 - mu)
    successes = np.round(design.y * trials)
    out = []
    for i in range(design.n_obs):
        if successes[i] > 0.0:
            fewer = (successes[i] - 1.0) / trials[i]
            out.append((i, fewer, successes[i] * spread[i]))
        if successes[i] < trials[i]:
            more = (successes[i] + 1.0) / trials[i]
            out.append((i, more, (trials[i] - successes[i]) * spread[i]))
    return out


def following(before: float, after: float, fewer: bool) -> float:
    """Return how much a predictor follows its own response."""
    return before - after if fewer else after - before
