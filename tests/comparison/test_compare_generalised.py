"""Generalised models side by side: rankings, averages, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef.errors import ModelError, UnsupportedError

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(12)
    d = pd.DataFrame({"g": np.repeat(np.arange(15), 8), "x": rng.normal(size=120)})
    mean = np.exp(0.8 + 0.2 * d["x"] + 0.5 * rng.normal(size=15)[d["g"]])
    d["count"] = rng.negative_binomial(1.5, 1.5 / (1.5 + mean))
    return d


@pytest.fixture(scope="module")
def poisson(rows):
    return ranef.glmer("count ~ x + (1 | g)", rows, family="poisson")


@pytest.fixture(scope="module")
def negative(poisson):
    return poisson.update(family="negative_binomial")


def test_families_of_counts_are_ranked(poisson, negative):
    found = ranef.compare(poisson, negative, by="aic")
    assert_allclose(found.table["aic"], sorted([poisson.aic, negative.aic]))
    assert found.table["delta"].iloc[1] == pytest.approx(poisson.aic - negative.aic)
    weight = 1.0 / (1.0 + np.exp(-0.5 * (poisson.aic - negative.aic)))
    assert found.table["weight"].iloc[0] == pytest.approx(weight)
    assert (found.table["estimator"] == "ML").all()
    noted = ranef.compare(negative, negative.update(nagq=5)).notes
    assert any("nagq" in note for note in noted)


def test_averages(poisson):
    null = poisson.update(". ~ . - x")
    found = ranef.average([poisson, null])
    w = np.exp(-0.5 * np.array([poisson.aic, null.aic]))
    w /= w.sum()
    assert_allclose(found.weights, w)
    assert found.params["x"] == pytest.approx(w[0] * poisson.params["x"])
    assert_allclose(
        found.predict(kind="response"), w[0] * poisson.predict() + w[1] * null.predict(), rtol=1e-12
    )


def test_what_cannot_be_compared(rows, poisson, negative):
    gamma = ranef.glmer(
        "count ~ x + (1 | g)", rows.assign(count=rows["count"] + 1.0), family="gamma", link="log"
    )
    shifted = ranef.glmer(
        "count ~ x + (1 | g)", rows.assign(count=rows["count"] + 1), family="poisson"
    )
    linear = ranef.lmer("count ~ x + (1 | g)", rows)
    for call in (ranef.compare, lambda *models: ranef.average(models)):
        for other, message in (
            (poisson.update(data=rows.iloc[:100]), "rows"),
            (linear, "LinearMixedModel"),
            (poisson.update(prior="weak"), "prior"),
        ):
            with pytest.raises(ModelError, match=message):
                call(poisson, other)
    with pytest.raises(ModelError, match="densities"):
        ranef.compare(shifted, gamma)
    with pytest.raises(ModelError, match="two or more"):
        ranef.compare(poisson)
    with pytest.raises(UnsupportedError, match="'aic'"):
        ranef.compare(poisson, negative, by="caic")
    with pytest.raises(UnsupportedError, match="'aic'"):
        ranef.average([poisson, poisson.update(". ~ . - x")], "stacking")
    with pytest.raises(ModelError, match="different scales"):
        ranef.average([poisson, negative])
