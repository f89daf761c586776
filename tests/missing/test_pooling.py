"""Pooled results against mice 3.15.0 and mitml 0.4-4 (R 4.2.2) on fixed imputations."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.pooling import d1, d2, d3, rubin

DATA = Path(__file__).parents[1] / "data" / "imputed_schools.csv"
FULL, SMALL = "y ~ x + z + arm + (1 | school)", "y ~ arm + (1 | school)"


@pytest.fixture(scope="module")
def frames():
    data = pd.read_csv(DATA)
    return [part.drop(columns=["imp", "row"]) for _, part in data.groupby("imp")]


@pytest.fixture(scope="module")
def pooled(frames):
    return ranef.pool([ranef.lmer(FULL, frame) for frame in frames])


def test_rubins_rules(pooled):
    # mice::pool.scalar with n = 222, k = 4: Intercept, x, z, armnew
    np.testing.assert_allclose(
        pooled.params,
        [3.3047084821364088, 0.623001901105708, -0.4138038802501074, 0.5520131654871117],
        rtol=1e-6,
    )
    se = [0.15286029236009607, 0.06631942668848331, 0.0791690868406878, 0.13311531760546097]
    np.testing.assert_allclose(pooled.bse, se, rtol=1e-6)
    df = [208.35352412311488, 96.5941978905337, 75.29635418470141, 145.90385748798545]
    np.testing.assert_allclose(pooled.df, df, rtol=1e-4)
    riv = [0.01867635034075157, 0.16402886521285243, 0.21233365642060897, 0.09261013632089567]
    np.testing.assert_allclose(pooled.riv, riv, rtol=1e-4)
    fmi = [0.027623266851157877, 0.15816648695712665, 0.19621465485697906, 0.09705348529855118]
    np.testing.assert_allclose(pooled.fmi, fmi, rtol=1e-4)


def test_several_restrictions(frames, pooled):
    # mitml::testModels of the model without x and z; D3 from fits by maximum likelihood.
    small = ranef.pool([ranef.lmer(SMALL, frame) for frame in frames])
    for method, F, df in (("D1", 45.81227532, 86.40226591), ("D2", 43.49409184, 57.20911973)):
        for against in (small, "x = 0, z = 0"):
            found = pooled.test(against, method=method)
            assert pytest.approx(F, rel=1e-5) == found.F
            assert found.num_df == 2
            assert found.den_df == pytest.approx(df, rel=1e-4)
    large_ml, small_ml = (
        ranef.pool([ranef.lmer(text, frame, reml=False) for frame in frames])
        for text in (FULL, SMALL)
    )
    found = large_ml.test(small_ml, method="D3")
    assert pytest.approx(32.22757777, rel=1e-5) == found.F
    assert found.den_df == pytest.approx(41.75634612, rel=1e-4)


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


def test_equal_imputations_add_nothing():
    q, u = np.tile([1.0, 2.0], (3, 1)), np.tile(np.eye(2), (3, 1, 1))
    found = rubin(q, u, 20.0)
    np.testing.assert_allclose(found.total, np.eye(2))
    np.testing.assert_allclose(found.riv, 0.0)
    np.testing.assert_allclose(found.df, 21.0 / 23.0 * 20.0)
    assert pytest.approx(2.5) == d1(found, np.eye(2), np.zeros(2)).F
    assert pytest.approx(2.5) == d2([5.0, 5.0, 5.0], 2).F
    assert pytest.approx(2.5) == d3([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], 2).F
