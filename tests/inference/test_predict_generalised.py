"""Intervals of predictions of generalised models: by hand, by integration, by simulation."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
from numpy.testing import assert_allclose

import ranef

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.datasets.load("cbpp")


@pytest.fixture(scope="module")
def model(cbpp):
    return ranef.glmer(CBPP, cbpp, family="binomial")


def test_confidence_by_hand(model, cbpp):
    """One grouping factor and an intercept: D is a number for each herd."""
    found = model.predict(kind="link", interval="confidence")
    X = np.column_stack([np.ones(56), *[(cbpp["period"].astype(str) == k) for k in "234"]])
    mu = model.fittedvalues.to_numpy()
    w = cbpp["size"].to_numpy() * mu * (1.0 - mu)
    herd = pd.factorize(cbpp["herd"], sort=True)[0]
    D = model.ranef().cov["herd"][:, 0, 0]
    r = X - np.array([D[h] * (w[herd == h] @ X[herd == h]) for h in herd])
    variance = D[herd] + np.einsum("ij,jk,ik->i", r, model.cov_params().to_numpy(), r)
    half = scipy.stats.norm.ppf(0.975) * np.sqrt(variance)
    assert_allclose(found["upper"] - found["mean"], half, rtol=1e-8)
    assert_allclose(found["mean"], model.predict(kind="link"))
    response = model.predict(interval="confidence")
    assert_allclose(response["lower"], 1.0 / (1.0 + np.exp(-found["lower"])), rtol=1e-12)


def test_a_new_level_has_its_variance(model):
    new = pd.DataFrame({"period": ["1"], "herd": ["elsewhere"]})
    fixed = model.predict(new, random="none", kind="link", interval="confidence").iloc[0]
    found = model.predict(new, new_levels="population", kind="link", interval="confidence").iloc[0]
    z = scipy.stats.norm.ppf(0.975)
    own = ((found["upper"] - found["mean"]) / z) ** 2 - ((fixed["upper"] - fixed["mean"]) / z) ** 2
    assert own == pytest.approx(model.varcorr["herd"].iloc[0, 0])
    a, b = (
        model.predict(new, interval="prediction", trials=20, **options)
        for options in ({"random": "none"}, {"new_levels": "population"})
    )
    assert_allclose(a, b)


def probability_below(model, new, y, trials):
    """Distribution function of a share of successes of a new herd, by adaptive integration."""
    limits = model.predict(new, new_levels="population", kind="link", interval="confidence").iloc[0]
    mean = limits["mean"]
    sd = (limits["upper"] - mean) / scipy.stats.norm.ppf(0.975)

    def density(e):
        p = 1.0 / (1.0 + np.exp(-e))
        return scipy.stats.binom.cdf(y, trials, p) * scipy.stats.norm.pdf(e, mean, sd)

    return scipy.integrate.quad(density, mean - 10 * sd, mean + 10 * sd, epsabs=1e-10)[0]


def test_quantiles_by_integration(model):
    new = pd.DataFrame({"period": ["1", "4"], "herd": ["elsewhere"] * 2})
    for trials in (1, 12, 300):
        found = model.predict(
            new, new_levels="population", interval="prediction", level=0.9, trials=trials
        )
        for i in range(2):
            for side, probability in (("lower", 0.05), ("upper", 0.95)):
                y = round(found[side].iloc[i] * trials)
                at = new.iloc[[i]]
                assert probability_below(model, at, y, trials) >= probability - 1e-6
                if y > 0:
                    assert probability_below(model, at, y - 1, trials) < probability + 1e-6


@pytest.mark.parametrize("family", ["poisson", "gamma", "negative_binomial"])
def test_intervals_cover_new_responses_of_new_levels(family):
    """Those of continuous responses exactly; of counts at least."""
    rng = np.random.default_rng(5)

    def draw(groups, size):
        d = pd.DataFrame({"g": np.repeat(np.arange(groups), size)})
        d["x"] = rng.normal(size=len(d))
        mean = np.exp(1.0 + 0.4 * d["x"] + 0.6 * rng.normal(size=groups)[d["g"]])
        d["y"] = {
            "poisson": lambda: rng.poisson(mean),
            "gamma": lambda: rng.gamma(2.0, mean / 2.0),
            "negative_binomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
        }[family]()
        return d

    model = ranef.glmer("y ~ x + (1 | g)", draw(300, 8), family=family, link="log")
    new = draw(4000, 1)
    for options in ({"random": "none"}, {"new_levels": "population"}):
        found = model.predict(
            new.assign(g=new["g"] + 1000), interval="prediction", level=0.9, **options
        )
        inside = (found["lower"] <= new["y"]) & (new["y"] <= found["upper"])
        assert 0.88 < inside.mean() < (0.92 if family == "gamma" else 0.97)
        assert (new["y"] > found["upper"]).mean() < 0.065


def test_confidence_covers_the_mean_of_known_levels():
    """Over data sets: covariances are taken as known, so that a little less is covered."""
    rng = np.random.default_rng(9)
    inside = []
    for _ in range(60):
        g = np.repeat(np.arange(20), 6)
        b = 0.7 * rng.normal(size=20)
        y = rng.poisson(np.exp(1.0 + b[g]))
        model = ranef.glmer("y ~ 1 + (1 | g)", {"y": y, "g": g}, family="poisson")
        found = model.predict({"g": np.arange(20)}, interval="confidence")
        truth = np.exp(1.0 + b)
        inside.append((found["lower"] <= truth) & (truth <= found["upper"]))
    assert 0.92 < np.mean(inside) < 0.97


def test_means_near_the_end_of_their_range():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), 5)
    y = rng.gamma(0.5, 2.0 / (1.0 + 0.2 * rng.normal(size=8)[g]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        model = ranef.glmer("y ~ 1 + (1 | g)", {"y": y, "g": g}, family="gamma")
    found = model.predict({"g": [0]}, interval="confidence", level=0.999999).iloc[0]
    assert 0.0 < found["lower"] < found["mean"] < found["upper"]
    assert found["upper"] == np.inf
    found = model.predict({"g": [0]}, interval="prediction").iloc[0]
    assert 0.0 < found["lower"] < found["mean"] < found["upper"] < np.inf


def test_missing_values_and_refusals(model):
    new = pd.DataFrame({"period": ["1", None], "herd": ["1", "2"], "n": [4, 5]})
    found = model.predict(new, interval="prediction", trials="n")
    assert np.isfinite(found.iloc[0]).all()
    assert found.iloc[1].isna().all()
    assert_allclose(found.iloc[0][["lower", "upper"]] * 4 % 1, 0.0, atol=1e-12)
    with pytest.raises(ValueError, match="positive integers"):
        model.predict(new, interval="prediction", trials=0.5)
    with pytest.raises(ValueError, match="kind='response'"):
        model.predict(new, interval="prediction", kind="link")
    with pytest.raises(ValueError, match="'confidence' or 'prediction'"):
        model.predict(new, interval="both")
    counts = ranef.glmer(
        "y ~ 1 + (1 | g)", {"y": [1, 2, 3, 9, 9, 9], "g": [1, 1, 2, 2, 3, 3]}, family="poisson"
    )
    with pytest.raises(ValueError, match="binomial"):
        counts.predict({"g": [1]}, interval="prediction", trials=3)
    own = model.predict(interval="prediction")
    assert_allclose(own["upper"] * model.parts.weights % 1.0 % (1.0 - 1e-9), 0.0, atol=1e-8)
