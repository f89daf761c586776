"""Averages over models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from .._counted import counted
from .._options import check_option
from .._typing import Array
from ..errors import ModelError, UnsupportedError
from ..fitted.kinds import Model
from ..inference import criteria
from ..inference.average import stacking_weights
from ..inference.coverage import check_level, t_quantile
from ..inference.crossval.crossval import leave_groups_out
from ..parallel.progress import tracked
from ..report.tabled import Tabled
from .crossval import grouping_factor
from .generalised import check_same_rows
from .models import by_likelihood

__all__ = ["WEIGHTS", "ModelAverage", "check_one_scale", "model_weights", "weight_notes"]


#: What each kind of weights is based on, in words.
WEIGHTS = {
    "aic": "Akaike weights of maximum-likelihood fits",
    "aicc": "Akaike weights, AIC with the correction for small samples, of maximum-likelihood fits",
    "bic": "weights by BIC of maximum-likelihood fits",
    "caic": "Akaike weights of conditional AIC",
    "stacking": "stacking of predictive distributions, groups left out one by one",
}


@dataclass(frozen=True, repr=False)
class ModelAverage(Tabled):
    """An average of models; see :func:`ranef.average`.

    Attributes
    ----------
    table : DataFrame
        One row per coefficient: full and full_se, the average with zero where a model lacks the
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
        return f"Average of {counted(len(self.models), 'model')}"

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients averaged over all models."""
        return self.table["full"]

    def conf_int(
        self, level: float = 0.95, *, kind: Literal["full", "conditional"] = "full"
    ) -> pd.DataFrame:
        """Return intervals of the averaged coefficients, from their unconditional standard errors.

        Parameters
        ----------
        level : float
            Coverage.
        kind : {"full", "conditional"}
            With zero where a model lacks the coefficient, which shrinks it towards zero; or over
            the models that have it.

        Returns
        -------
        DataFrame
            Columns lower, upper.
        """
        which = check_option("kind", kind, ("full", "conditional"))
        check_level(level)
        half = t_quantile(level) * self.table[f"{which}_se"]
        return pd.DataFrame({"lower": self.table[which] - half, "upper": self.table[which] + half})

    @property
    def shrinkage(self) -> pd.Series[Any]:
        """Full averages divided by averages over the models that have the term: 1 where all do."""
        return (self.table["full"] / self.table["conditional"]).rename("shrinkage")

    def predict(self, newdata: Any = None, **options: Any) -> pd.Series[Any]:
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
        Series of length m
            Weighted means, labelled as the rows of ``newdata``.
        """
        if options.get("interval") is not None or options.get("se"):
            raise ValueError(
                "an average of models predicts means; it has no intervals or standard errors"
            )
        each = [model.predict(newdata, **options) for model in self.models]
        mean = np.average(np.column_stack(each), axis=1, weights=self.weights.to_numpy())
        return pd.Series(mean, index=each[0].index)


def check_one_scale(models: Sequence[Any], weights: str) -> None:
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


def model_weights(models: Sequence[Any], kind: str, group: str | None, progress: bool) -> Array:
    """Weight of each model."""
    if kind in ("aic", "aicc", "bic"):
        return criteria.weights([getattr(by_likelihood(model), kind) for model in models])
    if kind == "caic":
        each = tracked(models, len(models), "models", shown=progress)
        return criteria.weights([model.caic().caic for model in each])
    joint = []
    for model in models:
        term = grouping_factor(model, group)
        left = leave_groups_out(
            model.parts.design, model.parts.estimate, model.parts.core, term, progress=progress
        )
        order = np.argsort(model.parts.design.random[term].levels.astype(str), kind="stable")
        joint.append(left.joint[order])
    scores = np.column_stack(joint)
    return stacking_weights(scores[~np.isnan(scores).any(axis=1)])


def weight_notes(weights: pd.Series[Any], kind: str) -> tuple[str, ...]:
    """State what the weights are and what the columns mean."""
    shown = "; ".join(f"{weight:.3f} {name}" for name, weight in weights.items())
    return (
        f"weights ({WEIGHTS[kind]}): {shown}",
        "full: a model without the coefficient counts as zero; conditional: over the models that "
        "have it",
        "standard errors include the variance between models",
    )
