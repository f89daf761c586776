"""Scores of left-out rows by models of several predictors and of categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array
from ..errors import ModelError
from ..fitted.ordinal.model import CumulativeLinkModel
from ..fitted.ordinal.predictive import probabilities
from ..fitted.several.model import DistributionalModel
from ..fitted.several.predictive import predictive

__all__ = ["ordinal_scores", "several_scores"]


def several_scores(fit: DistributionalModel, new: Any, y: Array, w: Array) -> dict[str, Array]:
    """Score predictive distributions of a model of several predictors; w are trials."""
    found = predictive(fit, new, w)
    mean, sd = found.moments()
    scores = {
        "mean": mean,
        "sd": sd,
        "log_score": found.log_density(y),
        "inside": found.inside(y, 0.95),
    }
    if fit.parts.family.has_trials:
        scores["brier"] = y * (1.0 - mean) ** 2 + (1.0 - y) * mean**2
    return scores


def ordinal_scores(
    whole: CumulativeLinkModel, fit: CumulativeLinkModel, new: Any, y: Array
) -> dict[str, Array]:
    """Score probabilities of categories; means are of their positions, the lowest being 0.

    Raises
    ------
    ModelError
        If a category does not occur in the rows of the fit.
    """
    labels = list(whole.parts.categories)
    if lost := [label for label in labels if label not in fit.parts.categories]:
        raise ModelError(
            f"category {lost[0]!r} occurs only in the rows that are left out, so nothing is known "
            "of its probability; take fewer folds, or join rare categories"
        )
    p = probabilities(fit, new)
    place = np.arange(len(labels))
    mean = p @ place
    sd = np.sqrt(np.maximum(p @ place**2 - mean**2, 0.0))
    seen = y.astype(int)
    own = p[np.arange(len(p)), seen]
    upto = np.cumsum(p, axis=1)
    above = upto[np.arange(len(p)), seen]
    with np.errstate(divide="ignore"):
        logs = np.log(own)
    return {
        "mean": mean,
        "sd": sd,
        "log_score": logs,
        "inside": ((above >= 0.025) & (above - own <= 0.975)).astype(float),
        "brier": ((p - (place == seen[:, None])) ** 2).sum(axis=1),
    }
