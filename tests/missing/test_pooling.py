"""Pooled results against mice 3.15.0 and mitml 0.4-4 (R 4.2.2) on fixed imputations."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.pooling import d1, d2, d3, rubin

TESTS = Path(__file__).parents[1]
DATA = TESTS / "data" / "imputed_schools.csv"
#: Made by tests/oracle/pooling.R.
R = json.loads((TESTS / "oracle" / "expected" / "pooling.json").read_text("utf-8"))
#: R searches without derivatives: its variances have nine digits; ours are pushed as far.
TIGHT = ranef.Control(tolerance=1e-13)
FULL, SMALL = "y ~ x + z + arm + (1 | school)", "y ~ arm + (1 | school)"


@pytest.fixture(scope="module")
def frames():
    data = pd.read_csv(DATA)
    return [part.drop(columns=["imp", "row"]) for _, part in data.groupby("imp")]


@pytest.fixture(scope="module")
def pooled(frames):
    return ranef.pool([ranef.lmer(FULL, frame) for frame in frames])


def test_rubins_rules(frames):
    pooled = ranef.pool([ranef.lmer(FULL, frame, control=TIGHT) for frame in frames])
    estimate, se, df, riv, fmi = np.transpose(R["pooled"])
    np.testing.assert_allclose(pooled.params, estimate, rtol=1e-8)
    np.testing.assert_allclose(pooled.bse, se, rtol=1e-8)
    np.testing.assert_allclose(pooled.df, df, rtol=1e-7)
    np.testing.assert_allclose(pooled.riv, riv, rtol=1e-7)
    np.testing.assert_allclose(pooled.fmi, fmi, rtol=1e-7)


def test_several_restrictions(frames):
    """Against mitml's testModels; D3 rests on fits by maximum likelihood."""
    for method in ("D1", "D2", "D3"):
        large, small = (
            ranef.pool(
                [ranef.lmer(text, frame, reml=method != "D3", control=TIGHT) for frame in frames]
            )
            for text in (FULL, SMALL)
        )
        F, num_df, den_df, pvalue, riv = R[method]
        for against in (small,) if method == "D3" else (small, "x = 0, z = 0"):
            found = large.test(against, method=method)
            assert pytest.approx(F, rel=2e-8) == found.F
            assert found.num_df == num_df
            assert found.den_df == pytest.approx(den_df, rel=1e-7)
            assert found.pvalue == pytest.approx(pvalue, rel=2e-6)
            assert found.riv == pytest.approx(riv, rel=1e-7)


def dense_llf(frame, X, at):
    """Log-likelihood of a random intercept from dense covariance matrices."""
    same = frame["school"].to_numpy()[:, None] == frame["school"].to_numpy()
    V = at["between"] * same + at["within"] * np.eye(len(frame))
    left = frame["y"].to_numpy() - X @ at["beta"]
    logdet = np.linalg.slogdet(2.0 * np.pi * V)[1]
    return -0.5 * (logdet + left @ np.linalg.solve(V, left))


def pooled_of_r():
    """Estimates and covariances of R's fits, pooled here."""
    n = R["n"]
    return rubin(R["estimates"], R["covariances"], n - len(R["estimates"][0]))


def test_rubins_rules_of_the_same_fits_are_mices():
    """From R's estimates to R's pooled results: nothing but the pooling lies between."""
    found = pooled_of_r()
    estimate, se, df, riv, fmi = np.transpose(R["pooled"])
    np.testing.assert_allclose(found.estimate, estimate, rtol=1e-11)
    np.testing.assert_allclose(np.sqrt(np.diag(found.total)), se, rtol=1e-11)
    np.testing.assert_allclose(found.df, df, rtol=1e-10)
    np.testing.assert_allclose(found.riv, riv, rtol=1e-10)
    np.testing.assert_allclose(found.fmi, fmi, rtol=1e-10)


