"""Dispersions of a batch shrunk to a trend: the prior, each fit there, and what it is for."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.inference.hypotheses.dispersions import Profiles, shrink_dispersions
from reference import dense_glmm

GROUPS, ROWS, SD = 8, 5, 0.6
FORMULA = "~ x + (1 | g)"


def drawn(seed, count, rows=ROWS):
    """Negative binomial responses about a trend in their means, and their log dispersions."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(GROUPS), rows)
    frame = pd.DataFrame({"g": g, "x": rng.permuted(g % 2)})
    frame["depth"] = rng.uniform(0.5, 2.0, g.size)
    level = rng.uniform(0.0, 4.0, count)
    log = np.log(0.1 + np.exp(-level)) + SD * rng.normal(size=count)
    Y = np.empty((g.size, count))
    for j in range(count):
        mean = frame["depth"] * np.exp(level[j] + 0.3 * rng.normal(size=GROUPS)[g])
        size = np.exp(-log[j])
        Y[:, j] = rng.negative_binomial(size, size / (size + mean))
    return frame, Y, log


def fitted(frame, Y, **options):
    call = {"family": "negative_binomial", "size_factors": "depth", "progress": False}
    return ranef.fit_many(FORMULA, frame, Y, **(call | options))


@pytest.fixture(scope="module")
def many():
    frame, Y, log = drawn(1, 600)
    batch = fitted(frame, Y)
    return frame, Y, log, batch, batch.moderated(progress=False)


def each(table, column):
    return table.groupby("response", sort=False)[column].first().to_numpy()


def test_the_prior_is_recovered_and_dispersions_come_nearer(many):
    _, _, log, batch, table = many
    assert table.attrs["prior_sd"] == pytest.approx(SD, abs=0.1)
    own = np.clip(-np.log(batch.fits["dispersion"]), -4.0, 4.0)  # some run to zero
    shrunk, trend = -np.log(each(table, "dispersion")), -np.log(each(table, "trend"))
    error = [np.sqrt(np.mean((found - log) ** 2)) for found in (own, shrunk, trend)]
    assert error[1] < 0.75 * error[0]
    assert error[1] < 0.75 * error[2]
    low = table["trend"].groupby(table["response"]).first()
    assert low.min() < 1.3  # 1 / (0.1 + 1 / mean), means from 1 to 55
    assert low.max() > 5.0


def test_tests_keep_their_level(many):
    _, _, _, batch, table = many
    shares = [(t.loc[t["term"] == "x", "pvalue"] < 0.05).mean() for t in (batch.table, table)]
    assert 0.03 < shares[1] < 0.085  # two and a half standard errors about 0.05, and Wald's excess
    assert shares[1] <= shares[0] + 0.005


def test_a_fit_at_a_shrunk_dispersion_maximises_the_likelihood_there(many):
    frame, Y, _, _, table = many
    Z = (frame["g"].to_numpy()[:, None] == np.arange(GROUPS)).astype(float)
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    offset = np.log(frame["depth"].to_numpy())
    table = table.set_index(["response", "term"])
    for j in (0, 7, 42):
        size = table.loc[(j, "x"), "dispersion"]

        def criterion(at, y=Y[:, j], size=size):
            def rows(eta):
                return scipy.stats.nbinom.logpmf(y, size, size / (size + np.exp(eta)))

            return dense_glmm.laplace(rows, offset + X @ at[:2], Z, at[2] * np.eye(GROUPS))

        start = [*table.loc[j, "estimate"], 0.3]
        # wide steps: the criterion's own mode is found by differences, so its last digits wander
        options = {"finite_diff_rel_step": 1e-3, "gtol": 1e-4}
        best = scipy.optimize.minimize(criterion, start, jac="3-point", options=options)
        assert best.success
        np.testing.assert_allclose(table.loc[j, "estimate"], best.x[:2], atol=2e-5)


