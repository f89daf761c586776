"""Predictions of cells that were never observed: NaN and a warning, in every coding."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef.errors import RankWarning

CODINGS = ["f * h", "C(f, Treatment('b')) * h", "C(f, contr.sum) * C(h, contr.sum)", "h * f"]
FITS = {
    "lmer": lambda right, d: ranef.lmer(f"y ~ {right} + (1 | g)", d),
    "glmer": lambda right, d: ranef.glmer(f"b ~ {right} + (1 | g)", d, family="binomial"),
    "feols": lambda right, d: ranef.feols(f"y ~ {right}", d),
    "gee": lambda right, d: ranef.gee(f"y ~ {right}", d, groups="g"),
    "gls": lambda right, d: ranef.gls(f"y ~ {right}", d, groups="g", time="t", corr="exchangeable"),
}
INTERVALS = {
    "lmer": [None, "confidence", "prediction"],
    "glmer": [None, "confidence", "prediction"],
    "feols": [None, "confidence", "prediction"],
    "gee": [None, "confidence"],
    "gls": [None, "confidence"],
}


def missing_cell(n=240):
    rng = np.random.default_rng(37)
    d = pd.DataFrame({"g": np.repeat(np.arange(20), n // 20), "t": np.tile(np.arange(n // 20), 20)})
    d["f"] = np.array(list("abc"))[rng.integers(0, 3, n)]
    d["h"] = np.array(list("uv"))[rng.integers(0, 2, n)]
    d.loc[d.f == "a", "h"] = "u"
    d["y"] = (d.f == "b") * 2 + (d.h == "v") * 1.5 + rng.normal(size=20)[d.g] + rng.normal(size=n)
    d["b"] = (d.y > 1.5) * 1
    return d


@pytest.mark.parametrize("name", list(FITS))
@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_a_cell_never_observed_has_no_prediction_in_any_coding(name, scale):
    d = missing_cell()
    new = pd.DataFrame({"f": list("abc"), "h": list("vvv"), "g": [0, 0, 0], "t": [1, 1, 1]})
    d["x"], new["x"] = scale * np.linspace(-1, 1, len(d)), scale * np.array([0.1, 0.2, 0.3])
    found = []
    for right in CODINGS:
        with pytest.warns(RankWarning, match="NaN|combination"):
            model = FITS[name](f"{right} + x", d)
        for interval in INTERVALS[name]:
            options = {} if name in ("feols", "gee") else {"random": "none"}
            with pytest.warns(RankWarning, match="1 of 3 rows"):
                got = model.predict(new, interval=interval, **options)
            got = np.asarray(got, float).reshape(3, -1)
            assert np.isnan(got[0]).all()
            assert np.isfinite(got[1:]).all()
            if interval is None:
                found.append(got[1:, 0])
        observed = model.predict(d, **options)
        assert np.isfinite(observed).all()
    for other in found[1:]:
        assert_allclose(other, found[0], rtol=1e-5)
    with pytest.warns(RankWarning, match=r"h = v, f = a"):
        model.predict(new, **options)


def test_the_rows_of_the_fit_are_always_estimable():
    d = missing_cell()
    with pytest.warns(RankWarning):
        model = ranef.lmer("y ~ f * h + (1 | g)", d)
    assert np.isfinite(model.predict(interval="confidence").to_numpy()).all()


def test_random_effects_least_squares_names_a_column_that_others_span():
    sleep = ranef.datasets.load("sleepstudy")
    with pytest.warns(RankWarning, match="twice is a combination of Days"):
        ranef.random_effects_gls(
            "Reaction ~ Days + twice", sleep.assign(twice=2 * sleep.Days), groups="Subject"
        )


def absorbing(seed=3):
    """Draw a factorial with an empty cell, beside a factor of ten levels and one nested in it."""
    rng = np.random.default_rng(seed)
    n = 240
    d = pd.DataFrame(
        {"g": np.arange(n) % 10, "f": rng.choice(list("ab"), n), "h": rng.choice(list("uvw"), n)}
    )
    d["x"], d["region"] = rng.normal(size=n), np.array(["n", "s"])[d.g % 2]
    d["y"] = d.x + d.g + (d.f == "b") + rng.normal(size=n)
    return d[~((d.f == "b") & (d.h == "w"))].reset_index(drop=True)


@pytest.mark.filterwarnings("ignore:without a coefficient")
def test_beside_absorbed_factors_a_cell_that_was_never_seen_is_not_predicted():
    d = absorbing()
    model = ranef.feols("y ~ x + f*h", d, absorb="g")
    new = pd.DataFrame({"x": 0.5, "f": ["b", "a", "b"], "h": ["w", "w", "u"], "g": [1, 2, 3]})
    with pytest.warns(ranef.RankWarning, match="f = b, h = w"):
        got = model.predict(new)
    dense = ranef.feols("y ~ x + f*h + C(g)", d)
    with pytest.warns(ranef.RankWarning, match="f = b, h = w"):
        assert_allclose(got, dense.predict(new), rtol=1e-9)
    assert np.isnan(got).tolist() == [True, False, False]
    with pytest.warns(ranef.RankWarning, match="1 of 1"):
        assert np.isnan(model.predict(new.head(1).assign(g=99), new_levels="population")).all()


@pytest.mark.filterwarnings("ignore:without a coefficient")
def test_what_is_constant_within_an_absorbed_factor_must_be_as_it_was():
    d = absorbing()
    model = ranef.feols("y ~ x + region", d, absorb="g")
    rows = pd.DataFrame({"x": 0.0, "g": [0, 0, 1], "region": ["n", "s", "s"]})
    with pytest.warns(ranef.RankWarning, match="region = s"):
        got = model.predict(rows)
    assert np.isnan(got).tolist() == [False, True, False]
    assert_allclose(got[[0, 2]], ranef.feols("y ~ x", d, absorb="g").predict(rows.iloc[[0, 2]]))


@pytest.mark.parametrize("count", [2, 3])
def test_levels_of_absorbed_factors_that_nothing_connects_are_not_added_up(count):
    rng = np.random.default_rng(1)
    half = np.arange(200) % 2
    d = pd.DataFrame(
        {"a": 2 * rng.integers(0, 5, 200) + half, "b": 2 * rng.integers(0, 4, 200) + half}
    )
    d["c"] = rng.integers(0, 3, 200)
    d["x"] = rng.normal(size=200)
    d["y"] = d.x + d.a - d.b + rng.normal(size=200)
    model = ranef.feols("y ~ x", d, absorb=["a", "b", "c"][:count])
    rows = pd.DataFrame({"x": 0.0, "a": [0, 0, 1], "b": [2, 3, 5], "c": 1})
    with pytest.warns(ranef.RankWarning, match="1 of 3"):
        assert np.isnan(model.predict(rows)).tolist() == [False, True, False]
    assert_allclose(model.predict(d), model.fittedvalues, rtol=1e-6)
