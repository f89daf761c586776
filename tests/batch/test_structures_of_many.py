"""Smooths and covariance structures of many responses: as one by one, and as dense algebra says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import UnsupportedError

G, T, EACH = 25, 4, 3
N = G * T * EACH


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(G), T * EACH), np.tile(np.repeat(np.arange(T), EACH), G)
    return pd.DataFrame(
        {
            "x": rng.uniform(-2.0, 2.0, N),
            "w": rng.uniform(0.5, 2.0, N),
            "t": pd.Categorical(t),
            "g": g,
        }
    )


@pytest.fixture(scope="module")
def responses(data):
    rng = np.random.default_rng(4)
    R = 0.6 ** np.abs(np.subtract.outer(np.arange(T), np.arange(T)))
    b = rng.standard_normal((4, G, T)) @ np.linalg.cholesky(R).T
    curve = np.sin(2.0 * data["x"].to_numpy())
    noise = 0.5 * rng.standard_normal((4, N))
    return pd.DataFrame(
        (np.repeat(b.reshape(4, -1), EACH, axis=1) + curve + noise).T, columns=list("abcd")
    )


FORMULAS = {
    "smooth": "~ s(x) + (1 | g)",
    "tensor": "~ te(x, w, k=(4, 4)) + (1 | g)",
    "ar1": "~ x + ar1(0 + t | g)",
    "cs beside an intercept": "~ x + (1 | g) + cs(0 + t | g, hom=True)",
    "different deviations": "~ x + diag(0 + t | g)",
    "both": "~ s(x, k=6) + ar1(0 + t | g)",
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("reml", [True, False])
def test_each_response_as_by_itself(data, responses, formula, reml):
    batch = ranef.fit_many(formula, data, responses, reml=reml, progress=False)
    assert (batch.status == "converged").all()
    for i, name in enumerate(responses):
        one = ranef.lmer("y " + formula, data.assign(y=responses[name]), reml=reml)
        fit = batch.fits.iloc[i]
        assert fit["llf"] == pytest.approx(one.llf, abs=1e-7)
        assert fit["sigma"] == pytest.approx(one.sigma, rel=2e-5)
        table = batch.table[batch.table["response"] == name].set_index("term")
        np.testing.assert_allclose(table["estimate"], one.params, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(table["se"], one.bse, rtol=1e-5)
        params = one.covariance_params()["estimate"]
        np.testing.assert_allclose(fit[list(params.index)].astype(float), params, rtol=1e-4)


def dense_criterion(y, X, V):
    """-2 restricted log-likelihood."""
    W = np.linalg.inv(V)
    A = X.T @ W @ X
    r = y - X @ np.linalg.solve(A, X.T @ W @ y)
    n, p = X.shape
    logs = np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1]
    return logs + r @ W @ r + (n - p) * np.log(2.0 * np.pi)


def test_the_parameters_of_a_fit_are_those_of_dense_algebra(data, responses):
    batch = ranef.fit_many("~ x + ar1(0 + t | g)", data, responses, progress=False)
    X = np.column_stack([np.ones(len(data)), data["x"]])
    places = np.repeat(np.arange(T), EACH)

    def criterion(y, sigma, sd, corr):
        R = corr ** np.abs(np.subtract.outer(places, places))
        return dense_criterion(y, X, np.kron(np.eye(G), sd**2 * R) + sigma**2 * np.eye(N))

    for i, name in enumerate(responses):
        fit = batch.fits.iloc[i]
        at = fit["sigma"], fit["g.sd"], fit["g.corr"]
        least = criterion(responses[name].to_numpy(), *at)
        assert -2.0 * fit["llf"] == pytest.approx(least, abs=1e-7)
        for j in range(3):
            for step in (-1e-3, 1e-3):
                moved = list(at)
                moved[j] += step
                assert criterion(responses[name].to_numpy(), *moved) > least


def test_degrees_of_freedom_by_satterthwaite(data, responses):
    formula = "~ x + ar1(0 + t | g)"
    batch = ranef.fit_many(formula, data, responses, ddf="satterthwaite", progress=False)
    for name in responses:
        one = ranef.lmer("y " + formula, data.assign(y=responses[name]))
        table = batch.table[batch.table["response"] == name]
        wanted = one.coef_table(ddf="satterthwaite")["df"]
        np.testing.assert_allclose(table["df"], wanted, rtol=1e-3)


def test_missing_values_and_weights_of_their_own(data, responses):
    gaps = responses.copy()
    gaps.iloc[[3, 50], 1] = np.nan
    W = pd.DataFrame(np.random.default_rng(5).uniform(0.5, 2.0, gaps.shape), columns=list("abcd"))
    formula = "~ s(x, k=6) + ar1(0 + t | g)"
    for weights in (None, W):
        batch = ranef.fit_many(formula, data, gaps, weights=weights, progress=False)
        assert (batch.status == "converged").all()
        for i, name in enumerate(gaps):
            one = batch.fit(name)
            assert batch.fits["llf"].iloc[i] == pytest.approx(one.llf, abs=1e-7)
            assert batch.fits["nobs"].iloc[i] == gaps[name].notna().sum()


@pytest.mark.parametrize("formula", ["~ s(x, k=6) + (1 | g)", "~ x + ar1(0 + t | g)"])
@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_counts(data, responses, formula, family):
    rng = np.random.default_rng(6)
    counts = pd.DataFrame(rng.poisson(np.exp(0.5 + 0.5 * responses)), columns=list("abcd"))
    batch = ranef.fit_many(formula, data, counts, family=family, progress=False)
    assert (batch.status == "converged").all()
    for i, name in enumerate(counts):
        one = ranef.glmer("y " + formula, data.assign(y=counts[name]), family=family)
        fit = batch.fits.iloc[i]
        assert fit["llf"] == pytest.approx(one.llf, abs=1e-6)
        params = one.covariance_params()["estimate"]
        np.testing.assert_allclose(fit[list(params.index)].astype(float), params, rtol=1e-3)
        table = batch.table[batch.table["response"] == name]
        np.testing.assert_allclose(table["estimate"], one.params, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(table["se"], one.bse, rtol=1e-4)


def test_too_few_rows_for_a_structure(data, responses):
    gaps = responses.copy()
    gaps.loc[np.arange(N) % EACH > 0, "a"] = np.nan  # one row for each effect
    batch = ranef.fit_many("~ x + diag(0 + t | g)", data, gaps, progress=False)
    assert batch.status["a"] == "too few rows"
    assert (batch.status[["b", "c", "d"]] == "converged").all()


def test_groups_are_referred_to_single_fits(data, responses):
    frame = data.assign(y=responses["a"], h=data["g"] % 2)
    with pytest.raises(UnsupportedError, match=r"fit_groups takes none.*groupby"):
        ranef.fit_groups("y ~ s(x) + (1 | g)", frame, "h", progress=False)
    with pytest.raises(UnsupportedError, match=r"fit_groups has no covariance structures.*groupby"):
        ranef.fit_groups("y ~ x + ar1(0 + t | g)", frame, "h", progress=False)


def test_studies_are_referred_to_batches_of_simulated_responses(data):
    given = {"data": data, "params": {"Intercept": 1.0, "x": 0.2}, "sigma": 1.0, "n": 5}
    with pytest.raises(UnsupportedError, match=r"a simulated study has no.*simulate.*fit_many"):
        ranef.simulate_study("~ x + ar1(0 + t | g)", varcorr={}, **given)
    with pytest.raises(UnsupportedError, match=r"a simulated study takes none.*simulate.*fit_many"):
        ranef.simulate_study("~ s(x) + (1 | g)", varcorr={"g": 1.0}, **given)
