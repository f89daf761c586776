"""One intercept a group as fixed and as random effects, against refits and dense algebra."""

import numpy as np
import pandas as pd
import pytest

import ranef


def sample(n=30, size=5, seed=4, link=0.8):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n), rng.integers(2, size + 3, n))
    u = rng.normal(size=n)
    x = rng.normal(size=len(g)) + link * u[g]
    z = rng.normal(size=n)[g]
    y = 1.0 + 0.5 * x + 0.3 * z + u[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{i:02d}" for i in g]})


@pytest.fixture(scope="module")
def frame():
    return sample()


@pytest.fixture(scope="module")
def found(frame):
    return ranef.fixed_or_random("y ~ x + z", frame, "g")


def test_coefficients_are_those_of_both_fits(frame, found):
    fixed = ranef.feols("y ~ x", frame, absorb="g")
    random = ranef.lmer("y ~ x + z + (1 | g)", frame)
    assert found.coefficients["fixed"]["x"] == pytest.approx(fixed.params["x"], rel=1e-9)
    assert found.coefficients["fixed_se"]["x"] == pytest.approx(fixed.bse["x"], rel=1e-9)
    assert np.isnan(found.coefficients["fixed"]["z"])
    np.testing.assert_allclose(found.coefficients["random"], random.params)
    np.testing.assert_allclose(found.coefficients["random_se"], random.bse)
    assert "z" in found.notes[0]


def test_fixed_effects_are_those_of_indicators(frame, found):
    levels = pd.get_dummies(frame["g"]).to_numpy(float)
    X = np.column_stack([levels, frame["x"]])
    beta = np.linalg.lstsq(X, frame["y"], rcond=None)[0]
    L = levels.shape[1]
    centre = np.eye(L) - 1.0 / L
    np.testing.assert_allclose(found.effects["fixed"], centre @ beta[:L], atol=1e-9)
    sigma2 = np.sum((frame["y"] - X @ beta) ** 2) / (len(frame) - L - 1)
    cov = centre @ (sigma2 * np.linalg.inv(X.T @ X))[:L, :L] @ centre
    np.testing.assert_allclose(found.effects["fixed_se"], np.sqrt(np.diag(cov)), rtol=1e-9)
    assert found.table["sigma"]["fixed"] == pytest.approx(np.sqrt(sigma2))


def test_effective_degrees_of_freedom_are_the_trace_of_the_hat_matrix(frame, found):
    model, n = found.model, len(frame)
    Z = pd.get_dummies(frame["g"]).to_numpy(float)
    X = np.column_stack([np.ones(n), frame["x"], frame["z"]])
    V = model.varcorr["g"].iloc[0, 0] * Z @ Z.T + model.sigma**2 * np.eye(n)
    P = np.linalg.inv(V)
    P -= P @ X @ np.linalg.inv(X.T @ P @ X) @ X.T @ P
    trace = np.trace(np.eye(n) - model.sigma**2 * P)
    assert found.table["edf"]["random"] == pytest.approx(trace, rel=1e-8)
    assert list(found.table["edf"].drop("random")) == [3.0, 31.0]


def test_rows_and_groups_left_out_are_predicted_as_by_refits(frame, found):
    y = frame["y"].to_numpy()
    own, pooled, outside = np.empty((3, len(frame)))
    for i in range(len(frame)):
        rest = frame.drop(index=i)
        fit = ranef.feols("y ~ x", rest, absorb="g")
        level = rest[rest["g"] == frame["g"][i]]
        centre = (level["y"] - fit.params["x"] * level["x"]).mean()
        own[i] = centre + fit.params["x"] * frame["x"][i]
        pooled[i] = ranef.feols("y ~ x + z", rest).predict(frame.iloc[[i]]).iloc[0]
    for label in frame["g"].unique():
        at = (frame["g"] == label).to_numpy()
        outside[at] = ranef.feols("y ~ x + z", frame[~at]).predict(frame[at])
    table = found.table
    assert table["rmse_rows"]["fixed"] == pytest.approx(np.sqrt(np.mean((y - own) ** 2)))
    assert table["rmse_rows"]["no groups"] == pytest.approx(np.sqrt(np.mean((y - pooled) ** 2)))
    assert table["rmse_groups"]["no groups"] == pytest.approx(np.sqrt(np.mean((y - outside) ** 2)))
    closed = ranef.cross_validate(found.model, "new_rows").table["rmse"]["all"]
    assert table["rmse_rows"]["random"] == pytest.approx(closed)
    assert np.isnan(table["rmse_groups"]["fixed"])


def test_the_contextual_test_is_that_of_group_means(frame, found):
    means = frame.assign(mean_x=frame.groupby("g")["x"].transform("mean"))
    fit = ranef.lmer("y ~ x + z + mean_x + (1 | g)", means)
    row = fit.coef_table().loc["mean_x"]
    assert found.contextual["F"] == pytest.approx(float(row["t"]) ** 2, rel=1e-6)
    assert found.contextual["den_df"] == pytest.approx(float(row["df"]), rel=1e-5)
    assert found.contextual["pvalue"] < 0.01
    assert "within_between" in " ".join(found.notes)
    unrelated = ranef.fixed_or_random("y ~ x + z", sample(link=0.0, seed=5), "g")
    assert unrelated.contextual["pvalue"] > 0.05


def test_weights_and_missing_rows(frame):
    heavy = frame.assign(w=np.where(np.arange(len(frame)) % 3 == 0, 2.0, 1.0))
    heavy.loc[3, "x"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning):
        found = ranef.fixed_or_random("y ~ x", heavy, "g", weights="w")
    with pytest.warns(ranef.DroppedRowsWarning):
        fixed = ranef.feols("y ~ x", heavy, absorb="g", weights="w")
    assert found.coefficients["fixed"]["x"] == pytest.approx(fixed.params["x"], rel=1e-9)
    assert found.coefficients["fixed_se"]["x"] == pytest.approx(fixed.bse["x"], rel=1e-9)


def test_it_prints_draws_and_lays_out(found):
    text = repr(found)
    assert "g (30 levels): fixed or random" in text
    assert "Coefficients" in text
    assert "<table" in found._repr_html_()
    assert found.summary() is found
    tidy = found.tidy()
    assert list(tidy.columns) == ["model", "term", "estimate", "std.error"]
    pytest.importorskip("matplotlib").use("Agg")
    axis = found.plot()
    assert "fixed effect" in axis.get_xlabel()
    from matplotlib import pyplot

    pyplot.close("all")


def test_the_formula_may_hold_the_bar_and_nothing_else(frame, found):
    same = ranef.fixed_or_random("y ~ x + z + (1 | g)", frame, "g")
    pd.testing.assert_frame_equal(same.table, found.table)
    named = ranef.fixed_or_random("y ~ x + z", frame.rename(columns={"g": "my id"}), "my id")
    np.testing.assert_allclose(named.table, found.table)
    for formula in ("y ~ x + (x | g)", "y ~ s(x)", "y ~ x + (1 | z)"):
        with pytest.raises(ranef.UnsupportedError, match="one intercept"):
            ranef.fixed_or_random(formula, frame, "g")


def test_few_levels_single_rows_and_no_variance_are_told(frame):
    few = ranef.fixed_or_random("y ~ x", frame[frame["g"].isin(["g00", "g01", "g02"])], "g")
    assert any("hardly known" in note for note in few.notes)
    alone = pd.concat([frame, frame.iloc[[0]].assign(g="alone")], ignore_index=True)
    told = ranef.fixed_or_random("y ~ x", alone, "g")
    assert any("one row" in note for note in told.notes)
    assert any("left out" in note for note in told.notes)
    with pytest.raises(ranef.ModelError, match="residual"):
        ranef.fixed_or_random("y ~ x", frame.assign(g=np.arange(len(frame))), "g")
    noise = pd.Series(np.random.default_rng(1).normal(size=len(frame)))
    flat = frame.assign(y=noise - noise.groupby(frame["g"]).transform("mean"))
    with pytest.warns(ranef.SingularFitWarning):
        none = ranef.fixed_or_random("y ~ x", flat, "g")
    assert any("estimated as zero" in note for note in none.notes)
    assert none.table["edf"]["random"] == pytest.approx(2.0)
