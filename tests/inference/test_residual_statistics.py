"""Statistics of residuals against SciPy and sums written out."""

from itertools import pairwise

import numpy as np
import pytest
import scipy

from ranef.errors import DataError
from ranef.inference.residuals import statistics


def draws(n=60, m=40, seed=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal((n, m))


def test_kolmogorovs_distance_is_scipys():
    _, Z = draws()
    own = statistics.kolmogorov(Z)
    for j in range(5):
        assert own[j] == pytest.approx(scipy.stats.kstest(Z[:, j], "norm").statistic, rel=1e-12)


def test_durbin_and_watson_within_series_is_the_sum_written_out():
    z, _ = draws()
    series = np.repeat([0, 1, 2], 20)
    pairs = [pair for k in range(3) for pair in pairwise(z[20 * k : 20 * k + 20])]
    steps = sum((b - a) ** 2 for a, b in pairs)
    size = sum(0.5 * (a * a + b * b) for a, b in pairs)
    assert statistics.durbin_watson(series, z[:, None])[0] == pytest.approx(steps / size)
    with pytest.raises(DataError, match="no two rows follow"):
        statistics.durbin_watson(np.arange(60), z[:, None])


def test_moran_is_the_double_sum_over_nearest_neighbours():
    z, _ = draws()
    places = np.random.default_rng(4).random((60, 2))
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    W = np.zeros((60, 60))
    for i, row in enumerate(distance):
        for j in np.argsort(row)[1 : statistics.NEIGHBOURS + 1]:
            W[i, j] = 1.0 / row[j]
    c = z - z.mean()
    assert statistics.moran(places, z[:, None])[0] == pytest.approx(
        60 * (c @ W @ c) / W.sum() / (c @ c)
    )


def test_levels_and_curves_explain_what_regressions_say():
    z, _ = draws()
    codes = np.random.default_rng(5).integers(0, 4, 60)
    location, spread = statistics.between(codes, 4, z[:, None])
    D = np.eye(4)[codes]
    fit = D @ np.linalg.lstsq(D, z, rcond=None)[0]
    assert location[0] == pytest.approx((fit @ fit) / (z @ z))
    # deviations from the level's own mean, as of independent rows of one variance
    own, count = D @ np.linalg.lstsq(D, z, rcond=None)[0], D.sum(axis=0)[codes]
    size = np.abs(z - own) * np.sqrt(count / (count - 1.0))
    size -= size.mean()
    fit = D @ np.linalg.lstsq(D, size, rcond=None)[0]
    assert spread[0] == pytest.approx((fit @ fit) / (size @ size))
    x = np.random.default_rng(6).random(60)
    P = np.vander(scipy.stats.rankdata(x) / 60, 5)
    fit = P @ np.linalg.lstsq(P, z, rcond=None)[0]
    own = statistics.smooth(statistics.basis(x), z[:, None])
    constant = 60 * z.mean() ** 2
    assert own[0][0] == pytest.approx((fit @ fit - constant) / (z @ z))


def test_columns_with_predictors_of_their_own_are_followed_one_by_one():
    _, Z = draws(m=5)
    X = np.random.default_rng(8).random((60, 5))
    X[:, 3] = np.round(3.0 * X[:, 3])  # ties
    found = np.array(statistics.smooth_along(X, Z))
    for j in range(5):
        alone = statistics.smooth(statistics.basis(X[:, j]), Z[:, [j]])
        np.testing.assert_allclose(found[:, j], np.ravel(alone), rtol=1e-10)


def test_rows_outside_all_others_are_counted_alike_for_all_columns():
    z, Z = draws()
    own, others = statistics.outside(z, Z)
    whole = np.column_stack([z, Z])
    brute = [
        sum((row[j] == row.max()) + (row[j] == row.min()) for row in whole)
        for j in range(whole.shape[1])
    ]
    assert [own, *others] == brute


def test_single_rows_say_nothing_of_the_spread_of_their_level():
    z, _ = draws()
    codes = np.r_[np.repeat([0, 1, 2], 19), 3, 4, 5]
    whole = statistics.between(codes, 6, z[:, None])[1]
    assert whole[0] == pytest.approx(statistics.between(codes[:57], 3, z[:57, None])[1][0])
    alone = statistics.between(np.arange(60), 60, z[:, None])
    assert alone[0][0] == pytest.approx(1.0)
    assert alone[1][0] == 0.0


def test_the_farthest_level_is_in_units_of_all_means():
    z, _ = draws()
    codes = np.repeat([0, 1, 2], [10, 20, 30])
    size = np.array([abs(z[codes == k].mean()) * np.sqrt((codes == k).sum()) for k in range(3)])
    got = statistics.farthest(codes, 3, z[:, None])[0]
    assert got == pytest.approx(size.max() / np.sqrt((size**2).mean()))


def test_what_columns_leave_over_is_a_regression_in_each_level():
    z, Z = draws()
    codes = np.repeat([0, 1, 2], [1, 19, 40])
    X = np.column_stack([np.ones(60), np.random.default_rng(1).normal(size=60)])
    got = statistics.left_of(codes, X, Z)
    for k in range(3):
        rows = codes == k
        fit = X[rows] @ np.linalg.lstsq(X[rows], Z[rows], rcond=None)[0]
        np.testing.assert_allclose(got[rows], Z[rows] - fit, atol=1e-12)
    assert abs(statistics.left_of(codes, X, z[:, None])[0, 0]) < 1e-12


def test_a_whole_number_among_equal_ones_has_an_exact_p_value():
    draws = np.array([0.0, 1.0, 1.0, 2.0])
    assert statistics.tied_pvalue(1, draws, 0.0) == pytest.approx(1 / 5)
    assert statistics.tied_pvalue(1, draws, 1.0) == pytest.approx(4 / 5)
    rng = np.random.default_rng(2)  # uniform where all are alike, however few their values
    p = [
        statistics.tied_pvalue(counts[0], counts[1:], rng.random())
        for counts in rng.poisson(0.7, (4000, 40)).astype(float)
    ]
    assert scipy.stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_the_binomial_test_is_scipys(count):
    exact = scipy.stats.binomtest(count, 60, 0.03).pvalue
    assert statistics.binomial_pvalue(count, 60, 0.03) == pytest.approx(exact, rel=1e-10)


def test_p_values_count_the_observed_and_ties():
    values = np.array([1.0, 2.0, 2.0, 3.0])
    assert statistics.pvalue(2.0, values) == pytest.approx(4 / 5)
    assert statistics.pvalue(4.0, values) == pytest.approx(1 / 5)
    assert statistics.pvalue(4.0, values, "both") == pytest.approx(2 / 5)
    assert statistics.pvalue(2.0, np.full(9, 2.0), "both") == 1.0
