"""The exact test of several variances at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.lrt.rlrt_several import fitted_statistics, objective_at_zero
from ranef.models.batch.estimate import Settings

pytestmark = pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


def dense_reml(y, X, w):
    """-2 restricted log-likelihood of a linear model with weights."""
    n, p = X.shape
    left = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * y))
    rss = float(w @ (y - X @ left) ** 2)
    df = n - p
    logdet = np.linalg.slogdet(X.T @ (w[:, None] * X))[1]
    return df * (1.0 + np.log(2.0 * np.pi * rss / df)) + logdet - np.log(w).sum()


def test_statistics_are_those_of_fits_and_of_dense_algebra():
    rng = np.random.default_rng(3)
    n = 60
    g = np.repeat(np.arange(12), 5)
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": g, "w": rng.uniform(0.5, 2.0, n)})
    frame["o"], frame["y"] = rng.normal(size=n), rng.normal(size=n)
    formula = "y ~ x + offset(o) + (1 + x | g)"
    model = ranef.lmer(formula, frame, weights="w")
    design, kept = model.parts.design, model.parts.estimate.kept
    zero = objective_at_zero(model.parts.core, design)
    X, w = np.column_stack([np.ones(n), frame["x"]]), frame["w"].to_numpy()
    assert zero == pytest.approx(dense_reml((frame["y"] - frame["o"]).to_numpy(), X, w), abs=1e-8)
    settings = Settings(reml=True, workers=1)
    draws, _ = fitted_statistics(design, kept, zero, 6, 4, settings, progress=False)
    for drawn, seed in zip(draws, np.random.SeedSequence(4).spawn(6), strict=True):
        e = np.random.default_rng(seed).standard_normal(n) / np.sqrt(w)
        fit = ranef.lmer(
            formula, frame.assign(y=5.0 + 2.0 * frame["x"] + frame["o"] + 3.0 * e), weights="w"
        )
        expected = dense_reml(3.0 * e, X, w) + 2.0 * fit.llf
        assert drawn == pytest.approx(max(expected, 0.0), abs=1e-6)


def test_two_crossed_variances_have_the_mixture_of_three_chi_squares():
    """Self and Liang (1987), case 7: weights 1/4, 1/2, 1/4 where information is orthogonal."""
    a, b = (each.ravel() for each in np.indices((25, 25)))
    frame = {"y": np.random.default_rng(1).normal(size=625), "a": a, "b": b}
    found = ranef.rlrt(ranef.lmer("y ~ 1 + (1 | a) + (1 | b)", frame), n=800, seed=2)
    # With 25 levels a variance is zero in P(chi2(24) < 24) = 0.538 of samples, not in half.
    assert (found.draws < 1e-8).mean() == pytest.approx(0.538**2, abs=0.06)
    assert (found.draws > 4.231).mean() == pytest.approx(0.05, abs=0.03)
    assert found.table["df"].iloc[0] == 2.0
    assert np.isnan(found.table["pvalue_boundary"].iloc[0])


def test_a_term_of_two_columns_is_tested_as_a_whole(sleep):
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    one = ranef.rlrt(model, n=60, seed=1, workers=1)
    two = ranef.rlrt(model, n=60, seed=1, workers=2)
    np.testing.assert_array_equal(one.draws, two.draws)
    y, X = sleep["Reaction"].to_numpy(), np.column_stack([np.ones(180), sleep["Days"]])
    # lme4 1.1-31: REML criterion 1743.6283
    assert one.statistic == pytest.approx(dense_reml(y, X, np.ones(180)) - 1743.6283, abs=2e-4)
    assert one.table["df"].iloc[0] == 3.0
    again = [ranef.rlrt(model, n=9, seed=np.random.default_rng(5)).draws for _ in range(2)]
    np.testing.assert_array_equal(*again)
    with pytest.raises(TypeError, match="seed is a whole number or a Generator, not 'a'"):
        ranef.rlrt(model, n=9, seed="a")
    assert one.pvalue == pytest.approx(1 / 61)


def test_a_slope_correlated_with_the_intercept_is_tested_by_the_bootstrap(sleep):
    slope = ranef.lmer("Reaction ~ Days + (0 + Days | Subject)", sleep)
    level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    whole = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    found = ranef.rlrt(slope, level, whole, n=40, seed=1)
    other = ranef.pbtest(whole, level, n=40, seed=1)
    np.testing.assert_array_equal(found.draws, other.draws)
    assert found.statistic == pytest.approx(42.8372, abs=1e-3)
    with pytest.raises(ranef.ModelError, match="nothing else"):
        ranef.rlrt(whole, level, whole, n=40)


def test_two_variances_beside_a_third():
    data = ranef.datasets.load("Penicillin")
    data["batch"] = np.arange(len(data)) // 36
    tested = ranef.lmer("diameter ~ 1 + (1 | sample) + (1 | batch)", data)
    null = ranef.lmer("diameter ~ 1 + (1 | plate)", data)
    alternative = ranef.lmer("diameter ~ 1 + (1 | plate) + (1 | sample) + (1 | batch)", data)
    found = ranef.rlrt(tested, null, alternative, n=60, seed=1)
    assert found.statistic == pytest.approx(2.0 * (alternative.llf - null.llf), abs=1e-6)
    assert found.table["df"].iloc[0] == 2.0
    assert found.pvalue == pytest.approx(1 / 61)
