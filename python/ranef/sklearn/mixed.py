"""Mixed models of responses and of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._typing import Array
from ..api.feols import feols
from ..api.gee import gee
from ..api.glmer import glmer
from ..api.lmer import lmer
from ..errors import DataError, FormulaError
from ..formula import parse
from .arguments import ANSWERS, answering_init, refuse
from .frames import frame_of, model_text

__all__ = ["MixedClassifier", "MixedRegressor"]


class MixedEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: from X and a formula to a fitted model and its means."""

    formula: str | None
    random: Any

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Point to the fitted model for attributes that only it has."""
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_") and hasattr(self.__dict__.get("model_"), name):
                message += f"; its model has it: estimator.model_.{name}"
            if name == "predict_interval":
                message += f"; {ANSWERS['interval']}"
            raise AttributeError(message, name=name, obj=self)

    def _fit_model(self, frame: pd.DataFrame, response: Array, fit: Any, plain: Any) -> Self:
        """Fit by one function with random-effects terms, and by another without."""
        text, name = model_text(self.formula, list(frame.columns))
        read = parse(text)
        if read.left.expr.strip("`") != name:
            raise FormulaError(
                f"the response of an estimator is the y of fit(X, y): write {name} ~ ..., or the "
                "right side only, and transform y by sklearn.compose.TransformedTargetRegressor",
                text,
                0,
                text.index("~"),
            )
        data = frame.assign(**{name: response})
        try:
            self.model_ = (fit if read.random else plain)(text, data)
        except DataError as error:
            raise unnamed(error, self) from None
        self.is_mixed_ = bool(read.random)
        return self

    def _coefficients(self) -> tuple[float, Array]:
        """Intercept and other fixed effects; no attribute before the fit, as in scikit-learn."""
        if not hasattr(self, "model_"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet; call fit(X, y)")
        params = self.model_.params
        others: Array = params.drop("Intercept", errors="ignore").to_numpy(dtype=np.float64)
        return float(params.get("Intercept", 0.0)), others

    def _means(self, X: Any) -> Array:
        """Predict the means of rows; none may be missing."""
        check_is_fitted(self)
        frame = frame_of(self, X, reset=False, formula=self.formula)
        options = {"random": self.random, "new_levels": "population"} if self.is_mixed_ else {}
        means: Array = np.asarray(self.model_.predict(frame, **options), dtype=np.float64)
        if (unknown := np.flatnonzero(np.isnan(means))).size:
            raise DataError(
                f"no prediction for {unknown.size} of {len(means)} rows, the first at position "
                f"{unknown[0]}: a value is missing there, or the fit saw nothing like it; fill "
                "values in by an imputer before this step of the pipeline"
            )
        return means


def unnamed(error: DataError, estimator: Any) -> DataError:
    """Advise what to do about a column whose name was lost on the way through a pipeline."""
    if "have no column" not in str(error):
        return error
    if hasattr(estimator, "feature_names_in_"):
        return prefixed(error, [str(name) for name in estimator.feature_names_in_])
    count = estimator.n_features_in_
    names = "x0" if count == 1 else f"x0 to x{count - 1}"
    return DataError(
        f"{error}; X is an array, whose columns are called {names}. "
        'In a pipeline, pipeline.set_output(transform="pandas") keeps the names of columns',
        error.column,
        error.allowed,
    )


def prefixed(error: DataError, names: list[str]) -> DataError:
    """Advise how a ColumnTransformer leaves the names of columns as they are."""
    found = [name for name in names if error.column and name.endswith(f"__{error.column}")]
    if not found:
        return error
    return DataError(
        f"{error}, but {found[0]!r}, as ColumnTransformer calls it; with "
        "verbose_feature_names_out=False it keeps the names of columns",
        error.column,
        error.allowed,
    )


def checked_response(X: Any, y: Any) -> Any:
    """Check that there is one response per row."""
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None: fit(X, y)"
        )
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    return y


class MixedRegressor(RegressorMixin, MixedEstimator):  # type: ignore[misc]
    """Predict a response by a mixed model, for pipelines and searches of scikit-learn.

    Parameters
    ----------
    formula : str, optional
        Formula, or its right side, over the columns of X: ``"x + (1 + x | g)"``. Columns of an
        array are x0, x1, ... Without random-effects terms, and without a formula, which then adds
        all columns up, the fit is by least squares.
    family : str, optional
        Distribution of the response, which is then fitted by :func:`ranef.glmer`; by default normal
        and fitted by :func:`ranef.lmer`.
    link : str, optional
        Link of a generalised model.
    reml : bool
        Whether a normal response is fitted by restricted likelihood.
    prior : optional
        Prior, as in :func:`ranef.lmer` or :func:`ranef.glmer`.
    random : {"all", "none"} or list of str
        Random effects that take part in predictions. Levels not seen have the effect zero.

    Attributes
    ----------
    model_ : fitted model
        With tests, intervals and figures.
    is_mixed_ : bool
        Whether it has random effects.
    coef_ : ndarray
        Fixed effects but the intercept, in the order of ``model_.params``, which has their names;
        without a formula one for each column of X. NaN where aliased.
    intercept_ : float
        Intercept of the fixed effects, 0 if the formula has none.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    With a formula, ``predict`` takes the columns of a frame by name: their order and other columns
    do not matter.

    The groups are a column of X. For scores of new groups, give the same column to the splitter:
    ``cross_val_score(estimator, X, y, groups=X["g"], cv=GroupKFold())``.

    In a pipeline, ``pipeline.set_output(transform="pandas")`` keeps the names of columns that the
    formula needs. There is no ``sample_weight``: it may mean counts or precisions, which differ for
    a mixed model; :func:`ranef.lmer` has ``weights`` for precisions.

    Examples
    --------
    >>> import ranef
    >>> from ranef.sklearn import MixedRegressor
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    >>> estimator = MixedRegressor("Days + (Days | Subject)").fit(X, y)
    >>> estimator.predict(X.head(2)).round(1)
    array([253.7, 273.3])
    """

    @answering_init
    def __init__(
        self,
        formula: str | None = None,
        *,
        family: str | None = None,
        link: str | None = None,
        reml: bool = True,
        prior: Any = None,
        random: Any = "all",
    ):
        self.formula = formula
        self.family = family
        self.link = link
        self.reml = reml
        self.prior = prior
        self.random = random

    def fit(self, X: Any, y: Any, **unknown: Any) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : DataFrame or array of shape (n, features)
            Columns of the formula, groups included.
        y : array-like of shape (n,)
            Response.
        """
        refuse(self, "fit", unknown)
        frame = frame_of(self, X, reset=True, formula=self.formula)
        response = np.asarray(checked_response(X, y), dtype=np.float64)
        if not np.isfinite(response).all():
            raise ValueError("Input y contains NaN or infinity; drop these rows first")
        return self._fit_model(frame, response, self._mixed, self._plain)

    def _mixed(self, text: str, data: pd.DataFrame) -> Any:
        if self.family is None:
            return lmer(text, data, reml=self.reml, prior=self.prior)
        return glmer(text, data, family=self.family, link=self.link, prior=self.prior)

    def _plain(self, text: str, data: pd.DataFrame) -> Any:
        if self.family is None:
            return feols(text, data)
        return independent(text, data, self.family, self.link)

    @property
    def coef_(self) -> Array:
        """Fixed effects except the intercept, in the order of ``model_.params``."""
        return self._coefficients()[1]

    @property
    def intercept_(self) -> float:
        """Intercept of the fixed effects, 0 if the formula has none."""
        return self._coefficients()[0]

    def predict(self, X: Any, **unknown: Any) -> Array:
        """Predict the mean response of rows, shape (m,)."""
        refuse(self, "predict", unknown)
        return self._means(X)


