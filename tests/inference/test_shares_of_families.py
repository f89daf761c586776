"""Shares of variance of every family: closed forms, and moments of draws."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.families import lookup
from ranef.families.links import link_named
from ranef.families.scale import row_variance
from ranef.inference.shares.observed import observed

LOG = link_named("log")


def poisson_at(eta, variance, by_row=(), zero=0.0):
    def moments(at, rows):
        mu = np.exp(at[0])
        return (1.0 - zero) * mu, (1.0 - zero) * (mu + zero * mu**2)

    return observed(moments, [eta], [variance], set(by_row), None)


def test_counts_have_closed_forms():
    """E exp = exp(eta + v / 2); responses that share a part s have covariance E² (exp(s) - 1)."""
    eta = np.array([0.3, 1.2, -0.5])
    part = {"g": np.array([0.3, 0.5, 0.1]), "h": np.full(3, 0.2), "row": np.full(3, 0.4)}
    found = poisson_at(eta, part, by_row=["row"], zero=0.25)
    mean = np.exp(eta + 0.5 * sum(part.values()))
    shared = part["g"] + part["h"]
    whole = 0.75 * (mean + mean**2 * np.exp(sum(part.values()))) - 0.75**2 * mean**2
    random = 0.75**2 * (mean**2 * np.expm1(shared)).mean()
    assert found.fixed == pytest.approx(0.75**2 * mean.var(ddof=1), rel=1e-9)
    assert found.random == pytest.approx(random, rel=1e-9)
    assert found.residual == pytest.approx(whole.mean() - random, rel=1e-9)
    for name in ("g", "h"):
        own = 0.75**2 * (mean**2 * np.expm1(part[name])).mean()
        assert found.by_group[name] == pytest.approx(own, rel=1e-9)
    assert "row" not in found.by_group


def test_shares_have_the_covariance_of_a_bivariate_normal():
    """With a probit link E = Phi(eta / sqrt(1 + v)), and pairs are quadrants of a normal."""
    probit, eta = link_named("probit"), np.array([0.4, -1.1])
    variance = {"g": np.full(2, 1.5), "h": np.full(2, 0.7)}

    def moments(at, rows):
        mu = probit.mean(at[0])
        return mu, mu * (1.0 - mu)

    found = observed(moments, [eta], [variance], set(), None)
    for name, share in (("g", 1.5), ("h", 0.7)):
        scale, r = np.sqrt(1.0 + 2.2), share / 3.2
        normal = scipy.stats.multivariate_normal([0, 0], [[1, r], [r, 1]])
        at = eta / scale
        pairs = [normal.cdf([a, a]) - scipy.stats.norm.cdf(a) ** 2 for a in at]
        assert found.by_group[name] == pytest.approx(np.mean(pairs), abs=1e-5)
    p = scipy.stats.norm.cdf(eta / np.sqrt(3.2))
    assert found.total - found.fixed == pytest.approx((p * (1.0 - p)).mean(), abs=1e-9)


def test_two_predictors_that_vary_are_those_of_draws():
    rng = np.random.default_rng(1)
    eta = [np.full(2, 0.5), np.full(2, -0.7)]
    variance = [{"g": np.full(2, 0.3)}, {"g": np.full(2, 1.1), "h": np.full(2, 0.4)}]

    def moments(at, rows):
        p, mu = scipy.special.expit(at[1]), np.exp(at[0])
        return (1.0 - p) * mu, (1.0 - p) * (mu + p * mu**2)

    found = observed(moments, eta, variance, set(), None)
    n = 1_000_000
    a, b = np.sqrt(0.3) * rng.normal(size=n), np.sqrt(1.1) * rng.normal(size=n)
    one, two = (
        moments([0.5 + a, -0.7 + b + np.sqrt(0.4) * rng.normal(size=n)], slice(None))
        for _ in range(2)
    )
    assert found.by_group["g"] == pytest.approx(np.cov(one[0], two[0])[0, 1], rel=0.02)
    assert found.random == pytest.approx(one[0].var(), rel=0.01)
    assert found.fixed == pytest.approx(0.0, abs=1e-12)
    assert found.residual == pytest.approx(one[1].mean(), rel=0.01)


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("poisson", {}),
        ("negative_binomial", {"size": 1.7}),
        ("nbinom1", {"phi": 1.5}),
        ("generalized_poisson", {"phi": 2.0}),
        ("compois", {"phi": 2.0}),
        ("tweedie", {"phi": 1.2, "power": 1.4}),
    ],
)
def test_the_variation_of_draws_with_structural_zeros(family, params):
    found, rng = lookup(family), np.random.default_rng(2)
    named = {name: np.full(100_000, params.get(name, 1.0)) for name in found.parameters}
    mu = np.full(100_000, 2.5)
    y = np.where(rng.random(mu.size) < 0.3, 0.0, found.draw(rng, mu, named))
    single = {name: values[:1] for name, values in named.items()}
    ours = row_variance(found, LOG, mu[:1], single, "delta", 0.3)[0]
    assert ours == pytest.approx(y.var() / y.mean() ** 2, rel=0.03)
    wide = row_variance(found, LOG, mu[:1], single, "lognormal", 0.3)[0]
    assert wide == pytest.approx(np.log1p(ours), rel=1e-12)


def test_variances_of_counts_on_a_curve_are_those_of_sums():
    family, rng = lookup("compois"), np.random.default_rng(1)
    mu = np.exp(rng.uniform(-6.0, 5.0, 60))
    many = np.concatenate([mu, np.exp(np.linspace(-15.0, 15.0, 3000))])
    for phi in (0.4, 3.0):
        exact = family.variance(mu, {"phi": np.full(60, phi)})
        curve = family.variance(many, {"phi": np.array([phi])})
        np.testing.assert_allclose(curve[:60], exact, rtol=1e-5)
        assert curve[-1] == pytest.approx(phi * many[-1], rel=1e-5)  # the limit of large means


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(15), 8)
    x = np.repeat(rng.normal(size=g.size // 2), 2)  # pairs of a group with the same x
    eta = 0.6 + 0.5 * x + 0.6 * rng.normal(size=15)[g]
    y = np.where(rng.random(g.size) < 0.25, 0, rng.poisson(np.exp(eta)))
    o = np.digitize(eta + rng.logistic(size=g.size), [0.0, 1.0])
    return pd.DataFrame({"g": g, "x": x, "y": y, "o": o})


def test_parts_are_those_of_simulated_responses(data):
    model = ranef.glmer("y ~ x + (1 | g)", data, family="poisson", zero="~ x")
    draws = model.simulate(4000, seed=1)
    table = model.variance_decomposition(scale="observation").set_index("component")["variance"]
    assert table["fixed"] == pytest.approx(draws.mean(axis=1).var(ddof=1), rel=0.1)
    spread = table["random"] + table["residual"]
    assert spread == pytest.approx(draws.var(axis=1).mean(), rel=0.05)
    both = [np.cov(draws[i], draws[i + 1])[0, 1] for i in range(0, 120, 2)]
    assert table["random"] == pytest.approx(np.mean(both), rel=0.1)
    found = model.icc(scale="observation")
    assert found.by_group["g"] == pytest.approx(found.adjusted, rel=1e-9)
    assert "share levels" in found.note


def test_what_has_no_place_on_the_latent_scale_says_where_it_has(data):
    zeros = ranef.glmer("y ~ x + (1 | g)", data, family="poisson", zero="~ x")
    cut = ranef.glmer("y ~ x + (1 | g)", data, family="truncated_poisson", zero="~ 1")
    for model in (zeros, cut):
        for call in (model.r2, model.icc, model.variance_decomposition):
            with pytest.raises(ranef.UnsupportedError, match='scale="observation"'):
                call()
        assert 0.0 < model.r2(scale="observation").conditional < 1.0
    with pytest.raises(ValueError, match="scale must be"):
        zeros.r2(scale="both")
    with pytest.raises(ValueError, match="method must be"):
        zeros.r2("nakagawa")


def test_categories_have_a_latent_scale_only(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        model = ranef.clmm("o ~ x + (1 | g)", data)
        wild = model.update(link="cauchit")
    with pytest.raises(ranef.UnsupportedError, match="no variance of their own"):
        model.icc(scale="observation")
    with pytest.raises(ranef.UnsupportedError, match="no variance"):
        wild.r2()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        moved = ranef.clmm("o ~ 1 + (1 | g)", data, nominal="~ x")
        wide = ranef.clmm("o ~ x + (1 | g)", data, scale="~ x")
    with pytest.raises(ranef.UnsupportedError, match="single thresholds"):
        moved.r2()
    ratio = np.exp(2.0 * wide.params["scale:x"] * data["x"]).mean()
    residual = wide.variance_decomposition()["variance"].iloc[-1]
    assert residual == pytest.approx(ratio * np.pi**2 / 3.0, rel=1e-9)
    assert "latent" in repr(model.r2())
