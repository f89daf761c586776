"""Learners with random effects, and random effects as columns of a learner."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._counted import counted
from .._typing import Array
from ..api.embedding import embedding
from ..api.lmer import lmer
from ..api.re_em import re_em
from ..errors import DataError
from ..formula import Formula, parse
from ..learners.choice import learner_of
from ..learners.task import Task
from .arguments import answering_init, refuse
from .frames import frame_of, model_text, quoted
from .mixed import checked_response

__all__ = ["GroupEmbedding", "REEMRegressor"]


class REEMRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict a response by a learner together with random effects.

    Parameters
    ----------
    random : str, optional
        Random-effects terms over the columns of X: ``"(1 + x | g)"``. Columns of an array are x0,
        x1, ... The learner's predictors are all columns that are no grouping factors. Without
        terms, the learner alone.
    learner : {"tree", "forest", "boosting"} or estimator
        As in :func:`ranef.re_em`. Parameters of an estimator are set as ``learner__max_depth``.
    options : mapping, optional
        Settings of a learner that is named.
    fitted : {"auto", "cross-fit", "in-sample"}
        As in :func:`ranef.re_em`.
    resample : str
        As in :func:`ranef.re_em`.
    conformal : int
        Parts to hold out for ``predict_interval``; 0 for none.
    seed : int
        Makes the fit repeatable.

    Attributes
    ----------
    model_ : MixedLearner, or the learner alone
        With random effects, importance and figures.
    calibration_ : Calibration
        With ``conformal``.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    The groups are a column of X. A group that the fit has not seen has no effect of its own. For
    scores of new groups, give the same column to the splitter:
    ``cross_val_score(estimator, X, y, groups=X["g"], cv=GroupKFold())``.

    Examples
    --------
    >>> import ranef
    >>> from ranef.sklearn import REEMRegressor
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    >>> estimator = REEMRegressor("(Days | Subject)", learner="tree").fit(X, y)
    >>> estimator.predict(X.head(2)).shape
    (2,)
    """

    model_: Any

    @answering_init
    def __init__(
        self,
        random: str | None = None,
        *,
        learner: Any = "forest",
        options: Any = None,
        fitted: str = "auto",
        resample: str = "auto",
        conformal: int = 0,
        seed: int = 1,
    ):
        self.random = random
        self.learner = learner
        self.options = options
        self.fitted = fitted
        self.resample = resample
        self.conformal = conformal
        self.seed = seed

    def fit(self, X: Any, y: Any, **unknown: Any) -> Self:
        """Fit the learner and the random effects.

        Parameters
        ----------
        X : DataFrame or array of shape (n, features)
            Predictors and groups.
        y : array-like of shape (n,)
            Response.
        """
        refuse(self, "fit", unknown)
        frame = frame_of(self, X, reset=True, formula=self.random)
        response = numbers(checked_response(X, y))
        if self.random is None:
            self._alone(frame, response)
            return self
        text, name = with_bars(self.random, frame)
        self.model_ = re_em(
            text,
            frame.assign(**{name: response}),
            self.learner,
            options=self.options,
            fitted=self.fitted,
            resample=self.resample,
            seed=self.seed,
            progress=False,
        )
        if self.conformal:
            self.calibration_ = self.model_.calibrate(self.conformal, progress=False)
        return self

    def _alone(self, frame: pd.DataFrame, response: Array) -> None:
        """Fit the learner without random effects."""
        if self.conformal:
            raise ValueError('conformal intervals need groups: random="(1 | g)"')
        values = frame.to_numpy(dtype=np.float64)
        task = Task(values, response, None, np.arange(len(values)), 5, self.seed, 1)
        learner = learner_of(self.learner, self.options, self.fitted)
        self.model_ = learner.finish(task, learner.fit(task))

    def _frame(self, X: Any) -> pd.DataFrame:
        check_is_fitted(self)
        return frame_of(self, X, reset=False, formula=self.random)

    def predict(self, X: Any) -> Array:
        """Predict the response of rows, shape (m,)."""
        frame = self._frame(X)
        if self.random is None:
            return np.asarray(self.model_.predict(frame.to_numpy(dtype=np.float64)))
        means: Array = self.model_.predict(frame, new_levels="population").to_numpy()
        if (unknown := np.flatnonzero(np.isnan(means))).size:
            raise DataError(
                f"no prediction for {unknown.size} of {len(means)} rows, the first at position "
                f"{unknown[0]}: a value is missing there; fill values in by an imputer before this "
                "step of the pipeline"
            )
        return means

    def predict_interval(self, X: Any, level: float = 0.9) -> Array:
        """Predict intervals by group-wise conformal prediction, shape (m, 2).

        Parameters
        ----------
        X : DataFrame or array of shape (m, features)
            Rows of groups that the fit has seen, or of new ones, whose intervals are wider.
        level : float
            Coverage.
        """
        frame = self._frame(X)
        if not self.conformal or self.random is None:
            raise ValueError(
                "intervals need rows that were held out; make the estimator with conformal=5"
            )
        found = self.calibration_.predict(frame, level=level)
        return np.asarray(found[["lower", "upper"]], dtype=np.float64)


