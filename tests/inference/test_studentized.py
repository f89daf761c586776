"""The studentised range against scipy's, against t for two means, and in time."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from ranef.inference.studentized import range_ppf, range_sf

Q = np.array([0.0, 0.3, 1.0, 2.0, 3.5, 6.0, 12.0])


@pytest.mark.parametrize("k", [2, 3, 14, 40])
@pytest.mark.parametrize("df", [1.0, 2.5, 17.3, 101.0, 131.0, 1000.0, np.inf])
def test_tails_and_quantiles_equal_scipys(k, df):
    """scipy 1.17.1; it integrates to 1e-12, one quantile at a time."""
    assert_allclose(range_sf(Q, k, df), stats.studentized_range.sf(Q, k, df), rtol=0.0, atol=1e-12)
    want = stats.studentized_range.ppf(0.95, k, df)
    assert_allclose(range_ppf(0.95, k, df), want, rtol=1e-11)


@pytest.mark.parametrize("df", [1.0, 3.0, 30.0, 1e5, 1e7])
def test_two_means_are_compared_by_t_however_far_in_the_tail(df):
    want = 2.0 * stats.t.sf(Q / np.sqrt(2.0), df)
    assert_allclose(range_sf(Q, 2, df), want, rtol=1e-9)
    assert_allclose(range_ppf(0.999, 2, df), np.sqrt(2.0) * stats.t.ppf(0.9995, df), rtol=1e-9)


def test_a_normal_tail_keeps_its_digits():
    q = np.array([5.0, 15.0, 30.0])
    assert_allclose(range_sf(q, 2, np.inf), 2.0 * stats.norm.sf(q / np.sqrt(2.0)), rtol=1e-11)


def test_quantiles_invert_tails():
    df = np.array([1.0, 4.2, 4.2, 77.0, np.inf, np.nan])
    for level in (0.01, 0.5, 0.95, 0.9999):
        found = range_ppf(level, 7, df)
        assert_allclose(range_sf(found, 7, df)[:5], 1.0 - level, rtol=1e-9)
    assert np.isnan(found[5])


def test_unknown_and_endless_values():
    assert np.isnan(range_sf(np.nan, 3, 5.0))
    assert np.isnan(range_sf(1.0, 3, np.nan))
    assert range_sf(np.inf, 3, 5.0) == 0.0
    assert range_sf(0.0, 3, 5.0) == pytest.approx(1.0, abs=1e-14)


def test_91_pairs_with_their_own_degrees_of_freedom_take_no_time():
    """Fourteen means; scipy takes 7 to 31 seconds of processor time. 0.03 s measured."""
    rng = np.random.default_rng(0)
    df, q = rng.uniform(8.0, 60.0, 91), rng.uniform(0.5, 6.0, 91)
    start = time.process_time()
    range_sf(q, 14, df)
    range_ppf(0.95, 14, df)
    assert time.process_time() - start < 0.2
