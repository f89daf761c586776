"""Imputations keep what was observed and give back what was lost at random."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.missing.sampler import Block, Sampler, inverse_wishart, truncated

FORMULA = "y ~ x + z + (1 | g)"


def two_level(seed, groups=30, size=10):
    """A covariate that is missing more often where the response is high."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)
    z = rng.normal(size=len(g))
    x = 0.5 * z + rng.normal(size=len(g))
    y = 1.0 + 0.5 * x + 0.3 * z + 0.8 * rng.normal(size=groups)[g] + rng.normal(size=len(g))
    gone = rng.random(len(g)) < 1.0 / (1.0 + np.exp(1.0 - 1.2 * (y - 1.0)))
    return pd.DataFrame({"y": y, "x": np.where(gone, np.nan, x), "z": z, "g": g}), x


def test_observed_values_stay_and_none_is_missing():
    data, _ = two_level(1)
    data["kind"] = np.where(
        np.arange(300) % 3 == 0, "a", np.where(np.arange(300) % 3 == 1, "b", "c")
    )
    data.loc[::7, "kind"] = None
    before = data.copy()
    imputed = ranef.impute(
        "y ~ x + z + kind + (1 | g)", data, m=3, cycles=3, seed=1, progress=False
    )
    pd.testing.assert_frame_equal(data, before)
    for frame in imputed.frames:
        assert not frame.isna().any().any()
        for name in data:
            seen = data[name].notna()
            assert (frame.loc[seen, name] == data.loc[seen, name]).all()
    assert imputed.kinds.to_dict() == {"kind": "categorical", "x": "continuous"}
    assert set(imputed.trace["variable"]) == {"x", "kind"}


def test_seeds_and_workers_make_the_same_data():
    data, _ = two_level(2)
    one, two, other = (
        ranef.impute(FORMULA, data, m=2, cycles=2, seed=s, workers=w, progress=False).frames
        for s, w in ((7, 1), (7, 2), (8, 1))
    )
    for a, b in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert not one[0]["x"].equals(other[0]["x"])
    assert not one[0]["x"].equals(one[1]["x"])


def test_the_slope_is_unbiased_where_complete_cases_are_not():
    gaps, complete, held = [], [], []
    for seed in range(6):
        data, x = two_level(seed)
        with pytest.warns(ranef.DroppedRowsWarning):
            few = ranef.lmer(FORMULA, data)
        full = ranef.lmer(FORMULA, data.assign(x=x))
        pooled = ranef.impute(FORMULA, data, m=8, cycles=8, seed=seed, progress=False).fit()
        gaps.append(float(pooled.params["x"] - full.params["x"]))
        complete.append(float(few.params["x"] - full.params["x"]))
        ends = pooled.conf_int().loc["x"]
        held.append(ends["lower"] < 0.5 < ends["upper"])
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 3.5 * error + 0.01
    assert np.mean(complete) < -0.03  # bias of complete cases, toward zero
    assert sum(held) >= 5


def test_a_variable_of_groups_is_imputed_once_a_group():
    data, _ = two_level(3)
    per_group = np.random.default_rng(0).normal(size=30)
    data["w"] = per_group[data["g"]]
    data.loc[data["g"].isin([3, 4, 11]), "w"] = np.nan
    data.loc[data.index[5], "w"] = np.nan  # a gap in a group whose value is known
    frame = ranef.impute("y ~ w + (1 | g)", data, m=1, cycles=2, seed=1, progress=False).first
    assert frame.groupby("g")["w"].nunique().eq(1).all()
    assert frame["w"].iloc[5] == per_group[0]


def test_a_shift_moves_imputed_values_only():
    data, _ = two_level(4)
    data = data.assign(x=np.where(np.arange(300) % 5 == 0, np.nan, data["z"]), y=data["y"])
    plain, moved = (
        ranef.impute(FORMULA, data, m=4, cycles=4, seed=1, delta=d, progress=False)
        for d in (None, {"x": 3.0})
    )
    gaps = data["x"].isna()
    gap = np.mean(
        [
            b["x"][gaps].mean() - a["x"][gaps].mean()
            for a, b in zip(plain.frames, moved.frames, strict=True)
        ]
    )
    assert gap > 2.0
    assert moved.first["x"][~gaps].equals(data["x"][~gaps])


