"""Predictions of left-out rows by refits without them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .._counted import counted
from .._typing import Array
from ..errors import ModelError, RanefError, RanefWarning
from ..families.residuals import deviance_rows
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feglm.model import fit_model as fit_feglm
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.feols.model import fit_model as fit_feols
from ..fitted.gee.model import GEEModel
from ..fitted.gee.model import fit_model as fit_gee
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.glmm.model import fit_model as fit_generalised
from ..fitted.gls.model import GLSModel
from ..fitted.gls.model import fit_model as fit_gls
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.lmm.model import fit_model as fit_call
from ..fitted.ordinal.model import CumulativeLinkModel, fit_ordinal_model
from ..fitted.several.model import DistributionalModel, fit_parts_model
from ..inference.crossval.crossval import log_density
from ..inference.crossval.folds import Fold
from ..parallel.progress import tracked
from .category_scores import ordinal_scores, several_scores
from .marginal_scores import feglm_scores, feols_scores, gee_scores, gls_scores

__all__ = ["Refits", "predict_folds", "rows_of"]


@dataclass(frozen=True)
class Refits:
    """Predictions fold by fold, and what the fits warned of.

    Attributes
    ----------
    rows, fold : ndarray of int
        The row predicted, among the rows of the model, and its fold.
    scores : dict of str to ndarray
        mean and sd of the predictive distribution and log_score, which marginal models do not
        have; of a generalised model inside
        (whether within the 95 % interval), deviance where it knows no dispersion, and brier of a
        binomial response, too.
    warned : dict of str to int
        Number of fits that gave each warning.
    """

    rows: NDArray[np.intp]
    fold: NDArray[np.intp]
    scores: dict[str, Array]
    warned: dict[str, int]


def predict_folds(model: Any, folds: Sequence[Fold], *, progress: bool = False) -> Refits:
    """Fit without each fold's rows and predict them.

    Raises
    ------
    ModelError
        If a fit fails, or a fold has a level of a fixed factor that the other rows do not have.
    """
    data = model.parts.training_data()
    parts: list[dict[str, Array]] = []
    warned: dict[str, int] = {}
    each = tracked(folds, len(folds), "folds", shown=progress)
    for k, (train, test) in enumerate(each, start=1):
        try:
            scores, kinds = _predict(model, data, train, test)
        except RanefError as error:
            raise ModelError(
                f"fold {k} of {len(folds)} ({counted(len(train), 'row')} to fit): {error}"
            ) from error
        parts.append(scores)
        for kind in kinds:
            warned[kind] = warned.get(kind, 0) + 1
    return Refits(
        np.concatenate([test for _, test in folds]),
        np.repeat(np.arange(len(folds)), [len(test) for _, test in folds]),
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
        warned,
    )


def _predict(
    model: Any, data: Any, train: NDArray[np.intp], test: NDArray[np.intp]
) -> tuple[dict[str, Array], set[str]]:
    """Score the predictions of the test rows, and name the kinds of warnings of the fit."""
    design = model.parts.design
    position = np.arange(design.n_obs) if design.rows is None else design.rows
    call, known = _call_on(model, position[train]), rows_of(data, position[train])
    new, y = rows_of(data, position[test]), design.y[test]
    w = np.ones(len(test)) if design.weights is None else design.weights[test]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RanefWarning)
        if isinstance(model, LinearMixedModel):
            scores = _linear_scores(fit_call(call, known), new, y, w)
        elif isinstance(model, GLSModel):
            scores = gls_scores(model, fit_gls(call, known), new, test, y, w)
        elif isinstance(model, FixedEffectsModel):
            scores = feols_scores(fit_feols(call, known), new, y, w)
        elif isinstance(model, GeneralizedFixedEffectsModel):
            scores = feglm_scores(fit_feglm(call, known), new, y, w)
        elif isinstance(model, GEEModel):
            scores = gee_scores(fit_gee(call, known), new, y, w)
        elif isinstance(model, DistributionalModel):
            scores = several_scores(fit_parts_model(call, known), new, y, w)
        elif isinstance(model, CumulativeLinkModel):
            scores = ordinal_scores(model, fit_ordinal_model(call, known), new, y)
        else:
            scores = _generalised_scores(fit_generalised(call, known), new, y, w)
    return scores, {type(w.message).__name__ for w in caught}


def _linear_scores(fit: LinearMixedModel, new: Any, y: Array, w: Array) -> dict[str, Array]:
    """Score normal predictive distributions."""
    found = fit.predict(new, new_levels="population", interval="confidence")
    mean = found["mean"].to_numpy()
    of_mean = (found["upper"] - found["mean"]).to_numpy() / scipy.special.ndtri(0.975)
    sd = np.sqrt(of_mean**2 + fit.sigma**2 / w)
    return {"mean": mean, "sd": sd, "log_score": log_density(y, mean, sd)}


def _generalised_scores(
    fit: GeneralizedLinearMixedModel, new: Any, y: Array, w: Array
) -> dict[str, Array]:
    """Score predictive distributions of a generalised model; w are trials or frequencies."""
    found = fit.parts.predictive(new, w)
    mean, sd = found.moments()
    family = found.spec.distribution
    inside = (found.quantile(0.025) <= y + 1e-9) & (y - 1e-9 <= found.quantile(0.975))
    scores = {
        "mean": mean,
        "sd": sd,
        "log_score": found.log_density(y),
        "inside": inside.astype(float),
    }
    if not family.has_shape:  # the unit would depend on the shape, which each fit estimates
        scores["deviance"] = deviance_rows(family, y, mean, w, family.params(found.dispersion, w))
    if family.has_trials:
        scores["brier"] = y * (1.0 - mean) ** 2 + (1.0 - y) * mean**2
    return scores


def _call_on(model: Any, rows: NDArray[np.intp]) -> Any:
    """Cut weights and offsets that the call holds as arrays to some rows."""
    cut: dict[str, Any] = {
        name: np.asarray(value)[rows]
        for name in ("weights", "offset")
        if (value := getattr(model.call, name, None)) is not None and not isinstance(value, str)
    }
    return replace(model.call, **cut) if cut else model.call


def rows_of(data: Any, rows: NDArray[np.intp]) -> Any:
    """Take some rows of the caller's data, in the caller's kind of frame."""
    if isinstance(data, pd.DataFrame):
        return data.iloc[rows]
    if isinstance(data, Mapping):
        return {name: _cut(values, rows) for name, values in data.items()}
    if isinstance(data, np.ndarray):
        return data[rows]
    import narwhals as nw

    return nw.from_native(data, eager_only=True)[rows.tolist()].to_native()


def _cut(values: Any, rows: NDArray[np.intp]) -> Any:
    """Take some values of a column; a single value stands for all rows."""
    if isinstance(values, str) or np.ndim(values) == 0:
        return values
    return pd.Series(values).iloc[rows].array
