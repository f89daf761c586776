"""A model in other units is the model that a fit in those units finds."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.units import read_recoding, renamed


@pytest.fixture(scope="module")
def gpa():
    return ranef.datasets.load("gpa_sim")


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


def same(ours, fitted, rtol=1e-6):
    errors = fitted.bse
    np.testing.assert_allclose(ours.params / errors, fitted.params / errors, atol=rtol)
    np.testing.assert_allclose(ours.cov_params(), fitted.cov_params(), rtol=1e-4)
    for group in fitted.varcorr:
        np.testing.assert_allclose(ours.varcorr[group], fitted.varcorr[group], rtol=1e-4)
    assert list(ours.params.index) == list(fitted.params.index)
    assert ours.llf == pytest.approx(fitted.llf, abs=1e-6)


@pytest.mark.parametrize("reml", [True, False])
def test_calendar_years(sleep, reml):
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=reml)
    ours = model.in_units(Year="2008 + Days")
    assert ours.call.formula == "Reaction ~ Year + (Year | Subject)"
    same(ours, ranef.lmer(ours.call.formula, sleep.assign(Year=2008 + sleep["Days"]), reml=reml))
    if not reml:
        assert ours.llf == pytest.approx(model.llf, abs=1e-9)


def test_the_restricted_likelihood_of_years_is_the_known_one(sleep):
    """Year = 2008 + Days: REML llf -871.81414, slope's standard error 1.5458."""
    ours = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep).in_units(Year="2008 + Days")
    assert ours.llf == pytest.approx(-871.81414, abs=1e-5)
    assert ours.bse["Year"] == pytest.approx(1.5458, abs=5e-5)


def test_there_and_back_is_where_it_was(sleep):
    model = ranef.lmer("Reaction ~ Days + I(Days**2) + (Days | Subject)", sleep)
    back = model.in_units(t="(Days - 4.5) / 3").in_units(Days="4.5 + 3*t")
    np.testing.assert_allclose(back.params, model.params, rtol=1e-9)
    np.testing.assert_allclose(back.cov_params(), model.cov_params(), rtol=1e-8)
    np.testing.assert_allclose(back.varcorr["Subject"], model.varcorr["Subject"], rtol=1e-8)


def test_by_hand(sleep):
    """y = a + b x = (a - b m / s) + (b / s) t for t = m + s x."""
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    ours = model.in_units(t="3 + 2 * Days")
    T = np.array([[1.0, -1.5], [0.0, 0.5]])
    np.testing.assert_allclose(ours.params, T @ model.params, rtol=1e-12)
    np.testing.assert_allclose(ours.cov_params(), T @ model.cov_params() @ T.T, rtol=1e-10)
    np.testing.assert_allclose(
        ours.varcorr["Subject"], T @ model.varcorr["Subject"] @ T.T, rtol=1e-10
    )


def test_interactions_polynomials_and_predictions(gpa):
    frame = gpa.rename(columns={"occasion": "occas"}).drop(columns="year")
    model = ranef.lmer("gpa ~ occas * sex + I(occas**2) + (occas | student)", frame, reml=False)
    ours = model.in_units(year="2008 + occas / 2")
    np.testing.assert_allclose(ours.fittedvalues, model.fittedvalues, rtol=1e-9)
    new = frame.head(20).assign(occas=np.linspace(1, 7, 20))
    there = new.assign(year=2008 + new["occas"] / 2).drop(columns="occas")
    expected = model.predict(new, interval="prediction")
    np.testing.assert_allclose(ours.predict(there, interval="prediction"), expected, rtol=1e-8)
    assert ours.llf == pytest.approx(model.llf, abs=1e-7)


def test_the_column_may_keep_its_name(sleep):
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    ours = model.in_units(Days="Days * 24")
    assert ours.params["Days"] == pytest.approx(model.params["Days"] / 24)


def test_the_verdict_stays(sleep):
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    assert model.in_units(Year="2008 + Days").convergence.converged


