"""Predictions and coefficients averaged over models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .._options import check_option
from ..comparison.average import WEIGHTS, ModelAverage, check_one_scale, model_weights, weight_notes
from ..comparison.models import check_comparable, check_likelihood, labels, named_models
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.kinds import Model
from ..fitted.parts import Base
from ..inference.average import averaged
from ..words.answers import answering

__all__ = ["average"]


@answering
def average(
    models: Sequence[Model] | Mapping[str, Model],
    weights: str = "aic",
    *,
    group: str | None = None,
    progress: bool = True,
) -> ModelAverage:
    """Average predictions and coefficients over models.

    Parameters
    ----------
    models : sequence of LinearMixedModel or of GeneralizedLinearMixedModel, or mapping
        Two or more models of the same response on the same rows; generalised ones of one family and
        link. Or a mapping of names to models.
    weights : {"aic", "aicc", "bic", "caic", "stacking"}
        "aic": exp(-delta / 2) of AIC by maximum likelihood; "aicc" and "bic" of these. "caic": of
        the conditional AIC of the fits at hand. "stacking": the mixture that best predicts groups
        left out one by one. The last two are those of linear models.
    group : str, optional
        Grouping factor for "stacking", needed when a model has several; all models must have it.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    ModelAverage
        ``weights``, ``table`` of averaged coefficients with unconditional standard errors,
        ``conf_int``, ``shrinkage``, ``predict``.

    Raises
    ------
    ModelError
        If the models use different rows, responses or weights, or are not mixed models.

    Notes
    -----
    Coefficients and predictions are those of the models as fitted. A coefficient's name must mean
    the same in all models: that of x changes its meaning when x:z is added; predictions do not have
    this problem.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> both = ranef.average([level, slope], "stacking")
    >>> both.weights.round(2).tolist()
    [0.09, 0.91]
    >>> both.predict(sleep.head(2)).round(0).tolist()
    [257.0, 276.0]
    """
    given = [models] if isinstance(models, Mapping | Base) else list(models)
    models, given_names = named_models(given, {}, "average")
    generalised = any(isinstance(model, GeneralizedLinearMixedModel) for model in models)
    if generalised:
        check_one_scale(models, weights)
    else:
        check_comparable(models, "average")
    weights = check_option("weights", weights, WEIGHTS)
    if weights in ("aic", "aicc", "bic"):
        check_likelihood(models, f"average by {weights.upper()}")
    w = model_weights(models, weights, group, progress)
    names = list(dict.fromkeys(name for model in models for name in model.params.dropna().index))
    estimate = np.column_stack([model.params.reindex(names).to_numpy() for model in models])
    se = np.column_stack([model.bse.reindex(names).to_numpy() for model in models])
    full, full_se = averaged(np.nan_to_num(estimate), np.nan_to_num(se), w)
    conditional, conditional_se = averaged(estimate, se, w)
    table = pd.DataFrame(
        {
            "full": full,
            "full_se": full_se,
            "conditional": conditional,
            "conditional_se": conditional_se,
            "weight": (~np.isnan(estimate)) @ w,
        },
        index=names,
    )
    series = pd.Series(w, index=given_names or labels(models), name="weight")
    return ModelAverage(table, weight_notes(series, weights), series, models)
