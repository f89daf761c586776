"""Warnings from the numbers of a generalised linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from ..._html import Preformatted
from ...design.design import Design
from ...families.residuals import residuals
from ...models.glmm.estimate import GlmmEstimate, PartsEstimate
from .optimum import Optimum

__all__ = [
    "Dispersion",
    "accounts_for_it",
    "dispersion_test",
    "optimum_of",
    "overdispersed",
    "without_excess",
]


#: Pearson residuals whose mean square is larger, and whose chance is smaller, are worth a note.
OVERDISPERSED, UNLIKELY = 1.2, 0.01


@dataclass(frozen=True)
class Dispersion(Preformatted):
    """Whether responses vary more than their distribution allows.

    Attributes
    ----------
    ratio : float
        Sum of squared Pearson residuals over ``df``; about 1 if the distribution is right.
    chisq, df, pvalue : float
        The sum, rows minus parameters, and the upper tail of chi-squared: approximate, since
        random effects absorb part of the variation.
    """

    ratio: float
    chisq: float
    df: int
    pvalue: float


def dispersion_test(design: Design, estimate: GlmmEstimate, df: int) -> Dispersion:
    """Compare squared Pearson residuals, divided by phi of a gamma, with what is expected."""
    weights = np.ones(design.n_obs) if design.weights is None else design.weights
    family, link, params = estimate.spec.distribution, estimate.spec.transform, estimate.params()
    pearson = residuals(family, link, "pearson", design.y, estimate.eta, weights, params)
    chisq = float(pearson @ pearson) / estimate.sigma**2
    return Dispersion(chisq / df, chisq, df, float(scipy.special.chdtrc(df, chisq)))


def overdispersed(design: Design, estimate: GlmmEstimate, df: int) -> Dispersion | None:
    """Return the dispersion of counts, or shares of several trials, where it is excessive."""
    family = estimate.spec.distribution
    if family.has_dispersion:
        return None
    trials = 1.0 if design.weights is None else float(np.median(design.weights))
    if family.has_trials and trials <= 1.0:
        return None
    found = dispersion_test(design, estimate, df)
    return found if found.ratio > OVERDISPERSED and found.pvalue < UNLIKELY else None


def accounts_for_it(estimate: GlmmEstimate) -> str:
    """State what accounts for overdispersion."""
    own, wider = "an effect of each row", estimate.spec.distribution.wider
    return f'family="{wider}" or {own}' if wider else own


def without_excess(estimate: GlmmEstimate) -> bool:
    """Return whether responses vary no more than those of a family with a parameter fewer."""
    no_excess = estimate.spec.distribution.no_excess
    return no_excess is not None and no_excess(estimate.params())


def optimum_of(design: Design, estimate: GlmmEstimate | PartsEstimate) -> Optimum:
    """Gather the conditions of an optimum.

    The parameters are free: a variance is the square of its own, and stands at zero rightly where
    -2 log-likelihood bends up on both sides. A negative eigenvalue along which no lower point was
    found is rounding.
    """
    bends = estimate.eigenvalues
    return Optimum(
        gradient=estimate.gradient,
        eigenvalues=bends if estimate.status == "saddle" else np.maximum(bends, 0.0),
        decrement=estimate.decrement,
        cone=0.0,
        flattest=np.zeros(len(estimate.gradient)),
        n_null=0,
        n_obs=design.n_obs,
    )
