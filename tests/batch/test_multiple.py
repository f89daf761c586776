"""Adjusted p-values and shrunken variances against worked examples and simulation."""

import numpy as np
import pytest
from scipy import special

from ranef.inference.hypotheses.multiple import benjamini_hochberg, squeeze_variances, storey


def test_benjamini_hochberg_by_hand():
    # m p / rank, made monotone from the largest down.
    found = benjamini_hochberg([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(found, [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.5])


def test_benjamini_hochberg_of_nothing():
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()


def test_storey_scales_by_the_share_of_true_nulls():
    p = np.concatenate([np.full(60, 1e-4), np.linspace(0.025, 0.975, 40)])
    # 20 of 100 p-values are above 1/2: the null share is (20 + 1) / (100 / 2).
    np.testing.assert_allclose(storey(p), np.minimum(1.0, 0.42 * benjamini_hochberg(p)))


def test_squeeze_recovers_the_prior():
    rng = np.random.default_rng(3)
    d0, s02, d = 8.0, 2.5, 20.0
    true = d0 * s02 / rng.chisquare(d0, 200_000)
    found = squeeze_variances(true * rng.chisquare(d, 200_000) / d, d)
    assert found.prior_df == pytest.approx(d0, rel=0.03)
    assert found.prior_variance == pytest.approx(s02, rel=0.01)


def test_squeeze_solves_the_moment_equations():
    s2 = np.array([0.5, 1.0, 2.0, 7.0, 0.1, 3.0])
    found = squeeze_variances(s2, 10.0)
    log = np.log(s2)
    variance = special.polygamma(1, 5.0) + special.polygamma(1, found.prior_df / 2)
    assert log.var(ddof=1) == pytest.approx(float(variance), rel=1e-10)
    np.testing.assert_allclose(
        found.variance,
        (found.prior_df * found.prior_variance + 10 * s2) / (found.prior_df + 10),
        rtol=1e-12,
    )


def test_variances_that_vary_less_than_chance_become_one():
    found = squeeze_variances(np.array([1.0, 1.01, 0.99, np.nan]), 5.0)
    assert np.isinf(found.prior_df)
    assert np.ptp(found.variance[:3]) == 0.0
    assert np.isnan(found.variance[3])
