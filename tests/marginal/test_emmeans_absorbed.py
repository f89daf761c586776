"""Marginal means beside absorbed effects, against the same model with dummies."""

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    g = rng.integers(0, 9, 160)
    a, x = rng.choice(list("pqr"), 160), rng.normal(2.0, 1.0, 160)
    eta = 0.2 * g + 0.4 * x + 0.5 * (a == "q") - 0.3 * (a == "r")
    y = eta + rng.normal(size=160)
    n, won = rng.poisson(np.exp(0.3 * eta)), (rng.random(160) < 1 / (1 + np.exp(-eta + 1))) * 1
    return pd.DataFrame({"g": g, "a": a, "x": x, "y": y, "n": n, "won": won, "w": g / 10.0})


def test_levels_are_at_the_mean_absorbed_effect(data):
    absorbed = ranef.feols("y ~ a + x", data, absorb="g")
    dummies = ranef.feols("y ~ a + x + C(g)", data)
    means = ranef.emmeans(absorbed, "a")
    for i, level in enumerate("pqr"):
        at = data.assign(a=level, x=data["x"].mean())
        assert means.frame["emmean"][i] == pytest.approx(dummies.predict(at).mean(), rel=1e-9)
    assert "mean of the absorbed effects" in repr(means)


def test_differences_are_those_with_dummies(data):
    absorbed = ranef.feols("y ~ a + x", data, absorb="g")
    dummies = ranef.feols("y ~ a + x + C(g)", data)
    ours = ranef.emmeans(absorbed, "a").contrast("pairwise").frame
    theirs = ranef.emmeans(dummies, "a").contrast("pairwise").frame
    for column in ("estimate", "se", "df", "pvalue"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-7)
    slope = ranef.emtrends(absorbed, [], "x").frame
    assert slope["trend"].item() == pytest.approx(absorbed.params["x"], rel=1e-6)
    assert slope["se"].item() == pytest.approx(absorbed.bse["x"], rel=1e-6)
    tests = ranef.joint_tests(absorbed)
    assert tests.loc["a", "num_df"] == 2
    assert tests.loc["a", "F"] == pytest.approx(absorbed.wald_test("a")["F"].iloc[0], rel=1e-7)


def test_counts(data):
    absorbed = ranef.feglm("n ~ a + x", data, family="poisson", absorb="g")
    ratios = ranef.emmeans(absorbed, "a", type="response").contrast("trt.vs.ctrl").frame
    expected = np.exp(absorbed.params[["a[T.q]", "a[T.r]"]])
    np.testing.assert_allclose(ratios["ratio"], expected, rtol=1e-9)
    middle = np.log(ranef.emmeans(absorbed, "a", type="response").frame["response"])
    share = data["a"].value_counts(normalize=True)[list("pqr")]
    # over the levels as often as they occur: the mean of the predictors of the rows
    at = np.log(absorbed.fittedvalues).mean()
    assert float(middle.to_numpy() @ share.to_numpy()) == pytest.approx(at, rel=1e-9)
    assert ranef.emtrends(absorbed, [], "x").frame["trend"].item() == pytest.approx(
        absorbed.params["x"], rel=1e-6
    )


def test_what_cannot_be_told_from_the_absorbed_effects(data):
    with pytest.warns(ranef.RankWarning):
        constant = ranef.feols("y ~ a + w", data, absorb="g")
    assert ranef.emmeans(constant, "a").frame["emmean"].notna().all()
    assert ranef.emtrends(constant, [], "w").frame["trend"].isna().all()
    choice = ranef.feglm("won ~ a + x", data, family="binomial", absorb="g")
    with pytest.raises(ranef.UnsupportedError, match="no effect of a group"):
        ranef.emmeans(choice, "a")
    assert ranef.joint_tests(choice).loc["a", "num_df"] == 2