def test_counts_and_matched_values_look_like_the_observed():
    rng = np.random.default_rng(5)
    data, _ = two_level(5)
    data["x"] = data["x"].fillna(0.0)
    data["n"] = rng.poisson(np.exp(0.3 + 0.5 * data["z"])).astype(float)
    data.loc[rng.random(300) < 0.3, "n"] = np.nan
    for kind in ("count", "matching"):
        frame = ranef.impute(
            "y ~ n + z + (1 | g)", data, m=1, cycles=5, kinds={"n": kind}, seed=1, progress=False
        ).first
        new = frame["n"][data["n"].isna()]
        assert (new >= 0).all()
        assert (new == np.round(new)).all()
        assert np.corrcoef(new, data["z"][data["n"].isna()])[0, 1] > 0.15


def test_a_forest_fills_once():
    pytest.importorskip("sklearn")
    data, x = two_level(6)
    found = ranef.impute(FORMULA, data, method="forest", seed=1, progress=False)
    assert found.m == 1
    gaps = data["x"].isna()
    error = found.first["x"][gaps] - x[gaps]
    assert np.sqrt(np.mean(error**2)) < np.std(x[gaps] - np.nanmean(data["x"]))


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"x": np.nan}, {}, "missing in every row"),
        ({"x": 1.0}, {}, "nothing is missing"),
        ({"g": np.nan}, {}, "grouping column 'g'"),
        ({}, {"method": "mean"}, "method must be"),
        ({}, {"m": 0}, "m must be a positive integer"),
        ({}, {"kinds": {"x": "poisson"}}, "must be one of 'continuous'"),
        ({}, {"kinds": {"w": "count"}}, "does not use"),
        ({}, {"kinds": {"x": "count"}}, "not counts"),
        ({}, {"delta": {"z": 1.0}}, "no missing values"),
        ({}, {"delta": {"x": np.nan}}, "is a number to add"),
        ({}, {"delta": {"x": "much"}}, "is a number to add"),
        ({}, {"extra": "nothing"}, "no column 'nothing'"),
        ({}, {"seed": 1.5}, "seed must be a whole number"),
        ({}, {"seed": -1}, "seed must be a whole number"),
        ({"z": np.inf}, {}, "'z' is infinite in"),
        ({"x": pd.Series([1.0])}, {}, "one observed value"),
    ],
)
def test_bad_input_is_refused_in_words(change, options, words):
    data, _ = two_level(7)
    with pytest.raises((ValueError, ranef.DataError), match=words):
        ranef.impute(FORMULA, data.assign(**change), progress=False, **options)


def test_a_variable_of_groups_that_varies_is_told():
    data, _ = two_level(7)
    w = data.groupby("g")["z"].transform("mean")
    w[data["g"] == data["g"].iloc[0]] = data["z"]
    with pytest.warns(ranef.RanefWarning, match="'w' is constant within all but 1 of"):
        ranef.impute("y ~ x + w + (1 | g)", data.assign(w=w), m=2, cycles=1, progress=False)


def test_collinear_predictors_are_no_hindrance():
    data, x = two_level(7)
    found = ranef.impute(
        "y ~ x + z + z2 + x2 + (1 | g)",
        data.assign(z2=3.0 * data["z"], x2=2.0 * x + 1.0),
        m=2,
        cycles=5,
        seed=1,
        progress=False,
    )
    for frame in found.frames:
        np.testing.assert_allclose(frame["x"], x, atol=0.05)


def test_draws_follow_their_distributions():
    rng = np.random.default_rng(1)
    values = truncated(np.full(20_000, -1.0), np.ones(20_000, bool), rng)
    assert values.min() > 0
    assert values.mean() == pytest.approx(stats.truncnorm.mean(1, np.inf, loc=-1), abs=0.02)
    draws = np.array([inverse_wishart(8.0, np.diag([2.0, 4.0]), rng) for _ in range(4000)])
    # mean of the inverse Wishart: scale / (df - k - 1)
    np.testing.assert_allclose(draws.mean(axis=0), np.diag([0.4, 0.8]), atol=0.05)


def test_the_sampler_finds_the_posterior_of_a_balanced_design():
    rng = np.random.default_rng(2)
    groups = 200
    codes = np.repeat(np.arange(groups), 8)
    y = rng.normal(size=groups)[codes] * 0.7 + rng.normal(size=len(codes)) * 0.5 + 1.0
    y = (y - y.mean()) / y.std()
    sampler, seen = Sampler("continuous"), np.ones(len(y), bool)
    X, kept = np.ones((len(y), 1)), []
    for _ in range(150):
        sampler.sweep(y, seen, X, [Block(codes, X, groups)], rng, 2)
        kept.append([sampler.blocks[0].Sigma[0, 0], sampler.variance])
    means = y.reshape(groups, 8).mean(axis=1)
    within = y.reshape(groups, 8).var(axis=1, ddof=1).mean()
    between = means.var(ddof=1) - within / 8
    np.testing.assert_allclose(np.mean(kept[30:], axis=0), [between, within], rtol=0.06)
