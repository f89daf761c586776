"""Models by the field's rules: ladders, all subsets, elimination, stability, averages."""

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def sleep():
    data = ranef.datasets.load("sleepstudy")
    rng = np.random.default_rng(1)
    return data.assign(x=rng.normal(size=len(data)), z=rng.normal(size=len(data)))


@pytest.fixture(scope="module")
def full(sleep):
    return ranef.lmer("Reaction ~ Days * x + z + (Days | Subject)", sleep)


def test_a_dredge_has_every_model_that_keeps_margins(full):
    found = ranef.dredge(full, progress=False)
    # {}, D, x, z, Dx, Dz, xz, Dxz, and D x D:x with and without z: ten.
    assert len(found.table) == 10
    assert found.table.loc[found.table["Days:x"], ["Days", "x"]].all().all()
    best = ranef.lmer(found.best.call.formula, full.parts.data, reml=False)
    n, k = best.nobs, best.npar
    aicc = -2.0 * best.llf + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)  # Hurvich and Tsai (1989)
    assert found.table["aicc"].iloc[0] == pytest.approx(aicc, abs=1e-6)
    relative = np.exp(-0.5 * found.table["delta"])
    np.testing.assert_allclose(found.table["weight"], relative / relative.sum())
    assert found.importance["Days"] == pytest.approx(
        found.table.loc[found.table["Days"], "weight"].sum()
    )
    assert "aicc" in repr(found)
    assert len(found.within(2.0)) >= 1
    kept = ranef.dredge(full, ["z", "x"], fixed=["x"], progress=False)
    assert len(kept.table) == 2


def test_a_dredge_counts_before_it_fits(sleep):
    wide = sleep.assign(**{f"v{i}": np.random.default_rng(i).normal(size=180) for i in range(20)})
    text = " + ".join(f"v{i}" for i in range(20))
    model = ranef.lmer(f"Reaction ~ {text} + (1 | Subject)", wide)
    with pytest.raises(ranef.ModelError, match="20 terms make 1,048,576 models"):
        ranef.dredge(model)
    with pytest.raises(ValueError, match="no term 'v91'"):
        ranef.dredge(model, ["v91"])
    with pytest.raises(ValueError, match="by must be"):
        ranef.dredge(model, by="r2")


@pytest.mark.filterwarnings("ignore::ranef.DroppedRowsWarning")
def test_a_dredge_is_for_other_models_too(sleep):
    weighted = sleep.assign(w=1.0 + np.arange(180) % 3)
    weighted.loc[5, "x"] = np.nan
    for model in (
        ranef.lmer("Reaction ~ Days + x + (1 | Subject)", weighted, weights=weighted["w"]),
        ranef.gls("Reaction ~ Days + x", weighted, groups="Subject", time="Days", corr="ar1"),
        ranef.feols("Reaction ~ Days + x", weighted),
    ):
        found = ranef.dredge(model, progress=False)
        assert [fit.nobs for fit in found.models] == [179] * 4
        assert found.best.params.index.isin(model.params.index).all()


def test_a_ladder_says_what_changes_and_where_it_breaks(sleep):
    steps = [
        "Reaction ~ Days + x + (Days | Subject)",
        "Reaction ~ 1 + (1 | Subject)",
        "Reaction ~ Days + (1 | Subject)",
    ]
    sleep = sleep.copy()
    sleep.loc[3, "x"] = np.nan
    found = ranef.ladder(steps, sleep)
    assert list(found.table["npar"]) == [3, 4, 7]
    assert list(found.table["changes"])[1] == "+ Days"
    assert "(Days | Subject)" in found.table["changes"].iloc[2]
    assert np.isnan(found.table["pvalue"].iloc[2])  # both parts change
    assert "1 row with" in found.notes[1]
    small = ranef.lmer(steps[1], sleep.drop(index=3), reml=False)
    assert found.table["llf"].iloc[0] == pytest.approx(small.llf, abs=1e-6)
    with pytest.raises(ranef.ModelError, match="stops at 'Reaction ~ Dayz"):
        ranef.ladder([*steps, "Reaction ~ Dayz + (1 | Subject)"], sleep)
    with pytest.raises(ranef.ModelError, match="two or more"):
        ranef.ladder(steps[:1], sleep)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_elimination_goes_by_single_tests(full, sleep):
    found = ranef.step(full)
    fixed = found.table[found.table["part"] == "fixed"]
    gone = fixed[fixed["eliminated"] > 0]
    assert set(gone["term"]) == {"Days:x", "x", "z"}
    first = full.anova(type=3).loc[gone["term"].iloc[0]]
    assert gone["pvalue"].iloc[0] == pytest.approx(first["pvalue"], rel=1e-6)
    assert gone["statistic"].iloc[0] == pytest.approx(first["F"], rel=1e-6)
    random = found.table[found.table["part"] == "random"]
    tested = full.ranova()
    assert random["statistic"].iloc[0] == pytest.approx(tested["chisq"].iloc[1], abs=1e-5)
    assert found.model.parts.formula == "Reaction ~ Days + (Days | Subject)"
    kept = ranef.step(full, keep=["z"])
    assert "z" in kept.model.params
    noise = np.random.default_rng(3).normal(size=180)
    flat = ranef.lmer("noise ~ Days + (1 | Subject)", sleep.assign(noise=noise), strict=False)
    assert isinstance(ranef.step(flat).model, ranef.FixedEffectsModel)
    with pytest.raises(ValueError, match="is not a term of the model"):
        ranef.step(full, keep=["zz"])


