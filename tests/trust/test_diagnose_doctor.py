"""The doctor names the smallest change that helps, and its code makes it."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import ranef


def quietly(formula, frame, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.lmer(formula, frame, **kwargs)


def test_labels_used_again_are_nested():
    rng = np.random.default_rng(21)
    hospital = np.repeat(np.arange(20), 20)
    ward = np.tile(np.repeat(np.arange(1, 5), 5), 20)
    y = rng.normal(size=20)[hospital] + 2 * rng.normal(size=80)[hospital * 4 + ward - 1]
    frame = pd.DataFrame({"y": y + rng.normal(size=400), "hospital": hospital, "ward": ward})
    found = ranef.doctor(quietly("y ~ 1 + (1 | hospital) + (1 | ward)", frame))
    assert "labels-reused" in found.troubles
    assert found.code == 'model.update("y ~ 1 + (1 | hospital) + (1 | hospital:ward)")'
    again = eval(found.code, {"model": found.model})
    assert again.llf == pytest.approx(found.model.llf)
    row = found.table.loc["nest the labels"]
    assert row["helps"]
    assert row["gain"] > 50


def test_a_correlation_of_one_loses_its_correlation():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(24), 8)
    x = np.tile(np.arange(8.0), 24)
    u = rng.normal(size=24)
    frame = pd.DataFrame({"y": u[g] * (2 - x) + 4 * rng.normal(size=192), "x": x, "g": g})
    model = quietly("y ~ x + (x | g)", frame)
    found = ranef.doctor(model)
    assert found.troubles == ("correlation-one",)
    row = found.table.loc["drop the correlation"]
    assert row["gain"] < 0
    assert row["gain"] == pytest.approx(
        quietly("y ~ x + (x || g)", frame).llf - model.llf, abs=1e-8
    )


def test_a_stopped_search_is_restarted_and_nothing_else_changes():
    model = quietly(
        "Reaction ~ Days + (Days | Subject)",
        ranef.datasets.load("sleepstudy"),
        control=ranef.Control(max_steps=1),
    )
    found = ranef.doctor(model)
    assert found.code == "ranef.converge(model).model"
    assert found.model.call.formula == model.call.formula
    assert found.model.convergence


def test_aliased_columns_are_taken_out():
    frame = ranef.datasets.load("sleepstudy")
    frame["twice"] = 2 * frame["Days"] + 1
    model = quietly("Reaction ~ Days + twice + (1 | Subject)", frame)
    found = ranef.doctor(model)
    assert found.code == 'model.update(". ~ . - twice")'
    assert list(found.model.params.index) == ["Intercept", "Days"]
    assert found.table.loc["simplify the fixed part", "coefficients_se"] == pytest.approx(0)


def test_a_zero_of_the_only_factor_has_a_prior_or_no_groups():
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    found = ranef.doctor(model)
    assert found.troubles == ("zero-variance",)
    assert found.code == "model.update(prior='weak')"
    assert not found.model.is_singular
    pooled = found.table.loc["drop the zero variance: no groups"]
    assert pooled["code"] == 'ranef.feols("Yield ~ 1", data)'
    assert np.isnan(pooled["gain"])  # a likelihood and a restricted one
    assert pooled["coefficients_se"] == pytest.approx(0.0, abs=1e-10)


def test_maximum_likelihood_that_gives_zero_is_replaced_by_the_restricted_one():
    rng = np.random.default_rng(17)
    g = np.repeat(np.arange(4), 6)
    frame = pd.DataFrame({"y": 0.6 * rng.normal(size=4)[g] + rng.normal(size=24), "g": g})
    frame["z"] = (g % 2) * 1.0
    model = quietly("y ~ z + (1 | g)", frame, reml=False)
    assert model.is_singular
    found = ranef.doctor(model)
    row = found.table.loc["another estimator: reml=True"]
    assert np.isnan(row["gain"])
    assert row["helps"]
    assert found.code == "model.update(reml=True)"
    assert found.model.llf == pytest.approx(quietly("y ~ z + (1 | g)", frame).llf, abs=1e-8)


def test_one_change_after_another():
    """Three columns, one direction: without correlations one variance is zero."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 10)
    x = np.tile(np.arange(10.0), 12)
    u = rng.normal(size=12)
    frame = pd.DataFrame({"y": u[g] * (1 + x) + 3 * rng.normal(size=120), "x": x, "g": g})
    frame["w"] = rng.normal(size=120)
    found = ranef.doctor(quietly("y ~ x + w + (x + w | g)", frame))
    assert "drop the correlation, then drop the zero variance" in found.table.index
    assert not found.model.is_singular
    assert found.model.convergence
    again = eval(found.code, {"ranef": ranef, "data": frame, "model": found.model})
    assert again.llf == pytest.approx(found.model.llf)


def test_columns_of_a_factor_leave_together():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 10)
    f = np.tile(np.array(list("abcd")), 30)
    frame = pd.DataFrame({"y": rng.normal(size=12)[g] + rng.normal(size=120), "g": g, "f": f})
    found = ranef.doctor(quietly("y ~ f + (f | g)", frame))
    assert found.code == 'model.update("y ~ f + (1 | g)")'


def test_code_keeps_the_rest_of_the_call():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(30), 6)
    frame = pd.DataFrame({"x": np.tile(np.arange(6.0), 30), "g": g, "w": 1.0 + g % 3})
    frame["y"] = 2 * rng.normal(size=30)[g] + frame["x"] + rng.normal(size=180)
    model = quietly("y ~ x + (x || g)", frame, reml=False, weights="w")
    fix = ranef.diagnose(model).find("zero-variance").fix
    assert fix == 'model.update("y ~ x + (1 | g)")'
    again = eval(fix, {"model": model})
    assert not again.reml
    assert again.llf == pytest.approx(model.llf, abs=1e-8)


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x + twice | g)"])
def test_whatever_it_proposes_runs_and_gives_the_model(formula):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(30), 6)
    frame = pd.DataFrame({"x": np.tile(np.arange(6.0), 30), "g": g})
    frame["twice"] = 2 * frame["x"] + 1
    frame["y"] = 2 * rng.normal(size=30)[g] + frame["x"] + rng.normal(size=180)
    model = quietly(formula, frame)
    found = ranef.doctor(model)
    for code, llf in zip(found.table["code"], found.table["llf"], strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ranef.RanefWarning)
            again = eval(code, {"ranef": ranef, "data": frame, "model": model})
        assert again.llf == pytest.approx(llf)
    assert found.table["helps"].any()


def test_a_good_model_is_left_alone():
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    found = ranef.doctor(model)
    assert found.model is model
    assert found.troubles == ()
    assert repr(found).startswith("Nothing to do")


def test_an_unpickled_model_is_given_its_data():
    data = ranef.datasets.load("Dyestuff2")
    model = pickle.loads(pickle.dumps(quietly("Yield ~ 1 + (1 | Batch)", data)))
    with pytest.raises(ValueError, match=r"doctor\(model, data\)"):
        ranef.doctor(model)
    assert ranef.doctor(model, data).code == "model.update(prior='weak')"


def test_units_are_changed_once():
    """A slope far from zero and in large units, under a singular fit: no chain of changes."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(12), 6)
    date = 8.4e8 + 3e6 * rng.normal(size=72)
    frame = pd.DataFrame({"g": g, "date": date, "y": rng.normal(size=72)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.lmer("y ~ date + (date | g)", frame)
    found = ranef.doctor(model)
    assert found.table["code"].str.count("in_units").sum() <= 2
    assert found.code
