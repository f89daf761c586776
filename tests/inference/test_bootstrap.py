"""Bootstraps: repeatable for any number of workers, failures counted, errors of the right size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef.inference.profile.targets import targets, values

KINDS = ("parametric", "residual", "cases", "wild")


@pytest.fixture(scope="module")
def slope():
    sleep = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)


@pytest.fixture(scope="module")
def crossed():
    pen = ranef.datasets.load("Penicillin")
    return ranef.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pen, reml=False)


@pytest.fixture(scope="module")
def uneven():
    """Four groups, one of which has most rows: resampled without it nothing is left to fit."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(4), [12, 2, 2, 2])
    x = np.concatenate([np.arange(12.0), *3 * [np.arange(2.0)]])
    effects = rng.standard_normal((4, 2)) * [1.0, 0.3]
    y = 1 + x + effects[group, 0] + effects[group, 1] * x + 0.5 * rng.standard_normal(18)
    with pytest.warns(ranef.SingularFitWarning):
        return ranef.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": group})


def parameters(model):
    """Every parameter, one fit at a time."""
    listed = targets(model.parts.design, model.parts.estimate.kept)
    found = values(listed, model.parts.estimate.sigmas, model.sigma, model.parts.estimate.beta)
    return dict(zip([target.name for target in listed], found, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_identical_for_any_number_of_workers(slope, kind):
    one, two, three = (slope.bootstrap(60, kind, seed=5, workers=w) for w in (1, 2, 3))
    pd.testing.assert_frame_equal(one.replicates, two.replicates, check_exact=True)
    pd.testing.assert_frame_equal(one.replicates, three.replicates, check_exact=True)
    assert one.seed == 5


@pytest.mark.parametrize("kind", ["parametric", "residual", "wild"])
def test_the_batch_gives_what_one_fit_at_a_time_gives(slope, kind):
    batch = slope.bootstrap(40, kind, seed=2).replicates
    single = slope.bootstrap(40, kind, seed=2, statistic=parameters).replicates
    assert_allclose(batch.to_numpy(), single.to_numpy(), rtol=2e-5, atol=2e-5)


def test_the_batch_under_crossed_factors_and_weights(crossed):
    batch = crossed.bootstrap(10, seed=2).replicates
    single = crossed.bootstrap(10, seed=2, statistic=parameters).replicates
    assert_allclose(batch.to_numpy(), single[batch.columns].to_numpy(), rtol=2e-5, atol=2e-5)
    sleep = ranef.datasets.load("sleepstudy").assign(w=lambda frame: (1 + frame["Days"]) / 5)
    formula = "Reaction ~ Days + offset(10.0 * Days) + (Days || Subject)"
    weighted = ranef.lmer(formula, sleep, weights="w")
    batch = weighted.bootstrap(10, seed=2).replicates
    single = weighted.bootstrap(10, seed=2, statistic=parameters).replicates
    assert_allclose(batch.to_numpy(), single.to_numpy(), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("kind", "within"), [("parametric", 0.08), ("residual", 0.08)])
def test_errors_of_coefficients_in_a_balanced_design(slope, kind, within):
    # Balanced: the coefficients are normal with the model's covariance, whatever theta.
    found = slope.bootstrap(1500, kind, seed=1)
    assert_allclose(found.bse[slope.params.index], slope.bse, rtol=within)
    assert np.all(np.abs(found.bias[slope.params.index]) < 0.1 * slope.bse)


@pytest.mark.parametrize("kind", ["cases", "wild"])
def test_errors_without_a_model_are_those_of_the_sandwich(slope, kind):
    found = slope.bootstrap(600, kind, seed=1)
    assert_allclose(found.bse[slope.params.index], slope.robust("CR2").bse, rtol=0.15)


def test_intervals(slope):
    found = slope.bootstrap(200, seed=1)
    sigma = found.replicates["sigma"]
    low, high = sigma.quantile([0.05, 0.95])
    assert found.conf_int(level=0.9).loc["sigma"].tolist() == pytest.approx([low, high])
    basic = found.conf_int("basic", 0.9).loc["sigma"].tolist()
    assert basic == pytest.approx([2 * slope.sigma - high, 2 * slope.sigma - low])
    centre, half = 2 * slope.sigma - sigma.mean(), 1.6448536 * sigma.std()
    normal = found.conf_int("normal", 0.9).loc["sigma"].tolist()
    assert normal == pytest.approx([centre - half, centre + half])
    same = slope.conf_int("boot", 0.9, n=200, seed=1)
    pd.testing.assert_frame_equal(same, found.conf_int(level=0.9))
    with pytest.raises(ValueError, match="method must be one of 'percentile', 'basic', 'normal'"):
        found.conf_int("bca")


def test_failed_fits_are_counted_and_left_out(uneven):
    found = uneven.bootstrap(200, "cases", seed=1)
    lost = found.replicates.isna().all(axis=1)
    assert found.failed == lost.sum() > 0
    assert found.message
    assert f"{found.failed} failed, {found.singular} singular" in repr(found)
    assert "the first failure: " in repr(found)
    assert found.message in found._repr_html_()
    assert np.isfinite(found.conf_int().loc["x"]).all()
    assert uneven.bootstrap(200, "cases", seed=1, workers=2).failed == found.failed


def test_a_prior_takes_part_in_every_fit():
    dyes = ranef.datasets.load("Dyestuff2")
    weak = ranef.lmer("Yield ~ 1 + (1 | Batch)", dyes, prior="weak")
    found = weak.bootstrap(40, seed=1)
    assert found.singular == 0
    with pytest.warns(ranef.SingularFitWarning):
        plain = ranef.lmer("Yield ~ 1 + (1 | Batch)", dyes)
    assert plain.bootstrap(40, seed=1).singular > 10


def test_what_a_prior_rules_out():
    dyes = ranef.datasets.load("Dyestuff")
    weak = ranef.lmer("Yield ~ 1 + (1 | Batch)", dyes, prior="weak")
    for call in (weak.profile, weak.ranova, weak.caic, lambda: weak.conf_int("profile")):
        with pytest.raises(ranef.UnsupportedError, match=r"update\(prior=None\)"):
            call()
    plain = weak.update(prior=None)
    for compare in (ranef.anova, ranef.compare, lambda *both: ranef.average(both)):
        with pytest.raises(ranef.ModelError, match="fitted with the prior 'weak'"):
            compare(weak, plain)
    with pytest.raises(ranef.ModelError, match="rlrt rests on the largest likelihood"):
        ranef.rlrt(weak)


def test_refusals(slope, crossed):
    with pytest.raises(ValueError, match="kind must be one of 'parametric', 'residual'"):
        slope.bootstrap(10, "npar")
    with pytest.raises(ValueError, match="2 or more replicates, not 1"):
        slope.bootstrap(1)
    with pytest.raises(ValueError, match="workers must be a positive integer, not 0"):
        slope.bootstrap(10, workers=0)
    for kind in ("cases", "wild"):
        with pytest.raises(ranef.UnsupportedError, match="plate is crossed with sample"):
            crossed.bootstrap(10, kind)


def test_a_statistic_with_names(slope):
    found = slope.bootstrap(10, seed=1, statistic=lambda m: pd.Series({"ratio": m.sigma / 2}))
    assert found.estimate.index.tolist() == ["ratio"]
    assert found.estimate["ratio"] == pytest.approx(slope.sigma / 2)
    numbers = slope.bootstrap(10, seed=1, statistic=lambda m: [m.sigma, m.llf])
    assert numbers.replicates.columns.tolist() == ["statistic1", "statistic2"]
