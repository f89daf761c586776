"""Bad input to lmer: each is a clear error of ranef's own, or it works; no row is lost unsaid."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture
def frame():
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.normal(size=60) + np.repeat(3 * rng.normal(size=12), 5),
            "x": rng.normal(size=60),
            "g": np.repeat([f"g{i}" for i in range(12)], 5),
            "one": "same",
            "row": [f"r{i}" for i in range(60)],
        }
    )


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("y ~ x", ranef.ModelError, "no random-effects term"),
        ("y ~ x + (1 | row)", ranef.ModelError, "60 levels"),
        ("y ~ x + (x + C(g) | g)", ranef.ModelError, "random effects for 60 rows"),
        ("y ~ x + (1 | one)", ranef.DataError, "one"),
        ("y ~ z + (1 | g)", ranef.DataError, "z"),
        ("y ~ x + (1 | gg)", ranef.DataError, "did you mean"),
        ("y ~ 0 + (1 | g)", ranef.ModelError, "intercept"),
        ("y ~ x + (1 | g", ranef.FormulaError, "^"),
        ("y ~ x * (1 | g)", ranef.FormulaError, "^"),
        ("g ~ x + (1 | g)", ranef.DataError, "g"),
    ],
)
def test_models_that_cannot_be(frame, formula, error, says):
    with pytest.raises(error) as caught:
        ranef.lmer(formula, frame)
    assert says.lower() in str(caught.value).lower()


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("column", ["y", "x"])
def test_infinity_is_named(frame, column, value):
    frame.loc[3, column] = value
    with pytest.raises(ranef.DataError, match=column):
        ranef.lmer("y ~ x + (1 | g)", frame)


@pytest.mark.parametrize("column", ["y", "x", "g"])
def test_missing_rows_are_counted(frame, column):
    frame.loc[[3, 7], column] = None
    with pytest.warns(ranef.DroppedRowsWarning, match="2 of 60"):
        model = ranef.lmer("y ~ x + (1 | g)", frame)
    assert model.nobs == 58
    assert "2 of 60" in str(model.summary())
    with pytest.raises(ranef.DataError, match=column):
        ranef.lmer("y ~ x + (1 | g)", frame, missing="raise")


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_must_be_positive(frame, weight):
    weights = np.ones(60)
    weights[5] = weight
    with pytest.raises(ranef.DataError, match="weight"):
        ranef.lmer("y ~ x + (1 | g)", frame, weights=weights)


def test_constant_response_is_refused(frame):
    with pytest.raises(ranef.ModelError, match="response"):
        ranef.lmer("y ~ 1 + (1 | g)", frame.assign(y=4.0))


def test_response_that_x_explains_is_refused(frame):
    with pytest.raises(ranef.ModelError, match="reproduce"):
        ranef.lmer("y ~ x + (1 | g)", frame.assign(y=2 + 3 * frame["x"]))


def test_response_constant_within_groups_is_refused_or_said(frame):
    frame["y"] = frame["g"].map({g: float(i % 7) for i, g in enumerate(frame["g"].unique())})
    with pytest.raises((ranef.ModelError, ranef.ConvergenceWarning)):
        ranef.lmer("y ~ 1 + (1 | g)", frame)


def test_empty_frames(frame):
    for empty in (frame.iloc[:0], frame.assign(x=np.nan)):
        with pytest.raises(ranef.DataError):
            ranef.lmer("y ~ x + (1 | g)", empty)


def test_any_unicode(frame):
    odd = frame.rename(columns={"x": "größe 🙂", "g": "ملف"})
    odd["ملف"] = odd["ملف"].map(lambda s: f"\u202e{s}\n'\"`\\")
    model = ranef.lmer("y ~ `größe 🙂` + (1 | `ملف`)", odd)
    assert model.llf == pytest.approx(ranef.lmer("y ~ x + (1 | g)", frame).llf)
    assert str(model.summary())


def test_a_million_levels():
    n = 1_000_000
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(n), 2)
    y = rng.normal(size=n)[g] + rng.normal(size=2 * n)
    model = ranef.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}))
    assert model.ngroups == {"g": n}
    assert model.theta.iloc[0] == pytest.approx(1.0, abs=0.01)


def test_aliased_columns_are_named(frame):
    frame = frame.assign(x2=2 * frame["x"] + 1)
    with pytest.warns(ranef.RankWarning, match="x2 is a combination of Intercept, x"):
        model = ranef.lmer("y ~ x + x2 + (1 | g)", frame)
    assert np.isnan(model.params["x2"])
    assert np.isnan(model.bse["x2"])
    assert model.llf == pytest.approx(ranef.lmer("y ~ x + (1 | g)", frame).llf)


def test_polynomials_of_a_calendar_year():
    """Powers of 2000 .. 2020 are collinear to six digits; the fit equals that of centred powers."""
    rng = np.random.default_rng(8)
    year = np.tile(np.arange(2000.0, 2021.0), 20)
    t = (year - 2010) / 10
    g = np.repeat(np.arange(20), 21)
    y = 1 + t + t**2 - t**3 + rng.normal(size=20)[g] + rng.normal(size=20)[g] * t
    y += 0.3 * rng.normal(size=420)
    frame = pd.DataFrame({"y": y, "year": year, "t": t, "g": g})
    raw = ranef.lmer("y ~ year + I(year**2) + I(year**3) + (1 + year | g)", frame, reml=False)
    easy = ranef.lmer("y ~ t + I(t**2) + I(t**3) + (1 + t | g)", frame, reml=False)
    assert raw.llf == pytest.approx(easy.llf, abs=1e-5)
    assert raw.tvalues.iloc[-1] == pytest.approx(easy.tvalues.iloc[-1], rel=1e-4)


def test_good_fits_give_no_warning(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ranef.lmer("y ~ x + (1 | g)", frame)
    assert model.convergence
    assert model.warnings == ()


@pytest.mark.parametrize("power", [-140, 140])
def test_units_at_the_edge_of_what_numbers_hold(frame, power):
    usual = ranef.lmer("y ~ x + (x | g)", frame, reml=False)
    odd = ranef.lmer("y ~ x + (x | g)", frame.assign(x=frame["x"] * 10.0**power), reml=False)
    assert odd.llf == pytest.approx(usual.llf, rel=1e-9)
    assert odd.tvalues["x"] == pytest.approx(usual.tvalues["x"], rel=1e-5)


def test_reml_is_yes_or_no(frame):
    with pytest.raises(ValueError, match="True or False, not 'ML'"):
        ranef.lmer("y ~ x + (1 | g)", frame, reml="ML")


def test_a_response_to_refit_has_a_value_for_each_row(frame):
    model = ranef.lmer("y ~ x + (1 | g)", frame)
    with pytest.raises(ranef.DataError, match="3 values for 60 rows"):
        model.refit([1.0, 2.0, 3.0])
    with pytest.raises(ranef.DataError, match="missing or infinite"):
        model.refit(frame["y"].where(frame.index > 0))
