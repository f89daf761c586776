"""Learners with random effects, against published figures, other programs and known truths."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

import ranef
from ranef.learners.pruning import collapses, pruned_nodes

REEM = pd.read_csv(Path(__file__).parents[1] / "data" / "simple_reem.csv")
FORMULA = "y ~ x + z + w + c + (1 + x | g)"


def simulated(seed=1, groups=50, rows=12):
    """Groups with their own levels and slopes, a curve, a step, a group-level predictor."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    n = g.size
    x, z, w = rng.normal(size=n), rng.normal(size=n), rng.normal(size=groups)[g]
    c = rng.choice(list("abc"), n)
    b = rng.multivariate_normal([0, 0], [[1.0, 0.2], [0.2, 0.5]], groups)
    y = 2 * np.sin(2 * x) + (z > 0) + 0.5 * w + (c == "b") + b[g, 0] + b[g, 1] * x
    y = y + 0.7 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "w": w, "c": c, "g": [f"g{i}" for i in g]})


DATA = simulated()
QUICK = {"trees": 40, "early": 40}


def rmse(y, found):
    return float(np.sqrt(np.mean((np.asarray(y) - np.asarray(found)) ** 2)))


@pytest.fixture(scope="module")
def tree():
    return ranef.re_em("Y ~ D + t + X + (1 | ID)", REEM, progress=False)


@pytest.fixture(scope="module")
def forest():
    return ranef.re_em(FORMULA, DATA, "forest", options=QUICK, progress=False)


def test_the_published_example_of_a_tree_with_random_effects(tree):
    # REEMtree's example; the same numbers from rpart 4.1.19 and nlme 3.1 of R 4.2.2, in turn.
    table = tree.leaves.table
    assert table["rule"].tolist() == [
        "D < 0.5 & X < 0.2503819",
        "D < 0.5 & X >= 0.2503819",
        "D >= 0.5 & t < 5.5",
        "D >= 0.5 & t >= 5.5",
    ]
    assert table["n"].tolist() == [211, 89, 125, 175]
    assert_allclose(table["estimate"], [0.8677981, -0.3697058, 1.6862250, 2.6136325], atol=2e-7)
    assert_allclose(tree.varcorr["ID"].iloc[0, 0], 3.6600855, rtol=1e-6)
    assert_allclose(tree.sigma**2, 0.8875083, rtol=1e-6)
    assert_allclose(tree.llf, -914.1223941, atol=1e-6)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_other_folds_prune_the_example_alike(tree, seed):
    again = ranef.re_em("Y ~ D + t + X + (1 | ID)", REEM, seed=seed, progress=False)
    assert again.leaves.table["rule"].tolist() == tree.leaves.table["rule"].tolist()


def test_pruning_is_scikit_learns_weakest_link():
    X, y = DATA[["x", "z", "w"]].to_numpy(np.float32), DATA["y"].to_numpy()
    tree = DecisionTreeRegressor(min_samples_leaf=15, random_state=0).fit(X, y)
    path = tree.cost_complexity_pruning_path(X, y).ccp_alphas
    found = collapses(tree.tree_)
    steps = np.unique(found[np.isfinite(found)])
    assert_allclose(steps, np.unique(path[path > 0]), rtol=1e-9)
    for alpha in np.sqrt(steps[:-1] * steps[1:])[::4]:
        pruned = DecisionTreeRegressor(min_samples_leaf=15, random_state=0, ccp_alpha=alpha)
        node = pruned_nodes(tree.tree_, found, alpha)[tree.apply(X)]
        assert_allclose(tree.tree_.value[node, 0, 0], pruned.fit(X, y).predict(X), rtol=1e-10)


def test_leaves_are_fixed_effects_of_a_linear_mixed_model(tree):
    leaf = pd.cut(tree.predict(random="none"), [-1, 0, 1, 2, 3], labels=list("abcd")).astype(str)
    model = ranef.lmer("Y ~ 0 + leaf + (1 | ID)", REEM.assign(leaf=leaf))
    assert_allclose(model.llf, tree.llf, atol=1e-8)
    assert_allclose(np.sort(model.params), np.sort(tree.leaves.table["estimate"]), rtol=1e-6)
    assert_allclose(model.fittedvalues, tree.fittedvalues, rtol=1e-6)
    assert_allclose(tree.predict(REEM), tree.fittedvalues, rtol=1e-10)
    assert_allclose(tree.resid, REEM["Y"] - tree.fittedvalues, atol=1e-10)


