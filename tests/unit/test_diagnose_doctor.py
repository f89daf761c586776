"""The doctor names the smallest change that helps, and its code makes it."""

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
    assert found.code == 'ranef.lmer("y ~ 1 + (1 | hospital) + (1 | hospital:ward)", data)'
    again = eval(found.code, {"ranef": ranef, "data": frame})
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


def test_where_no_change_helps_it_says_so():
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    found = ranef.doctor(model)
    assert found.troubles == ("zero-variance",)
    assert found.model is model
    assert "No change helps" in repr(found)


def test_a_good_model_is_left_alone():
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    found = ranef.doctor(model)
    assert found.model is model
    assert found.troubles == ()
    assert repr(found).startswith("Nothing to do")