def test_double_bars_change_their_meaning_when_the_origin_moves(sleep):
    model = ranef.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    with pytest.raises(ranef.ModelError, match="no correlations"):
        model.in_units(Year="2008 + Days")
    scaled = model.in_units(hours="24 * Days")
    same(scaled, ranef.lmer(scaled.call.formula, sleep.assign(hours=24 * sleep["Days"])))


def test_slopes_without_intercept_change_their_meaning(sleep):
    model = ranef.lmer("Reaction ~ Days + (0 + Days | Subject)", sleep)
    with pytest.raises(ranef.ModelError, match="another space"):
        model.in_units(Year="2008 + Days")


def test_what_is_not_affine_is_not_the_same_model(sleep):
    model = ranef.lmer("Reaction ~ np.log(Days + 1) + (1 | Subject)", sleep)
    with pytest.raises(ranef.ModelError, match="another space"):
        model.in_units(t="Days + 5")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Days ** 2", "numbers, one column"),
        ("Days * Days", "not a constant plus"),
        ("1 / Days", "not a constant plus"),
        ("2008", "it names none"),
        ("a + b", "names \\['a', 'b'\\]"),
        ("__import__('os')", "numbers, one column"),
        ("Days +", "not an arithmetic"),
        ("0 * Days", "not a constant plus"),
    ],
)
def test_what_is_no_recoding(text, why):
    with pytest.raises(ValueError, match=why):
        read_recoding("t", text)


def test_a_label_has_no_units(sleep):
    frame = sleep.assign(kind=np.where(sleep["Days"] > 4, "late", "early"))
    model = ranef.lmer("Reaction ~ kind + (1 | Subject)", frame)
    with pytest.raises(ranef.DataError, match="not numeric"):
        model.in_units(t="1 + kind")


def test_names_are_replaced_whole():
    text = "y ~ x + x2 + f(x) + I(x**2) + `x` + a.x + (x | xg)"
    assert renamed(text, "x", "t") == "y ~ t + x2 + f(t) + I(t**2) + `t` + a.x + (t | xg)"


def test_missing_rows_stay_missing(sleep):
    frame = sleep.assign(Days=sleep["Days"].astype(float))
    frame.loc[[3, 50], "Days"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.lmer("Reaction ~ Days + (Days | Subject)", frame)
    ours = model.in_units(hours="24 * Days")
    assert ours.nobs == 178
    pd.testing.assert_index_equal(ours.fittedvalues.index, model.fittedvalues.index)


def test_the_offset_must_stay(sleep):
    frame = sleep.assign(z=np.linspace(0, 1, 180) ** 2)
    model = ranef.lmer("Reaction ~ z + offset(2 * Days) + (1 | Subject)", frame)
    with pytest.raises(ranef.ModelError, match="the offset would change"):
        model.in_units(week="Days / 7")


def test_an_offset_that_the_fixed_part_takes_up_may_change(sleep):
    model = ranef.lmer("Reaction ~ Days + offset(Days) + (Days | Subject)", sleep)
    ours = model.in_units(Year="2008 + Days / 2")
    same(ours, ranef.lmer(ours.call.formula, sleep.assign(Year=2008 + sleep["Days"] / 2)))
    assert ours.params["Year"] == pytest.approx(2 * model.params["Days"] + 2 - 1)


def test_weights_must_stay(sleep):
    frame = sleep.assign(Days=1.0 + sleep["Days"])
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", frame, weights="Days")
    with pytest.raises(ranef.ModelError, match="the weights would change"):
        model.in_units(Days="24 * Days + 1")


def test_the_new_column_is_rounded_like_the_callers(sleep):
    frame = sleep.assign(t=sleep["Days"] / 7 - 1)
    model = ranef.lmer("Reaction ~ 1 + (1 | Days)", sleep)
    ours = model.in_units(t="Days / 7 - 1")
    np.testing.assert_allclose(ours.predict(frame), model.predict(sleep), rtol=1e-12)


def test_a_column_that_is_not_in_the_formula(sleep):
    model = ranef.lmer("Reaction ~ 1 + (1 | Subject)", sleep)
    with pytest.raises(ValueError, match="'Days' is not in the formula"):
        model.in_units(Year="2008 + Days")
