"""Effects within and between groups of counts and of yes and no, and approaches side by side."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef


def panel(seed=4, groups=60, times=6):
    """Groups whose level goes with their mean of x: 0.5 within, and 0.5 + 0.7 between."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), times)
    level = rng.normal(size=groups)
    x = rng.normal(size=g.size) + level[g]
    c = rng.normal(size=groups)[g]
    mean = pd.Series(x).groupby(g).transform("mean").to_numpy()
    eta = -0.2 + 0.5 * x + 0.7 * mean + 0.5 * rng.normal(size=groups)[g]
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "c": c,
            "n": rng.poisson(np.exp(eta)),
            "k": rng.negative_binomial(3.0, 3.0 / (3.0 + np.exp(eta))),
            "t": rng.gamma(2.0, np.exp(eta) / 2.0) + 1e-3,
            "b": rng.binomial(1, scipy.special.expit(eta)),
            "m": rng.integers(2, 6, g.size),
        }
    )


FRAME = panel()
RESPONSES = {"poisson": "n", "binomial": "b", "negative_binomial": "k"}
quiet = pytest.mark.filterwarnings("ignore::ranef.errors.RanefWarning")


@quiet
@pytest.mark.parametrize("family", RESPONSES)
@pytest.mark.parametrize("form", ["hybrid", "mundlak"])
def test_the_split_model_is_glmer_with_means_as_columns(family, form):
    y = RESPONSES[family]
    model = ranef.within_between(f"{y} ~ x + c", FRAME, "g", family=family, form=form)
    mean = FRAME.groupby("g")["x"].transform("mean")
    within = FRAME["x"] - mean if form == "hybrid" else FRAME["x"]
    own = FRAME.assign(mean=mean, within=within)
    by_hand = ranef.glmer(f"{y} ~ within + c + mean + (1 | g)", own, family=family)
    np.testing.assert_allclose(model.params, by_hand.params, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.bse, by_hand.bse, rtol=1e-4)
    assert model.llf == pytest.approx(by_hand.llf, abs=1e-7)
    np.testing.assert_allclose(model.fittedvalues, by_hand.fittedvalues, rtol=1e-4)
    np.testing.assert_allclose(
        model.residuals("deviance"), by_hand.residuals("deviance"), atol=1e-4
    )
    assert isinstance(model.model, ranef.GeneralizedLinearMixedModel)
    cr2 = by_hand.robust("CR2", "g").bse
    np.testing.assert_allclose(model.robust("CR2").bse, cr2, rtol=1e-4)


def test_two_forms_are_one_model_and_the_difference_is_tested():
    hybrid, mundlak = (
        ranef.within_between("n ~ x", FRAME, "g", family="poisson", form=form)
        for form in ("hybrid", "mundlak")
    )
    assert hybrid.llf == pytest.approx(mundlak.llf, abs=1e-8)
    pd.testing.assert_frame_equal(hybrid.contextual(), mundlak.contextual(), rtol=1e-5)
    gap = hybrid.params["x between"] - hybrid.params["x within"]
    assert mundlak.params["x mean"] == pytest.approx(gap, rel=1e-6)
    test = hybrid.hausman().iloc[0]
    z = hybrid.contextual().iloc[0]
    assert test["F"] == pytest.approx((z["estimate"] / z["se"]) ** 2, rel=1e-9)
    assert np.isinf(test["den_df"])
    assert test["pvalue"] < 1e-3
    assert hybrid.hausman("CR2").iloc[0]["pvalue"] < 0.01
    assert list(hybrid.coef_table().columns) == ["estimate", "se", "df", "z", "pvalue"]
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(hybrid)).params, hybrid.params)
    quadrature = hybrid.update(nagq=9)
    assert quadrature.call.nagq == 9
    assert quadrature.llf != hybrid.llf
    assert "x between" in str(hybrid.summary())


