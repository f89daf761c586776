"""Approaches side by side: per-group fits, effects within and between, and their identities."""

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef


def _frame(seed=9, groups=25):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 9, groups)
    g = np.repeat(np.arange(groups), sizes)
    level = rng.normal(size=groups)
    x = rng.normal(size=len(g)) + level[g]
    y = 1.0 + 0.5 * x + 0.8 * level[g] + rng.normal(size=groups)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g, "c": rng.normal(size=groups)[g]})


def test_table_lays_seven_approaches_side_by_side():
    side = ranef.approaches("y ~ x", _frame(), "g")
    assert list(side.table.index.get_level_values(0).unique()) == [
        "OLS",
        "per-group fits",
        "OLS, cluster-robust",
        "fixed effects",
        "between-within",
        "GEE",
        "mixed model",
    ]
    assert list(side.table.columns) == ["estimate", "se", "df", "t", "pvalue"]
    assert side.answers["answers"].notna().all()
    assert not side.skipped
    within = side.table.loc[("fixed effects", "x"), "estimate"]
    assert side.table.loc[("between-within", "x within"), "estimate"] == pytest.approx(within)
    assert side.table.loc[("OLS", "x"), "se"] < side.table.loc[("OLS, cluster-robust", "x"), "se"]
    assert "<table" in side._repr_html_()
    assert "fixed effects" in str(side)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + c", "y ~ x + (1 + x | g)"])
def test_identities_hold_on_unbalanced_data(formula):
    side = ranef.approaches(formula, _frame(), "g")
    assert len(side.identities) == 4
    assert side.identities["holds"].all()


def test_an_approach_that_does_not_fit_the_data_is_left_out_with_its_reason():
    side = ranef.approaches("y ~ c", _frame(), "g")
    assert "constant within g" in side.skipped["fixed effects"]
    assert "fixed effects" not in side.table.index.get_level_values(0)


def test_per_group_fits_equal_separate_least_squares():
    frame = _frame()
    fits = ranef.lmlist("y ~ x", frame, "g")
    for group, part in frame.groupby("g"):
        slope, intercept = np.polyfit(part["x"], part["y"], 1)
        np.testing.assert_allclose(fits.coef().loc[group], [intercept, slope], rtol=1e-8)
    ssr = sum(
        np.sum((part["y"] - np.polyval(np.polyfit(part["x"], part["y"], 1), part["x"])) ** 2)
        for _, part in frame.groupby("g")
    )
    assert fits.sigma == pytest.approx(np.sqrt(ssr / (len(frame) - 50)))
    one = frame[frame["g"] == 0]
    sxx = np.sum((one["x"] - one["x"].mean()) ** 2)
    assert fits.bse().loc[0, "x"] == pytest.approx(fits.sigma / np.sqrt(sxx))
    average = fits.average()
    assert average.loc["x", "estimate"] == pytest.approx(fits.coef()["x"].mean())


def test_coefficients_that_a_group_cannot_tell_are_missing():
    fits = ranef.lmlist("y ~ x + c", _frame(), "g")
    assert fits.coef()["c"].isna().all()
    assert fits.coef()["Intercept"].isna().all()  # confounded with c in every group
    assert fits.coef()["x"].notna().all()
    assert "25 cannot tell every coefficient" in str(fits)
    with pytest.raises(ranef.ModelError, match="more rows than"):
        ranef.lmlist("y ~ x", _frame().groupby("g").head(2), "g")


def test_shrinkage_of_a_random_intercept_has_the_textbook_weight():
    # With one mean in each group the group's own share is n theta^2 / (1 + n theta^2).
    frame = _frame()
    model = ranef.lmer("y ~ 1 + (1 | g)", frame)
    table = ranef.lmlist("y ~ 1", frame, "g").shrinkage(model).set_index("level")
    n = frame.groupby("g").size()
    theta = float(model.theta.iloc[0])
    np.testing.assert_allclose(table["weight"], n * theta**2 / (1 + n * theta**2), rtol=1e-8)
    by_default = ranef.lmlist("y ~ 1", frame, "g").shrinkage()
    np.testing.assert_allclose(by_default["weight"], table["weight"], rtol=1e-8)


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
def test_shrinkage_fits_the_mixed_model_of_the_same_call():
    frame = _frame().rename(columns={"g": "the group"})
    frame = frame.assign(
        w=1.0 + np.arange(len(frame)) % 3, f=np.tile(["p", "q"], 500)[: len(frame)]
    )
    coding = {"f": "contr.sum"}
    fits = ranef.lmlist("y ~ x + f + offset(c)", frame, "the group", weights="w", contrasts=coding)
    model = ranef.lmer(
        "y ~ x + f + offset(c) + (x + f | `the group`)", frame, weights="w", contrasts=coding
    )
    pd.testing.assert_frame_equal(fits.shrinkage(), fits.shrinkage(model))


