"""Models with structured residuals on data that do not suit them, and options that do not exist."""

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    g, t = np.repeat(np.arange(20), 4), np.tile(np.arange(4), 20)
    y = rng.normal(size=20)[g] + rng.normal(size=80)
    x = rng.normal(size=80)
    sex = np.where(g % 2, "m", "f")
    return pd.DataFrame({"y": y, "x": x, "t": t, "g": g, "sex": sex})


ROLES = {"groups": "g", "time": "t"}


def test_duplicate_times_name_group_and_time(rows):
    d = pd.concat([rows, rows.iloc[[9]]])
    for corr in ("ar1", "car1", "toeplitz", "unstructured"):
        with pytest.raises(ranef.DataError, match="group 2 has 't' = 1 more than once"):
            ranef.gls("y ~ x", d, corr=corr, **ROLES)
    ranef.gls("y ~ x", d, corr="exchangeable", **ROLES)


def test_times_that_are_not_whole_propose_continuous_time(rows):
    d = rows.assign(t=rows["t"] * 0.5)
    with pytest.raises(ranef.DataError, match='corr="car1"'):
        ranef.gls("y ~ x", d, corr="ar1", **ROLES)
    assert 0.0 < ranef.gls("y ~ x", d, corr="car1", **ROLES).correlation["phi"] < 1.0


def test_whole_times_may_start_anywhere(rows):
    ranef.gls("y ~ x", rows.assign(t=rows["t"] + 0.25), corr="ar1", **ROLES)


def test_one_row_per_group(rows):
    d = rows.assign(g=np.arange(80))
    for corr in ("exchangeable", "ar1", "unstructured"):
        with pytest.raises(ranef.ModelError, match="has one row"):
            ranef.gls("y ~ x", d, corr=corr, **ROLES)
    assert ranef.gls("y ~ x", d, **ROLES).npar == 3


def test_some_groups_of_one_row(rows):
    d = rows[(rows["g"] > 8) | (rows["t"] == 0)]
    model = ranef.gls("y ~ x", d, corr="ar1", **ROLES)
    assert model.nobs == 9 + 44


def test_more_times_than_groups(rows):
    d = rows[rows["g"] < 4]
    with pytest.raises(ranef.ModelError, match="more than 4 groups; there are 4"):
        ranef.gls("y ~ x", d, corr="unstructured", **ROLES)


def test_pairs_that_no_group_has(rows):
    d = rows[~((rows["t"] == 3) & (rows["g"] > 3)) & ~((rows["t"] == 0) & (rows["g"] < 4))]
    with pytest.raises(ranef.ModelError, match="both times 0 and 3"):
        ranef.gls("y ~ x", d, corr="unstructured", **ROLES)
    with pytest.raises(ranef.ModelError, match="3 steps of time apart"):
        ranef.gls("y ~ x", d, corr="toeplitz", **ROLES)


def test_uneven_times_are_not_toeplitz(rows):
    d = rows.assign(t=rows["t"] ** 2)
    with pytest.raises(ranef.ModelError, match="not evenly spaced"):
        ranef.gls("y ~ x", d, corr="toeplitz", **ROLES)


def test_terms_that_say_the_same_twice(rows):
    for corr in ("exchangeable", "toeplitz", "unstructured"):
        with pytest.raises(ranef.ModelError, match="cannot be told apart"):
            ranef.gls("y ~ x + (1 | g)", rows, corr=corr, **ROLES)
    with pytest.raises(ranef.ModelError, match="cannot be told apart"):
        ranef.gls("y ~ x + (t | g)", rows, corr="unstructured", variance="t", **ROLES)


def test_crossed_factors(rows):
    with pytest.raises(ranef.UnsupportedError, match="cross each other"):
        ranef.gls("y ~ x + (1 | t)", rows, corr="ar1", **ROLES)


