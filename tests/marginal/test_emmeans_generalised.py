"""Marginal means of generalised models, on the scales of link and response."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef.errors import UnsupportedError

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.datasets.load("cbpp")


@pytest.fixture(scope="module")
def model(cbpp):
    return ranef.glmer(CBPP, cbpp, family="binomial")


# R 4.2.2, emmeans 1.8.4-1, with coefficients and covariance from lme4 1.1-31 (tolPwrss = 1e-13),
# polished by Newton steps with numDeriv's Richardson derivatives.
def test_probabilities(model):
    frame = ranef.emmeans(model, "period", type="response").frame
    assert frame.columns.tolist() == ["period", "response", "se", "df", "lower", "upper"]
    assert_allclose(
        frame["response"], [0.1980491433, 0.0838719552, 0.0739729339, 0.0483907421], rtol=2e-7
    )
    assert_allclose(
        frame["se"], [0.0369225083, 0.0238360318, 0.0226241423, 0.0198043995], rtol=2e-6
    )
    assert_allclose(
        frame["lower"], [0.1353841875, 0.0474768323, 0.0401354904, 0.0214201402], rtol=1e-6
    )
    assert_allclose(
        frame["upper"], [0.2803158224, 0.143950696, 0.1324029739, 0.1056541818], rtol=1e-6
    )
    assert np.isinf(frame["df"]).all()


def test_odds_ratios(model):
    pairs = ranef.emmeans(model, "period", type="response").pairs()
    assert pairs.frame["contrast"].head(2).to_list() == ["1 / 2", "1 / 3"]  # as emmeans does
    frame = pairs.frame.head(2)
    assert_allclose(frame["odds_ratio"], [2.69751969, 3.09154839], rtol=1e-7)
    assert_allclose(frame["se"], [0.827173622, 1.009816023], rtol=2e-6)
    assert_allclose(frame["lower"], [1.22698375, 1.33579902], rtol=2e-6)
    assert_allclose(frame["upper"], [5.93048805, 7.15502209], rtol=2e-6)
    assert_allclose(frame["z"], [3.23612476, 3.45542577], rtol=2e-6)
    assert_allclose(frame["pvalue"], [0.00664940003, 0.00308437615], rtol=1e-5)


def test_differences_stay_on_another_link(cbpp):
    model = ranef.glmer(CBPP, cbpp, family="binomial", link="cloglog", nagq=25)
    means = ranef.emmeans(model, "period", type="response")
    assert_allclose(
        means.frame["response"], [0.1942046127, 0.0830783933, 0.0741796448, 0.0480404999], rtol=1e-7
    )
    assert_allclose(
        means.frame["se"], [0.0368082944, 0.0231300056, 0.0222262472, 0.0193405947], rtol=2e-6
    )
    pairs = means.pairs()
    assert_allclose(pairs.frame["estimate"].head(2), [0.912095235, 1.030153316], rtol=1e-7)
    assert_allclose(pairs.frame["se"].head(2), [0.284077668, 0.305561755], rtol=1e-6)
    assert any("scale of the link" in note for note in pairs.notes)


def test_link_scale_and_its_response(model):
    link, response = (ranef.emmeans(model, "period", type=kind) for kind in ("link", "response"))
    assert_allclose(
        1.0 / (1.0 + np.exp(-link.frame["emmean"])), response.frame["response"], rtol=1e-12
    )
    assert_allclose(
        np.exp(link.pairs().frame["estimate"]), response.pairs().frame["odds_ratio"], rtol=1e-12
    )
    assert_allclose(link.pairs().frame["pvalue"], response.pairs().frame["pvalue"])
    assert_allclose(link.frame["se"][0], model.bse["Intercept"])


def test_decreasing_link_trends_and_aliased_columns():
    rng = np.random.default_rng(6)
    d = pd.DataFrame({"g": np.repeat(np.arange(12), 8), "x": rng.uniform(size=96)})
    d["f"] = np.tile(["a", "b"], 48)
    d["again"] = (d["f"] == "b") * 1.0
    eta = 1.0 + 0.5 * d["x"] + 0.1 * rng.normal(size=12)[d["g"]]
    d["y"] = rng.gamma(3.0, 1.0 / eta / 3.0)
    with pytest.warns(ranef.RankWarning):
        model = ranef.glmer("y ~ f * x + again + (1 | g)", d, family="gamma")
    table = ranef.emmeans(model, ["f", "again"], at={"again": [0.0, 1.0]}, type="response").frame
    frame = table.dropna()
    assert frame[["f", "again"]].to_numpy().tolist() == [["a", 0.0], ["b", 1.0]]
    assert (frame["lower"] < frame["response"]).all()
    assert (frame["response"] < frame["upper"]).all()
    rows = frame[["f", "again"]].assign(x=d["x"].mean())
    assert_allclose(frame["response"], model.predict(rows, random="none"), rtol=1e-8)
    trend = ranef.emtrends(model, "f", "x").frame["trend"]
    assert_allclose(trend, [model.params["x"], model.params["x"] + model.params["f[T.b]:x"]])


def test_what_there_is_not(model):
    with pytest.raises(UnsupportedError, match="'link' or 'response'"):
        ranef.emmeans(model, "period", type="mean")
    with pytest.raises(ValueError, match="type must be"):
        ranef.emmeans(model, "period", type="median")
    with pytest.raises(UnsupportedError, match="ddf='inf'"):
        ranef.emmeans(model, "period", ddf="kenward-roger")
