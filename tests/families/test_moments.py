"""Means, variances and draws of every family: against scipy's laws, and each other."""

import pickle

import numpy as np
import pytest
import scipy.stats

from ranef.families import known, lookup
from ranef.families.registry import FILES

N = 40_000
LOCATION = 0.3
#: The response's law in scipy's words, given the location and the parameters; where it has one.
LAWS = {
    "gaussian": lambda mu, p: scipy.stats.norm(mu, p["sigma"]),
    "student": lambda mu, p: scipy.stats.t(p["df"], mu, p["sigma"]),
    "lognormal": lambda mu, p: scipy.stats.lognorm(p["sigma"], scale=np.exp(mu)),
    "gamma": lambda mu, p: scipy.stats.gamma(1.0 / p["phi"], scale=mu * p["phi"]),
    "poisson": lambda mu, p: scipy.stats.poisson(mu),
    "negative_binomial": lambda mu, p: scipy.stats.nbinom(p["size"], p["size"] / (p["size"] + mu)),
    "nbinom1": lambda mu, p: scipy.stats.nbinom(mu / p["phi"], 1.0 / (1.0 + p["phi"])),
    "binomial": lambda mu, p: scipy.stats.binom(p["trials"], mu),
    "betabinomial": lambda mu, p: scipy.stats.betabinom(
        p["trials"], mu * p["phi"], (1.0 - mu) * p["phi"]
    ),
    "beta": lambda mu, p: scipy.stats.beta(mu * p["phi"], (1.0 - mu) * p["phi"]),
}
ABOVE_ZERO = {
    "truncated_poisson": "poisson",
    "truncated_negative_binomial": "negative_binomial",
    "truncated_nbinom1": "nbinom1",
}
SUMMED = ("compois", "generalized_poisson")
every_family = pytest.mark.parametrize("name", FILES)


def at(family, n=1, eta=0.8):
    """Location and parameters of n rows; df large enough for a variance."""
    shapes = [np.full(n, 2.0 if name == "df" else eta) for name in family.parameters]
    trials = np.full(n, 6.0 if family.has_trials else 1.0)
    return family.given(family.part_links[0], [np.full(n, LOCATION), *shapes], trials)


@pytest.mark.parametrize("name", LAWS)
def test_moments_are_scipys(name):
    family = lookup(name)
    mu, params = at(family)
    law, unit = LAWS[name](mu, params), params["trials"]
    np.testing.assert_allclose(family.mean(mu, params), law.mean() / unit, rtol=1e-12)
    np.testing.assert_allclose(family.variance(mu, params), law.var() / unit**2, rtol=1e-11)


@pytest.mark.parametrize(("name", "whole"), ABOVE_ZERO.items())
def test_counts_above_zero_have_the_moments_of_their_probabilities(name, whole):
    family = lookup(name)
    mu, params = at(family)
    y = np.arange(1.0, 400.0)
    p = LAWS[whole](mu, params).pmf(y)
    p = p / p.sum()
    np.testing.assert_allclose(family.mean(mu, params), p @ y, rtol=1e-10)
    np.testing.assert_allclose(family.variance(mu, params), p @ (y - p @ y) ** 2, rtol=1e-9)


@every_family
def test_draws_have_the_moments_and_are_in_range(name):
    family, n = lookup(name), 600 if name in SUMMED else N
    mu, params = at(family, n)
    draws = family.draw(np.random.default_rng(2), mu, params)
    mean, variance = family.mean(mu, params)[0], family.variance(mu, params)[0]
    assert draws.shape == (n,)
    assert family.support.contains(draws).all()
    assert abs(draws.mean() - mean) < 5.0 * np.sqrt(variance / n)
    if name not in ("student", "lognormal"):  # whose tails are too heavy
        assert draws.var() == pytest.approx(variance, rel=10.0 / np.sqrt(n) + 0.02)
    if family.support.discrete:
        counts = draws * params["trials"]
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)


@every_family
def test_starts_are_near_the_draws(name):
    """The predictor that a search starts from is on its scale, whatever the responses are."""
    family = lookup(name)
    mu, params = at(family, 400, 0.3)
    y = family.draw(np.random.default_rng(4), mu, params)
    for shape in family.shapes:
        start = shape.start(y)
        assert np.isfinite(start)
        assert np.all(
            np.isfinite(family.natural([np.array([start])] * len(family.shapes))[shape.name])
        )


@every_family
def test_files_hold_the_family_of_their_name(name):
    family = lookup(name)
    assert family.name == name
    assert "glmer" in family.estimators
    assert family.part_links
    assert bool(family.links) == bool({"glmm", "gee"} & set(family.estimators))
    assert pickle.loads(pickle.dumps(family)) == family


def test_a_second_cut_counts_from_the_first():
    natural = lookup("ordered_beta").natural([np.array([0.0]), np.array([-2.0]), np.array([0.0])])
    assert natural["cut_zero"] == -2.0
    assert natural["cut_one"] == -1.0


def test_models_of_a_mean_alone_are_of_few_families():
    assert known("glmm") == ["binomial", "poisson", "gamma", "negative_binomial"]
    assert known("glmer") == list(FILES)
