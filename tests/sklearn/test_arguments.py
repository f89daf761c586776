"""Arguments and columns of other estimators end in an answer."""

import inspect
import re

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ranef
from ranef.sklearn import GroupEmbedding, MixedClassifier, MixedRegressor, REEMRegressor

SLEEP = ranef.datasets.load("sleepstudy")
X, Y = SLEEP[["Days", "Subject"]], SLEEP["Reaction"]
ESTIMATORS = [
    MixedRegressor("Days + (1 | Subject)"),
    MixedClassifier("Days + (1 | Subject)"),
    REEMRegressor("(1 | Subject)", learner="tree"),
    GroupEmbedding("(1 | Subject)"),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    ("name", "answer"),
    [("groups", "cross_val_score"), ("sample_weight", "precisions"), ("other", "'other'")],
)
def test_arguments_of_fit_are_answered(estimator, name, answer):
    with pytest.raises(TypeError, match=rf"fit\(\) has no argument '{name}'") as caught:
        estimator.fit(X, Y > 300, **{name: np.ones(len(X))})
    assert answer in str(caught.value)
    # scikit-learn asks the signature whether weights are supported
    assert "sample_weight" not in inspect.signature(estimator.fit).parameters


def test_an_embedding_does_not_ignore_arguments():
    with pytest.raises(TypeError, match="sample_weight"):
        GroupEmbedding("(1 | Subject)").fit_transform(X, Y, sample_weight=np.ones(len(X)))


def test_intervals_are_pointed_to_and_the_pointer_works():
    estimator = MixedRegressor("Days + (1 | Subject)").fit(X, Y)
    with pytest.raises(TypeError, match=r"model_\.predict\(X, interval='prediction'"):
        estimator.predict(X, interval="prediction")
    with pytest.raises(AttributeError, match=r"model_\.predict\(X, interval='prediction'"):
        _ = estimator.predict_interval
    new = X.head(1).assign(Subject="new")
    known, unknown = (
        estimator.model_.predict(rows, interval="prediction", new_levels="population")
        for rows in (X.head(1), new)
    )
    width = lambda frame: float((frame["upper"] - frame["lower"]).iloc[0])  # noqa: E731
    assert width(unknown) > width(known)


def test_names_that_a_column_transformer_changed_are_explained():
    scaled = ColumnTransformer([("s", StandardScaler(), ["Days"])], remainder="passthrough")
    pipeline = make_pipeline(
        scaled.set_output(transform="pandas"), MixedRegressor("Days + (1 | Subject)")
    )
    with pytest.raises(ranef.DataError, match=re.escape("verbose_feature_names_out=False")):
        pipeline.fit(X, Y)
    pipeline.set_params(columntransformer__verbose_feature_names_out=False).fit(X, Y)


def test_a_column_of_text_without_a_formula_is_named():
    with pytest.raises(ranef.DataError, match="column 'who' of X is text; without a formula"):
        MixedRegressor().fit(X[["Days"]].assign(who="s" + X["Subject"].astype(str)), Y)


def test_settings_of_other_estimators_are_answered_when_one_is_made():
    with pytest.raises(TypeError, match=r"MixedRegressor\(\) has no argument 'groups': .*formula"):
        MixedRegressor(groups="g")
    with pytest.raises(TypeError, match=r"MixedClassifier\(\) has no argument 'nAGQ': write nagq="):
        MixedClassifier(nAGQ=9)
    with pytest.raises(TypeError, match=r"MixedRegressor\(\) has no argument 'colour'"):
        MixedRegressor(colour=1)
    assert "formula" in MixedRegressor().get_params()
    with pytest.raises(TypeError, match="write folds="):
        ranef.cross_validate(None, k=5)
