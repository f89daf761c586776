"""Figures of ordered categories, and standard errors of growth curves and panels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef

SLEEP = ranef.datasets.load("sleepstudy")
SCORED = SLEEP.assign(score=pd.cut(SLEEP["Reaction"], [0, 260, 300, 350, 900]).cat.codes + 1)
ORDERED = ranef.clmm("score ~ Days + (1 | Subject)", SCORED)
GPA = ranef.datasets.load("gpa_sim")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_probabilities_are_those_of_predict_and_sum_to_one():
    axis = ORDERED.plot.predictions("Days")
    drawn = np.array([line.get_ydata() for line in axis.lines])
    assert_allclose(drawn.sum(axis=0), 1.0, atol=1e-12)
    days = axis.lines[0].get_xdata()
    want = ORDERED.predict({"Days": days}, kind="prob", random="none")
    assert_allclose(drawn.T, want.to_numpy(), atol=1e-12)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["1", "2", "3", "4"]
    _, given = plt.subplots()
    assert ORDERED.plot.predictions("Days", ax=given) is given


def test_other_figures_of_categories_draw_or_say_why_not():
    assert ORDERED.plot.coefficients().get_xlabel() == "estimate"
    assert len(ORDERED.plot.caterpillar()) == 1
    with pytest.raises(ValueError, match="does not use 'Dayz'; did you mean 'Days'"):
        ORDERED.plot.predictions("Dayz")
    for name in ("residuals", "effects", "lines", "shrinkage"):
        with pytest.raises(ranef.UnsupportedError, match=r"plot\.predictions\(x\)"):
            getattr(ORDERED.plot, name)()


def test_an_axes_of_the_wrong_name_or_number_is_answered():
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    _, grid = plt.subplots(1, 3)
    with pytest.raises(TypeError, match="write axes="):
        model.plot.residuals(ax=grid)
    with pytest.raises(TypeError, match="write ax="):
        model.plot.predictions("Days", axes=grid[0])
    with pytest.raises(ValueError, match=r"draws 4 panels and was given 3 axes"):
        model.plot.residuals(axes=grid)
    with pytest.raises(ValueError, match=r"draws 1 panel and was given 3 axes"):
        model.plot.predictions("Days", ax=grid)


@pytest.mark.filterwarnings("ignore")
def test_counts_have_no_least_squares_to_shrink_from():
    counts = SLEEP.assign(n=np.random.default_rng(1).poisson(3.0, len(SLEEP)))
    model = ranef.glmer("n ~ Days + (1 | Subject)", counts, family="poisson", zero="~ 1")
    with pytest.raises(ranef.UnsupportedError, match="normal responses"):
        model.plot.shrinkage()


def test_standard_errors_of_growth_are_those_of_the_mixed_model():
    curve = ranef.growth("gpa", GPA, time="occasion", groups="student")
    mixed = ranef.lmer("gpa ~ occasion + (occasion | student)", GPA, reml=False)
    new = pd.DataFrame({"occasion": [0, 3, 9]})
    ours = curve.predict(new, random="none", se=True, interval="confidence")
    theirs = mixed.predict(new, random="none", se=True)
    assert_allclose(ours["se"], theirs["se"], rtol=1e-4)
    assert_allclose(ours["upper"] - ours["mean"], 1.959964 * ours["se"], rtol=1e-6)
    with pytest.raises(ranef.UnsupportedError, match='random="none"'):
        curve.predict(se=True)


def test_standard_errors_of_a_panel_are_those_of_its_coefficients():
    panel = ranef.random_effects_gls("gpa ~ occasion + sex", GPA, groups="student")
    new = pd.DataFrame({"occasion": [2.0], "sex": ["female"]})
    found = panel.predict(new, se=True, interval="confidence")
    x = np.array([1.0, 2.0, 1.0])
    assert_allclose(found["se"], np.sqrt(x @ panel.cov_params().to_numpy() @ x), rtol=1e-10)
    assert (found["lower"] < found["mean"]).all()
    assert len(panel.predict(se=True)) == len(GPA)


def test_checks_of_categories_name_the_categories_and_what_they_are_drawn_along():
    names = ["fast", "fair", "slow", "very slow"]
    cut = pd.cut(SLEEP["Reaction"], [0, 260, 300, 350, 900], labels=names)
    model = ranef.clmm("speed ~ Days + (1 | Subject)", SLEEP.assign(speed=cut))
    residuals = model.simulated_residuals(19, seed=1, progress=False)
    axis = residuals.plot.responses()
    assert [tick.get_text() for tick in axis.get_xticklabels()] == names
    assert [bar.get_height() for bar in axis.patches] == cut.value_counts()[names].tolist()
    assert residuals.plot.against().get_xlabel() == "linear predictor"
    assert residuals.plot.spread().get_title(loc="left") == "Spread along linear predictor"
    counts = residuals.responses()
    assert list(counts.index) == names
    assert counts["observed"].tolist() == cut.value_counts()[names].tolist()
    assert "linear predictor: location" in residuals.table.index
