"""The doctor of generalised models: the smallest change that helps, and the code that makes it."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def frame():
    """Responses of 20 places; the other grouping, 5 days, changes nothing."""
    rng = np.random.default_rng(8)
    place = np.repeat(np.arange(20), 15)
    x = rng.normal(size=300)
    mean = np.exp(0.8 + 0.3 * x + 0.7 * rng.normal(size=20)[place])
    size = rng.integers(3, 9, 300)
    shares = 1.0 / (1.0 + np.exp(-np.log(mean / 2.0)))
    return pd.DataFrame(
        {
            "place": place,
            "day": np.arange(300) % 5,
            "x": x,
            "plain": rng.poisson(mean),
            "spread": rng.negative_binomial(0.8, 0.8 / (0.8 + mean)),
            "hits": rng.binomial(size, shares),
            "size": size,
        }
    )


def quiet(f, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return f(*args, **options)


def test_a_variance_of_zero_is_left_out(frame):
    formula = "cbind(hits, size - hits) ~ x + (1 | place)"
    model = quiet(ranef.glmer, formula + " + (1 | day)", frame, family="binomial")
    assert model.is_singular
    found = ranef.doctor(model)
    assert found.troubles == ("zero-variance",)
    one = ranef.glmer(formula, frame, family="binomial")
    assert found.model.llf == pytest.approx(one.llf, abs=1e-6)
    assert list(found.model.varcorr) == ["place"]
    assert eval(found.code, {"model": model}).llf == pytest.approx(one.llf, abs=1e-6)
    row = found.table.loc["drop the zero variance"]
    assert row["helps"]
    assert row["gain"] == pytest.approx(0.0, abs=1e-6)
    prior = found.table.loc["another estimator: prior='weak'"]
    assert prior["gain"] < 0.0


def test_counts_that_vary_more_get_a_family_that_does(frame):
    model = quiet(ranef.glmer, "spread ~ x + (1 | place)", frame, family="poisson")
    found = ranef.doctor(model)
    assert found.troubles == ("overdispersed",)
    assert found.code == 'model.update(family="negative_binomial")'
    assert found.model.dispersion == pytest.approx(0.8, rel=0.35)  # as drawn
    wide = ranef.glmer("spread ~ x + (1 | place)", frame, family="negative_binomial")
    row = found.table.loc["a family that varies more"]
    assert row["gain"] == pytest.approx(wide.llf - model.llf, abs=1e-6)
    assert row["errors_ratio"] > 1.5


def test_two_troubles_are_mended_one_after_the_other(frame):
    model = quiet(ranef.glmer, "spread ~ x + (1 | place) + (x | day)", frame, family="poisson")
    found = ranef.doctor(model)
    assert {"overdispersed", "correlation-one"} & set(found.troubles)
    assert 'family="negative_binomial"' in found.code
    assert not found.model.is_singular
    assert eval(found.code, {"model": model}).llf == pytest.approx(found.model.llf, abs=1e-6)


def test_a_stopped_search_is_gone_on_with(frame):
    whole = ranef.glmer("plain ~ x + (1 | place)", frame, family="poisson")
    stopped = replace(whole.parts.estimate, converged=False, status="step limit")
    model = ranef.GeneralizedLinearMixedModel(replace(whole.parts, estimate=stopped))
    found = ranef.doctor(model)
    assert found.troubles == ("not-converged",)
    assert found.code in ("ranef.converge(model).model", "ranef.all_fit(model).best")
    assert found.model.convergence
    assert found.model.llf == pytest.approx(whole.llf, abs=1e-6)


def test_nothing_to_do(frame):
    model = ranef.glmer("plain ~ x + (1 | place)", frame, family="poisson")
    assert ranef.doctor(model).model is model
    assert repr(ranef.doctor(model)).startswith("Nothing to do")
