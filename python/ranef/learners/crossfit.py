"""Any regressor of scikit-learn, with predictions of rows whose group it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import isclass
from typing import Any

import numpy as np

from .._counted import counted
from .._typing import Array, Positions
from ..errors import DataError, ModelError, UnsupportedError
from .learned import Learned, Learner
from .task import Task, sklearn_part

__all__ = ["CrossFitted", "Estimator", "check_estimator"]


@dataclass(frozen=True, eq=False)
class CrossFitted(Learned):
    """An estimator fitted to all rows, and one for each part of the rows that was held out.

    Attributes
    ----------
    parts : tuple of estimators
        The k-th was fitted without the rows of part k.
    fold : ndarray of shape (n,), int
        The part of each row.
    whole : estimator or None
        Fitted to all rows; None until the random effects have settled.
    """

    parts: tuple[Any, ...]
    fold: Positions
    whole: Any

    how = "cross-fitted"

    @property
    def estimator(self) -> Any:
        """The estimator that was fitted to all rows."""
        return self.whole

    def predict(self, X: Array) -> Array:
        """Predict new rows."""
        return predictions(self.whole, X)

    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict each row by the estimator that did not see its part."""
        return by_parts(self.parts, X, self.fold[rows])


@dataclass(frozen=True, eq=False)
class InSample(Learned):
    """An estimator whose fitted values are those of the rows it saw."""

    whole: Any

    @property
    def estimator(self) -> Any:
        """The estimator."""
        return self.whole

    def predict(self, X: Array) -> Array:
        """Predict new rows."""
        return predictions(self.whole, X)

    def held_out(self, X: Array, rows: Positions) -> Array:
        """Predict the changed rows."""
        return predictions(self.whole, X)


@dataclass(frozen=True)
class Estimator(Learner):
    """Any regressor.

    Attributes
    ----------
    prototype : estimator
        Copied for each fit.
    in_sample : bool
        Whether random effects are estimated from the predictions of rows the learner saw.
    """

    prototype: Any
    in_sample: bool = False

    @property
    def label(self) -> str:  # type: ignore[override]
        """The class of the estimator."""
        return type(self.prototype).__name__

    def fit(self, task: Task) -> Learned:
        """Fit without each part in turn, or once to all rows."""
        if self.in_sample:
            whole = self.fitted(task.X, task.target, task.weights)
            return InSample(predictions(whole, task.X), whole)
        fold = task.fold
        parts = tuple(
            self.fitted(*task.take(np.flatnonzero(fold != k))) for k in range(fold.max() + 1)
        )
        return CrossFitted(by_parts(parts, task.X, fold), parts, fold, None)

    def finish(self, task: Task, learned: Learned) -> Learned:
        """Fit to all rows."""
        if not isinstance(learned, CrossFitted):
            return learned
        return replace(learned, whole=self.fitted(task.X, task.target, task.weights))

    def fitted(self, X: Array, y: Array, weights: Array | None) -> Any:
        """Fit a copy of the estimator.

        Raises
        ------
        UnsupportedError
            If there are weights, and it accepts none.
        ModelError
            If it cannot be fitted.
        """
        clone = sklearn_part("base", "clone")
        options = {} if weights is None else {"sample_weight": weights}
        takes = sklearn_part("utils.validation", "has_fit_parameter")
        if options and not takes(self.prototype, "sample_weight"):
            raise UnsupportedError(
                f"{self.label} takes no weights (its fit has no sample_weight); leave weights "
                "out, or take a learner that has it, such as 'tree', 'forest' or 'boosting'"
            )
        try:
            return clone(self.prototype).fit(X, y, **options)
        except Exception as error:
            raise ModelError(f"{self.label} could not be fitted: {error}") from error


def by_parts(parts: tuple[Any, ...], X: Array, fold: Positions) -> Array:
    """Predict each row by the estimator that was fitted without its part, shape (m,)."""
    out = np.empty(len(X))
    for k, one in enumerate(parts):
        mine = fold == k
        if mine.any():
            out[mine] = predictions(one, X[mine])
    return out


def predictions(estimator: Any, X: Array) -> Array:
    """Predict one finite number per row.

    Raises
    ------
    DataError
        If the estimator predicts something else.
    """
    found = np.asarray(estimator.predict(X), dtype=np.float64)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    name = type(estimator).__name__
    if found.shape != (len(X),):
        raise DataError(
            f"{name}.predict returned shape {found.shape} for {counted(len(X), 'row')}; a learner "
            "predicts one number a row"
        )
    if not np.isfinite(found).all():
        raise DataError(
            f"{name}.predict returned {counted(int((~np.isfinite(found)).sum()), 'value')} that "
            "are missing or infinite"
        )
    return found


def check_estimator(given: Any) -> Any:
    """Check that something is a regressor.

    Raises
    ------
    TypeError
        With what it lacks.
    """
    known = "'tree', 'forest', 'boosting'"
    if isclass(given):
        raise TypeError(
            f"learner is the class {given.__name__}; pass an instance: {given.__name__}()"
        )
    for word in ("fit", "predict", "get_params"):
        if not callable(getattr(given, word, None)):
            raise TypeError(
                f"learner must be {known} or a regressor of scikit-learn's kind; "
                f"{type(given).__name__} has no {word}()"
            )
    if sklearn_part("base", "is_classifier")(given):
        raise TypeError(
            f"{type(given).__name__} is a classifier; a learner predicts numbers. Take its "
            "regressor, or ranef.glmer for classes"
        )
    return given
