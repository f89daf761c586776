"""Posteriors of models with known covariances and several levels a row, against dense algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.inference.posterior.coordinates import Coordinates
from ranef.inference.posterior.left_out import row_densities

LEVELS = [f"a{i}" for i in range(12)]


def relatives(seed=4):
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(12, 12))
    A = B @ B.T / 12.0 + 0.3 * np.eye(12)
    ids = np.repeat(np.arange(10), 4)  # two levels have no rows
    frame = pd.DataFrame({"animal": np.array(LEVELS)[ids], "x": rng.normal(size=40)})
    frame["y"] = 2.0 + 0.5 * frame["x"] + 1.5 * (np.linalg.cholesky(A) @ rng.normal(size=12))[ids]
    frame["y"] += rng.normal(size=40)
    Z = np.eye(12)[ids]
    return frame, pd.DataFrame(A, LEVELS, LEVELS), Z


def pupils(seed=5):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"t1": rng.choice(LEVELS, 60), "x": rng.normal(size=60)})
    frame["t2"] = [*rng.choice(LEVELS, 50), *[None] * 10]
    frame["w1"] = rng.uniform(0.3, 1.0, 60).round(2)
    frame["w2"] = (1.0 - frame["w1"]).round(2)
    Z = np.zeros((60, 12))
    for i, row in enumerate(frame.itertuples()):
        Z[i, LEVELS.index(row.t1)] += row.w1
        if isinstance(row.t2, str):
            Z[i, LEVELS.index(row.t2)] += row.w2
    frame["y"] = 1.0 + 0.4 * frame["x"] + Z @ rng.normal(size=12) + 0.7 * rng.normal(size=60)
    return frame, Z


def dense_posterior(y, X, ZAZ, prior_sd, prior_sigma):
    """Means of sd, sigma and beta by a grid over the two standard deviations."""
    sds, sigmas = np.linspace(0.01, 8.0, 110), np.linspace(0.2, 3.0, 80)
    log, betas = np.empty((110, 80)), np.empty((110, 80, X.shape[1]))
    for i, sd in enumerate(sds):
        for j, sigma in enumerate(sigmas):
            V = sd**2 * ZAZ + sigma**2 * np.eye(len(y))
            L = np.linalg.cholesky(V)
            x, r = np.linalg.solve(L, X), np.linalg.solve(L, y)
            beta, rss, *_ = np.linalg.lstsq(x, r, rcond=None)
            half = np.log(np.diag(L)).sum() + 0.5 * np.linalg.slogdet(x.T @ x)[1]
            log[i, j] = -half - 0.5 * rss[0]
            betas[i, j] = beta
    log += prior_sd(sds)[:, None] + prior_sigma(sigmas)
    w = np.exp(log - log.max())
    w /= w.sum()
    spread = np.sqrt(w.sum(axis=1) @ sds**2 - (w.sum(axis=1) @ sds) ** 2)
    return w.sum(axis=1) @ sds, spread, w.sum(axis=0) @ sigmas, np.einsum("ij,ijk->k", w, betas)


def half_t(scale):
    return lambda value: scipy.stats.t(3).logpdf(value / scale)


PRIOR = {"residual": ranef.HalfT(3, 0, 2.0)}


def checked(model, group, y, X, ZAZ):
    prior = {**PRIOR, group: ranef.HalfT(3, 0, 3.0)}
    found = model.sample(draws=2000, chains=2, warmup=500, seed=1, prior=prior, progress=False)
    table = found.table()
    sd, spread, sigma, beta = dense_posterior(y, X, ZAZ, half_t(3.0), half_t(2.0))
    name = f"sd_Intercept|{group}"
    error = spread / np.sqrt(table.loc[name, "ess"])
    assert table.loc[name, "mean"] == pytest.approx(sd, abs=5.0 * error)
    assert table.loc[name, "sd"] == pytest.approx(spread, rel=0.1)
    assert table.loc["sigma", "mean"] == pytest.approx(sigma, rel=0.02)
    np.testing.assert_allclose(table.loc[["Intercept", "x"], "mean"], beta, atol=0.05)
    return found


def test_a_known_covariance_has_the_posterior_of_a_grid():
    frame, A, Z = relatives()
    model = ranef.lmer("y ~ x + (1 | animal)", frame, covariance={"animal": A})
    X, y = np.column_stack([np.ones(40), frame["x"]]), frame["y"].to_numpy()
    ZAZ = Z @ A.to_numpy() @ Z.T
    found = checked(model, "animal", y, X, ZAZ)
    # Levels without rows have effects too, by their relatives: E b = sd^2 A Z'V^-1 (y - X b).
    draws, effects = found._draws, found.ranef()["animal"]["Intercept"]
    sds, sigmas = draws.roots[0].ravel(), draws.scale.ravel()
    betas = draws.beta.reshape(len(sds), 2)
    mean = np.zeros(12)
    for sd, sigma, beta in zip(sds[::20], sigmas[::20], betas[::20], strict=True):
        V = sd**2 * ZAZ + sigma**2 * np.eye(40)
        mean += sd**2 * A.to_numpy() @ Z.T @ np.linalg.solve(V, y - X @ beta) / len(sds[::20])
    np.testing.assert_allclose(effects[LEVELS], mean, atol=0.15)
    assert effects.index.tolist() == LEVELS


def test_rows_left_out_where_levels_are_related():
    frame, A, Z = relatives()
    model = ranef.lmer("y ~ x + (1 | animal)", frame, covariance={"animal": A})
    found = model.sample(draws=200, chains=2, warmup=300, seed=1, progress=False)
    design, draws = model.parts.design, found._draws
    coordinates = Coordinates(design.random, has_scale=True)
    out, _ = row_densities(design, model.parts.core, draws, coordinates, found._priors)
    X, y = np.column_stack([np.ones(40), frame["x"]]), frame["y"].to_numpy()
    for s in range(0, 400, 50):
        sd, sigma = draws.roots[0].ravel()[s], draws.scale.ravel()[s]
        V = sd**2 * Z @ A.to_numpy() @ Z.T + sigma**2 * np.eye(40)
        # y given the other rows under a flat beta: from the inverse of V with X projected out.
        W = np.linalg.inv(V)
        P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
        variance = 1.0 / np.diag(P)
        miss = (P @ y) * variance
        want = -0.5 * (np.log(2.0 * np.pi * variance) + miss**2 / variance)
        np.testing.assert_allclose(out[s], want, rtol=1e-6, atol=1e-6)
    with pytest.raises(ranef.UnsupportedError, match=r"leaving levels out.*use loo\(\), by rows"):
        found.loo("animal")


@pytest.mark.filterwarnings("ignore:.*do not sum to one")
def test_several_levels_a_row_have_the_posterior_of_a_grid():
    frame, Z = pupils()
    model = ranef.lmer("y ~ x + (1 | mm(t1, t2, weights=(w1, w2)))", frame)
    X, y = np.column_stack([np.ones(60), frame["x"]]), frame["y"].to_numpy()
    found = checked(model, "mm(t1, t2)", y, X, Z @ Z.T)
    np.testing.assert_allclose(found.predict(), model.fittedvalues, atol=0.15)
    np.testing.assert_allclose(found.predict(frame.iloc[-3:]), found.predict()[-3:], atol=1e-8)
    new = frame.iloc[:2].assign(t2="unseen")
    assert np.isfinite(found.predict(new, new_levels="population")).all()
    with pytest.raises(ranef.UnsupportedError, match="a row has several levels"):
        found.loo()


def test_draws_from_the_prior_have_the_known_covariance():
    frame, A, _ = relatives()
    model = ranef.lmer("y ~ x + (1 | animal)", frame, covariance={"animal": A})
    prior = {
        "animal": ranef.HalfT(np.inf, 1.0, 0.01),
        "residual": ranef.HalfT(3, 0, 2.0),
        "fixed": ranef.Normal(sd={"Intercept": 1.0, "x": 1.0}),
    }
    found = model.sample(draws=1000, chains=2, warmup=500, seed=1, prior=prior, progress=False)
    drawn = found._source.from_prior(found._priors, 20_000, np.random.default_rng(1))
    b = drawn.effects[0][0, :, :, 0]
    np.testing.assert_allclose(np.cov(b.T), A, atol=0.06)


def test_what_has_no_prior_is_refused():
    sleep = ranef.datasets.load("sleepstudy")
    structured = ranef.lmer("Reaction ~ Days + ou(0 + Days | Subject)", sleep)
    with pytest.raises(ranef.UnsupportedError, match=r"structure ou, whose parameters.*conf_int"):
        structured.sample()
    with pytest.raises(ranef.UnsupportedError, match=r"is a smooth.*model.smooth\(\)"):
        ranef.lmer("Reaction ~ s(Days, k=5) + (1 | Subject)", sleep).sample()
    frame, A, *_ = relatives()
    counts = frame.assign(y=np.round(np.exp(0.3 * frame["y"])))
    model = ranef.glmer("y ~ x + (1 | animal)", counts, family="poisson", covariance={"animal": A})
    with pytest.raises(ranef.UnsupportedError, match="levels of known covariance, which sample"):
        model.sample()
