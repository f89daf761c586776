"""Densities, distribution functions, variances, deviances and draws of every family."""

import numpy as np
import pytest
import scipy.stats
from scipy.integrate import quad

from ranef.families import lookup

#: Families with parameters, means, and the same distribution in scipy.
LAWS = {
    "binomial": ({"trials": 7.0}, 0.3, lambda mu, p: scipy.stats.binom(p["trials"], mu)),
    "poisson": ({}, 2.4, lambda mu, p: scipy.stats.poisson(mu)),
    "negative_binomial": (
        {"size": 1.7},
        2.4,
        lambda mu, p: scipy.stats.nbinom(p["size"], p["size"] / (p["size"] + mu)),
    ),
    "gamma": (
        {"phi": 0.6},
        2.4,
        lambda mu, p: scipy.stats.gamma(1.0 / p["phi"], scale=mu * p["phi"]),
    ),
    "gaussian": ({"sigma": 1.4}, -0.4, lambda mu, p: scipy.stats.norm(mu, p["sigma"])),
}
COUNTS = [name for name in LAWS if lookup(name).support.discrete]
MEASURES = [name for name in LAWS if name not in COUNTS]


def law(name):
    """Family, mean, parameters, values of a trial, and the distribution in scipy's words."""
    params, mu, make = LAWS[name]
    return lookup(name), np.array(mu), params, params.get("trials", 1.0), make(mu, params)


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_sum_to_one_with_the_mean_and_the_variance(name):
    family, mu, params, unit, _ = law(name)
    y = np.arange(8.0) / unit if family.has_trials else np.arange(400.0)
    p = np.exp(family.logpdf(y, mu, params))
    mean = p @ y
    assert p.sum() == pytest.approx(1.0, rel=1e-12)
    assert mean == pytest.approx(float(mu), rel=1e-12)
    assert p @ (y - mean) ** 2 == pytest.approx(float(family.variance(mu, params)), rel=1e-10)


@pytest.mark.parametrize("name", MEASURES)
def test_densities_integrate_to_one_with_the_mean_and_the_variance(name):
    family, mu, params, _, _ = law(name)

    def moment(power):
        def integrand(y):
            return y**power * np.exp(family.logpdf(np.array(y), mu, params))

        ends = max(family.support.low, -60.0), 60.0
        return quad(integrand, *ends, points=[float(mu)], limit=200)[0]

    assert moment(0) == pytest.approx(1.0, rel=1e-8)
    assert moment(1) == pytest.approx(float(mu), rel=1e-8)
    variance = moment(2) - moment(1) ** 2
    assert variance == pytest.approx(float(family.variance(mu, params)), rel=1e-7)


@pytest.mark.parametrize("name", LAWS)
def test_distribution_functions_are_scipys(name):
    family, mu, params, unit, theirs = law(name)
    y = np.arange(-1.0, 9.0) if name in COUNTS else np.linspace(-2.0, 8.0, 41)
    np.testing.assert_allclose(family.cdf(y / unit, mu, params), theirs.cdf(y), atol=1e-14)


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_are_where_the_distribution_function_is_reached(name):
    family, mu, params, unit, theirs = law(name)
    p = np.array([0.01, 0.2, 0.5, 0.77, 0.99])
    y = family.quantile(p, mu, params)
    np.testing.assert_allclose(y * unit, theirs.ppf(p), rtol=1e-10)
    assert np.all(family.cdf(y, mu, params) >= p - 1e-12)
    if name in COUNTS:
        assert np.all(family.cdf(y - 1.0 / unit, mu, params) < p)


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_moments(name):
    family, mu, params, _, _ = law(name)
    n, rng = 40_000, np.random.default_rng(8)
    y = family.draw(rng, np.full(n, mu), params)
    assert y.shape == (n,)
    assert np.all(family.support.contains(y))
    sd = float(np.sqrt(family.variance(mu, params)))
    assert abs(y.mean() - mu) < 4.0 * sd / np.sqrt(n)
    assert np.var(y) == pytest.approx(sd**2, rel=0.06)


@pytest.mark.parametrize("name", LAWS)
def test_deviances_are_likelihood_ratios(name):
    """The scale divides, and a share's deviance is for one trial."""
    family, mu, params, unit, _ = law(name)
    y = np.array([1.0, 2.0, 3.0, 6.0]) / unit
    ratio = family.logpdf(y, y, params) - family.logpdf(y, mu, params)
    scale = 1.0 if family.scale is None else family.scale(params)
    deviance = family.deviance(y, mu, params)
    np.testing.assert_allclose(deviance, 2.0 * ratio * scale / unit, rtol=1e-10)
    assert np.all(deviance > 0.0)
    np.testing.assert_allclose(family.deviance(y, y, params), 0.0, atol=1e-15)


@pytest.mark.parametrize(("name", "edge"), [("binomial", 0.0), ("binomial", 1.0), ("poisson", 0.0)])
def test_deviances_are_finite_at_the_edges(name, edge):
    family, mu, params, unit, _ = law(name)
    want = -2.0 * family.logpdf(np.array(edge), mu, params) / unit
    np.testing.assert_allclose(family.deviance(np.array(edge), mu, params), want, rtol=1e-12)


@pytest.mark.parametrize("name", ["binomial", "poisson", "gamma", "gaussian"])
def test_quasi_likelihoods_are_integrals_of_the_score(name):
    family, mu, params, unit, _ = law(name)
    y, h = np.array([1.0, 2.0, 5.0]) / unit, 1e-5
    by_mean = (family.quasi_likelihood(y, mu + h) - family.quasi_likelihood(y, mu - h)) / (2.0 * h)
    want = (y - mu) / family.unit_variance(mu, params)
    np.testing.assert_allclose(by_mean, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("binomial", [0.0, 0.5, 1.0], [-0.1, 1.1, np.nan]),
        ("poisson", [0.0, 3.0], [-1.0, np.nan]),
        ("negative_binomial", [0.0, 3.0], [-1.0]),
        ("gamma", [1e-300, 4.0], [0.0, -1.0]),
        ("gaussian", [-4.0, 0.0], [np.inf, -np.inf, np.nan]),
    ],
)
def test_ranges(name, inside, outside):
    support = lookup(name).support
    assert support.contains(np.array(inside)).all()
    assert not support.contains(np.array(outside)).any()