def test_normal_likelihoods_have_the_posterior_that_is_known():
    rng = np.random.default_rng(5)
    se = rng.uniform(0.1, 0.6, 400)
    truth = 0.5 + 0.7 * rng.normal(size=400)
    estimate = truth + se * rng.normal(size=400)
    at = estimate[:, None] + se[:, None] * np.array([-3.0, -1.0, 0.0, 1.0, 3.0])
    away = (at - estimate[:, None]) / se[:, None]
    profiles = Profiles(at, -0.5 * away**2, -away / se[:, None])
    found = shrink_dispersions(profiles, np.zeros(400), np.zeros(400))

    def minus_log(parameters):
        spread = np.hypot(se, np.exp(parameters[1]))
        return -scipy.stats.norm.logpdf(estimate, parameters[0], spread).sum()

    mean, log_sd = scipy.optimize.minimize(minus_log, [0.0, 0.0]).x
    # the prior's variance is corrected for its mean, as in restricted likelihood
    assert found.prior_sd == pytest.approx(np.exp(log_sd), rel=5e-3)
    np.testing.assert_allclose(found.trend, mean, atol=2e-3)
    share = found.prior_sd**2 / (found.prior_sd**2 + se**2)
    np.testing.assert_allclose(found.mode, share * estimate + (1 - share) * found.trend, atol=1e-6)


def test_missing_values_bad_responses_blocks_and_folders(tmp_path):
    frame, Y, _ = drawn(3, 40)
    Y[:6, 3] = np.nan
    Y[:, 4] = 0.0
    Y[:, 5] = -1.0
    whole = fitted(frame, Y).moderated(progress=False)
    assert whole.loc[whole["response"].isin([4, 5]), "estimate"].isna().all()
    assert whole.loc[~whole["response"].isin([4, 5]), "se"].notna().all()
    assert len(whole) == 80
    other = fitted(frame, scipy.sparse.csr_array(np.nan_to_num(Y)), workers=2)
    again = fitted(frame, np.nan_to_num(Y)).moderated(progress=False)
    pd.testing.assert_frame_equal(other.moderated(progress=False), again)
    pytest.importorskip("pyarrow")
    stored = fitted(frame, Y, out=tmp_path / "run")
    pd.testing.assert_frame_equal(stored.moderated(progress=False), whole)
    with pytest.raises(ranef.RanefError, match="moderated from the counts"):
        ranef.StoredBatch(tmp_path / "run").moderated()


def test_hypotheses_are_tested_at_the_shrunk_dispersions(many):
    frame, Y, _, _, table = many
    batch = fitted(frame, Y[:, :60], tests=["x = 0.1"])
    found = batch.moderated(progress=False).set_index(["response", "term"])
    x, test = found.loc[(slice(None), "x"), :], found.loc[(slice(None), "x = 0.1"), :]
    np.testing.assert_allclose(test["estimate"].to_numpy(), x["estimate"].to_numpy() - 0.1)
    assert {"p_bh", "q_storey", "dispersion", "trend"} <= set(table.columns)


def test_gamma_responses_have_dispersions_of_the_other_sign():
    rng = np.random.default_rng(2)
    frame, Y, _ = drawn(4, 150)
    phi = np.exp(-0.7 + 0.5 * rng.normal(size=150))
    mean = np.exp(1.0 + 0.4 * rng.normal(size=(GROUPS, 150))[frame["g"]])
    Y = rng.gamma(1.0 / phi, mean * phi)
    batch = fitted(frame, Y, family="gamma", link="log", size_factors=None)
    table = batch.moderated(progress=False)
    assert table.attrs["prior_sd"] == pytest.approx(0.5, abs=0.12)
    own, shrunk = np.log(batch.fits["dispersion"]), np.log(each(table, "dispersion"))
    assert np.mean((shrunk - np.log(phi)) ** 2) < np.mean((own - np.log(phi)) ** 2)


def test_what_cannot_be_moderated_says_so():
    frame, Y, _ = drawn(6, 12)
    with pytest.raises(ranef.UnsupportedError, match="the poisson family has none"):
        fitted(frame, Y, family="poisson").moderated()
    flat = np.random.default_rng(1).poisson(3.0, Y.shape).astype(float)
    with pytest.raises(ValueError, match="at least two fits whose dispersion is estimated"):
        fitted(frame, flat[:, :1]).moderated()
    with pytest.raises(ranef.UnsupportedError, match="responses that can be read again"):
        fitted(frame, iter([Y])).moderated()
    long = frame.assign(y=Y[:, 0], part=np.arange(len(frame)) % 2)
    groups = ranef.fit_groups(
        "y ~ x + (1 | g)", long, by="part", family="negative_binomial", progress=False
    )
    with pytest.raises(ranef.UnsupportedError, match="a model of each group"):
        groups.moderated()
