"""Learners with random effects keep scikit-learn's contract."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

import ranef
from ranef.sklearn import GroupEmbedding, REEMRegressor

SLEEP = ranef.datasets.load("sleepstudy")
X, Y = SLEEP[["Days", "Subject"]], SLEEP["Reaction"]
SMALL = {"trees": 10, "early": 10}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("learner", ["tree", "forest"])
def test_scikit_learns_own_checks_pass(learner):
    options = SMALL if learner == "forest" else None
    estimator = REEMRegressor(learner=learner, options=options)
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = [(one["check_name"], one["exception"]) for one in found if one["status"] == "failed"]
    assert failed == []
    assert Counter(one["status"] for one in found)["passed"] >= 40


def test_predictions_are_those_of_the_model():
    estimator = REEMRegressor("Days | Subject", learner="tree").fit(X, Y)
    model = ranef.re_em("Reaction ~ Days + (Days | Subject)", SLEEP, progress=False)
    assert_allclose(estimator.predict(X), model.predict(SLEEP), rtol=1e-9)
    new = pd.DataFrame({"Days": [3], "Subject": ["nobody"]})
    assert_allclose(estimator.predict(new), model.predict(new, random="none"), rtol=1e-9)
    array = np.column_stack([SLEEP["Days"], SLEEP["Subject"].astype(int)])
    again = REEMRegressor("(x0 | x1)", learner="tree").fit(array, Y)
    assert_allclose(again.predict(array), estimator.predict(X), rtol=1e-9)
    with pytest.raises(ranef.DataError, match="no prediction"):
        estimator.predict(X.assign(Days=X["Days"].where(X.index > 0)))


def test_searches_and_pipelines_take_groups():
    pipeline = make_pipeline(
        FunctionTransformer(), REEMRegressor("1 | Subject", learner=DecisionTreeRegressor())
    )
    grid = {"reemregressor__learner__max_depth": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3)).fit(X, Y, groups=X["Subject"])
    assert search.best_params_["reemregressor__learner__max_depth"] in (1, 3)
    found = cross_val_predict(
        REEMRegressor("1 | Subject", learner=LinearRegression()),
        X,
        Y,
        groups=X["Subject"],
        cv=GroupKFold(6),
    )
    assert 0.1 < np.corrcoef(found, Y)[0, 1] < 0.95
    assert clone(pipeline).get_params()["reemregressor__random"] == "1 | Subject"


def test_intervals_are_wider_for_new_groups():
    estimator = REEMRegressor("1 | Subject", learner=LinearRegression(), conformal=4).fit(X, Y)
    known = np.diff(estimator.predict_interval(X, 0.8))
    new = np.diff(estimator.predict_interval(X.assign(Subject="nobody"), 0.8))
    assert known.max() < new.min()
    with pytest.raises(ValueError, match="conformal=5"):
        REEMRegressor("1 | Subject", learner="tree").fit(X, Y).predict_interval(X)


def test_an_embedding_leaves_each_row_out_in_a_pipeline():
    encoder = GroupEmbedding("(1 | Subject)", fixed="Days")
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    want = ranef.embedding(model)
    assert_allclose(encoder.fit_transform(X, Y), want.train, rtol=1e-8)
    assert_allclose(encoder.fit(X, Y).transform(X), want.transform(SLEEP), rtol=1e-8)
    assert encoder.get_feature_names_out().tolist() == ["Subject_Intercept"]
    columns = make_column_transformer(
        (GroupEmbedding("(1 | Subject)"), ["Subject"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, RandomForestRegressor(n_estimators=10, random_state=0))
    found = cross_val_predict(pipeline, X, Y, cv=KFold(5, shuffle=True, random_state=0))
    assert np.corrcoef(found, Y)[0, 1] > 0.5
    with pytest.raises(ValueError, match="NaN"):
        encoder.fit(X, Y.where(Y.index > 0))


def test_bad_input_is_refused_in_words():
    with pytest.raises(ranef.DataError, match="beside the groups"):
        REEMRegressor("1 | Subject").fit(X[["Subject"]], Y)
    with pytest.raises(ValueError, match="need groups"):
        REEMRegressor(conformal=5).fit(X[["Days"]], Y)
    with pytest.raises(ranef.FormulaError, match="no bar"):
        REEMRegressor("Subject", learner="tree").fit(X, Y)
    with pytest.raises(TypeError, match="no predict"):
        REEMRegressor("1 | Subject", learner=FunctionTransformer()).fit(X, Y)
