"""What the numbers of a generalised linear mixed model warn of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ..design.design import Design
from ..models.glmm_estimate import GlmmEstimate
from .families import resid
from .optimum import Optimum

__all__ = ["Dispersion", "dispersion_test", "optimum_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Dispersion:
    """Whether responses vary more than their distribution says.

    Attributes
    ----------
    ratio : float
        Sum of squared Pearson residuals over ``df``; about 1 where the distribution holds.
    chisq, df, pvalue : float
        The sum, rows less parameters, and the upper tail of chi-squared: rough, since random
        effects take up part of the variation.
    """

    ratio: float
    chisq: float
    df: int
    pvalue: float


def dispersion_test(design: Design, estimate: GlmmEstimate, df: int) -> Dispersion:
    """Compare squared Pearson residuals, divided by phi of a gamma, with what is expected."""
    weights = np.ones(design.n_obs) if design.weights is None else design.weights
    pearson = resid(estimate.spec, "pearson", design.y, estimate.eta, weights, estimate.dispersion)
    chisq = float(pearson @ pearson) / estimate.sigma**2
    return Dispersion(chisq / df, chisq, df, float(scipy.special.chdtrc(df, chisq)))


def optimum_of(design: Design, estimate: GlmmEstimate) -> Optimum:
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
