"""Least squares from formulas: conventions, errors and answers that R files do not cover."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef


def _panel(seed=2, units=30, periods=8, gaps=True):
    rng = np.random.default_rng(seed)
    unit, period = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    n = len(unit)
    x = rng.normal(size=n) + rng.normal(size=units)[unit]
    z = rng.normal(size=n)
    y = 1.0 + 0.5 * x - z + rng.normal(size=units)[unit] + 0.3 * period + rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "y": y, "x": x, "z": z, "unit": unit, "period": period,
            "c": rng.normal(size=units)[unit], "region": unit // 5, "w": rng.uniform(0.5, 2.0, n),
        }
    )  # fmt: skip
    if gaps:
        frame = frame.iloc[rng.permutation(n)[: n - 20]]
    return frame


def _dummies(frame, *columns):
    return np.hstack([pd.get_dummies(frame[c]).to_numpy(float) for c in columns])


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("absorb", [["unit"], ["unit", "period"], ["period", "region", "unit"]])
def test_absorbing_equals_indicators(absorb, weights):
    frame = _panel()
    model = ranef.feols("y ~ x + z", frame, absorb=absorb, weights=weights)
    D = np.column_stack([frame[["x", "z"]], _dummies(frame, *absorb)])
    w = np.ones(len(frame)) if weights is None else frame["w"].to_numpy()
    beta, _, rank, _ = np.linalg.lstsq(D * np.sqrt(w)[:, None], frame["y"] * np.sqrt(w), rcond=None)
    resid = frame["y"].to_numpy() - D @ beta
    np.testing.assert_allclose(model.params, beta[:2], rtol=1e-8)
    np.testing.assert_allclose(model.resid, resid, atol=1e-7)
    assert model.df_resid == len(frame) - rank
    assert model.sigma == pytest.approx(np.sqrt(w @ resid**2 / (len(frame) - rank)), rel=1e-8)
    np.testing.assert_allclose(model.fittedvalues + model.resid, frame["y"], rtol=1e-12)
    effects = model.effects()
    total = sum(effects[name].loc[frame[name]].to_numpy() for name in absorb)
    linear = frame[["x", "z"]].to_numpy() @ model.params.to_numpy()
    np.testing.assert_allclose(total + linear, model.fittedvalues, atol=1e-7)


def test_robust_errors_with_crossed_absorption_equal_those_with_indicators():
    frame = _panel()
    absorbed = ranef.feols("y ~ x + z", frame, absorb=["unit", "period"])
    explicit = ranef.feols("y ~ x + z + C(period)", frame, absorb="unit")
    for kind in ("CR0", "CR1", "CR2", "CR3"):
        a = absorbed.robust(kind, cluster="unit")
        b = explicit.robust(kind, cluster="unit")
        np.testing.assert_allclose(a.bse[["x", "z"]], b.bse[["x", "z"]], rtol=1e-8)
        columns = ["df", "pvalue"]
        np.testing.assert_allclose(
            a.coef_table().loc[["x", "z"], columns],
            b.coef_table().loc[["x", "z"], columns],
            rtol=1e-7,
        )


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("absorb", [["unit"], ["unit", "period"]])
def test_heteroscedastic_errors_after_absorption_equal_those_with_indicators(kind, absorb):
    frame = _panel()
    absorbed = ranef.feols("y ~ x + z", frame, absorb=absorb, weights="w").robust(kind)
    terms = " + ".join(f"C({name})" for name in absorb)
    explicit = ranef.feols(f"y ~ x + z + {terms}", frame, weights="w").robust(kind)
    np.testing.assert_allclose(absorbed.bse, explicit.bse[["x", "z"]], rtol=1e-8)


def test_one_row_clusters_are_heteroscedastic_errors():
    frame = _panel().assign(row=lambda d: np.arange(len(d)))
    model = ranef.feols("y ~ x + z", frame)
    for clustered, plain in (("CR0", "HC0"), ("CR2", "HC2"), ("CR3", "HC3")):
        np.testing.assert_allclose(
            model.robust(clustered, cluster="row").bse, model.robust(plain).bse, rtol=1e-9
        )


def test_conventions_count_absorbed_effects_as_documented():
    frame = _panel(gaps=False)
    n, G, p, units, periods = 240, 30, 2, 30, 8
    fits = {
        ssc: ranef.feols("y ~ x + z", frame, absorb=["unit", "period"], cluster="unit", ssc=ssc)
        for ssc in ("clubSandwich", "fixest", "stata")
    }
    base = fits["fixest"].robust("CR0").bse
    charged = {
        "clubSandwich": p,
        "fixest": p + (units + periods - 1) - (units - 1),
        "stata": p + units + periods - 1,
    }
    for ssc, K in charged.items():
        factor = G / (G - 1) * (n - 1) / (n - K)
        np.testing.assert_allclose(fits[ssc].bse, base * np.sqrt(factor), rtol=1e-9)
    assert (fits["fixest"].coef_table()["df"] == G - 1).all()
    assert (fits["clubSandwich"].coef_table()["df"] < G - 1).all()


def test_several_cluster_variables_are_inclusion_and_exclusion():
    frame = _panel()
    model = ranef.feols("y ~ x + z", frame)
    both = frame["unit"].astype(str) + ":" + frame["period"].astype(str)
    parts = [model.robust("CR0", cluster=c).cov_params() for c in ("unit", "period", both)]
    ours = model.robust("CR0", cluster=["unit", "period"])
    np.testing.assert_allclose(ours.cov_params(), parts[0] + parts[1] - parts[2], rtol=1e-9)
    assert (ours.coef_table()["df"] == 7).all()
    with pytest.raises(ranef.UnsupportedError, match="several use"):
        model.robust("CR2", cluster=["unit", "period"])


def test_columns_that_absorption_takes_are_named_with_the_reason():
    with pytest.warns(ranef.RankWarning, match="'c' is constant within unit"):
        model = ranef.feols("y ~ x + c", _panel(), absorb="unit")
    assert np.isnan(model.params["c"])
    assert model.aliased == {"c": "constant within unit"}
    assert "constant within unit" in str(model.summary())


def test_absorption_that_takes_everything_is_an_error():
    with pytest.raises(ranef.ModelError, match=r"nothing is left.*'c' is constant within unit"):
        ranef.feols("y ~ c", _panel(), absorb="unit")


def test_singletons_are_counted_and_told():
    frame = _panel()
    frame.iloc[0, frame.columns.get_loc("unit")] = 999
    model = ranef.feols("y ~ x", frame, absorb="unit")
    assert model.singletons["unit"] >= 1
    assert "singletons" in str(model)


def test_rows_with_a_missing_cluster_are_left_out_together():
    frame = _panel()
    frame["g"] = frame["unit"].where(frame["unit"] != 3)
    with pytest.warns(ranef.DroppedRowsWarning, match=r"\d+ of 220 rows.*g \("):
        model = ranef.feols("y ~ x", frame, cluster="g")
    assert model.nobs == int(frame["g"].notna().sum())
    late = ranef.feols("y ~ x", frame)
    with pytest.raises(ranef.DataError, match="'g' is missing in"):
        late.robust("CR2", cluster="g")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"vcov": "CR2"}, ranef.ModelError, "needs clusters"),
        ({"vcov": "HC7"}, ValueError, "'HC0', 'HC1', 'HC2', 'HC3'"),
        ({"cluster": "unit", "vcov": "CR9"}, ValueError, "CR0, CR1"),
        ({"ssc": "sas"}, ValueError, "'clubSandwich', 'fixest', 'stata'"),
        ({"absorb": "nowhere"}, ranef.DataError, "no column 'nowhere'"),
        ({"absorb": [3]}, TypeError, "names of columns"),
    ],
)
def test_wrong_options_are_explained(options, error, words):
    with pytest.raises(error, match=words):
        ranef.feols("y ~ x", _panel(), **options)


def test_random_effects_belong_to_lmer():
    with pytest.raises(ranef.FormulaError, match=r"use ranef\.lmer"):
        ranef.feols("y ~ x + (1 | unit)", _panel())


def test_one_cluster_is_an_error():
    frame = _panel().assign(all="a")
    with pytest.raises(ranef.ModelError, match="only one"):
        ranef.feols("y ~ x", frame).robust("CR1", cluster=frame["all"])


def test_predictions_of_new_rows_and_levels():
    frame = _panel()
    model = ranef.feols("y ~ x", frame, absorb=["unit", "period"])
    np.testing.assert_allclose(model.predict(frame), model.predict(), atol=1e-7)
    new = frame.iloc[:2].assign(unit=[777, 778])
    with pytest.raises(ranef.DataError, match="did not see"):
        model.predict(new)
    assert np.isfinite(model.predict(new, new_levels="population")).all()
    with pytest.raises(ranef.UnsupportedError, match="absorbed effects"):
        model.predict(frame, interval="confidence")


def test_intervals_of_predictions_follow_the_formula():
    frame = _panel()
    model = ranef.feols("y ~ x", frame)
    table = model.predict(frame, interval="prediction", level=0.9)
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    se = np.sqrt(np.einsum("ij,jk,ik->i", X, model.cov_params(), X) + model.sigma**2)
    np.testing.assert_allclose(
        (table["upper"] - table["mean"]) / se, 1.651873, rtol=1e-5
    )  # R: qt(0.95, 218)


@pytest.mark.parametrize("convert", [pl.from_pandas, lambda d: pl.from_pandas(d).to_arrow()])
def test_other_tables_give_the_same_fit(convert):
    frame = _panel().reset_index(drop=True)
    a = ranef.feols("y ~ x", frame, absorb="unit", cluster="region")
    b = ranef.feols("y ~ x", convert(frame), absorb="unit", cluster="region")
    pd.testing.assert_frame_equal(a.coef_table(), b.coef_table())


def test_models_pickle_and_copy():
    model = ranef.feols("y ~ x", _panel(), absorb="unit", cluster="unit")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        pd.testing.assert_frame_equal(other.coef_table(), model.coef_table())
        assert other.robust("CR2").bse.equals(model.robust("CR2").bse)


def test_results_have_the_common_names_and_views():
    model = ranef.feols("y ~ x + z", _panel(), cluster="unit")
    table = model.coef_table()
    assert list(table.columns) == ["estimate", "se", "df", "t", "pvalue"]
    np.testing.assert_allclose(model.tvalues, model.params / model.bse)
    np.testing.assert_allclose(np.diag(model.cov_params()) ** 0.5, model.bse)
    assert (model.conf_int()["lower"] < model.params).all()
    assert model.aic == pytest.approx(2 * model.npar - 2 * model.llf)
    assert "Clusters" in str(model)
    assert "<table>" in model._repr_html_()
    robust = model.robust("CR2")
    assert "Satterthwaite" in str(robust)
    assert "<table>" in robust._repr_html_()


def test_joint_tests_by_name_term_and_matrix_agree():
    frame = _panel()
    robust = ranef.feols("y ~ x + C(region)", frame).robust("CR2", cluster="unit")
    by_term = robust.wald_test("C(region)")
    names = [name for name in robust.params.index if name.startswith("C(region)")]
    matrix = np.eye(len(robust.params))[[list(robust.params.index).index(n) for n in names]]
    pd.testing.assert_frame_equal(by_term, robust.wald_test(names))
    pd.testing.assert_frame_equal(by_term, robust.wald_test(matrix))
    single = robust.wald_test("x").iloc[0]
    assert single["F"] == pytest.approx(robust.tvalues["x"] ** 2)
    assert single["den_df"] == pytest.approx(robust.coef_table().loc["x", "df"])
    with pytest.raises(ValueError, match="no coefficient or term 'q'"):
        robust.wald_test("q")


def test_a_calendar_year_costs_no_digits():
    frame = _panel().assign(year=lambda d: 2008.0 + d["period"])
    a = ranef.feols("y ~ year + I(year**2)", frame)
    b = ranef.feols("y ~ period + I(period**2)", frame)
    np.testing.assert_allclose(a.fittedvalues, b.fittedvalues, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "expected"),
    # R 4.2.2: summary(lm(Reaction ~ 0 + Days)), without and with weights 1, 2, 3, 1, ...
    [(None, (0.7772930725, 0.7760488997)), (1 + np.arange(180) % 3, (0.7752889211, 0.7740335520))],
)
def test_shares_explained_without_a_constant_are_of_the_raw_sum_of_squares(weights, expected):
    model = ranef.feols("Reaction ~ 0 + Days", ranef.datasets.load("sleepstudy"), weights=weights)
    np.testing.assert_allclose((model.rsquared, model.rsquared_adj), expected, rtol=1e-9)
