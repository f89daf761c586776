"""Generalised models of each group of rows: each fit is glmer's own, with all that batches have."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import ranef

STORES, LEVELS, ROWS = 5, 8, 9
FORMULA = "n ~ x + c + offset(log(time)) + (1 | s)"


@pytest.fixture(scope="module")
def stores():
    """Five stores; the third lacks a level of c, the fourth has one level of s."""
    rng = np.random.default_rng(4)
    store = np.repeat(np.arange(STORES), LEVELS * ROWS)
    s = np.tile(np.repeat(np.arange(LEVELS), ROWS), STORES)
    data = pd.DataFrame({"store": np.array(list("edcba"))[store], "s": s})
    data["x"] = rng.normal(size=len(data))
    data["c"] = np.tile(list("pqr"), len(data) // 3)
    data["time"] = rng.uniform(1.0, 3.0, len(data))
    eta = 0.4 + 0.3 * data["x"] + 0.6 * rng.normal(size=(STORES, LEVELS))[store, s]
    data["n"] = rng.poisson(data["time"] * np.exp(eta))
    data["many"] = rng.negative_binomial(2, 2 / (2 + np.exp(eta)))
    data["long"] = rng.gamma(2.0, np.exp(eta))
    data["won"] = np.where(rng.random(len(data)) < 1 / (1 + np.exp(-eta)), "yes", "no")
    data["trials"] = rng.integers(2, 9, len(data))
    data["hits"] = rng.binomial(data["trials"], 1 / (1 + np.exp(-eta)))
    lacking = (data["store"] == "c") & (data["c"] == "q")
    narrow = (data["store"] == "b") & (data["s"] > 0)
    return data[~(lacking | narrow)].sample(frac=1.0, random_state=1)


def quiet(f, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return f(*args, **options)


def groups(*args, **options):
    return ranef.fit_groups(*args, progress=False, **options)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (FORMULA, {"family": "poisson"}),
        ("n ~ scale(x) + (x | s)", {"family": "poisson"}),
        ("many ~ x + c + (1 | s)", {"family": "negative_binomial"}),
        ("long ~ x + (1 | s)", {"family": "gamma", "link": "log"}),
        ("won ~ x + c + (1 | s)", {"family": "binomial"}),
        ("cbind(hits, trials - hits) ~ x + (1 | s)", {"family": "binomial", "link": "probit"}),
    ],
)
def test_each_group_is_that_of_glmer(stores, formula, options):
    result = groups(formula, stores, "store", **options)
    fits = result.fits.set_index("store")
    table = result.table.set_index(["store", "term"])
    for name in "acde":
        one = quiet(ranef.glmer, formula, stores[stores["store"] == name], **options)
        row = fits.loc[name]
        assert row["status"] == "converged"
        assert row["nobs"] == one.nobs
        assert row["llf"] == pytest.approx(one.llf, abs=1e-6)
        found = table.loc[name]
        np.testing.assert_allclose(found["estimate"][one.params.index], one.params, atol=1e-4)
        np.testing.assert_allclose(found["se"][one.params.index], one.bse, rtol=1e-3)
        sd = np.sqrt(one.varcorr["s"].iloc[0, 0])
        assert row["sd_Intercept|s"] == pytest.approx(sd, abs=1e-3)
        if "dispersion" in row:
            assert row["dispersion"] == pytest.approx(one.dispersion, rel=1e-2)
    assert (table["df"].dropna() == np.inf).all()
    lacks = "c + " in formula
    assert table.loc["c"]["estimate"].isna().sum() == lacks
    assert fits.loc["b", "status"] == "error"
    whole = quiet(result.fit, "a")
    assert type(whole) is ranef.GeneralizedLinearMixedModel
    assert whole.llf == pytest.approx(fits.loc["a", "llf"], abs=1e-6)


def test_workers_engines_and_tests_change_nothing(stores):
    alone = groups(FORMULA, stores, "store", family="poisson", workers=1, tests=["x = 0.3"])
    two = groups(FORMULA, stores, "store", family="poisson", workers=2, tests=["x = 0.3"])
    pd.testing.assert_frame_equal(alone.fits, two.fits)
    pd.testing.assert_frame_equal(alone.table, two.table)
    with ThreadPoolExecutor(2) as pool:
        away = groups(FORMULA, stores, "store", family="poisson", tests=["x = 0.3"], executor=pool)
    pd.testing.assert_frame_equal(alone.table, away.table)
    at = alone.table.set_index(["store", "term"])
    x, test = at.loc[("a", "x")], at.loc[("a", "x = 0.3")]
    assert test["estimate"] == pytest.approx(x["estimate"] - 0.3)
    assert test["se"] == pytest.approx(x["se"])


def test_files_and_folders_go_on_where_they_stopped(stores, tmp_path):
    whole = groups(FORMULA, stores, "store", family="poisson")
    path = tmp_path / "rows.parquet"
    stores.to_parquet(path)
    for _ in range(2):  # the second finds it done
        stored = groups(FORMULA, path, "store", family="poisson", out=tmp_path / "out")
        found = stored.fits.drop(columns="message")
        pd.testing.assert_frame_equal(found, whole.fits, check_dtype=False)
    assert quiet(stored.fit, "a").llf == pytest.approx(whole.fits["llf"][0], abs=1e-6)
    with pytest.raises(ranef.RanefError, match="family"):
        groups(FORMULA, path, "store", family="negative_binomial", out=tmp_path / "out")


def test_groups_without_a_model_are_rows_with_a_status(stores):
    data = stores[stores["store"].isin(list("acde"))].assign(n=stores["n"].astype(float))
    data.loc[data["store"] == "a", "n"] = 0.0
    data.loc[data["store"] == "c", "n"] += 0.5
    few = data.drop(data.index[data["store"] == "d"][2:])
    status = groups("n ~ x + (1 | s)", few, "store", family="poisson").fits.set_index("store")
    assert status["status"].tolist()[:2] == ["explained", "out of range"]
    assert status["status"].tolist()[2:] == ["too few rows", "converged"]
    assert status["llf"].notna().tolist() == [False, False, False, True]
    # an effect of each row takes up what counts vary more; beside a dispersion it cannot
    rows = data.assign(row=np.arange(len(data)))
    own = groups("many ~ x + (1 | row)", rows, "store", family="poisson")
    assert (own.status == "converged").all()
    own = groups("many ~ x + (1 | row)", rows, "store", family="negative_binomial")
    assert (own.status == "too few rows").all()
    spanned = groups("many ~ C(s) + (1 | s)", rows, "store", family="poisson")
    assert (spanned.status == "not identified").all()


def test_what_is_not_for_generalised_models_is_refused(stores):
    with pytest.raises(ranef.UnsupportedError, match="normal ones"):
        groups(FORMULA, stores, "store", family="poisson", ddf="satterthwaite")
    with pytest.raises(ValueError, match="pass family="):
        groups(FORMULA, stores, "store", link="log")
    with pytest.raises(TypeError, match="one name for all fits"):
        groups(FORMULA, stores, "store", family=["poisson", "gamma"])
    with pytest.raises(ranef.UnsupportedError, match="log link"):
        groups("long ~ x + (1 | s)", stores, "store", family="gamma")
    with pytest.raises(ranef.UnsupportedError, match="structure"):
        groups("n ~ x + ar1(0 + c | s)", stores, "store", family="poisson")