def test_a_linear_learner_in_sample_is_the_linear_mixed_model():
    """Least squares and random effects in turn end at the estimates of lmer."""
    model = ranef.re_em(
        "y ~ x + z + (1 | g)",
        DATA,
        LinearRegression(),
        fitted="in-sample",
        tolerance=1e-12,
        rounds=200,
        progress=False,
    )
    mixed = ranef.lmer("y ~ x + z + (1 | g)", DATA)
    assert_allclose(model.learner.coef_, mixed.params[["x", "z"]], atol=1e-4)
    assert_allclose(model.ranef()["g"], mixed.ranef()["g"], atol=5e-3)


@pytest.mark.parametrize("learner", ["forest", "boosting", KNeighborsRegressor(8)], ids=str)
def test_random_effects_are_not_eaten_by_flexible_learners(learner):
    options = {"forest": QUICK, "boosting": {"rounds": 50}}.get(str(learner))
    model = ranef.re_em(FORMULA, DATA, learner, options=options, folds=3, progress=False)
    sds = np.sqrt(np.diag(model.varcorr["g"]))
    assert_allclose(sds, [1.0, 0.71], rtol=0.3)
    assert 0.65 < model.sigma < 1.1
    assert model.converged
    # As many groups again, with the same function: random effects do not predict them.
    fresh = simulated(seed=2)
    fresh["g"] = "new " + fresh["g"]
    with pytest.raises(ranef.DataError, match='new_levels="population"'):
        model.predict(fresh)
    assert_allclose(
        model.predict(fresh, new_levels="population"), model.predict(fresh, random="none")
    )
    known, new = (
        rmse(DATA["y"], model.fittedvalues),
        rmse(fresh["y"], model.predict(fresh, random=None)),
    )
    assert known < 0.75 * new


def test_in_sample_predictions_eat_them():
    """What the default avoids: sigma and the effects of groups come out far too small."""
    deep = DecisionTreeRegressor(min_samples_leaf=3, random_state=0)
    eaten = ranef.re_em(FORMULA, DATA, deep, fitted="in-sample", progress=False)
    crossed = ranef.re_em(FORMULA, DATA, deep, progress=False)
    assert eaten.sigma < 0.6 < crossed.sigma
    assert eaten.varcorr["g"].iloc[0, 0] < 0.8 * crossed.varcorr["g"].iloc[0, 0]


def test_no_tree_predicts_a_group_that_it_saw(forest):
    grown = forest.learner
    codes = pd.factorize(DATA["g"], sort=True)[0]
    X = forest.fit.predictors.X
    want = np.zeros(len(X))
    for i in range(0, len(X), 37):
        trees = [
            t
            for t, drawn in zip(grown.estimators_, grown.drawn, strict=True)
            if not drawn[codes[i]]
        ]
        want[i] = np.mean([t.predict(X[[i]])[0] for t in trees])
        assert_allclose(forest.fit.learned.fitted[i], want[i], rtol=1e-6)
    assert len(trees) < len(grown.estimators_)


def test_cross_fitted_learners_have_not_seen_the_group():
    model = ranef.re_em(FORMULA, DATA, LinearRegression(), progress=False)
    fold, X, y = model.fit.learned.fold, model.fit.predictors.X, model.fit.task.target
    assert (pd.Series(fold).groupby(DATA["g"]).nunique() == 1).all()
    for k in range(5):
        assert (fold == k).sum() == 120
    assert model.features == ("x", "z", "w", "c[a]", "c[b]", "c[c]")
    again = LinearRegression().fit(X, y)
    assert_allclose(model.learner.predict(X), again.predict(X), atol=0.05)


