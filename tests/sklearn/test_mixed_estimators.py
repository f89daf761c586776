"""Estimators keep scikit-learn's contract, and predict what the models predict."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.feature_selection import RFE
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import ranef
from ranef.sklearn import MixedClassifier, MixedRegressor

SLEEP = ranef.datasets.load("sleepstudy")
X, Y = SLEEP[["Days", "Subject"]], SLEEP["Reaction"]
SLOPE = "Days + (Days | Subject)"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [MixedRegressor(), MixedClassifier()], ids=repr)
def test_scikit_learns_own_checks_pass(estimator):
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = [(one["check_name"], one["exception"]) for one in found if one["status"] == "failed"]
    assert failed == []
    assert Counter(one["status"] for one in found)["passed"] >= 50


def test_predictions_are_those_of_the_model():
    model = ranef.lmer(f"Reaction ~ {SLOPE}", SLEEP)
    for formula in (SLOPE, f"~ {SLOPE}", f"Reaction ~ {SLOPE}"):
        estimator = MixedRegressor(formula).fit(X, Y)
        assert_allclose(estimator.predict(X), model.fittedvalues, rtol=1e-8)
        assert_allclose(estimator.model_.params, model.params, rtol=1e-10)
    population = MixedRegressor(SLOPE, random="none").fit(X, Y).predict(X[["Days", "Subject"]])
    assert_allclose(population, model.predict(random="none"), rtol=1e-8)
    new = pd.DataFrame({"Days": [3], "Subject": ["nobody"]})
    assert_allclose(estimator.predict(new), model.predict(new, random="none"), rtol=1e-8)
    assert 0.8 < estimator.score(X, Y) < 0.9
    assert estimator.feature_names_in_.tolist() == ["Days", "Subject"]


def test_a_formula_takes_the_columns_of_new_rows_by_name():
    estimator = MixedRegressor(SLOPE).fit(X, Y)
    wider = X.assign(Age=30.0, Reaction=Y)[["Reaction", "Subject", "Age", "Days"]]
    assert_allclose(estimator.predict(wider), estimator.predict(X), rtol=1e-12)
    population = MixedRegressor(SLOPE, random="none").fit(wider, Y)
    assert_allclose(population.predict(X[["Days"]]), population.predict(wider), rtol=1e-12)


def test_what_the_model_has_is_answered():
    estimator = MixedRegressor(SLOPE)
    with pytest.raises(AttributeError, match=r"no attribute 'summary'$"):
        _ = estimator.summary
    with pytest.raises(AttributeError, match=r"its model has it: estimator\.model_\.summary"):
        _ = estimator.fit(X, Y).summary
    assert not hasattr(estimator, "transform")


def test_coefficients_are_those_of_the_model():
    model = ranef.lmer(f"Reaction ~ {SLOPE}", SLEEP)
    estimator = MixedRegressor(SLOPE).fit(X, Y)
    assert_allclose(estimator.intercept_, model.params["Intercept"], rtol=1e-10)
    assert_allclose(estimator.coef_, [model.params["Days"]], rtol=1e-10)
    assert not hasattr(MixedRegressor(SLOPE), "coef_")
    assert MixedRegressor("0 + " + SLOPE).fit(X, Y).intercept_ == 0.0
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 3))
    y = features @ [3.0, 0.1, 2.0] + rng.normal(size=60)
    want = LinearRegression().fit(features, y)
    plain = MixedRegressor().fit(features, y)
    assert_allclose(plain.coef_, want.coef_, rtol=1e-9)
    assert_allclose(plain.intercept_, want.intercept_, rtol=1e-9)
    chosen = RFE(MixedRegressor(), n_features_to_select=2).fit(features, y)
    assert chosen.support_.tolist() == [True, False, True]
    classes = MixedClassifier().fit(features, y > 0.0)
    assert (classes.coef_.shape, classes.intercept_.shape) == ((1, 3), (1,))


def test_without_random_effects_it_is_least_squares():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    y = features @ [1.0, 2.0, 0.0] + rng.normal(size=60)
    want = LinearRegression().fit(features, y).predict(features)
    assert_allclose(MixedRegressor().fit(features, y).predict(features), want, rtol=1e-9)


def test_arrays_have_columns_by_number():
    array = np.column_stack([SLEEP["Days"], SLEEP["Subject"].astype(int)])
    named = MixedRegressor(SLOPE).fit(X, Y).predict(X)
    assert_allclose(MixedRegressor("x0 + (x0 | x1)").fit(array, Y).predict(array), named, rtol=1e-8)
    texts = np.array(X, dtype=object)
    assert_allclose(MixedRegressor("x0 + (x0 | x1)").fit(texts, Y).predict(texts), named, rtol=1e-8)


def test_a_count_is_fitted_by_glmer():
    n = (SLEEP["Reaction"] / 20).round()
    estimator = MixedRegressor("Days + (1 | Subject)", family="poisson").fit(X, n)
    model = ranef.glmer("n ~ Days + (1 | Subject)", SLEEP.assign(n=n), family="poisson")
    assert_allclose(estimator.predict(X), model.fittedvalues, rtol=1e-8)


def test_classes_and_their_probabilities():
    slow = np.where(SLEEP["Reaction"] > 300, "slow", "fast")
    estimator = MixedClassifier("Days + (1 | Subject)").fit(X, slow)
    model = ranef.glmer(
        "y ~ Days + (1 | Subject)", SLEEP.assign(y=(slow == "slow") * 1.0), family="binomial"
    )
    assert estimator.classes_.tolist() == ["fast", "slow"]
    proba = estimator.predict_proba(X)
    assert_allclose(proba[:, 1], model.fittedvalues, rtol=1e-8)
    assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    assert ((estimator.predict(X) == "slow") == (proba[:, 1] > 0.5)).all()
    assert_allclose(estimator.decision_function(X), model.predict(kind="link"), rtol=1e-6)
    with pytest.raises(ValueError, match=r"Only binary.*clmm"):
        MixedClassifier("Days + (1 | Subject)").fit(X, SLEEP["Days"].astype(str))


def test_pipelines_searches_and_scores_of_new_groups():
    groups = SLEEP["Subject"]
    scores = cross_val_score(MixedRegressor(SLOPE), X, Y, groups=groups, cv=GroupKFold(6))
    assert scores.shape == (6,)
    left_out = cross_val_predict(MixedRegressor(SLOPE), X, Y, groups=groups, cv=GroupKFold(18))
    rmse = float(np.sqrt(np.mean((left_out - Y) ** 2)))
    own = ranef.cross_validate(
        ranef.lmer(f"Reaction ~ {SLOPE}", SLEEP),
        [(np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in groups.unique()],
        progress=False,
    )
    assert rmse == pytest.approx(own.table["rmse"].item(), rel=1e-6)
    grid = {"formula": ["Days + (1 | Subject)", SLOPE], "reml": [True, False]}
    search = GridSearchCV(MixedRegressor(), grid, cv=3).fit(X.iloc[::-1], Y.iloc[::-1])
    assert search.best_params_["formula"] in grid["formula"]
    hours = FunctionTransformer(lambda frame: frame.assign(Days=24.0 * frame["Days"]))
    piped = make_pipeline(hours, MixedRegressor(SLOPE)).fit(X, Y)
    assert_allclose(piped.predict(X), MixedRegressor(SLOPE).fit(X, Y).predict(X), rtol=1e-6)
    plain = make_pipeline(StandardScaler(), MixedRegressor()).fit(X[["Days"]], Y)
    assert plain.predict(X[["Days"]]).shape == (180,)


def test_a_fitted_estimator_may_be_stored_and_cloned():
    estimator = MixedRegressor(SLOPE).fit(X, Y)
    again = pickle.loads(pickle.dumps(estimator))
    assert_allclose(again.predict(X), estimator.predict(X), rtol=1e-12)
    assert clone(estimator).get_params()["formula"] == SLOPE
    assert ranef.sklearn.MixedRegressor is MixedRegressor


def test_bad_input_is_refused_in_words():
    estimator = MixedRegressor(SLOPE).fit(X, Y)
    gaps = X.assign(Days=[np.nan, *X["Days"].iloc[1:]])
    with pytest.raises(
        ValueError, match="no prediction for 1 of 180 rows, the first at position 0"
    ):
        estimator.predict(gaps)
    with pytest.raises(ValueError, match="no column 'Days'"):
        estimator.predict(X.rename(columns={"Days": "Nights"}))
    plain = MixedRegressor().fit(X[["Days"]], Y)
    with pytest.raises(ValueError, match="feature names should match"):
        plain.predict(X.rename(columns={"Days": "Nights"})[["Nights"]])
    with pytest.raises(ranef.FormulaError, match="TransformedTargetRegressor"):
        MixedRegressor(f"log(Reaction) ~ {SLOPE}").fit(X, Y)
    with pytest.raises(ValueError, match="y contains NaN"):
        MixedRegressor(SLOPE).fit(X, Y.where(Y > 250))
    with pytest.raises(ranef.DataError, match="no column 'Day'"):
        MixedRegressor("Day + (1 | Subject)").fit(X, Y)
    with pytest.warns(ranef.DroppedRowsWarning, match="1 of 180"):
        MixedRegressor(SLOPE).fit(gaps, Y)


def test_a_pipeline_that_drops_names_is_told_how_to_keep_them():
    pipeline = make_pipeline(
        FunctionTransformer(lambda frame: frame.to_numpy()), MixedRegressor(SLOPE)
    )
    with pytest.raises(ranef.DataError, match=r'x0 to x1.*set_output\(transform="pandas"\)'):
        pipeline.fit(X, Y)
    with pytest.raises(ranef.DataError) as caught:
        MixedRegressor("Daze + (1 | Subject)").fit(X, Y)
    assert "set_output" not in str(caught.value)