class GroupEmbedding(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replace groups by their conditional modes, with no row in its own columns.

    Like scikit-learn's TargetEncoder, ``fit(X, y).transform(X)`` is not ``fit_transform(X, y)``:
    the latter leaves each row's response out of its own columns, and pipelines call it.

    Parameters
    ----------
    random : str
        One random-effects term over the columns of X: ``"(1 | g)"``.
    fixed : str
        Fixed part of the mixed model over the columns of X.
    folds : int or "rows"
        As in :func:`ranef.embedding`.
    seed : int
        Seed of the division into parts.

    Attributes
    ----------
    embedding_ : Embedding
        Modes of the groups.

    Examples
    --------
    >>> import ranef
    >>> from ranef.sklearn import GroupEmbedding
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> GroupEmbedding("(1 | Subject)").fit_transform(sleep[["Subject"]], sleep["Reaction"]).shape
    (180, 1)
    """

    @answering_init
    def __init__(
        self, random: str = "(1 | x0)", *, fixed: str = "1", folds: Any = 5, seed: int = 1
    ):
        self.random = random
        self.fixed = fixed
        self.folds = folds
        self.seed = seed

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, **unknown: Any) -> Self:
        """Fit the mixed model.

        Parameters
        ----------
        X : DataFrame or array of shape (n, features)
            Groups, and columns of the fixed part.
        y : array-like of shape (n,)
            Response.
        """
        refuse(self, "fit", unknown)
        frame = frame_of(self, X, reset=True, formula=self.random)
        response = numbers(checked_response(X, y))
        text, name = model_text(f"{self.fixed} + {bracketed(self.random)}", list(frame.columns))
        model = lmer(text, frame.assign(**{name: response}))
        self.embedding_ = embedding(model, folds=self.folds, seed=self.seed)
        self._rows = len(frame)
        return self

    def transform(self, X: Any) -> Array:
        """Return the modes of the groups of rows; zero for new groups."""
        check_is_fitted(self)
        frame = frame_of(self, X, reset=False, formula=self.random)
        return self.embedding_.transform(frame).to_numpy()

    def fit_transform(self, X: Any, y: Any = None, **options: Any) -> Array:
        """Fit, and return the modes of each row's group from all other rows."""
        found = self.fit(X, y, **options).embedding_.train.to_numpy()
        if len(found) != self._rows:
            raise DataError(
                f"{counted(self._rows - len(found), 'row has', 'rows have')} a missing value; fill "
                "values in first"
            )
        return found

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns."""
        check_is_fitted(self)
        return np.asarray(self.embedding_.levels.columns, dtype=object)


def numbers(response: Any) -> Array:
    """Check that a response is made of finite numbers."""
    values = np.asarray(response, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("Input y contains NaN or infinity; drop these rows first")
    return values


def bracketed(random: str) -> str:
    """Put a lone term into parentheses."""
    return random if "(" in random else f"({random})"


def with_bars(random: str, frame: pd.DataFrame) -> tuple[str, str]:
    """Return the formula of a learner with random effects, and the name of its response."""
    _, name = model_text(None, list(frame.columns))
    bars: Formula = parse(f"{name} ~ 1 + {bracketed(random)}")
    groups = {column for bar in bars.random for column in bar.factors}
    groups |= {column for bar in bars.random if bar.members for column in bar.members.columns}
    features = [quoted(column) for column in frame.columns if column not in groups]
    if not features:
        raise DataError("X has no column for the learner beside the groups")
    return f"{name} ~ {' + '.join(features)} + {bracketed(random)}", name
