"""Cross-validation of generalised models: scores by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
from numpy.testing import assert_allclose

import ranef
from ranef.errors import ModelError, UnsupportedError

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.datasets.load("cbpp").set_index(np.arange(56) + 100)


@pytest.fixture(scope="module")
def model(cbpp):
    return ranef.glmer(CBPP, cbpp, family="binomial")


def test_scores_by_hand(model, cbpp):
    """One fold refitted, its probabilities by adaptive integration."""
    found = ranef.cross_validate(model, folds=5, seed=1)
    columns = ["rows", "folds", "rmse", "mae", "r2", "log_score", "elpd", "elpd_se"]
    columns += ["coverage95", "deviance", "brier"]
    assert found.table.columns.tolist() == columns
    assert found.table.loc["all", ["rows", "folds"]].tolist() == [56, 5]
    rows = found.rows[found.rows["fold"] == 2]
    test = cbpp.loc[rows.index]
    train = cbpp.drop(rows.index)
    assert not set(train["herd"]) & set(test["herd"])
    fit = model.update(data=train)
    limits = fit.predict(test, new_levels="population", kind="link", interval="confidence")
    sd = (limits["upper"] - limits["mean"]) / scipy.stats.norm.ppf(0.975)
    for label in rows.index[:4]:
        centre, width, n = limits.loc[label, "mean"], sd[label], cbpp.loc[label, "size"]

        def joint(e, label=label, centre=centre, width=width, n=n):
            p = 1.0 / (1.0 + np.exp(-e))
            own = scipy.stats.binom.pmf(cbpp.loc[label, "incidence"], n, p)
            return np.array([own, p]) * scipy.stats.norm.pdf(e, centre, width)

        ends = centre - 9 * width, centre + 9 * width
        probability, mean = (
            scipy.integrate.quad(lambda e, k=k, f=joint: f(e)[k], *ends)[0] for k in (0, 1)
        )
        assert rows.loc[label, "log_score"] == pytest.approx(np.log(probability), abs=1e-7)
        assert rows.loc[label, "mean"] == pytest.approx(mean, abs=1e-8)
        y = cbpp.loc[label, "incidence"] / n
        assert rows.loc[label, "y"] == y
        brier = y * (1 - mean) ** 2 + (1 - y) * mean**2
        assert rows.loc[label, "brier"] == pytest.approx(brier)
    assert found.table.loc["all", "log_score"] == pytest.approx(found.rows["log_score"].mean())


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "gamma"])
def test_the_truth_scores_best(family):
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"g": np.repeat(np.arange(30), 8), "x": rng.normal(size=240)})
    mean = np.exp(1.0 + 0.6 * d["x"] + 0.5 * rng.normal(size=30)[d["g"]])
    d["y"] = {
        "poisson": lambda: rng.poisson(mean),
        "gamma": lambda: rng.gamma(2.0, mean / 2.0),
        "negative_binomial": lambda: rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
    }[family]()
    model = ranef.glmer("y ~ x + (1 | g)", d, family=family, link="log")
    null = model.update(". ~ . - x")
    for scheme in ("new_groups", "new_rows"):
        ours, other = (
            ranef.cross_validate(m, scheme, folds=4, seed=2).table.loc["all"] for m in (model, null)
        )
        assert ours["log_score"] > other["log_score"] + 0.05
        if family != "negative_binomial":
            assert ours["deviance"] < other["deviance"]
        assert ours["coverage95"] > 0.9  # counts move in steps
    assert "brier" not in ours
    known = ranef.cross_validate(model, "new_rows", folds=4, seed=2)
    assert any("groups are on both sides" in note for note in known.notes)


def test_log_scores_sum_over_responses_to_one(model):
    """Predictive probabilities of all shares of a row's trials."""
    predictive = model.parts.predictive(model.parts.data, model.parts.weights)
    total = np.zeros(56)
    for successes in range(int(model.parts.weights.max()) + 1):
        possible = successes <= model.parts.weights
        share = np.minimum(successes / model.parts.weights, 1.0)
        total += np.where(possible, np.exp(predictive.log_density(share)), 0.0)
    assert_allclose(total, 1.0, rtol=1e-10)


def test_what_is_refused(model):
    for scheme in ("new_groups", "new_rows"):
        with pytest.raises(UnsupportedError, match="folds=10"):
            ranef.cross_validate(model, scheme)
    with pytest.raises(ModelError, match=r"ranef\.lmer, ranef\.glmer or ranef\.clmm"):
        ranef.cross_validate(3, folds=2)