def test_boosting_with_random_effects_beats_boosting_with_the_id_as_a_column():
    """By more than a tenth, where groups have slopes of their own."""
    data = simulated(seed=5, groups=80)
    test = np.arange(len(data)) % 3 == 0
    model = ranef.re_em(
        FORMULA, data[~test], "boosting", options={"rounds": 75}, folds=3, progress=False
    )
    ours = rmse(data["y"][test], model.predict(data[test]))
    X = data.drop(columns="y").assign(
        c=data["c"].astype("category"), g=data["g"].astype("category")
    )
    plain = HistGradientBoostingRegressor(categorical_features="from_dtype", random_state=0)
    theirs = rmse(data["y"][test], plain.fit(X[~test], data["y"][~test]).predict(X[test]))
    assert ours < 0.9 * theirs


def test_threads_and_runs_give_the_same_forest(forest):
    again = ranef.re_em(FORMULA, DATA, "forest", options=QUICK, workers=2, progress=False)
    assert_allclose(again.predict(DATA), forest.predict(DATA), rtol=1e-12)
    back = pickle.loads(pickle.dumps(forest))
    assert_allclose(back.predict(DATA), forest.predict(DATA), rtol=1e-12)
    with pytest.raises(ValueError, match="unpickled"):
        back.calibrate()


def test_importance_finds_what_matters_and_shuffles_groups_whole(forest):
    found = forest.importance(seed=3)
    assert found.table.index[0] == "x"
    assert found.table.index[3] == "w"
    assert found.table["shuffled"].to_dict() == {"x": "rows", "z": "rows", "c": "rows", "w": "g"}
    sets = forest.importance({"both": ["x", "z"], "w": "w"}, repeats=2)
    assert sets.table["increase"]["both"] > found.table["increase"]["x"]
    noise = ranef.re_em(
        "y ~ x + noise + (1 | g)",
        DATA.assign(noise=DATA["x"].sample(frac=1, random_state=1).to_numpy()),
        "forest",
        options=QUICK,
        progress=False,
    )
    table = noise.importance().table
    assert abs(table["increase"]["noise"]) < 0.05 * table["increase"]["x"]
    with pytest.raises(ranef.DataError, match="is not a predictor"):
        forest.importance({"a": ["nothing"]})
    assert forest.plot() is not None


def test_conformal_intervals_cover_new_and_known_groups():
    data = simulated(seed=8, groups=60)
    model = ranef.re_em("y ~ x + z + (1 | g)", data, LinearRegression(), progress=False)
    found = model.calibrate(progress=False)
    assert found.radius(0.9, groups="known") < found.radius(0.9)
    fresh = simulated(seed=9, groups=200)
    fresh["g"] = "new " + fresh["g"]
    new = found.predict(fresh, level=0.9)
    inside = (fresh["y"] >= new["lower"]) & (fresh["y"] <= new["upper"])
    assert 0.85 < inside.mean() < 0.95
    assert found.radius(0.999) == np.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        found.radius(95)
    with pytest.raises(ranef.ModelError, match="too few"):
        model.calibrate(folds=40)


def test_calibration_holds_out_groups_that_a_row_has_one_of():
    other = DATA.assign(h=DATA["g"].sample(frac=1, random_state=1).to_numpy())
    model = ranef.re_em("y ~ x + z + (1 | mm(g, h))", other, LinearRegression(), progress=False)
    with pytest.raises(ranef.UnsupportedError, match="has several"):
        model.calibrate()


def test_weights_offsets_and_containers(tree):
    same = ranef.re_em("Y ~ D + t + X + (1 | ID)", REEM, weights=np.ones(600), progress=False)
    assert_allclose(same.llf, tree.llf, atol=1e-8)
    moved = REEM.assign(Y=REEM["Y"] + 3.0 * REEM["t"], o=3.0 * REEM["t"])
    for options in ({"offset": "o"}, {"offset": moved["o"].to_numpy()}):
        found = ranef.re_em("Y ~ D + t + X + (1 | ID)", moved, progress=False, **options)
        assert_allclose(found.llf, tree.llf, atol=1e-7)
    inside = ranef.re_em("Y ~ D + t + X + offset(o) + (1 | ID)", moved, progress=False)
    assert_allclose(inside.predict(moved), tree.fittedvalues + moved["o"], rtol=1e-9)
    columns = {name: REEM[name].to_numpy() for name in REEM}
    assert ranef.re_em("Y ~ . + (1 | ID)", columns, progress=False).llf == tree.llf
    double = pd.concat([REEM, REEM]).assign(w=1.0)
    half = ranef.re_em("Y ~ . + (1 | ID)", double, weights="w", progress=False)
    assert half.features == ("t", "D", "X")


