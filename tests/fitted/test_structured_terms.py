"""Covariance structures inside bars, as users meet them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import (
    DataError,
    FormulaError,
    ModelError,
    SingularFitWarning,
    UnsupportedError,
)


@pytest.fixture(scope="module")
def sleep():
    data = ranef.datasets.load("sleepstudy")
    return data.assign(Daysf=pd.Categorical(data["Days"].astype(int).astype(str)))


@pytest.fixture(scope="module")
def ar1(sleep):
    return ranef.lmer("Reaction ~ Daysf + ar1(0 + Daysf | Subject)", sleep, reml=False)


@pytest.fixture(scope="module")
def series():
    """Twelve units at times of their own out of twenty, with an Ornstein-Uhlenbeck process."""
    rng = np.random.default_rng(3)
    rows = []
    for unit in range(25):
        times = np.sort(rng.choice(np.arange(20) / 2, 8, replace=False))
        R = np.exp(-0.4 * np.abs(np.subtract.outer(times, times)))
        effect = 2.0 * np.linalg.cholesky(R) @ rng.standard_normal(8)
        y = 5.0 + 0.3 * times + effect + 0.7 * rng.standard_normal(8)
        rows += [(f"u{unit}", t, v) for t, v in zip(times, y, strict=True)]
    return pd.DataFrame(rows, columns=["unit", "time", "y"])


@pytest.fixture(scope="module")
def ou(series):
    return ranef.lmer("y ~ time + ou(0 + time | unit)", series)


def dense_llf(model, data, group, covariance, X, y, reml):
    """Log-likelihood of y with rows of a group covarying as ``covariance`` says, and sigma."""
    V = covariance * np.equal.outer(data[group].to_numpy(), data[group].to_numpy())
    V = V + model.sigma**2 * np.eye(len(y))
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    beta = np.linalg.solve(information, X.T @ inverse @ y)
    r = y - X @ beta
    value = np.linalg.slogdet(V)[1] + r @ inverse @ r + len(y) * np.log(2 * np.pi)
    if reml:
        value += np.linalg.slogdet(information)[1] - X.shape[1] * np.log(2 * np.pi)
    return -0.5 * value, beta, np.linalg.inv(information)


def test_ar1_of_sleepstudy(ar1, sleep):
    # glmmTMB 1.1.5; glmmTMB(Reaction ~ Daysf + ar1(0 + Daysf | Subject), REML = FALSE)
    assert ar1.llf == pytest.approx(-868.288080325, abs=1e-5)
    assert ar1.sigma == pytest.approx(14.5715856213, rel=1e-5)
    assert ar1.npar == 13
    sd, corr = ar1.covariance_params()["estimate"]
    assert list(ar1.covariance_params().index) == ["Subject.sd", "Subject.corr"]
    day = sleep["Days"].to_numpy()
    cov = sd**2 * corr ** np.abs(np.subtract.outer(day, day))
    X = np.column_stack([np.ones(len(day)), *((day == d) * 1.0 for d in range(1, 10))])
    llf, beta, inverse = dense_llf(
        ar1, sleep, "Subject", cov, X, sleep["Reaction"].to_numpy(), False
    )
    assert ar1.llf == pytest.approx(llf, abs=1e-8)
    np.testing.assert_allclose(ar1.params, beta, rtol=1e-8)
    np.testing.assert_allclose(ar1.bse, np.sqrt(np.diag(inverse)), rtol=1e-8)


def test_ou_and_its_kriging(ou, series):
    sd, rate = ou.covariance_params()["estimate"]
    time, y = series["time"].to_numpy(), series["y"].to_numpy()
    X = np.column_stack([np.ones(len(time)), time])
    cov = sd**2 * np.exp(-rate * np.abs(np.subtract.outer(time, time)))
    llf, beta, inverse = dense_llf(ou, series, "unit", cov, X, y, True)
    assert ou.llf == pytest.approx(llf, abs=1e-8)
    # A time that no unit was seen at: the conditional mean and variance of the joint normal.
    new = pd.DataFrame({"unit": ["u3", "u3", "new"], "time": [2.2, 30.0, 2.2]})
    found = ou.predict(new, interval="confidence", new_levels="population")
    same = (series["unit"] == "u3").to_numpy()
    V = cov * np.equal.outer(series["unit"].to_numpy(), series["unit"].to_numpy())
    V = np.linalg.inv(V + ou.sigma**2 * np.eye(len(y)))
    for i, (unit, t) in enumerate(zip(new["unit"], new["time"], strict=True)):
        x = np.array([1.0, t])
        c = sd**2 * np.exp(-rate * np.abs(t - time)) * (same if unit == "u3" else 0.0)
        mean = x @ beta + c @ V @ (y - X @ beta)
        left = x - X.T @ V @ c
        variance = sd**2 - c @ V @ c + left @ inverse @ left
        assert found["mean"].iloc[i] == pytest.approx(mean, abs=1e-7)
        half = (found["upper"].iloc[i] - found["lower"].iloc[i]) / 2
        assert half == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


def test_of_one_level_in_space():
    rng = np.random.default_rng(6)
    n = 60
    data = pd.DataFrame({"x": rng.uniform(0, 5, n), "y": rng.uniform(0, 5, n), "one": 1})
    d = np.linalg.norm(data[["x", "y"]].to_numpy()[:, None] - data[["x", "y"]].to_numpy(), axis=2)
    effect = np.linalg.cholesky(4.0 * np.exp(-d / 2.0)) @ rng.standard_normal(n)
    data["v"] = 1.0 + effect + 0.5 * rng.standard_normal(n)
    model = ranef.lmer("v ~ 1 + exponential(0 + x + y | one)", data)
    sd, length = model.covariance_params()["estimate"]
    llf, *_ = dense_llf(
        model, data, "one", sd**2 * np.exp(-d / length), np.ones((n, 1)), data["v"], True
    )
    assert model.llf == pytest.approx(llf, abs=1e-7)
    with pytest.warns(SingularFitWarning, match="matern.*limit"):
        wider = ranef.lmer("v ~ 1 + matern(0 + x + y | one)", data)
    assert wider.llf > model.llf - 1e-6
    assert wider.npar == model.npar + 1 == 5


def test_us_and_diag_are_the_bars_that_there_were(sleep):
    us = ranef.lmer("Reaction ~ Days + us(1 + Days | Subject)", sleep)
    bar = ranef.lmer("Reaction ~ Days + (1 + Days | Subject)", sleep)
    assert us.llf == pytest.approx(bar.llf, abs=1e-10)
    diag = ranef.lmer("Reaction ~ Days + diag(1 + Days | Subject)", sleep)
    apart = ranef.lmer("Reaction ~ Days + (1 + Days || Subject)", sleep)
    assert diag.llf == pytest.approx(apart.llf, abs=1e-10)
    assert diag.npar == apart.npar
    assert diag.covariance_params().empty


@pytest.fixture(scope="module")
def replicated():
    """Thirty units at four occasions, two rows each."""
    rng = np.random.default_rng(9)
    R = 0.6 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    effects = 1.5 * rng.standard_normal((30, 4)) @ np.linalg.cholesky(R).T
    return pd.DataFrame(
        {
            "g": np.repeat([f"g{i}" for i in range(30)], 8),
            "t": np.tile(list("aabbccdd"), 30),
            "y": np.repeat(effects.ravel(), 2) + rng.standard_normal(240),
        }
    )


@pytest.mark.parametrize(
    ("small", "large", "df"),
    [
        ("ar1(0 + t | g)", "ar1(0 + t | g, hom=False)", 3),
        ("cs(0 + t | g, hom=True)", "toep(0 + t | g, hom=True)", 2),
        ("diag(0 + t | g, hom=True)", "ar1(0 + t | g)", 1),
        ("toep(0 + t | g)", "(0 + t | g)", 3),
    ],
)
def test_what_lies_in_what(replicated, small, large, df):
    a = ranef.lmer(f"y ~ t + {small}", replicated, reml=False)
    b = ranef.lmer(f"y ~ t + {large}", replicated, reml=False)
    assert b.npar - a.npar == df
    assert b.llf > a.llf - 1e-6
    table = ranef.anova(a, b)
    assert table["df"].iloc[1] == df
    assert 0.0 <= table["pvalue"].iloc[1] <= 1.0


def test_random_intercept_beside_a_structure(sleep):
    model = ranef.lmer("Reaction ~ Daysf + (1 | Subject) + ar1(0 + Daysf | Subject)", sleep)
    assert model.varcorr["Subject"].shape == (11, 11)
    assert model.npar == 10 + 1 + 2 + 1
    assert (model.varcorr["Subject"].iloc[0, 1:] == 0.0).all()


def test_after_the_fit(ar1, sleep):
    again = pickle.loads(pickle.dumps(ar1))
    pd.testing.assert_frame_equal(again.covariance_params(), ar1.covariance_params())
    assert ar1.update(reml=True).update(reml=False).llf == pytest.approx(ar1.llf, abs=1e-7)
    np.testing.assert_allclose(ar1.refit(sleep["Reaction"]).params, ar1.params, rtol=1e-6)
    drawn = ar1.simulate(2, seed=1)
    assert drawn.shape == (180, 2)
    np.testing.assert_allclose(ar1.predict(sleep), ar1.fittedvalues, rtol=1e-8)
    table = ar1.coef_table(ddf="satterthwaite")
    assert (table["df"] > 10).all()
    assert (table["df"] < 180).all()
    assert "Subject" in repr(ar1.summary())
    assert ar1.convergence.converged


def test_simulated_effects_have_the_correlation(ar1, sleep):
    first = (sleep["Days"] == 0).to_numpy()
    second = (sleep["Days"] == 1).to_numpy()
    drawn = np.asarray(ar1.simulate(400, seed=2))
    a, b = drawn[first].ravel(), drawn[second].ravel()
    sd, corr = ar1.covariance_params()["estimate"]
    expected = sd**2 * corr / (sd**2 + ar1.sigma**2)
    within = a.reshape(18, -1) - a.reshape(18, -1).mean(axis=1, keepdims=True)
    other = b.reshape(18, -1) - b.reshape(18, -1).mean(axis=1, keepdims=True)
    found = np.corrcoef(within.ravel(), other.ravel())[0, 1]
    assert found == pytest.approx(expected, abs=0.03)


def test_counts_with_an_ar1():
    rng = np.random.default_rng(11)
    groups, k = 40, 6
    R = 0.7 ** np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    effects = 0.6 * rng.standard_normal((groups, k)) @ np.linalg.cholesky(R).T
    data = pd.DataFrame(
        {
            "g": np.repeat([f"g{i}" for i in range(groups)], k),
            "t": np.tile(list("abcdef"), groups),
            "y": rng.poisson(np.exp(1.2 + effects)).ravel(),
        }
    )
    model = ranef.glmer("y ~ 1 + ar1(0 + t | g)", data, family="poisson")
    sd, corr = model.covariance_params()["estimate"]
    assert 0.4 < sd < 0.8
    assert 0.4 < corr < 0.95
    assert model.npar == 3
    # The same model through the kernel of several predictors.
    other = ranef.glmer(
        "y ~ 1 + ar1(0 + t | g)", data, family="negative_binomial", dispersion="~ 1"
    )
    assert other.llf > model.llf - 1e-4  # it holds the Poisson model as a limit
    assert other.npar == 4


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("ar1(0 + Days | Subject)", DataError, "'Days' is numeric"),
        ("ar1(Daysf | Subject)", FormulaError, "without an intercept"),
        ("ou(0 + Daysf | Subject)", DataError, "takes the time as a number"),
        ("ou(Days | Subject)", FormulaError, "no intercept"),
        ("ou(0 + Days + Reaction | Subject)", FormulaError, "one column, the time"),
        ("homcs(0 + Daysf | Subject)", FormulaError, "hom=True"),
        ("cs(0 + Days | Subject)", FormulaError, "one column"),
        ("ar1(0 + Daysf | Subject, hom=maybe)", FormulaError, "hom=True or hom=False"),
        ("ou(0 + Days | Subject, hom=False)", FormulaError, "leave hom out"),
        ("ar1(0 + Daysf || Subject)", FormulaError, "one bar"),
        ("diag(0 + Daysf | Subject, hom=True)", ModelError, "180 random effects for 180 rows"),
        ("cs(0 + Daysf | Subject, hom=True)", ModelError, "180 random effects for 180 rows"),
        ("toep(0 + Daysf | Subject, hom=True)", ModelError, "180 random effects for 180 rows"),
    ],
)
def test_errors_say_what_to_do(sleep, text, error, says):
    with pytest.raises(error, match=says):
        ranef.lmer(f"Reaction ~ Days + {text}", sleep)


def test_a_doubled_row_is_found(sleep):
    doubled = pd.concat([sleep, sleep.iloc[[7]]])
    with pytest.raises(DataError, match="2 rows of Subject"):
        ranef.lmer("Reaction ~ Daysf + ar1(0 + Daysf | Subject)", doubled)


def test_what_does_not_know_structures_says_so(ar1, sleep):
    with pytest.raises(UnsupportedError, match="satterthwaite"):
        ar1.coef_table(ddf="kenward-roger")
    with pytest.raises(UnsupportedError, match=r"ranef\.lmer"):
        ranef.gls("Reaction ~ Days + ar1(0 + Daysf | Subject)", sleep)
    with pytest.raises(UnsupportedError, match="priors are of free covariances"):
        ranef.lmer("Reaction ~ Daysf + ar1(0 + Daysf | Subject)", sleep, prior="weak")
