"""Findings about generalised models."""

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture
def rows():
    rng = np.random.default_rng(21)
    d = pd.DataFrame({"g": np.repeat(np.arange(30), 8), "x": rng.normal(size=240)})
    d["eta"] = 0.5 + 0.3 * d["x"] + 0.7 * rng.normal(size=30)[d["g"]]
    d["count"] = rng.poisson(np.exp(d["eta"]))
    return d


def fitted(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.glmer(formula, data, **options)


def test_nothing_to_say_of_a_good_model(rows):
    assert ranef.diagnose(fitted("count ~ x + (1 | g)", rows, family="poisson")).codes == []


def test_overdispersion_and_its_absence(rows):
    rng = np.random.default_rng(1)
    wild = rows.assign(count=rng.negative_binomial(0.7, 0.7 / (0.7 + np.exp(rows["eta"]))))
    found = ranef.diagnose(fitted("count ~ x + (1 | g)", wild, family="poisson"))
    finding = next(f for f in found if f.code == "overdispersed")
    assert finding.fix == 'model.update(family="negative_binomial")'
    tame = rows.assign(count=rng.binomial(20, 0.3, 240))
    model = fitted("count ~ x + (1 | g)", tame, family="negative_binomial")
    assert "no-excess" in ranef.diagnose(model).codes


def test_separation_and_zero_variances(rows):
    d = rows.assign(y=(rows["x"] > 0) * 1)
    found = ranef.diagnose(fitted("y ~ x + (1 | g)", d, family="binomial"))
    assert found[0].code == "separated"
    rng = np.random.default_rng(3)
    d = rows.assign(h=np.tile(np.arange(24), 10), flat=rng.poisson(2.0, 240))
    model = fitted("flat ~ x + (1 | h)", d, family="poisson")
    assert model.is_singular
    found = ranef.diagnose(model)
    assert "zero-variance" in found.codes
    assert not any(f.fix.startswith("ranef.") for f in found)
    model = fitted("count ~ x + (1 | g) + (1 | h)", d, family="poisson")
    finding = next(f for f in ranef.diagnose(model) if f.code == "zero-variance")
    assert finding.fix == 'model.update("count ~ x + (1 | g)")'
    again = eval(finding.fix, {"model": model})
    assert again.llf == pytest.approx(model.llf, abs=1e-6)


def test_labels_that_are_used_again():
    """Pupils numbered anew within each class."""
    rng = np.random.default_rng(5)
    d = pd.DataFrame(
        [(k, p) for k in range(20) for p in range(10) for _ in range(6)], columns=["k", "pupil"]
    )
    eta = (
        1.0
        + 0.5 * rng.normal(size=20)[d["k"]]
        + 0.9 * rng.normal(size=(20, 10))[d["k"], d["pupil"]]
    )
    d["count"] = rng.poisson(np.exp(eta))
    model = fitted("count ~ 1 + (1 | k) + (1 | pupil)", d, family="poisson")
    finding = next(f for f in ranef.diagnose(model) if f.code == "labels-reused")
    assert "linear models of the responses" in finding.evidence
    assert finding.fix == 'model.update("count ~ 1 + (1 | k) + (1 | k:pupil)")'


def test_few_levels_and_missing_rows(rows):
    few = rows[rows["g"] < 8].assign(x=rows["x"].where(rows.index % 9 > 0))
    found = ranef.diagnose(fitted("count ~ x + (1 | g)", few, family="poisson"))
    assert {"few-levels", "missing-rows"} <= set(found.codes)
    assert "profile" in next(f for f in found if f.code == "few-levels").advice
