"""Predictions of left-out rows by fits that are made anew without them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ..errors import ModelError, RanefError, RanefWarning
from ..inference.crossval_folds import Fold
from ..models.progress import tracked
from .lmer import fit_call
from .mixed_model import LinearMixedModel

__all__ = ["Refits", "predict_folds", "rows_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Refits:
    """Predictions fold by fold, and what the fits warned of.

    Attributes
    ----------
    rows, fold : ndarray of int
        The row predicted, among the rows of the model, and its fold.
    mean, sd : ndarray
        The predictive distribution.
    warned : dict of str to int
        Number of fits that gave each warning.
    """

    rows: NDArray[np.intp]
    fold: NDArray[np.intp]
    mean: Array
    sd: Array
    warned: dict[str, int]


def predict_folds(
    model: LinearMixedModel, folds: Sequence[Fold], *, progress: bool = False
) -> Refits:
    """Fit without each fold's rows and predict them.

    Raises
    ------
    ModelError
        If a fit fails, or a fold has a level of a fixed factor that the other rows do not have.
    """
    data = model._training_data()
    parts: list[tuple[Array, Array]] = []
    warned: dict[str, int] = {}
    each = tracked(folds, len(folds), "folds", shown=progress)
    for k, (train, test) in enumerate(each, start=1):
        try:
            mean, sd, kinds = _predict(model, data, train, test)
        except RanefError as error:
            raise ModelError(
                f"fold {k} of {len(folds)} ({len(train)} rows to fit): {error}"
            ) from error
        parts.append((mean, sd))
        for kind in kinds:
            warned[kind] = warned.get(kind, 0) + 1
    return Refits(
        np.concatenate([test for _, test in folds]),
        np.repeat(np.arange(len(folds)), [len(test) for _, test in folds]),
        np.concatenate([mean for mean, _ in parts]),
        np.concatenate([sd for _, sd in parts]),
        warned,
    )


def _predict(
    model: LinearMixedModel, data: Any, train: NDArray[np.intp], test: NDArray[np.intp]
) -> tuple[Array, Array, set[str]]:
    """Mean and standard deviation of each test row, and the kinds of warnings of the fit."""
    design = model._design
    position = np.arange(design.n_obs) if design.rows is None else design.rows
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RanefWarning)
        fit = fit_call(_call_on(model, position[train]), rows_of(data, position[train]))
    found = fit.predict(
        rows_of(data, position[test]), new_levels="population", interval="confidence"
    )
    of_mean = (found["upper"] - found["mean"]).to_numpy() / scipy.special.ndtri(0.975)
    w = 1.0 if design.weights is None else design.weights[test]
    sd = np.sqrt(of_mean**2 + fit.sigma**2 / w)
    return found["mean"].to_numpy(), sd, {type(w.message).__name__ for w in caught}


def _call_on(model: LinearMixedModel, rows: NDArray[np.intp]) -> Any:
    """Cut weights and offsets that the call holds as arrays to some rows."""
    cut: dict[str, Any] = {
        name: np.asarray(value)[rows]
        for name in ("weights", "offset")
        if (value := getattr(model.call, name)) is not None and not isinstance(value, str)
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