def test_fits_pickle_without_data():
    fits = pickle.loads(pickle.dumps(ranef.lmlist("y ~ x", _frame(), "g")))
    assert fits.coef().shape == (25, 2)
    with pytest.raises(ranef.ModelError, match="no longer know their data"):
        fits.shrinkage()


def test_both_forms_are_one_model():
    frame = _frame()
    hybrid = ranef.within_between("y ~ x + c", frame, "g")
    mundlak = ranef.within_between("y ~ x + c", frame, "g", form="mundlak")
    assert list(hybrid.params.index) == ["Intercept", "x within", "c", "x between"]
    assert list(mundlak.params.index) == ["Intercept", "x", "c", "x mean"]
    assert hybrid.model.llf == pytest.approx(mundlak.model.llf, abs=1e-8)
    assert hybrid.params["x within"] == pytest.approx(mundlak.params["x"])
    gap = hybrid.params["x between"] - hybrid.params["x within"]
    assert mundlak.params["x mean"] == pytest.approx(gap)
    pd.testing.assert_frame_equal(hybrid.contextual(), mundlak.contextual(), rtol=1e-6)
    fixed = ranef.feols("y ~ x", frame, absorb="g")
    assert hybrid.params["x within"] == pytest.approx(fixed.params["x"], rel=1e-8)
    pd.testing.assert_frame_equal(hybrid.hausman(), mundlak.hausman(), rtol=1e-6)
    robust = hybrid.hausman("CR2").iloc[0]
    assert robust["den_df"] < 25
    assert "x within" in str(hybrid)


def test_hausman_needs_something_to_compare():
    model = ranef.within_between("y ~ c", _frame(), "g")
    with pytest.raises(ranef.ModelError, match="both within and between 'g'"):
        model.hausman()
    with pytest.raises(ValueError, match="'hybrid' or 'mundlak'"):
        ranef.within_between("y ~ x", _frame(), "g", form="both")
    with pytest.raises(ranef.ModelError, match="is not a grouping factor"):
        ranef.within_between("y ~ x + (1 | c)", _frame(), "g")


def test_random_effects_least_squares_is_a_mixed_model_at_its_variances():
    frame = _frame()
    fit = ranef.random_effects_gls("y ~ x + c", frame, groups="g")
    effect, error = fit.variances
    same = frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()
    V = effect * same + error * np.eye(len(frame))
    X = np.column_stack([np.ones(len(frame)), frame[["x", "c"]]])
    W = np.linalg.inv(V)
    beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ frame["y"])
    np.testing.assert_allclose(fit.params, beta, rtol=1e-8)
    assert fit.robust("CR2").bse.notna().all()
    assert fit.wald_test("x").iloc[0]["F"] == pytest.approx(fit.tvalues["x"] ** 2)
    n = frame.groupby("g").size()
    np.testing.assert_allclose(fit.theta, 1 - np.sqrt(error / (error + n * effect)), rtol=1e-10)
    with pytest.raises(ranef.ModelError, match="need an intercept"):
        ranef.random_effects_gls("y ~ 0 + x", frame, groups="g")


def test_robust_tests_of_mixed_models_take_the_outer_factor_by_default():
    frame = _frame().assign(top=lambda d: d["g"] // 5)
    frame["y"] += 2.0 * frame["top"]
    model = ranef.lmer("y ~ x + (1 | top) + (1 | g)", frame)
    assert model.robust("CR1").n_clusters == {"top": 5}
    with pytest.raises(ranef.ModelError, match="Cluster by 'top' or by something above"):
        model.robust("CR2", cluster="g")
    by_array = model.robust("CR2", cluster=frame["top"].to_numpy())
    np.testing.assert_allclose(by_array.bse, model.robust("CR2").bse)
    with pytest.raises(ranef.DataError, match="3 values for"):
        model.robust("CR2", cluster=[1, 2, 3])