class MixedClassifier(ClassifierMixin, MixedEstimator):  # type: ignore[misc]
    """Predict one of two classes by a mixed logistic model.

    Parameters
    ----------
    formula : str, optional
        As in :class:`MixedRegressor`. Without random-effects terms the fit is a logistic
        regression.
    link : str
        Link of the probability of the second class.
    nagq : int
        Quadrature points, as in :func:`ranef.glmer`.
    prior : optional
        Prior of the covariances.
    random : {"all", "none"} or list of str
        Random effects that take part in predictions. Levels not seen have the effect zero.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The classes, in order.
    model_ : fitted model
        With tests, intervals and figures.
    is_mixed_ : bool
        Whether it has random effects.
    coef_ : ndarray of shape (1, p)
        As in :class:`MixedRegressor`, of the log odds where the link is the logit.
    intercept_ : ndarray of shape (1,)
        Intercept of the fixed effects, 0 if the formula has none.

    Examples
    --------
    >>> import ranef
    >>> from ranef.sklearn import MixedClassifier
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> X, slow = sleep[["Days", "Subject"]], sleep["Reaction"] > 300
    >>> estimator = MixedClassifier("Days + (1 | Subject)").fit(X, slow)
    >>> estimator.predict_proba(X.head(2)).shape
    (2, 2)
    """

    @answering_init
    def __init__(
        self,
        formula: str | None = None,
        *,
        link: str = "logit",
        nagq: int = 1,
        prior: Any = None,
        random: Any = "all",
    ):
        self.formula = formula
        self.link = link
        self.nagq = nagq
        self.prior = prior
        self.random = random

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, **unknown: Any) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : DataFrame or array of shape (n, features)
            Columns of the formula, groups included.
        y : array-like of shape (n,)
            Labels of two classes.
        """
        refuse(self, "fit", unknown)
        frame = frame_of(self, X, reset=True, formula=self.formula)
        labels = checked_response(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(labels)}: ranef.clmm fits ordered categories"
            )
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_[0]!r}; a classifier needs two")
        return self._fit_model(frame, codes.astype(np.float64), self._mixed, self._plain)

    def _mixed(self, text: str, data: pd.DataFrame) -> Any:
        return glmer(
            text, data, family="binomial", link=self.link, nagq=self.nagq, prior=self.prior
        )

    def _plain(self, text: str, data: pd.DataFrame) -> Any:
        return independent(text, data, "binomial", self.link)

    @property
    def coef_(self) -> Array:
        """Fixed effects except the intercept, in the order of ``model_.params``, shape (1, p)."""
        return self._coefficients()[1][None]

    @property
    def intercept_(self) -> Array:
        """Intercept of the fixed effects, 0 if the formula has none, shape (1,)."""
        return np.array([self._coefficients()[0]])

    def predict_proba(self, X: Any) -> Array:
        """Predict the probabilities of both classes, shape (m, 2)."""
        second = self._means(X)
        return np.column_stack([1.0 - second, second])

    def decision_function(self, X: Any) -> Array:
        """Compute the log odds of the second class, shape (m,)."""
        second = np.clip(self._means(X), 1e-300, 1.0 - 1e-16)
        return np.asarray(np.log(second) - np.log1p(-second))

    def predict(self, X: Any, **unknown: Any) -> Any:
        """Predict the more probable class, shape (m,)."""
        refuse(self, "predict", unknown)
        second = self._means(X) > 0.5
        return self.classes_[second.astype(int)]


def independent(text: str, data: pd.DataFrame, family: str, link: str | None) -> Any:
    """Fit a generalised linear model: estimating equations with every row a group."""
    group = "row"
    while group in data:
        group += "_"
    rows = data.assign(**{group: np.arange(len(data))})
    return gee(text, rows, groups=group, corr="independence", family=family, link=link)