def test_rows_with_missing_predictors_are_dropped_and_counted():
    gaps = REEM.assign(X=REEM["X"].where(REEM.index > 5))
    with pytest.warns(ranef.DroppedRowsWarning, match=r"6 of 600 rows.*X \(6\)"):
        model = ranef.re_em("Y ~ D + t + X + (1 | ID)", gaps, progress=False)
    assert model.nobs == 594
    assert list(model.fittedvalues.index) == list(range(6, 600))
    assert model.predict(gaps.iloc[4:8]).isna().tolist() == [True, True, False, False]
    with pytest.raises(ranef.DataError, match="missing values"):
        ranef.re_em("Y ~ D + t + X + (1 | ID)", gaps, missing="raise")


class NoFit:
    pass


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((FORMULA, DATA, NoFit()), TypeError, r"NoFit has no fit\(\)"),
        ((FORMULA, DATA, LinearRegression), TypeError, r"instance: LinearRegression\(\)"),
        ((FORMULA, DATA, LogisticRegression()), TypeError, "is a classifier"),
        ((FORMULA, DATA, "forrest"), ValueError, "did you mean 'forest'"),
        (("y ~ x", DATA), ranef.FormulaError, "no bar"),
        (("y ~ 1 + (1 | g)", DATA), ranef.FormulaError, "no predictor"),
        (("y ~ s(x) + (1 | g)", DATA), ranef.UnsupportedError, "smooth"),
        ((FORMULA, DATA.assign(y=2.0)), ranef.ModelError, "2 in every row"),
        ((FORMULA, DATA.groupby("g").head(1)), ranef.ModelError, "random effects for 50 rows"),
        ((FORMULA, DATA.assign(x=np.inf)), ranef.DataError, "infinite"),
        ((FORMULA, DATA.drop(columns="z")), ranef.DataError, "no column 'z'"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, error, message):
    with pytest.raises(error, match=message):
        ranef.re_em(*arguments, progress=False)


@pytest.mark.parametrize(
    ("learner", "options", "error", "message"),
    [
        (DecisionTreeRegressor(), {"fitted": "in-sample"}, ranef.ModelError, "reproduces the resp"),
        (KNeighborsRegressor(), {"weights": np.ones(600)}, ranef.UnsupportedError, "no weights"),
        ("forest", {"options": {"tres": 3}}, ValueError, "did you mean 'trees'"),
        ("forest", {"options": {"trees": 0}}, ValueError, "positive integer"),
        ("tree", {"fitted": "in-sample"}, ValueError, "its own way"),
        ("tree", {"resample": "h"}, ValueError, "resample must be"),
        ("tree", {"folds": 1}, ValueError, "folds must be a whole number"),
        ("tree", {"tolerance": 0}, ValueError, "tolerance"),
        (LinearRegression(), {"options": {"trees": 3}}, ValueError, "when you make it"),
    ],
)
def test_options_that_make_no_sense_are_refused(learner, options, error, message):
    with pytest.raises(error, match=message):
        ranef.re_em(FORMULA, DATA, learner, progress=False, **options)


def test_a_learner_that_reproduces_its_rows_is_cross_fitted():
    model = ranef.re_em(FORMULA, DATA, DecisionTreeRegressor(random_state=0), progress=False)
    assert model.sigma > 0.7
    assert "cross-fitted, whole levels of g held out" in str(model)


def test_text(tree, forest):
    assert "Learner with random effects" in str(tree)
    assert "D < 0.5 & X < 0.2503819" in str(tree)
    assert "<table" in tree._repr_html_()
    assert repr(forest).startswith("<MixedLearner")
    assert forest.glance()["nobs"].item() == 600
    assert set(tree.tidy()["effect"]) == {"fixed", "ran_pars"}
    assert len(tree.leaves.plot().texts) == 4 + 6
    with pytest.raises(ranef.UnsupportedError, match="learner='tree'"):
        _ = forest.leaves
    with pytest.raises(AttributeError, match=r"model\.varcorr"):
        _ = forest.VarCorr