@quiet
def test_trials_weigh_the_group_means():
    """Shares of trials are what single trials are, a row each."""
    rng = np.random.default_rng(1)
    k = rng.binomial(FRAME["m"], 0.4)
    shares = FRAME.assign(k=k, f=FRAME["m"] - k)
    single = shares.loc[shares.index.repeat(shares["m"])].copy()
    single["b"] = (single.groupby(level=0).cumcount() < single["k"]).astype(int)
    one = ranef.within_between("cbind(k, f) ~ x", shares, "g", family="binomial")
    many = ranef.within_between("b ~ x", single, "g", family="binomial")
    np.testing.assert_allclose(one.params, many.params, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(one.bse, many.bse, rtol=1e-4)


@quiet
def test_the_effect_within_is_found_where_a_mixed_model_mixes():
    """Means over 40 data sets: within 0.5, between 1.2, a plain mixed model in the middle."""
    found = []
    for seed in range(40):
        frame = panel(seed=100 + seed, groups=50)
        split = ranef.within_between("n ~ x", frame, "g", family="poisson").params
        plain = ranef.glmer("n ~ x + (1 | g)", frame, family="poisson").params["x"]
        fixed = ranef.feglm("n ~ x", frame, family="poisson", absorb="g").params["x"]
        found.append([split["x within"], split["x between"], plain, fixed])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(40)
    assert abs(mean[0] - 0.5) < 4.0 * error[0] + 0.01
    assert abs(mean[1] - 1.2) < 4.0 * error[1] + 0.03
    assert mean[2] - 0.5 > 6.0 * error[2]
    assert abs(mean[3] - 0.5) < 4.0 * error[3] + 0.01


def test_options_of_a_split_model_are_checked():
    with pytest.raises(ranef.UnsupportedError, match="gaussian"):
        ranef.within_between("n ~ x", FRAME, "g", link="log")
    with pytest.raises(ValueError, match="family is one of"):
        ranef.within_between("n ~ x", FRAME, "g", family="poison")
    with pytest.raises(ranef.DataError, match="poisson response"):
        ranef.within_between("x ~ c", FRAME, "g", family="poisson")
    linear = ranef.within_between("x ~ c", FRAME, "g")
    assert "REML" in str(linear.summary())
    by_ml = ranef.within_between("x ~ c", FRAME, "g", reml=False)
    assert by_ml.llf != linear.llf


ALL = ["GLM", "GLM, cluster-robust", "fixed effects", "between-within", "GEE", "mixed model"]


@quiet
@pytest.mark.parametrize(
    ("formula", "family"),
    [("n ~ x", "poisson"), ("b ~ x + c", "binomial"), ("n ~ x + (x | g)", "poisson")],
)
def test_approaches_are_the_single_fits(formula, family):
    side = ranef.approaches(formula, FRAME, "g", family=family)
    plain = formula.partition(" + (")[0]
    table = side.table
    assert list(table.index.get_level_values(0).unique()) == ALL
    assert list(table.columns) == ["estimate", "se", "df", "t", "pvalue"]
    pooled = ranef.feglm(plain, FRAME, family=family)
    fixed = ranef.feglm(plain, FRAME, family=family, absorb="g").robust("CR2", cluster="g")
    marginal = ranef.gee(plain, FRAME, groups="g", family=family).robust("CR2")
    bars = formula if "(" in formula else f"{formula} + (1 | g)"
    mixed = ranef.glmer(bars, FRAME, family=family)
    split = ranef.within_between(bars, FRAME, "g", family=family)
    for name, model in {
        "GLM": pooled,
        "GLM, cluster-robust": pooled.robust("CR2", cluster="g"),
        "fixed effects": fixed,
        "GEE": marginal,
        "mixed model": mixed,
        "between-within": split,
    }.items():
        rows = table.loc[name]
        np.testing.assert_allclose(rows["estimate"], model.params, rtol=1e-8)
        np.testing.assert_allclose(rows["se"], model.bse, rtol=1e-8)
        np.testing.assert_allclose(rows["pvalue"], model.pvalues, rtol=1e-8)
    assert side.identities["holds"].all()
    assert len(side.identities) == (2 if family == "poisson" else 1)
    assert not side.skipped
    assert "fixed effects" in str(side)


@quiet
def test_an_approach_that_has_not_the_family_is_left_out_and_named():
    gamma = ranef.approaches("t ~ x", FRAME, "g", family="gamma")
    assert list(gamma.skipped) == ["fixed effects"]
    assert "GEE" in gamma.models
    counts = ranef.approaches("k ~ x", FRAME, "g", family="negative_binomial")
    assert set(counts.skipped) == {"GLM", "fixed effects", "GEE"}
    assert set(counts.models) == {"between-within", "mixed model"}
    between = ranef.approaches("n ~ c", FRAME, "g", family="poisson")
    assert "constant within g" in between.skipped["fixed effects"]
    with pytest.raises(ValueError, match="family is one of"):
        ranef.approaches("n ~ x", FRAME, "g", family="poison")
    with pytest.raises(ranef.DataError):
        ranef.approaches("x ~ c", FRAME, "g", family="poisson")


@quiet
def test_coefficients_are_drawn():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    side = ranef.approaches("b ~ x", FRAME, "g", family="binomial")
    assert side.plot().get_title(loc="left").startswith("Approaches")
    assert "<table" in side._repr_html_()
    pyplot.close("all")


@quiet
def test_rows_without_a_group_are_in_no_approach():
    holes = FRAME.assign(g=FRAME["g"].where(FRAME.index % 50 > 0))
    found = ranef.approaches("n ~ x", holes, "g", family="poisson")
    whole = ranef.approaches("n ~ x", holes.dropna(), "g", family="poisson")
    assert found.table.index.equals(whole.table.index)
    columns = ["estimate", "se", "df"]
    np.testing.assert_allclose(found.table[columns], whole.table[columns], rtol=1e-6)
    assert found.identities["holds"].all()


@quiet
def test_approaches_of_trials_leave_out_those_that_have_no_trials():
    trials = FRAME.assign(k=np.minimum(FRAME["n"], FRAME["m"]))
    found = ranef.approaches("cbind(k, m - k) ~ x", trials, "g", family="binomial")
    assert set(found.skipped) == {"GEE", "fixed effects"}
    by_hand = ranef.glmer("cbind(k, m - k) ~ x + (1 | g)", trials, family="binomial")
    mixed = found.table.loc["mixed model", "estimate"]
    np.testing.assert_allclose(mixed, by_hand.params, rtol=1e-6)