def test_tests_of_the_same_fits_are_mitmls(frames):
    L = np.eye(4)[1:3]
    wald = []
    for q, u in zip(R["estimates"], R["covariances"], strict=True):
        gap = L @ q
        wald.append(gap @ np.linalg.solve(L @ np.array(u) @ L.T, gap))
    own = 2.0 * (np.array(R["llf"]["large"]) - np.array(R["llf"]["small"]))
    at_means = []
    for frame in frames:
        new = (frame["arm"] == "new").to_numpy(float)
        small = np.column_stack([np.ones(len(frame)), new])
        large = np.column_stack([small[:, 0], frame[["x", "z"]], new])
        ends = [
            dense_llf(frame, X, R["means"][size])
            for X, size in ((large, "large"), (small, "small"))
        ]
        at_means.append(2.0 * (ends[0] - ends[1]))
    for found, name in (
        (d1(pooled_of_r(), L, np.zeros(2)), "D1"),
        (d2(wald, 2), "D2"),
        (d3(own, at_means, 2), "D3"),
    ):
        numbers = (found.F, found.num_df, found.den_df, found.pvalue, found.riv)
        np.testing.assert_allclose(numbers, R[name], rtol=1e-8, err_msg=name)


def test_words_of_a_pooled_model(pooled):
    np.testing.assert_allclose(pooled.tvalues, pooled.params / pooled.bse)
    table = pooled.coef_table()
    inside = pooled.conf_int(0.9)
    assert (inside["lower"] < table["estimate"]).all()
    tidy = pooled.tidy()
    assert tidy["term"].tolist() == table.index.tolist()
    assert pooled.varcorr["school"].shape == (1, 1)
    again = pickle.loads(pickle.dumps(pooled))
    pd.testing.assert_series_equal(again.params, pooled.params)
    assert "fraction of missing information" in str(pooled.summary())
    assert repr(pooled).startswith("<PooledModel")
    assert "<h3>" in pooled._repr_html_()


def test_predictions_follow_rubins_rules(pooled):
    new = pd.DataFrame({"x": [0.0], "z": [0.0], "arm": ["ctl"], "school": ["g01"]})
    found = pooled.predict(new, random="none", interval="confidence")
    # At zeros of the reference group the mean is the intercept.
    assert found["mean"].iloc[0] == pytest.approx(pooled.params["Intercept"])
    half = (found["upper"] - found["lower"]).iloc[0] / 2
    assert half == pytest.approx(1.971 * pooled.bse["Intercept"], rel=0.02)
    assert pooled.predict(new, random="none")[0] == pytest.approx(found["mean"].iloc[0])


def test_what_cannot_be_pooled(frames, pooled):
    one = ranef.lmer(FULL, frames[0])
    with pytest.raises(ranef.ModelError, match="given 1 model"):
        ranef.pool([one])
    with pytest.raises(ranef.ModelError, match="other coefficients"):
        ranef.pool([one, ranef.lmer(SMALL, frames[1])])
    with pytest.raises(ranef.ModelError, match="rows"):
        ranef.pool([one, ranef.lmer(FULL, frames[1].iloc[:200])])
    with pytest.raises(ValueError, match="'D1', 'D2', 'D3'"):
        pooled.test("x = 0", method="D4")
    with pytest.raises(ranef.ModelError, match="reml=False"):
        pooled.test(ranef.pool([ranef.lmer(SMALL, f) for f in frames]), method="D3")
    with pytest.raises(ranef.ModelError, match="smaller"):
        pooled.test(pooled)
    with pytest.raises(ValueError, match="no coefficient"):
        pooled.test("w = 0")


