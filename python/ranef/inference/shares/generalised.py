"""Proportions of variance of a generalised linear mixed model, on the linear predictor's scale.

The variance that the distribution itself adds is given a value on that scale.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from ...design.design import INTERCEPT, Design
from ...errors import UnsupportedError
from ...models.glmm import model as glmm
from ...models.glmm.estimate import GlmmEstimate, GlmmSpec
from ...models.lmm import Control
from .r2 import Variances, variances

__all__ = ["METHODS", "distribution_variance", "null_mean", "parts_of_variance"]

METHODS = ("lognormal", "trigamma", "delta")

#: Variance of the distribution whose quantile function is the link.
LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


def distribution_variance(spec: GlmmSpec, mean: float, dispersion: float, method: str) -> float:
    """Variance that the distribution adds on the scale of the linear predictor.

    Parameters
    ----------
    spec : GlmmSpec
        Family and link.
    mean : float
        Mean of the response with random effects alone; not used for a binomial.
    dispersion : float
        phi of a gamma, size of a negative binomial.
    method : {"lognormal", "trigamma", "delta"}
        The approximation for a log link.

    Raises
    ------
    UnsupportedError
        For a gamma with inverse link.

    References
    ----------
    Nakagawa, Johnson and Schielzeth (2017), J. R. Soc. Interface 14, 20170213, table 1.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, not {method!r}")
    if spec.link in LATENT:
        return LATENT[spec.link]
    if spec.link == "inverse":
        raise UnsupportedError("proportions of variance are known for log, not for inverse links")
    # squared coefficient of variation of the response given its mean
    relative = {
        "poisson": 1.0 / mean,
        "gamma": dispersion,
        "negative_binomial": 1.0 / mean + 1.0 / dispersion,
    }[spec.family]
    if method == "lognormal":
        return float(np.log1p(relative))
    return float(scipy.special.polygamma(1, 1.0 / relative)) if method == "trigamma" else relative


def null_mean(design: Design, estimate: GlmmEstimate) -> float:
    """Mean of the response in the model without predictors, exp(beta + sum of variances / 2)."""
    alone = replace(
        design,
        fixed=(INTERCEPT,),
        fixed_names=("Intercept",),
        fixed_terms=(("Intercept", (0,)),),
    )
    spec = replace(estimate.spec, nagq=min(estimate.spec.nagq, 1))
    if len(design.fixed) > 1 or design.fixed[0] != INTERCEPT:
        estimate = glmm.fit(alone, glmm.kernel(alone, spec), spec, control=Control())
    return float(np.exp(estimate.beta[0] + 0.5 * variances(alone, estimate).random))


def parts_of_variance(design: Design, estimate: GlmmEstimate, method: str) -> Variances:
    """Compute the parts of the variance; the residual one is the distribution's."""
    spec = estimate.spec
    distribution_variance(spec, 1.0, 1.0, method)  # refuses before anything is fitted
    needs_mean = spec.family in ("poisson", "negative_binomial")
    mean = null_mean(design, estimate) if needs_mean else np.nan
    residual = distribution_variance(spec, mean, estimate.dispersion, method)
    return replace(variances(design, estimate), residual=residual)
