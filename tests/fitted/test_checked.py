"""Residual checks: right distribution under the model, and found where it is wrong."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef


def frame(n=150, seed=1):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n // 5), 5)
    x = rng.uniform(-1.0, 1.0, g.size)
    b = rng.normal(size=n // 5)
    y = 1.0 + x + b[g] + rng.normal(size=g.size)
    count = rng.poisson(np.exp(1.0 + 0.5 * x + 0.3 * b[g]))
    return pd.DataFrame({"y": y, "n": count, "x": x, "g": g, "t": np.tile(np.arange(5), n // 5)})


def test_residuals_of_least_squares_have_known_tests():
    # Under y ~ 1 the share that k orthonormal columns explain is beta(k / 2, (n - 1 - k) / 2),
    # and Lilliefors' statistic has its 95 % point at 0.0727 (Abdi and Molin 2007), which 999 draws
    # know with a standard deviation of 2 %.
    data = frame()
    found = ranef.feols("y ~ 1", data).simulated_residuals(999, seed=1)
    share = found.against("x")["location"]
    exact = scipy.stats.beta(2.0, (150 - 5) / 2.0).sf(share.statistic)
    assert share.pvalue == pytest.approx(exact, abs=0.02)
    limit = np.quantile(found.uniformity().draws, 0.95)
    assert limit == pytest.approx(0.0727, rel=0.06)
    assert np.quantile(share.draws, 0.9) == pytest.approx(
        scipy.stats.beta(2.0, (150 - 5) / 2.0).ppf(0.9), rel=0.08
    )


def test_scores_are_those_of_the_distribution():
    data = frame()
    model = ranef.lmer("y ~ x + (1 | g)", data)
    found = model.simulated_residuals(19, seed=1, progress=False)
    np.testing.assert_allclose(found.z, model.resid / model.sigma, rtol=1e-10)
    marginal = model.simulated_residuals(19, seed=1, kind="marginal")
    sd = np.sqrt(model.sigma**2 + model.varcorr["g"].iloc[0, 0])
    np.testing.assert_allclose(
        marginal.z, (data["y"] - model.predict(random="none")) / sd, rtol=1e-10
    )
    counts = ranef.glmer("n ~ x + (1 | g)", data, family="poisson")
    found = counts.simulated_residuals(19, seed=1)
    mu = counts.fittedvalues.to_numpy()
    high, low = (scipy.stats.poisson.cdf(data["n"] - k, mu) for k in (0, 1))
    u = found.probabilities.to_numpy()
    assert ((u >= low - 1e-12) & (u <= high + 1e-12)).all()


def test_marginal_probabilities_of_counts_are_integrals_over_the_random_effect():
    data = frame()
    model = ranef.glmer("n ~ x + (1 | g)", data, family="poisson")
    found = model.simulated_residuals(19, seed=1, kind="marginal")
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    eta = np.asarray(model.predict(random="none", kind="link"))[:, None]
    mu = np.exp(eta + np.sqrt(model.varcorr["g"].iloc[0, 0]) * nodes)
    share = weights / weights.sum()
    high, low = (
        scipy.stats.poisson.cdf(data["n"].to_numpy()[:, None] - k, mu) @ share for k in (0, 1)
    )
    u = found.probabilities.to_numpy()
    assert ((u >= low - 1e-6) & (u <= high + 1e-6)).all()


@pytest.fixture(scope="module")
def wrong():
    """A model that misses a square, a growing spread, an outlier and correlation in time."""
    rng = np.random.default_rng(2)
    data = frame(300)
    e = np.zeros((60, 5))
    for t in range(5):
        e[:, t] = rng.normal(size=60) + (0.8 * e[:, t - 1] if t else 0.0)
    data["square"] = data["y"] + 2.0 * data["x"] ** 2
    data["spread"] = 1.0 + rng.normal(size=300) * np.exp(data["x"])
    data["outlier"] = data["y"] + 60.0 * (np.arange(300) == 7)
    data["serial"] = e.ravel()
    data["place"] = data["y"] + 3.0 * np.sin(6.0 * np.linspace(0, 1, 300))
    data["east"], data["north"] = np.linspace(0, 1, 300), rng.random(300) * 0.1
    return data


def residuals(data, y):
    return ranef.lmer(f"{y} ~ x + (1 | g)", data).simulated_residuals(99, seed=1, progress=False)


def test_what_is_wrong_is_found(wrong):
    good = residuals(wrong, "y")
    assert residuals(wrong, "square").against("x")["location"].pvalue == 0.01
    assert residuals(wrong, "spread").against("x")["spread"].pvalue == 0.01
    outlier = residuals(wrong, "outlier")
    assert outlier.largest().pvalue == 0.01
    assert outlier.uniformity().pvalue == 0.01
    assert residuals(wrong, "serial").autocorrelation("t").pvalue == 0.02
    assert good.autocorrelation("t").pvalue > 0.05
    linear = ranef.feols("place ~ x", wrong).simulated_residuals(99, seed=1, progress=False)
    assert linear.spatial("east", "north").pvalue == 0.02
    assert good.spatial("x", "t").pvalue > 0.05


def test_counts_that_vary_too_much_and_zeros_are_found():
    data = frame(300)
    rng = np.random.default_rng(3)
    data["n"] = rng.negative_binomial(1.0, 1.0 / (1.0 + np.exp(1.0 + 0.5 * data["x"])))
    found = ranef.glmer("n ~ x + (1 | g)", data, family="poisson").simulated_residuals(
        39, seed=1, progress=False
    )
    assert found.dispersion().pvalue == 0.05
    assert found.dispersion().statistic > 1.5
    assert found.zeros().statistic == (data["n"] == 0).sum()
    assert found.zeros().pvalue == 0.05


def test_responses_are_compared_as_they_are():
    data = frame()
    found = ranef.lmer("y ~ x + (1 | g)", data).simulated_residuals(99, seed=1, progress=False)
    table = found.responses()
    assert table.loc["mean", "observed"] == pytest.approx(data["y"].mean())
    assert (table["lower"] <= table["upper"]).all()
    assert found.compare(np.median).statistic == pytest.approx(data["y"].median())


def test_arguments_that_make_no_sense_are_refused():
    data = frame()
    data.loc[3, "t"] = np.nan
    model = ranef.lmer("y ~ x + (1 | g)", data)
    with pytest.raises(ValueError, match="19 or more"):
        model.simulated_residuals(5)
    with pytest.raises(ValueError, match="kind must be"):
        model.simulated_residuals(kind="conditonal")
    found = model.simulated_residuals(19, seed=1)
    with pytest.raises(ranef.DataError, match="no column 'z'"):
        found.against("z")
    with pytest.raises(ranef.DataError, match="missing in 1 row"):
        found.against("t")
    with pytest.raises(ranef.DataError, match="150 rows"):
        found.against(np.zeros(3))
    with pytest.raises(ranef.DataError, match="same in every row"):
        found.against(np.zeros(150))
    with pytest.raises(ranef.UnsupportedError, match="residual variance"):
        found.dispersion()
    with pytest.raises(ranef.DataError, match="zeros"):
        found.zeros()
    with pytest.raises(ranef.DataError, match="places"):
        found.spatial(data["g"] % 3, data["g"] % 2)
    rows = ranef.lmer("y ~ x + (1 | g)", data).simulated_residuals(19, seed=1)
    np.testing.assert_array_equal(rows.z, found.z)


def test_models_of_chunks_say_that_they_have_no_rows():
    data = frame()
    model = ranef.lmer("y ~ x + (1 | g)", iter([data[:75], data[75:]]))
    with pytest.raises(ranef.UnsupportedError, match="chunks"):
        model.simulated_residuals(19)


@pytest.mark.parametrize("kind", ["conditional", "marginal"])
def test_ordered_responses_and_families_of_several_parts_have_them_too(kind):
    data = frame(100)
    data["c"] = pd.Categorical(np.digitize(data["y"], [0.0, 1.5, 3.0]), ordered=True)
    ordered = ranef.clmm("c ~ x + (1 | g)", data)
    found = ordered.simulated_residuals(19, seed=1, kind=kind, progress=False)
    assert found.table["pvalue"].between(0.0, 1.0).all()
    if kind == "conditional":  # between the cumulative probabilities of the category and the last
        cumulative = ordered.predict(kind="cumulative").to_numpy()
        code = data["c"].cat.codes.to_numpy()
        high = cumulative[np.arange(100), code]
        low = np.where(code > 0, cumulative[np.arange(100), code - 1], 0.0)
        u = found.probabilities.to_numpy()
        assert ((low - 1e-9 <= u) & (u <= high + 1e-9)).all()
    several = ranef.glmer("n ~ x + (1 | g)", data, family="nbinom1")
    found = several.simulated_residuals(19, seed=1, kind=kind, progress=False)
    assert np.isfinite(found.z).all()
    assert abs(found.z.mean()) < 0.3
    assert {"dispersion", "zeros"} <= set(found.table.index)
