"""Scores of left-out rows by models without the random effects of a mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._typing import Array
from ..errors import ModelError
from ..families.residuals import deviance_rows
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gee.model import GEEModel
from ..fitted.gls.model import GLSModel
from ..inference.crossval.crossval import log_density
from ..inference.prediction import predict as prediction

__all__ = ["feglm_scores", "feols_scores", "gee_scores", "gls_scores"]


def _normal(y: Array, mean: Array, sd: Array) -> dict[str, Array]:
    return {"mean": mean, "sd": sd, "log_score": log_density(y, mean, sd)}


def gls_scores(
    whole: GLSModel, fit: GLSModel, new: Any, rows: NDArray[np.intp], y: Array, w: Array
) -> dict[str, Array]:
    """Score normal predictive distributions of the population: no residual of a group is used.

    Parameters
    ----------
    whole, fit : GLSModel
        The model of all rows, and that of the training rows.
    new : frame
        The rows to predict.
    rows : ndarray of int
        Their positions in the whole model.
    y, w : ndarray
        Their responses and weights.
    """
    known, own = whole.parts.rows, fit.parts.rows
    if known.D_names != own.D_names:
        lost = [name for name in known.D_names if name not in own.D_names]
        raise ModelError(
            f"without the fold nothing is known of {', '.join(lost) or 'a level'} of the residual "
            "variances; use fewer folds"
        )
    found = fit.predict(new, random="none", new_levels="population", interval="confidence", se=True)
    residual = fit.parts.estimate.residual_sd(known.D[rows]) ** 2 / w
    between = np.zeros(len(y))
    if known.design.random:
        design = known.design
        between = prediction.random_variance(design, fit.parts.estimate.sigmas)[rows]
    sd = np.sqrt(found["se"].to_numpy() ** 2 + residual + between)
    return _normal(y, found["mean"].to_numpy(), sd)


def feols_scores(fit: FixedEffectsModel, new: Any, y: Array, w: Array) -> dict[str, Array]:
    """Score normal predictive distributions of least squares.

    With absorbed factors the error of the coefficients is unknown and left out.
    """
    sd = np.full(len(y), fit.sigma) / np.sqrt(w)
    if fit.parts.estimate.absorption is not None:
        mean = fit.predict(new, new_levels="population").to_numpy()
        return _normal(y, mean, sd)
    found = fit.predict(new, se=True)
    return _normal(y, found["mean"].to_numpy(), np.sqrt(found["se"].to_numpy() ** 2 + sd**2))


def feglm_scores(
    fit: GeneralizedFixedEffectsModel, new: Any, y: Array, w: Array
) -> dict[str, Array]:
    """Score the family's distribution at the predicted means; w are trials or frequencies.

    The error of coefficients and effects is left out.
    """
    family = fit.parts.family
    mean = fit.predict(new, new_levels="population").to_numpy()
    trials = w if family.has_trials else np.ones(len(y))
    times = np.ones(len(y)) if family.has_trials else w
    params = family.params(1.0, trials)
    limits = [family.need("quantile")(p, mean, params) for p in (0.025, 0.975)]
    inside = (limits[0] <= y + 1e-9) & (y - 1e-9 <= limits[1])
    scores = {
        "mean": mean,
        "sd": np.sqrt(family.variance(mean, params)),
        "log_score": times * family.need("logpdf")(y, mean, params),
        "inside": inside.astype(float),
        "deviance": deviance_rows(family, y, mean, w, params),
    }
    if family.has_trials:
        scores["brier"] = y * (1.0 - mean) ** 2 + (1.0 - y) * mean**2
    return scores


def gee_scores(fit: GEEModel, new: Any, y: Array, w: Array) -> dict[str, Array]:
    """Score means; estimating equations have no distribution of a row, so no log score."""
    mean = np.asarray(fit.predict(new), dtype=float)
    family, scale = fit.parts.spec.distribution, fit.parts.estimate.phi
    sd = np.sqrt(scale * family.unit_variance(mean, family.params(scale)) / w)
    scores = {"mean": mean, "sd": sd}
    if family.has_trials:
        scores["brier"] = y * (1.0 - mean) ** 2 + (1.0 - y) * mean**2
    return scores
