"""The package marginaleffects takes fitted models, and agrees with marginal means."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef

me = pytest.importorskip("marginaleffects", reason="a heavy package; CI has a step for it")
polars = pytest.importorskip("polars")
if int(polars.__version__.split(".")[0]) >= 2:
    pytest.skip("marginaleffects 0.6 does not work with polars 2", allow_module_level=True)

# With jax, marginaleffects tells of every threshold it does not know.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cake():
    data = ranef.datasets.load("cake")
    return ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)


@pytest.fixture(scope="module")
def curve():
    sleep = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + I(Days**2) + (Days | Subject)", sleep)


def columns(result, *names):
    return [result[name].to_numpy() for name in names]


def test_means_are_the_marginal_means(cake):
    adapter = ranef.for_marginaleffects(cake)
    estimate, se = columns(
        me.avg_predictions(adapter, by="recipe", newdata="balanced"), "estimate", "std_error"
    )
    want = ranef.emmeans(cake, "recipe").frame
    assert_allclose(estimate, want["emmean"], rtol=1e-8)
    assert_allclose(se, want["se"], rtol=1e-6)


def test_comparisons_are_the_contrasts(cake):
    adapter = ranef.for_marginaleffects(cake)
    found = me.avg_comparisons(adapter, variables={"recipe": "pairwise"})
    want = ranef.emmeans(cake, "recipe").pairs(reverse=True).frame
    estimate, se = columns(found, "estimate", "std_error")
    assert_allclose(np.sort(estimate), np.sort(want["estimate"]), rtol=1e-6)
    assert_allclose(np.sort(se), np.sort(want["se"]), rtol=1e-6)


def test_slopes_are_the_trends(curve):
    adapter = ranef.for_marginaleffects(curve)
    grid = me.datagrid(model=adapter, Days=[0, 9])
    found = me.slopes(adapter, variables="Days", newdata=grid, eps_vcov=1.0)
    estimate, se = columns(found, "estimate", "std_error")
    beta, cov = curve.params.to_numpy(), curve.cov_params().to_numpy()
    L = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 18.0]])
    assert_allclose(estimate, L @ beta, rtol=1e-4)
    assert_allclose(se, np.sqrt(np.einsum("ij,jk,ik->i", L, cov, L)), rtol=1e-4)


def test_covariances_by_name(curve):
    adapter = ranef.for_marginaleffects(curve)
    grid = me.datagrid(model=adapter, Days=[0])
    for vcov, table in (
        (True, curve.coef_table()),
        ("kenward-roger", curve.coef_table("kenward-roger")),
        ("CR2", curve.robust("CR2").coef_table()),
    ):
        found = me.predictions(adapter, newdata=grid, vcov=vcov)
        assert found["std_error"].item() == pytest.approx(table.loc["Intercept", "se"], rel=1e-6)
    assert "std_error" not in me.predictions(adapter, newdata=grid, vcov=False).columns


def test_intervals_are_normal_or_on_the_degrees_of_freedom_given(curve):
    for df, quantile in ((np.inf, 1.959964), (17.0, 2.109816)):
        adapter = ranef.for_marginaleffects(curve, df=df)
        found = me.predictions(adapter, newdata=me.datagrid(model=adapter, Days=[2]))
        half = (found["conf_high"] - found["conf_low"]).item() / 2.0
        assert half == pytest.approx(quantile * found["std_error"].item(), rel=1e-6)


def test_offsets_aliased_columns_and_numbers_as_categories():
    sleep = ranef.datasets.load("sleepstudy")
    sleep = sleep.assign(
        base=np.arange(180.0), Twice=2.0 * sleep["Days"], late=(sleep["Days"] > 4).astype(int)
    )
    formula = "Reaction ~ Days + Twice + C(late) + offset(base) + (1 | Subject)"
    with pytest.warns(ranef.RankWarning):
        model = ranef.lmer(formula, sleep)
    adapter = ranef.for_marginaleffects(model)
    found = me.predictions(adapter)
    assert_allclose(found["estimate"].to_numpy(), model.predict(random="none"), rtol=1e-10)
    step = me.avg_comparisons(adapter, variables="late")
    assert step["estimate"].item() == pytest.approx(model.params["C(late)[T.1]"], rel=1e-6)


def test_hypotheses_about_coefficients(curve):
    found = me.hypotheses(ranef.for_marginaleffects(curve), hypothesis="b1 = 5")
    t = (curve.params["Days"] - 5.0) / curve.bse["Days"]
    assert found["statistic"].item() == pytest.approx(t, rel=1e-5)


def test_missing_rows_and_unpickled_models():
    sleep = ranef.datasets.load("sleepstudy").convert_dtypes()
    sleep.loc[3, "Days"] = pd.NA
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    assert len(me.predictions(ranef.for_marginaleffects(model))) == 179
    again = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="does not know its data"):
        ranef.for_marginaleffects(again)
    assert len(me.predictions(ranef.for_marginaleffects(again, data=sleep))) == 179


def test_other_models_are_refused(curve):
    with pytest.raises(ranef.UnsupportedError, match="takes models of lmer, glmer, clmm and gls"):
        ranef.for_marginaleffects(curve.robust())
    with pytest.raises(ValueError, match="df must be a number of degrees of freedom"):
        ranef.for_marginaleffects(curve, df=0)


def test_a_generalised_model_has_means_of_the_response():
    cbpp = ranef.datasets.load("cbpp")
    model = ranef.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
    )
    adapter = ranef.for_marginaleffects(model)
    grid = me.datagrid(model=adapter, period=["1", "2", "3", "4"])
    estimate, se = columns(me.predictions(adapter, newdata=grid), "estimate", "std_error")
    want = model.predict({"period": ["1", "2", "3", "4"]}, random="none", se=True)
    assert_allclose(estimate, want["mean"], rtol=1e-8)
    assert_allclose(se, want["se"], rtol=1e-4)


def test_a_model_of_correlated_residuals_has_its_marginal_means():
    gpa = ranef.datasets.load("gpa_sim")
    model = ranef.gls("gpa ~ occasion * sex", gpa, groups="student", time="occasion", corr="ar1")
    adapter = ranef.for_marginaleffects(model)
    grid = me.datagrid(model=adapter, sex=["male", "female"], occasion=[3])
    estimate, se = columns(me.predictions(adapter, newdata=grid), "estimate", "std_error")
    want = ranef.emmeans(model, "sex", at={"occasion": 3}).frame
    assert_allclose(np.sort(estimate), np.sort(want["emmean"]), rtol=1e-8)
    assert_allclose(np.sort(se), np.sort(want["se"]), rtol=1e-6)


def test_other_models_are_refused_by_name():
    gpa = ranef.datasets.load("gpa_sim")
    with pytest.raises(ranef.UnsupportedError, match="not a FixedEffectsModel"):
        ranef.for_marginaleffects(ranef.feols("gpa ~ occasion", gpa))


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(3)
    site = np.repeat(np.arange(20), 12)
    wet = rng.integers(0, 2, site.size)
    frame = pd.DataFrame({"site": site, "wet": np.where(wet == 1, "yes", "no")})
    frame["x"] = rng.normal(size=site.size)
    mean = np.exp(1.0 + 0.5 * wet + 0.5 * rng.normal(size=20)[site])
    frame["count"] = np.where(rng.random(site.size) < 0.3, 0, rng.poisson(mean))
    latent = 0.8 * wet + rng.normal(size=20)[site] + rng.logistic(size=site.size)
    names = np.array(["low", "mid", "high"])[np.digitize(latent, [-0.5, 1.0])]
    frame["mark"] = pd.Categorical(names, categories=["low", "mid", "high"], ordered=True)
    return frame


def test_means_with_structural_zeros_are_those_of_both_parts(seen):
    model = ranef.glmer("count ~ wet + x + (1 | site)", seen, family="poisson", zero="~ wet")
    adapter = ranef.for_marginaleffects(model)
    found = me.avg_predictions(adapter, by="wet", newdata="balanced")
    want = ranef.emmeans(model, "wet", type="mean").frame
    for name, other in (("estimate", "mean"), ("std_error", "se")):
        assert_allclose(found[name].to_numpy(), want[other], rtol=1e-4)
    table = me.hypotheses(adapter)
    assert table["term"].to_list()[3:] == ["zero:Intercept", "zero:wet[T.yes]"]
    b = dict(zip(table["term"].to_list(), table["estimate"].to_list(), strict=True))

    def mean(wet, x):
        zero = 1.0 / (1.0 + np.exp(-b["zero:Intercept"] - wet * b["zero:wet[T.yes]"]))
        return (1.0 - zero) * np.exp(b["Intercept"] + wet * b["wet[T.yes]"] + x * b["x"])

    x = seen["x"].to_numpy()
    step = me.avg_comparisons(adapter, variables="wet")["estimate"].item()
    assert step == pytest.approx(np.mean(mean(1, x) - mean(0, x)), rel=1e-8)
    wet = (seen["wet"] == "yes").to_numpy()
    slope = me.avg_slopes(adapter, variables="x")["estimate"].item()
    assert slope == pytest.approx(np.mean(b["x"] * mean(wet, x)), rel=1e-3)
    with pytest.raises(ranef.UnsupportedError, match="vcov='CR2' is not available"):
        me.predictions(adapter, vcov="CR2")


def test_an_ordinal_model_has_a_group_for_each_category(seen):
    model = ranef.clmm("mark ~ wet + x + (1 | site)", seen)
    adapter = ranef.for_marginaleffects(model)
    found = me.avg_predictions(adapter, by="wet", newdata="balanced").sort(["group", "wet"])
    want = ranef.emmeans(model, "wet", type="prob").frame.sort_values(["mark", "wet"], key=str_of)
    assert_allclose(found["estimate"].to_numpy(), want["prob"], rtol=1e-6)
    assert_allclose(found["std_error"].to_numpy(), want["se"], rtol=1e-4)
    table = me.hypotheses(adapter)
    assert table["term"].to_list() == ["low|mid", "mid|high", "wet[T.yes]", "x"]
    cut = table["estimate"].to_numpy()
    steps = me.avg_comparisons(adapter, variables="wet")
    low = steps.filter(steps["group"] == "low")["estimate"].item()
    eta = seen["x"].to_numpy() * cut[3]
    chance = [1.0 / (1.0 + np.exp(-(cut[0] - eta - d * cut[2]))) for d in (1, 0)]
    assert low == pytest.approx(np.mean(chance[0] - chance[1]), rel=1e-8)


def str_of(column):
    return column.astype(str)
