"""Marginal means, their comparisons, and trends."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef import datasets
from ranef.inference.families_of_tests import adjusted


@pytest.fixture(scope="module")
def cake():
    data = datasets.load("cake")
    return ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)


@pytest.fixture(scope="module")
def machines():
    data = datasets.load("Machines")
    return ranef.lmer("score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", data)


@pytest.fixture(scope="module")
def curve():
    rng = np.random.default_rng(4)
    n = 200
    data = pd.DataFrame(
        {
            "g": rng.integers(0, 15, n),
            "x": rng.uniform(1, 5, n),
            "dose": rng.choice([0.0, 0.5, 2.0], n),
            "sex": rng.choice(["f", "m"], n),
            "on": rng.choice([True, False], n),
        }
    )
    data["y"] = data.x + rng.normal(size=15)[data.g] + rng.normal(size=n)
    return data


# R 4.2.2, emmeans with lmerTest 3.1-3 and pbkrtest 0.5.2.
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_means_of_a_split_plot(cake, ddf):
    frame = ranef.emmeans(cake, "recipe", ddf=ddf).frame
    assert frame.columns.tolist() == ["recipe", "emmean", "se", "df", "lower", "upper"]
    assert frame.recipe.tolist() == ["A", "B", "C"]
    assert_allclose(frame.emmean, [33.1222222, 31.6444444, 31.6], rtol=1e-8)
    assert_allclose(frame.se, [1.73683339] * 3, rtol=1e-6)
    assert_allclose(frame.df, [42] * 3, rtol=1e-7)
    assert_allclose(frame.lower, [29.6171505, 28.1393727, 28.0949283], rtol=1e-6)


def test_pairs_by_tukey_within_recipes(cake):
    pairs = ranef.emmeans(cake, "temperature", by="recipe").pairs().frame
    assert len(pairs) == 45
    assert pairs.recipe.unique().tolist() == ["A", "B", "C"]
    first = pairs.head(3)  # R as above: 175 less 185, 195 and 205 in recipe A
    assert_allclose(first.estimate, [-2.4, -1.66666667, -4.4], rtol=1e-6)
    assert_allclose(first.se, [1.65210571] * 3, rtol=1e-6)
    assert_allclose(first.pvalue, [0.694629237, 0.914628655, 0.0871693751], rtol=1e-6)
    assert_allclose(first.lower, [-7.15182075, -6.41848742, -9.15182075], rtol=1e-6)


def test_pairs_of_machines(machines):
    means = ranef.emmeans(machines, "Machine")
    tukey = means.pairs().frame
    assert tukey.contrast.tolist() == ["A - B", "A - C", "B - C"]
    # R as above.
    assert_allclose(tukey.pvalue, [0.0111404727, 0.000211582828, 0.050670646], rtol=1e-5)
    assert_allclose(tukey.upper, [-1.9989344, -7.9489344, 0.0177322709], rtol=1e-5)
    plain = means.pairs("none").frame
    assert_allclose(plain.pvalue, [0.0043926327, 7.90648314e-05, 0.0210791398], rtol=1e-5)
    assert_allclose(plain.lower, [-12.8172703, -18.7672703, -10.8006036], rtol=1e-6)
    reverse = means.pairs(reverse=True).frame
    assert reverse.contrast.tolist() == ["B - A", "C - A", "C - B"]
    assert_allclose(reverse.estimate, -tukey.estimate)


def test_adjustments_of_known_p_values(machines):
    means = ranef.emmeans(machines, "Machine")
    p = means.pairs("none").frame.pvalue.to_numpy()
    assert_allclose(means.pairs("bonferroni").frame.pvalue, np.minimum(3 * p, 1))
    assert_allclose(means.pairs("sidak").frame.pvalue, 1 - (1 - p) ** 3, rtol=1e-10)
    # In ascending order: 3 p, 2 p, 1 p, never falling.
    assert_allclose(means.pairs("holm").frame.pvalue, [2 * p[0], 3 * p[1], max(p[2], 2 * p[0])])


def test_tukey_of_two_means_is_the_t_test():
    t, df = np.array([2.1, 0.3]), np.array([9.0, np.inf])
    one = [adjusted(t[[i]], df[[i]], "tukey", 2)[0] for i in range(2)]
    both = adjusted(t, df, "tukey", 2)
    assert_allclose(both, one, rtol=1e-6)


def test_intervals_and_adjusted_p_values_decide_alike(machines):
    for adjust in ("tukey", "sidak", "bonferroni", "none"):
        p = ranef.emmeans(machines, "Machine").pairs(adjust).frame.pvalue[0]
        edge = ranef.emmeans(machines, "Machine", level=1 - p).pairs(adjust).frame.iloc[0]
        assert abs(edge.upper) < 1e-5 * edge.se  # an interval of coverage 1 - p ends at zero


def test_kinds_of_contrast(machines):
    means = ranef.emmeans(machines, "Machine")
    m = means.frame.emmean.to_numpy()
    control = means.contrast("trt.vs.ctrl").frame
    assert control.contrast.tolist() == ["B - A", "C - A"]
    assert_allclose(control.estimate, [m[1] - m[0], m[2] - m[0]])
    last = means.contrast("trt.vs.ctrl", ref=2).frame
    assert last.contrast.tolist() == ["A - C", "B - C"]
    assert_allclose(means.contrast("consec").frame.estimate, np.diff(m))
    assert_allclose(means.contrast("eff").frame.estimate, m - m.mean())
    own = means.contrast({"C against the rest": [-0.5, -0.5, 1]}).frame
    assert own.contrast.tolist() == ["C against the rest"]
    assert_allclose(own.estimate, [m[2] - (m[0] + m[1]) / 2])


def test_marginal_means_are_averages_of_predictions(curve):
    model = ranef.lmer("y ~ sex * C(dose) + np.log(x) + on + (1 | g)", curve)
    means = ranef.emmeans(model, ["sex", "dose"], at={"x": 2.0})
    grid = pd.MultiIndex.from_product(
        [["f", "m"], [0.0, 0.5, 2.0], [False, True]], names=["sex", "dose", "on"]
    ).to_frame(index=False)
    grid["mean"] = model.predict(grid.assign(x=2.0), random="none")
    want = grid.groupby(["sex", "dose"])["mean"].mean()
    got = means.frame.set_index(["sex", "dose"]).emmean
    assert_allclose(got, want.loc[got.index], rtol=1e-10)
    assert "averaged with equal weights over on" in repr(means)
    assert "at x = 2" in repr(means)


def test_numbers_are_taken_at_their_mean_and_offsets_added(curve):
    model = ranef.lmer("y ~ sex + x + offset(dose) + (1 | g)", curve)
    new = pd.DataFrame({"sex": ["f", "m"], "x": curve.x.mean(), "dose": curve.dose.mean()})
    want = model.predict(new, random="none")
    assert_allclose(ranef.emmeans(model, "sex").frame.emmean, want, rtol=1e-10)


def test_labels_of_numeric_levels_carry_the_name(curve):
    model = ranef.lmer("y ~ C(dose) + (1 | g)", curve)
    names = ranef.emmeans(model, "dose").pairs().frame.contrast
    assert names.tolist() == ["dose0 - dose0.5", "dose0 - dose2", "dose0.5 - dose2"]


def test_trends_are_the_slopes(curve):
    model = ranef.lmer("y ~ sex * x + (1 | g)", curve)
    trends = ranef.emtrends(model, "sex", "x")
    b = model.params
    assert_allclose(trends.frame.trend, [b["x"], b["x"] + b["sex[T.m]:x"]], rtol=1e-8)
    pair = trends.pairs().frame.iloc[0]
    row = model.coef_table().loc["sex[T.m]:x"]
    assert_allclose([-pair.estimate, pair.se, pair.df], row[["estimate", "se", "df"]], rtol=1e-6)


def test_trends_of_a_curve(curve):
    model = ranef.lmer("y ~ x + I(x**2) + sex + (1 | g)", curve)
    b = model.params
    trends = ranef.emtrends(model, ["x"], "x", at={"x": [2, 3]})
    assert_allclose(trends.frame.trend, b["x"] + 2 * b["I(x ** 2)"] * np.array([2, 3]), rtol=1e-7)


@pytest.mark.filterwarnings("ignore::ranef.errors.RankWarning")
def test_a_mean_over_an_empty_cell_is_not_estimable(curve):
    data = curve[(curve.sex != "m") | (curve.dose != 2.0)]
    model = ranef.lmer("y ~ sex * C(dose) + (1 | g)", data)
    frame = ranef.emmeans(model, "sex").frame
    assert np.isfinite(frame.emmean[0])
    assert frame.loc[1, ["emmean", "se", "df", "lower"]].isna().all()
    pairs = ranef.emmeans(model, "dose", by="sex").pairs().frame
    assert pairs.pvalue.isna().tolist() == [False] * 3 + [False, True, True]


def test_mistakes_are_explained(cake, curve):
    with pytest.raises(ValueError, match="does not use 'recip'; did you mean 'recipe'"):
        ranef.emmeans(cake, "recip")
    with pytest.raises(ValueError, match="at names 'temp'"):
        ranef.emmeans(cake, "recipe", at={"temp": 1})
    with pytest.raises(ValueError, match="'recipe' has no level 'D'; it has 'A'"):
        ranef.emmeans(cake, "recipe", at={"recipe": ["A", "D"]})
    with pytest.raises(ValueError, match="method must be one of"):
        ranef.emmeans(cake, "recipe").contrast("pairs")
    with pytest.raises(ValueError, match="adjust must be one of"):
        ranef.emmeans(cake, "recipe").pairs("scheffe")
    with pytest.raises(ValueError, match="for all pairs of means"):
        ranef.emmeans(cake, "recipe").contrast("consec", "tukey")
    with pytest.raises(ValueError, match="needs 3 weights"):
        ranef.emmeans(cake, "recipe").contrast({"a": [1, -1]})
    with pytest.raises(ValueError, match="'sex' is not numeric"):
        ranef.emtrends(ranef.lmer("y ~ sex * x + (1 | g)", curve), "x", "sex")


def test_an_unpickled_model_needs_its_data(cake):
    copy = pickle.loads(pickle.dumps(cake))
    with pytest.raises(ValueError, match="pass them as data="):
        ranef.emmeans(copy, "recipe")
    again = ranef.emmeans(copy, "recipe", data=datasets.load("cake"))
    pd.testing.assert_frame_equal(again.frame, ranef.emmeans(cake, "recipe").frame)


def test_a_control_may_be_named(cake):
    means = ranef.emmeans(cake, "recipe")
    for method in ("trt.vs.ctrl", "dunnett"):
        pd.testing.assert_frame_equal(
            means.contrast(method, ref="B").frame, means.contrast(method, ref=1).frame
        )
    pd.testing.assert_frame_equal(
        means.contrast("trt.vs.ctrl", ref=-1).frame, means.contrast("trt.vs.ctrl", ref="C").frame
    )
    with pytest.raises(ValueError, match=r"ref='D' is none of the means \['A', 'B', 'C'\]"):
        means.contrast("trt.vs.ctrl", ref="D")
    with pytest.raises(ValueError, match="ref=3 is not a position among 3 means"):
        means.contrast("trt.vs.ctrl", ref=3)
    with pytest.raises(TypeError, match="position or the name of a mean"):
        means.contrast("trt.vs.ctrl", ref=1.0)


def test_tables_as_text_and_html(cake):
    means = ranef.emmeans(cake, "recipe")
    assert "A - B</td>" in means.pairs().to_html()
    assert means.to_html().count("<tr") == 4
    assert "degrees of freedom: satterthwaite" in repr(means)
    assert "adjusted: tukey" in repr(means.pairs())
    assert "<table" in means.pairs()._repr_html_()


def test_means_of_a_logarithm_are_turned_back_and_other_transformations_refused():
    cake = ranef.datasets.load("cake")
    logged = ranef.lmer("np.log(angle) ~ recipe + (1 | recipe:replicate)", cake)
    means, back = (ranef.emmeans(logged, "recipe", type=t) for t in ("link", "response"))
    assert_allclose(back.frame.response, np.exp(means.frame.emmean), rtol=1e-12)
    assert_allclose(back.frame.se, back.frame.response * means.frame.se, rtol=1e-12)
    assert_allclose(back.frame.upper, np.exp(means.frame.upper), rtol=1e-12)
    assert_allclose(back.pairs().frame.ratio, np.exp(means.pairs().frame.estimate), rtol=1e-12)
    rooted = ranef.lmer("np.sqrt(angle) ~ recipe + (1 | recipe:replicate)", cake)
    with pytest.raises(ranef.errors.UnsupportedError, match="sqrt"):
        ranef.emmeans(rooted, "recipe", type="response")
    plain = ranef.lmer("angle ~ recipe + (1 | recipe:replicate)", cake)
    assert ranef.emmeans(plain, "recipe", type="response").what == "emmean"


def test_one_mean_has_nothing_to_be_compared_with():
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 6), "x": [1, 2, 3] * 20})
    data["y"] = data.x + np.random.default_rng(1).normal(size=60)
    model = ranef.lmer("y ~ x + (1 | g)", data)
    cure = r"one mean, x = 2, and nothing to compare.*number.*mean.*at=\{'x'.*factor\(x\)"
    with pytest.raises(ValueError, match=cure):
        ranef.emmeans(model, "pairwise ~ x")
    means = ranef.emmeans(model, "x")
    for call in (means.pairs, means.contrast, lambda: means.contrast("eff")):
        with pytest.raises(ValueError, match=cure):
            call()
    assert len(ranef.emmeans(model, "pairwise ~ x", at={"x": [1, 2, 3]}).contrasts.frame) == 3
    factor = ranef.lmer("y ~ factor(x) + (1 | g)", data)
    assert len(ranef.emmeans(factor, "pairwise ~ x").contrasts.frame) == 3
    with pytest.raises(ValueError, match="one mean, of all rows"):
        ranef.emmeans(model, "pairwise ~ 1")
