"""The likelihood of each imputation at the estimates pooled over all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Array
from ..errors import ModelError, UnsupportedError
from ..fitted.lmm.model import LinearMixedModel
from ..models import lmm
from ..models.roots import root_of

__all__ = ["at_pooled"]


def at_pooled(models: Sequence[Any]) -> list[float]:
    """Evaluate the log-likelihood of each model at mean coefficients and covariances.

    Raises
    ------
    ModelError
        If the fits are by REML, whose likelihoods with other fixed effects do not compare.
    """
    for model in models:
        if not isinstance(model, LinearMixedModel):
            raise UnsupportedError(f"D3 is for linear mixed models, not for {type(model).__name__}")
        if model.reml:
            raise ModelError(
                "D3 compares likelihoods of different fixed effects, and these are REML fits; fit "
                "with reml=False"
            )
    beta = np.mean(
        [model.parts.estimate.beta[model.parts.estimate.kept] for model in models], axis=0
    )
    sigma = float(np.sqrt(np.mean([model.sigma**2 for model in models])))
    terms = zip(*(model.parts.estimate.sigmas for model in models), strict=True)
    relative = tuple(root(np.mean(blocks, axis=0) / sigma**2) for blocks in terms)
    return [_llf(model, beta, relative, sigma) for model in models]


def _llf(model: Any, beta: Array, lambda_: tuple[Array, ...], sigma: float) -> float:
    """Log-likelihood at given parameters.

    Notes
    -----
    With theta fixed, -2 log L = n log(2 pi sigma^2) + log|H| - sum log w
    + (r^2 + (b - b_theta)' X'H^-1 X (b - b_theta)) / sigma^2, where b_theta minimises r^2.
    """
    design = model.parts.design
    at = lmm.evaluate(design, model.parts.core, lambda_, reml=False)
    gap = np.linalg.solve(at.cov_root, beta - at.beta[at.kept])
    n = design.n_obs
    # The profiled criterion is the same with sigma^2 = r^2 / n and b = b_theta.
    constant = at.objective - n * (1.0 + np.log(2.0 * np.pi * at.pwrss / n))
    rest = (at.pwrss + float(gap @ gap)) / sigma**2
    return -0.5 * float(constant + n * np.log(2.0 * np.pi * sigma**2) + rest)


def root(covariance: Array) -> Array:
    """Lower triangular root of a covariance that may be singular."""
    return np.asfortranarray(np.transpose(np.linalg.qr(root_of(covariance).T)[1]))