def test_stability_counts_choices(sleep):
    slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    noisy = ranef.lmer("Reaction ~ Days + x + (Days | Subject)", sleep)
    found = ranef.selection_stability([slope, noisy], 20, seed=1, progress=False).table
    assert found["chosen"].sum() == pytest.approx(1.0)
    again = ranef.selection_stability([slope, noisy], 20, seed=1, progress=False).table
    pd.testing.assert_frame_equal(found, again)
    assert found["aicc"].iloc[0] == pytest.approx(slope.update(reml=False).aicc, abs=1e-6)
    with pytest.raises(ranef.UnsupportedError, match="linear models"):
        ranef.selection_stability([ranef.feols("Reaction ~ Days", sleep)] * 2)


def test_averages_have_other_weights_intervals_and_shrinkage(sleep):
    models = [
        ranef.lmer("Reaction ~ Days + x + (Days | Subject)", sleep, reml=False),
        ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False),
    ]
    found = ranef.average(models, "aicc")
    values = np.array([m.aicc for m in models])
    relative = np.exp(-0.5 * (values - values.min()))
    np.testing.assert_allclose(found.weights, relative / relative.sum(), rtol=1e-6)
    assert found.shrinkage["x"] == pytest.approx(found.table.loc["x", "weight"])
    assert found.shrinkage["Days"] == pytest.approx(1.0)
    wide = found.conf_int(0.9)
    half = 1.6448536 * found.table.loc["x", "full_se"]
    assert wide.loc["x", "upper"] == pytest.approx(found.table.loc["x", "full"] + half)
    assert (found.conf_int(kind="conditional") != wide).any().any()


def test_one_variance_beside_others_is_tested_by_three_models(sleep):
    slope = ranef.lmer("Reaction ~ Days + (0 + Days | Subject)", sleep)
    level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    both = ranef.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    found = ranef.rlrt(slope, level, both, n=2000, seed=1, progress=False)
    assert found.statistic == pytest.approx(2.0 * (both.llf - level.llf), abs=1e-6)
    assert found.pvalue < 0.01
    with pytest.raises(ranef.ModelError, match="three models"):
        ranef.rlrt(slope, level)
    with pytest.raises(ranef.ModelError, match="nothing else"):
        ranef.rlrt(level, level, both)


def test_elimination_takes_the_path_of_lmertest():
    """lmerTest 3.1-3 on R 4.2: step(lmer(angle ~ recipe * temp + I(temp^2) + ...))."""
    cake = ranef.datasets.load("cake")
    cake["unit"] = cake["recipe"].astype(str) + cake["replicate"].astype(str)
    model = ranef.lmer("angle ~ recipe * temp + I(temp ** 2) + (1 | unit) + (1 | replicate)", cake)
    table = ranef.step(model).table.set_index("term")
    expected = {
        "(1 | replicate)": (0, 37.89969746, 1.0, np.nan, 7.4476789e-10),
        "(1 | unit)": (0, 7.61121707, 1.0, np.nan, 5.8006319e-3),
        "recipe:temp": (1, 0.041564645, 2.0, 221.000185, 0.95929482),
        "I(temp ** 2)": (2, 0.322003045, 1.0, 222.999264, 0.57097718),
        "recipe": (3, 1.578048738, 2.0, 27.999917, 0.22418667),
        "temp": (0, 94.975905011, 1.0, 224.000023, 6.1926742e-19),
    }
    assert set(table.index) == set(expected)
    columns = ["eliminated", "statistic", "num_df", "den_df", "pvalue"]
    for term, row in expected.items():
        np.testing.assert_allclose(table.loc[term, columns].to_numpy(float), row, rtol=1e-4)


def test_elimination_by_the_conditional_aic(sleep):
    rng = np.random.default_rng(3)
    sleep = sleep.assign(h=rng.integers(0, 6, len(sleep)).astype(str))
    model = ranef.lmer("Reaction ~ Days + (Days | Subject) + (1 | h)", sleep)
    found = ranef.step(model, by="caic", fixed=False)
    assert "h" not in found.model.call.formula
    row = found.table.set_index("term")["statistic"]
    smaller = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    assert row["(Days | Subject)"] == pytest.approx(smaller.caic().caic, rel=1e-9)
    assert smaller.caic().caic > found.model.caic().caic
    none = ranef.step(ranef.lmer("x ~ z + (1 | h)", sleep, strict=False), by="caic", fixed=False)
    y, X = sleep["x"].to_numpy(), np.column_stack([np.ones(180), sleep["z"]])
    resid = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    s2 = resid @ resid / 178
    aic = resid @ resid / s2 + 180 * np.log(2.0 * np.pi * s2) + 2.0 * 3
    assert none.table["statistic"].iloc[0] == pytest.approx(aic, rel=1e-9)
    with pytest.raises(ValueError, match="by must be"):
        ranef.step(model, by="aic")


def test_a_dredge_prints_its_numbers_and_absorbed_factors_need_a_term():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 10)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=120), "z": rng.normal(size=120)})
    data["y"] = data["x"] + rng.normal(size=12)[g] + rng.normal(size=120)
    found = ranef.dredge(ranef.feols("y ~ x + z", data, absorb="g"), progress=False)
    for model, name in zip(found.models, found.table.index, strict=True):
        X = np.column_stack([np.eye(12)[g], data[[w for w in "xz" if w in name.split("~")[1]]]])
        left = data["y"] - X @ np.linalg.lstsq(X, data["y"], rcond=None)[0]
        expected = -60.0 * (np.log(2.0 * np.pi * (left @ left) / 120.0) + 1.0)
        assert model.llf == pytest.approx(expected, abs=1e-8)
    assert len(found.table) == 3
    assert "NaN" not in repr(found)
    assert f"{found.table['aicc'].iloc[0]:.3f}" in repr(found)
    assert "absorbed factors leave nothing" in repr(found)
