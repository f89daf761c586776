"""Comparison tables against anova(), AIC() and BIC() of R 4.2.2, lme4 1.1-31."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import ranef
from conftest import OPTIMUM_OBJECTIVE

SLOPE_SEX = "gpa ~ occasion + sex + (occasion | student)"
SLOPE = "gpa ~ occasion + (occasion | student)"
LEVEL = "gpa ~ occasion + (1 | student)"
SLEEP = "Reaction ~ Days + (Days | Subject)"
SLEEP_LEVEL = "Reaction ~ Days + (1 | Subject)"
SLEEP_FREE = "Reaction ~ Days + (Days || Subject)"
WORKERS = "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)"
MACHINES = "score ~ Machine + (0 + Machine | Worker)"


@functools.cache
def data(name):
    frame = ranef.datasets.load(name)
    return frame.assign(sex100=100.0 * (frame["sex"] == "female")) if name == "gpa_sim" else frame


@functools.cache
def fit(formula, reml=True):
    name = {"gpa": "gpa_sim", "Rea": "sleepstudy", "sco": "Machines"}[formula[:3]]
    return ranef.lmer(formula, data(name), reml=reml)


#: (small, large, refit, estimator) and lme4's npar, AIC, BIC, logLik of both, Chisq, Df, p.
TABLES = [
    (
        (SLOPE, SLOPE_SEX, None, "ML"),
        [6, 7],
        [259.252318141, 250.301731221],
        [289.792779155, 285.932269071],
        [-123.62615907, -118.15086561],
        (10.9505869199, 1, 0.000935739699901),
    ),
    (
        (LEVEL, SLOPE, None, "REML"),
        [4, 6],
        [411.246805275, 273.944141133],
        [431.607112618, 304.484602148],
        [-201.623402638, -130.972070567],
        (141.302664142, 2, 2.07260404995e-31),
    ),
    (
        (SLEEP_LEVEL, SLEEP, None, "REML"),
        [4, 6],
        [1794.46508539, 1755.62827196],
        [1807.23691280, 1774.78601307],
        [-893.232542697, -871.814135980],
        (42.836813435, 2, 4.99004143061e-10),
    ),
    (
        (SLEEP_FREE, SLEEP, None, "REML"),
        [5, 6],
        [1753.66929358, 1755.62827196],
        [1769.63407784, 1774.78601307],
        [-871.834646791, -871.814135980],
        (0.0410216215291, 1, 0.839496192658),
    ),
    (
        (WORKERS, MACHINES, None, "REML"),
        [6, 10],
        [227.687568008, 228.311218464],
        [239.621472288, 248.201058930],
        [-107.843784004, -104.155609232],
        (7.37634954421, 4, 0.11728699022),
    ),
]


@pytest.mark.parametrize(
    ("call", "npar", "aic", "bic", "llf", "test"), TABLES, ids=lambda x: str(x)[:60]
)
def test_anova_is_lme4s(call, npar, aic, bic, llf, test):
    small, large, refit, estimator = call
    # The larger model first: rows are ordered by number of parameters.
    table = ranef.anova(fit(large), fit(small), refit=refit)
    assert list(table.index) == [small, large]
    assert list(table["npar"]) == npar
    assert list(table["estimator"]) == [estimator] * 2
    np.testing.assert_allclose(table["aic"], aic, rtol=0, atol=1e-5)
    np.testing.assert_allclose(table["bic"], bic, rtol=0, atol=1e-5)
    np.testing.assert_allclose(table["llf"], llf, rtol=0, atol=5e-6)
    np.testing.assert_allclose(table["deviance"], -2 * np.array(llf), rtol=0, atol=1e-5)
    assert np.isnan(table["chisq"].iloc[0])
    assert table["chisq"].iloc[1] == pytest.approx(test[0], abs=2e-5)
    assert table["df"].iloc[1] == test[1]
    assert table["pvalue"].iloc[1] == pytest.approx(test[2], rel=2e-5)


def test_a_refused_refit_gives_lme4s_number_and_says_that_it_is_not_valid():
    with pytest.warns(ranef.ComparisonWarning, match="not valid"):
        table = ranef.anova(fit(SLOPE), fit(SLOPE_SEX), refit=False)
    assert table["chisq"].iloc[1] == pytest.approx(5.99178893079, abs=2e-5)
    assert table["pvalue"].iloc[1] == pytest.approx(0.0143726192158, rel=2e-5)
    assert "not a valid p-value" in table["note"].iloc[1]
    assert list(table["estimator"]) == ["REML", "REML"]


def test_ml_criteria_rank_by_default():
    table = ranef.compare(fit(LEVEL), fit(SLOPE), fit(SLOPE_SEX)).table
    assert list(table.index) == [SLOPE_SEX, SLOPE, LEVEL]
    np.testing.assert_allclose(
        table["aic"], [250.301731221, 259.252318140, 396.015369537], atol=1e-5
    )
    np.testing.assert_allclose(
        table["bic"], [285.932269071, 289.792779155, 416.375676880], atol=1e-5
    )
    assert set(table["estimator"]) == {"ML"}


def test_restricted_criteria_come_with_a_flag_and_flip_with_the_coding():
    with pytest.warns(ranef.ComparisonWarning, match="must not be ranked"):
        fitted = ranef.compare(fit(SLOPE_SEX), fit(SLOPE), fit(LEVEL), estimator="as_fitted")
    assert list(fitted.table.index) == [SLOPE_SEX, SLOPE, LEVEL]
    np.testing.assert_allclose(
        fitted.table["aic"], [269.952352203, 273.944141133, 411.246805275], atol=1e-5
    )
    assert set(fitted.table["flag"]) == {"REML, fixed parts differ"}
    wide = fit(SLOPE_SEX.replace("sex", "sex100"))
    with pytest.warns(ranef.ComparisonWarning, match="coding"):
        flipped = ranef.compare(wide, fit(SLOPE), fit(LEVEL), estimator="as_fitted")
    assert flipped.table.index[0] == SLOPE
    assert flipped.table.loc[wide.call.formula, "aic"] == pytest.approx(279.162692574, abs=1e-5)
    by_ml = ranef.compare(wide, fit(SLOPE), fit(LEVEL)).table
    assert by_ml["aic"].iloc[0] == pytest.approx(250.301731221, abs=OPTIMUM_OBJECTIVE * 10)
