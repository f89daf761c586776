"""Latent growth curves: the mixed model that they are, and what they have beside."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from conftest import OPTIMUM


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def gpa():
    d = ranef.datasets.load("gpa_sim")
    return d.assign(female=(d["sex"] == "female").astype(float))


ROLES = {"time": "occasion", "groups": "student"}


def test_equal_residuals_are_the_mixed_model(gpa):
    model = ranef.growth("gpa", gpa, covariates="female", **ROLES)
    lmer = ranef.lmer("gpa ~ occasion * female + (occasion | student)", gpa, reml=False)
    assert model.llf == pytest.approx(lmer.llf, abs=1e-8)
    assert model.npar == lmer.npar
    named = {
        "intercept": "Intercept",
        "slope": "occasion",
        "intercept ~ female": "female",
        "slope ~ female": "occasion:female",
    }
    for ours, theirs in named.items():
        assert model.params[ours] == pytest.approx(lmer.params[theirs], rel=OPTIMUM)
        assert model.bse[ours] == pytest.approx(lmer.bse[theirs], rel=OPTIMUM)
    np.testing.assert_allclose(model.factor_cov, lmer.varcorr["student"], rtol=1e-4, atol=1e-8)
    assert model.params["Var(residual)"] == pytest.approx(lmer.sigma**2, rel=OPTIMUM)


def test_scores_are_the_coefficients_of_each_group(gpa):
    model = ranef.growth("gpa", gpa, **ROLES)
    lmer = ranef.lmer("gpa ~ occasion + (occasion | student)", gpa, reml=False)
    np.testing.assert_allclose(model.scores(), lmer.coef()["student"], rtol=1e-3)


def test_free_residuals_are_gls_by_maximum_likelihood(gpa):
    model = ranef.growth("gpa", gpa, residuals="free", **ROLES)
    gls = ranef.gls(
        "gpa ~ occasion + (occasion | student)",
        gpa,
        groups="student",
        variance="occasion",
        reml=False,
    )
    assert model.llf == pytest.approx(gls.llf, abs=1e-9)
    np.testing.assert_allclose(model.residual_variances, gls.variances["variance"], rtol=1e-6)
    assert list(model.residual_variances.index) == [0, 1, 2, 3, 4, 5]


def test_the_saturated_model_of_whole_data_is_the_sample_moments(gpa):
    model = ranef.growth("gpa", gpa, **ROLES)
    wide = gpa.pivot(index="student", columns="occasion", values="gpa").to_numpy()
    cov = np.cov(wide.T, bias=True)
    normal = scipy.stats.multivariate_normal(wide.mean(axis=0), cov)
    assert model.fit.unrestricted_llf == pytest.approx(normal.logpdf(wide).sum(), abs=1e-7)
    implied = model.implied()
    of_model = scipy.stats.multivariate_normal(implied.mean, implied.cov)
    assert model.llf == pytest.approx(of_model.logpdf(wide).sum(), abs=1e-7)
    alone = scipy.stats.norm(wide.mean(axis=0), wide.std(axis=0)).logpdf(wide).sum()
    chisq = 2.0 * (model.fit.unrestricted_llf - alone)
    assert model.fit.baseline_chisq == pytest.approx(chisq, abs=1e-6)


def test_the_mean_of_a_growth_model_with_covariates(gpa):
    model = ranef.growth("gpa", gpa, covariates=["female", "highgpa"], **ROLES)
    implied = model.implied()
    per_student = gpa.groupby("student", observed=True)[["female", "highgpa"]].first()
    np.testing.assert_allclose(implied.mean[6:], per_student.mean())
    np.testing.assert_allclose(implied.cov[6:, 6:], np.cov(per_student.T, bias=True))
    np.testing.assert_allclose(implied.mean[:6].mean(), gpa["gpa"].mean(), rtol=1e-6)


def test_missed_occasions_may_be_absent_or_missing(gpa):
    gone = (gpa["occasion"] > 3) & (gpa["student"].astype(int) % 5 == 0)
    absent = ranef.growth("gpa", gpa[~gone], **ROLES)
    blank = gpa.assign(gpa=gpa["gpa"].where(~gone))
    with pytest.warns(ranef.DroppedRowsWarning):
        missing = ranef.growth("gpa", blank, **ROLES)
    assert missing.llf == pytest.approx(absent.llf, abs=1e-10)
    assert absent.information == "observed"
    assert absent.n_groups == 200
    expected = ranef.growth("gpa", gpa[~gone], information="expected", **ROLES)
    assert expected.bse["slope"] != absent.bse["slope"]


def test_observed_information_is_minus_the_curvature(gpa):
    """Against second differences of the density in the natural parameters."""
    model = ranef.growth("gpa", gpa, information="observed", **ROLES)
    wide = gpa.pivot(index="student", columns="occasion", values="gpa").to_numpy()
    curve = np.column_stack([np.ones(6), np.arange(6.0)])

    def value(p):
        psi = np.array([[p[2], p[3]], [p[3], p[4]]])
        cov = curve @ psi @ curve.T + p[5] * np.eye(6)
        return scipy.stats.multivariate_normal(curve @ p[:2], cov).logpdf(wide).sum()

    at, steps = model.params.to_numpy(), 1e-2 * model.bse.to_numpy()
    H = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = at.copy()
                moved[i] += a * steps[i]
                moved[j] += b * steps[j]
                H[i, j] += a * b * value(moved) / (4.0 * steps[i] * steps[j])
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(-H))), model.bse, rtol=1e-4)


def test_shapes_and_random_parts(sleep):
    roles = {"time": "Days", "groups": "Subject"}
    level = ranef.growth("Reaction", sleep, shape="intercept", **roles)
    assert list(level.params.index) == ["intercept", "Var(intercept)", "Var(residual)"]
    curved = ranef.growth("Reaction", sleep, shape="quadratic", random="linear", **roles)
    assert curved.npar == 7
    lmer = ranef.lmer("Reaction ~ Days + I(Days**2) + (Days | Subject)", sleep, reml=False)
    assert curved.llf == pytest.approx(lmer.llf, abs=1e-8)
    with pytest.raises(ValueError, match="does not"):
        ranef.growth("Reaction", sleep, random="quadratic", **roles)
    with pytest.raises(ValueError, match="residuals must be "):
        ranef.growth("Reaction", sleep, residuals="own", **roles)


def test_a_categorical_covariate(gpa):
    model = ranef.growth("gpa", gpa, covariates="sex", **ROLES)
    number = ranef.growth("gpa", gpa, covariates="female", **ROLES)
    assert model.llf == pytest.approx(number.llf, abs=1e-8)
    assert model.fit.chisq == pytest.approx(number.fit.chisq, abs=1e-6)
    assert model.fit.srmr == pytest.approx(number.fit.srmr, abs=1e-6)


def test_calendar_years_and_units(gpa):
    model = ranef.growth("gpa", gpa, **ROLES)
    years = ranef.growth("gpa", gpa.assign(occasion=2008 + gpa["occasion"]), **ROLES)
    assert years.llf == pytest.approx(model.llf, abs=1e-7)
    assert years.params["slope"] == pytest.approx(model.params["slope"], rel=1e-6)
    assert years.fit.chisq == pytest.approx(model.fit.chisq, abs=1e-6)
    grams = ranef.growth("gpa", gpa.assign(gpa=1e6 * gpa["gpa"]), **ROLES)
    assert grams.fit.srmr == pytest.approx(model.fit.srmr, abs=1e-6)


def test_hostile_data(gpa, sleep):
    again = pd.concat([gpa, gpa.iloc[[7]]])
    with pytest.raises(ranef.DataError, match="group '2' has 'occasion' = 1 more than once"):
        ranef.growth("gpa", again, **ROLES)
    with pytest.raises(ranef.DataError, match="varies within groups"):
        ranef.growth("gpa", gpa.assign(z=gpa["occasion"] ** 2), covariates="z", **ROLES)
    with pytest.raises(ranef.ModelError, match="cannot be told apart"):
        ranef.growth("gpa", gpa[gpa["occasion"] < 2], **ROLES)
    with pytest.raises(ranef.DataError):
        ranef.growth("gpa", gpa, time="occasion", groups="nobody")
    with pytest.raises(ranef.DataError):
        ranef.growth("gpa", gpa.assign(occasion="t" + gpa["occasion"].astype(str)), **ROLES)
    few = sleep[sleep["Subject"].astype(int) < 335]
    model = ranef.growth("Reaction", few, time="Days", groups="Subject")
    with pytest.raises(ranef.ModelError, match="needs more than 10 groups"):
        model.fit  # noqa: B018
    assert "no measures of fit" in str(model)


def test_a_variance_at_zero_is_said(gpa):
    rng = np.random.default_rng(0)
    flat = gpa.assign(gpa=rng.normal(size=len(gpa)))
    with pytest.warns(ranef.SingularFitWarning, match="a variance is zero"):
        model = ranef.growth("gpa", flat, **ROLES)
    assert model.is_singular
    assert np.linalg.eigvalsh(model.factor_cov)[0] > -1e-12


def test_text_and_pickle(gpa):
    model = ranef.growth("gpa", gpa, residuals="free", **ROLES)
    text = str(model)
    assert "intercept and slope vary" in text
    assert "CFI" in text
    assert "<table" in model._repr_html_()
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.bse, model.bse)
    assert again.fit.chisq == pytest.approx(model.fit.chisq)
    interval = model.conf_int()
    np.testing.assert_allclose(interval["upper"] - model.params, 1.959964 * model.bse, rtol=1e-6)


@pytest.mark.parametrize("origin", [2020.0, 20_000.0, 1e6])
@pytest.mark.parametrize("information", ["expected", "observed"])
def test_the_origin_of_time_does_not_reach_the_error_of_the_slopes_variance(origin, information):
    sleep = ranef.datasets.load("sleepstudy")
    tables = [
        ranef.growth(
            "Reaction",
            sleep.assign(Days=sleep.Days + by),
            time="Days",
            groups="Subject",
            information=information,
        ).bse
        for by in (0.0, origin)
    ]
    rows = ["slope", "Var(slope)", "Var(residual)"]
    np.testing.assert_allclose(tables[1][rows], tables[0][rows], rtol=1e-3)
