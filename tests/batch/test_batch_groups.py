"""One formula on many groups against fits of each group alone."""

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef

FORMULA = "y ~ x + c + (1 + x | s)"


@pytest.fixture(scope="module")
def stores():
    """Five stores; the third lacks a level of c, the fourth has one level of s."""
    rng = np.random.default_rng(2)
    n = 72
    data = pd.DataFrame(
        {
            "store": np.repeat(list("edcba"), n),
            "s": np.tile(np.repeat(np.arange(12), 6), 5),
            "x": rng.normal(size=5 * n),
            "c": np.tile(list("pqr"), 5 * n // 3),
        }
    )
    level = rng.normal(size=(5, 12, 2))[data["store"].factorize()[0], data["s"]]
    data["y"] = 3 + level[:, 0] + (1 + level[:, 1]) * data["x"] + rng.normal(size=5 * n)
    lacking = (data["store"] == "c") & (data["c"] == "q")
    narrow = (data["store"] == "b") & (data["s"] > 0)
    return data[~(lacking | narrow)].sample(frac=1.0, random_state=1)


def groups(*args, **options):
    return ranef.fit_groups(*args, progress=False, **options)


def alone(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ranef.lmer(formula, data, **options)


@pytest.mark.parametrize("formula", [FORMULA, "y ~ scale(x) + c + (1 | s)"])
def test_groups_equal_fits_of_each(stores, formula):
    result = groups(formula, stores, "store", ddf="satterthwaite")
    table = result.table.set_index(["store", "term"])
    assert result.fits["store"].tolist() == list("abcde")
    for name in "acde":
        one = alone(formula, stores[stores["store"] == name])
        row = result.fits.set_index("store").loc[name]
        assert row["llf"] == pytest.approx(one.llf, abs=1e-6)
        assert row["nobs"] == one.nobs
        assert row["sigma"] == pytest.approx(one.sigma, rel=1e-5)
        sd = row["sd_Intercept|s"]
        assert sd == pytest.approx(one.varcorr["s"].iloc[0, 0] ** 0.5, rel=1e-4)
        found = table.loc[name]["estimate"]
        np.testing.assert_allclose(found[one.params.index], one.params, rtol=1e-4)
        assert found.isna().sum() == (name == "c")
        assert alone_from(result, name).llf == pytest.approx(one.llf, abs=1e-6)
    bad = result.fits.set_index("store").loc["b"]
    assert bad["status"] == "error"
    assert "only one level" in result.messages[result.fits["store"].tolist().index("b")]
    assert np.isnan(bad["llf"])


def alone_from(result, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return result.fit(name)


def test_random_columns_that_a_group_lacks_are_nan(stores):
    result = groups("y ~ x + (0 + c | s)", stores, "store")
    fits = result.fits.set_index("store")
    one = alone("y ~ x + (0 + c | s)", stores[stores["store"] == "c"])
    assert fits.loc["c", "llf"] == pytest.approx(one.llf, abs=1e-6)
    sds = np.sqrt(np.diag(one.varcorr["s"]))
    assert fits.loc["c", "sd_c[p]|s"] == pytest.approx(sds[0], rel=1e-3)
    assert fits.loc["c", "sd_c[r]|s"] == pytest.approx(sds[1], rel=1e-3)
    assert np.isnan(fits.loc["c", "sd_c[q]|s"])
    assert fits.loc["a"].notna().all()


def test_hypotheses_on_coefficients_that_a_group_lacks_are_nan(stores):
    tests = ["`c[T.q]` = `c[T.r]`", "x = 1"]
    result = groups(FORMULA, stores, "store", tests=tests)
    table = result.table.set_index(["store", "term"])["estimate"].unstack()
    assert np.isnan(table.loc["c", tests[0]])
    assert table.loc["a", tests].notna().all()
    assert table.loc["c", "x = 1"] == pytest.approx(table.loc["c", "x"] - 1)


def test_several_columns_and_missing_rows(stores):
    data = stores.assign(half=np.where(stores["s"] < 6, "low", "high"))
    data.loc[data.index[3], "y"] = np.nan
    data.loc[data.index[5], "half"] = None
    with pytest.warns(ranef.DroppedRowsWarning, match=r"y \(1\), by \(1\)"):
        result = groups("y ~ x + (1 | s)", data, ["store", "half"])
    assert len(result) == 9
    assert result.fits["nobs"].sum() == (data["store"] != "b").sum() - 2
    used = data[(data["store"] == "a") & (data["half"] == "low")]
    one = alone("y ~ x + (1 | s)", used)
    row = result.fits.query("store == 'a' and half == 'low'").iloc[0]
    assert row["llf"] == pytest.approx(one.llf, abs=1e-6)


def test_groups_with_constant_responses_or_too_few_rows(stores):
    data = stores.copy()
    data.loc[data["store"] == "a", "y"] = 2.0
    data = data[(data["store"] != "d") | ~data.duplicated(["store", "s"])]
    result = groups("y ~ x + (1 | s)", data, "store")
    status = result.status
    assert status["a"] == "explained"
    assert status["d"] in ("too few rows", "error")
    assert status["e"] == "converged"


def test_an_unknown_column_is_named(stores):
    with pytest.raises(ranef.DataError, match="did you mean 'store'"):
        groups(FORMULA, stores, "stores")


@pytest.mark.parametrize("nested", [False, True])
def test_a_variance_that_fixed_effects_span_is_not_identified(nested):
    """In groups 1 and 3 the predictor tells the two levels apart; nothing is left to estimate."""
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"k": np.repeat(np.arange(5), 24), "g": np.tile(np.arange(24) // 4, 5)})
    d["x"] = rng.normal(size=len(d))
    spanned = d.k.isin([1, 3])
    d.loc[spanned, "g"] %= 2
    d.loc[spanned, "x"] = 0.5 + d.g[spanned]
    d["g"] += 1000 * d.k * nested
    d["y"] = rng.normal(size=len(d)) + rng.normal(size=10_000)[d.g]
    d = d.sample(frac=1.0, random_state=1, ignore_index=True)
    status = (
        ranef.fit_groups("y ~ x + (1 | g)", d, by="k", progress=False).fits.set_index("k").status
    )
    assert (status == "not identified").tolist() == [False, True, False, True, False]
    one = d[d.k == 1]
    with pytest.warns(ranef.RankWarning, match="not identified"):
        assert not ranef.lmer("y ~ x + (1 | g)", one).converged


def test_responses_on_a_design_that_is_not_identified_say_so():
    sleep = ranef.datasets.load("sleepstudy")
    Y = pd.DataFrame({"a": sleep.Reaction, "b": sleep.Reaction.where(sleep.Days > 0)})
    fits = ranef.fit_many("~ Days + Subject + (1 | Subject)", sleep, Y, progress=False).fits
    assert fits.status.tolist() == ["not identified"] * 2
    fits = ranef.fit_many("~ Days + (1 | Subject)", sleep, Y, progress=False).fits
    assert fits.status.tolist() == ["converged"] * 2