def test_labels_used_again(rows):
    d = rows.assign(site=rows["g"] // 10, g=rows["g"] % 10)
    with pytest.raises(ranef.UnsupportedError, match="write site:g"):
        ranef.gls("y ~ x + (1 | site)", d, corr="ar1", **ROLES)
    model = ranef.gls("y ~ x + (1 | site)", d, corr="ar1", groups="site:g", time="t")
    assert model.ngroups["site:g"] == 20


@pytest.mark.parametrize("column", ["y", "x", "t", "g", "sex"])
def test_missing_values_in_every_role(rows, column):
    d = rows.astype({"t": float, "g": object})
    d.loc[[3, 17], column] = None
    options = {"corr": "ar1", "variance": "sex", **ROLES}
    with pytest.warns(ranef.DroppedRowsWarning, match=f"{column} \\(2\\)"):
        model = ranef.gls("y ~ x", d, **options)
    assert model.nobs == 78
    assert model.llf == pytest.approx(ranef.gls("y ~ x", d.drop([3, 17]), **options).llf, abs=1e-9)
    with pytest.raises(ranef.DataError):
        ranef.gls("y ~ x", d, missing="raise", **options)


def test_missing_values_in_a_formula_of_variance(rows):
    d = rows.assign(z=rows["x"].where(rows.index != 5))
    with pytest.raises(ranef.DataError, match="missing in 1 row"):
        ranef.gls("y ~ x", d, variance="~ z", **ROLES)
    d.loc[5, "y"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning):
        assert ranef.gls("y ~ x", d, variance="~ z", **ROLES).nobs == 79


def test_options_that_do_not_exist(rows):
    with pytest.raises(ValueError, match="corr must be one of"):
        ranef.gls("y ~ x", rows, corr="spatial", **ROLES)
    with pytest.raises(ValueError, match="name the groups by groups"):
        ranef.gls("y ~ x", rows, corr="ar1")
    with pytest.raises(ranef.DataError, match="nobody"):
        ranef.gls("y ~ x", rows, corr="ar1", groups="nobody")
    with pytest.raises(ranef.DataError, match="only one level"):
        ranef.gls("y ~ x", rows.assign(v="a"), variance="v")
    with pytest.raises(ValueError, match="without bars"):
        ranef.gls("y ~ x", rows, variance="~ x + (1 | g)")
    with pytest.raises(ValueError, match="names no column"):
        ranef.gls("y ~ x", rows, variance="~ 1")
    with pytest.raises(ranef.UnsupportedError, match="ddf='kenward-roger' is not available"):
        ranef.gls("y ~ x", rows).coef_table("kenward-roger")
    with pytest.raises(ValueError, match="ddf must be one of"):
        ranef.gls("y ~ x", rows).coef_table("kenward")


def test_responses_without_a_residual(rows):
    with pytest.raises(ranef.ModelError, match="exactly"):
        ranef.gls("y ~ x", rows.assign(y=1.0 + 2.0 * rows["x"]), corr="ar1", **ROLES)
    with pytest.raises(ranef.ModelError):
        ranef.gls("y ~ x", rows.assign(y=7.0), corr="ar1", **ROLES)
    with pytest.raises(ranef.ModelError, match="more rows"):
        ranef.gls("y ~ x + t + sex", rows.iloc[:3].assign(sex=["f", "m", "f"]))


def test_as_many_random_effects_as_rows(rows):
    with pytest.raises(ranef.ModelError, match="80 random effects for 80 rows"):
        ranef.gls("y ~ x + (1 | g:t)", rows, groups="g", variance="sex")
    with_ar1 = ranef.gls("y ~ x + (1 | g:t)", rows, corr="ar1", **ROLES)
    assert with_ar1.parts.estimate.converged


def test_a_correlation_at_the_end_of_its_range_is_said():
    d = pd.DataFrame({"g": np.repeat(np.arange(30), 2), "t": np.tile([0, 1], 30)})
    rng = np.random.default_rng(3)
    d["y"] = rng.normal(size=60)
    d.loc[d["t"] == 1, "y"] = -d.loc[d["t"] == 0, "y"].to_numpy() + 0.01 * rng.normal(size=30)
    with pytest.warns(ranef.SingularFitWarning, match="boundary of its range"):
        model = ranef.gls("y ~ 1", d, corr="car1", **ROLES)
    assert model.correlation["phi"] < 1e-3
    assert ranef.gls("y ~ 1", d, corr="ar1", **ROLES).correlation["phi"] < -0.99


def test_singular_random_effects_are_said(rows):
    rng = np.random.default_rng(0)  # by chance the groups differ by less than their rows
    with pytest.warns(ranef.SingularFitWarning, match="singular fit"):
        model = ranef.gls(
            "y ~ x + (1 | g)", rows.assign(y=rng.normal(size=80)), corr="ar1", **ROLES
        )
    assert model.is_singular
    assert model.varcorr["g"].iloc[0, 0] == 0.0


def test_time_as_text_counts_in_order_of_its_levels(rows):
    d = rows.assign(t=pd.Categorical(rows["t"].map({0: "d", 1: "c", 2: "b", 3: "a"}), list("dcba")))
    model = ranef.gls("y ~ x", d, corr="ar1", **ROLES)
    assert model.llf == pytest.approx(ranef.gls("y ~ x", rows, corr="ar1", **ROLES).llf, abs=1e-9)


def test_polars_and_arrow(rows):
    pl = pytest.importorskip("polars")
    model = ranef.gls("y ~ x", pl.from_pandas(rows), corr="ar1", variance="sex", **ROLES)
    want = ranef.gls("y ~ x", rows, corr="ar1", variance="sex", **ROLES)
    assert model.llf == pytest.approx(want.llf, abs=1e-9)


def test_numbers_written_as_text_keep_their_distances(rows):
    """As text 12 comes before 3."""
    number = rows.assign(t=rows["t"] * 3 + 3)
    text = number.assign(t=number["t"].astype(str))
    for fit in (
        lambda d: ranef.gls("y ~ x", d, corr="ar1", variance="t", **ROLES),
        lambda d: ranef.gee("y ~ x", d, corr="ar1", **ROLES),
    ):
        assert fit(text).params.to_numpy() == pytest.approx(fit(number).params.to_numpy(), rel=1e-5)
    labels = ranef.gls("y ~ x", text, corr="unstructured", **ROLES).correlation.index
    assert labels[0] == "3, 6"
    assert labels[-1] == "9, 12"