def test_models_that_differ_are_not_pooled(frames):
    one = ranef.lmer(FULL, frames[0])
    other = frames[1].reset_index(drop=True)
    with pytest.warns(ranef.SingularFitWarning):
        slopes = ranef.lmer("y ~ x + z + arm + (x || school)", other)
    cases = {
        "their random effects": slopes,
        "their response": ranef.lmer("np.exp(y) ~ x + z + arm + (1 | school)", other),
        "the response of every row": ranef.lmer(FULL, other.assign(y=3.0 * other["y"] + 1.0)),
        "the school of row": ranef.lmer(FULL, other.iloc[::-1]),
        "weights": ranef.lmer(FULL, other, weights=np.ones(len(other))),
        "reml": ranef.lmer(FULL, other, reml=False),
    }
    for what, model in cases.items():
        with pytest.raises(ranef.ModelError, match=f"model 2 and model 1 differ in {what}"):
            ranef.pool([one, model])
    binary = [f.assign(b=(f["y"] > 3.0).astype(int)) for f in frames]
    links = [
        ranef.glmer("b ~ x + (1 | school)", f, family="binomial", link=link)
        for f, link in zip(binary, ("logit", "probit"), strict=False)
    ]
    with pytest.raises(ranef.ModelError, match="differ in link: probit and logit"):
        ranef.pool(links)
    for wrong in ([1, 2], frames, one, {"a": one}):
        with pytest.raises(ranef.ModelError, match="fitted models"):
            ranef.pool(wrong)


def test_hypotheses_that_follow_from_others_add_nothing(pooled):
    for method in ("D1", "D2"):
        both = pooled.test("x = 0, 2 * x = 0", method=method)
        assert both.num_df == 1
        assert pytest.approx(pooled.test("x = 0", method=method).F, rel=1e-9) == both.F
        with pytest.raises(ValueError, match="contradict each other"):
            pooled.test("x = 0, x = 1", method=method)


def test_marginal_means_follow_rubins_rules(frames, pooled):
    means = ranef.emmeans(pooled, "arm")
    each = [ranef.emmeans(model, "arm") for model in pooled.models]
    table = means.frame
    for i in range(2):
        q = np.array([[one.frame["emmean"][i]] for one in each])
        u = np.array([[[one.frame["se"][i] ** 2]] for one in each])
        complete = np.mean([one.frame["df"][i] for one in each])
        right = rubin(q, u, complete)
        assert table["emmean"][i] == pytest.approx(right.estimate[0], rel=1e-12)
        assert table["se"][i] == pytest.approx(np.sqrt(right.total[0, 0]), rel=1e-12)
        assert table["df"][i] == pytest.approx(right.df[0], rel=1e-10)
    # Without interactions the contrast of arms is the coefficient.
    pair = means.pairs(reverse=True).frame
    assert pair["estimate"][0] == pytest.approx(pooled.params["arm[T.new]"], rel=1e-10)
    assert pair["se"][0] == pytest.approx(pooled.bse["arm[T.new]"], rel=1e-9)
    slope = ranef.emtrends(pooled, [], "x").frame
    assert slope["trend"][0] == pytest.approx(pooled.params["x"], rel=1e-6)
    assert slope["se"][0] == pytest.approx(pooled.bse["x"], rel=1e-6)
    assert "pooled over 5 imputations" in repr(means)


def test_models_without_random_effects_are_pooled_too(frames):
    found = ranef.pool([ranef.feols("y ~ x + arm", frame) for frame in frames])
    assert "Model pooled over imputations" in str(found.summary())
    assert "SD residual" in str(found.summary())
    counted = ranef.pool([ranef.gee("y ~ x", frame, groups="school") for frame in frames])
    assert "<table" in counted._repr_html_()


def test_equal_imputations_add_nothing():
    q, u = np.tile([1.0, 2.0], (3, 1)), np.tile(np.eye(2), (3, 1, 1))
    found = rubin(q, u, 20.0)
    np.testing.assert_allclose(found.total, np.eye(2))
    np.testing.assert_allclose(found.riv, 0.0)
    np.testing.assert_allclose(found.df, 21.0 / 23.0 * 20.0)
    assert pytest.approx(2.5) == d1(found, np.eye(2), np.zeros(2)).F
    assert pytest.approx(2.5) == d2([5.0, 5.0, 5.0], 2).F
    assert pytest.approx(2.5) == d3([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], 2).F
