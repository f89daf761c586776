"""Predictions and coefficients averaged over models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..compare.generalised import check_same_rows
from ..compare.models import Model, by_likelihood, check_comparable, check_likelihood, labels
from ..errors import ModelError, UnsupportedError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..inference import criteria
from ..inference.average import averaged, stacking_weights
from ..inference.crossval.crossval import leave_groups_out
from ..parallel.progress import tracked
from ..report.tabled import Tabled
from .cross_validate import grouping_factor

__all__ = ["ModelAverage", "average"]

Array = NDArray[np.float64]

#: What each kind of weights stands on, in words.
_WEIGHTS = {
    "aic": "Akaike weights of maximum-likelihood fits",
    "caic": "Akaike weights of conditional AIC",
    "stacking": "stacking of predictive distributions, groups left out one by one",
}


@dataclass(frozen=True, repr=False)
class ModelAverage(Tabled):
    """An average of models; see :func:`ranef.average`.

    Attributes
    ----------
    table : DataFrame
        A row a coefficient: full and full_se, the average with zero where a model lacks the
        coefficient; conditional and conditional_se, over the models that have it; weight, the sum
        of their weights.
    notes : tuple of str
        What the numbers are.
    weights : Series
        Weight of each model.
    models : tuple of LinearMixedModel or of GeneralizedLinearMixedModel
        The models, in the order of the weights.
    """

    weights: pd.Series[Any]
    models: tuple[Model, ...]

    @property
    def title(self) -> str:
        """How many models."""
        return f"Average of {len(self.models)} models"

    @property
    def params(self) -> pd.Series[Any]:
        """Fully averaged coefficients."""
        return self.table["full"]

    def predict(self, newdata: Any = None, **options: Any) -> Array:
        """Average the models' predictions.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        **options
            ``random`` and ``new_levels`` of :meth:`ranef.LinearMixedModel.predict`, and ``kind`` of
            generalised models, whose means are averaged.

        Returns
        -------
        ndarray of shape (m,)
            Weighted means.
        """
        if options.get("interval") is not None:
            raise ValueError("an average of models predicts means; it has no intervals")
        each = [np.asarray(model.predict(newdata, **options), float) for model in self.models]
        return np.asarray(np.average(np.stack(each), axis=0, weights=self.weights.to_numpy()))


def average(
    models: Sequence[Model],
    weights: str = "aic",
    *,
    group: str | None = None,
    progress: bool = True,
) -> ModelAverage:
    """Average predictions and coefficients over models.

    Parameters
    ----------
    models : sequence of LinearMixedModel or of GeneralizedLinearMixedModel
        Two or more models of the same response on the same rows; generalised ones of one family and
        link.
    weights : {"aic", "caic", "stacking"}
        "aic": exp(-delta / 2) of AIC by maximum likelihood. "caic": of the conditional AIC of the
        fits at hand. "stacking": the mixture that best predicts groups left out one by one. The
        last two are those of linear models.
    group : str, optional
        Grouping factor for "stacking", needed when a model has several; all models must have it.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    ModelAverage
        ``weights``, ``table`` of averaged coefficients with unconditional errors, ``predict``.

    Raises
    ------
    ModelError
        If the models rest on different rows, responses or weights, or are not mixed models.

    Notes
    -----
    Coefficients and predictions are those of the models as fitted. A coefficient's name must mean
    the same in all models: that of x changes its meaning when x:z joins; predictions do not have
    this trouble.

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
    models = tuple(models) if isinstance(models, Iterable) else (models,)
    generalised = any(isinstance(model, GeneralizedLinearMixedModel) for model in models)
    if generalised:
        _check_one_scale(models, weights)
    else:
        check_comparable(models, "average")
    if weights == "aic":
        check_likelihood(models, "average by AIC")
    if weights not in _WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(_WEIGHTS)}, not {weights!r}")
    w = _weights(models, weights, group, progress)
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
    series = pd.Series(w, index=labels(models), name="weight")
    return ModelAverage(table, _notes(series, weights), series, models)


def _check_one_scale(models: Sequence[Any], weights: str) -> None:
    """Raise unless coefficients of generalised models are on one scale, and the weights known."""
    check_same_rows(models, "average")
    if weights in ("caic", "stacking"):
        raise UnsupportedError(
            f"{weights!r} weights are those of normal responses; average generalised models by "
            "'aic'"
        )
    first = models[0]
    for place, model in enumerate(models[1:], start=2):
        if (model.family, model.link) != (first.family, first.link):
            raise ModelError(
                f"model {place} is {model.family} with a {model.link} link and the first "
                f"{first.family} with a {first.link} link: their coefficients are on different "
                "scales. ranef.compare ranks them."
            )


def _weights(models: Sequence[Any], kind: str, group: str | None, progress: bool) -> Array:
    """Weight of each model."""
    if kind == "aic":
        return criteria.weights([by_likelihood(model).aic for model in models])
    if kind == "caic":
        each = tracked(models, len(models), "models", shown=progress)
        return criteria.weights([model.caic().caic for model in each])
    joint = []
    for model in models:
        term = grouping_factor(model, group)
        left = leave_groups_out(
            model._design, model._estimate, model._core, term, progress=progress
        )
        order = np.argsort(model._design.random[term].levels.astype(str), kind="stable")
        joint.append(left.joint[order])
    scores = np.column_stack(joint)
    return stacking_weights(scores[~np.isnan(scores).any(axis=1)])


def _notes(weights: pd.Series[Any], kind: str) -> tuple[str, ...]:
    """Say what the weights are and what the columns mean."""
    shown = "; ".join(f"{weight:.3f} {name}" for name, weight in weights.items())
    return (
        f"weights ({_WEIGHTS[kind]}): {shown}",
        "full: a model without the coefficient counts as zero; conditional: over the models that "
        "have it",
        "errors hold the variance between models",
    )
