"""Links and their inverses, derivatives and limits."""

import numpy as np
import pytest
import scipy.stats

from ranef.families.links import LINKS, link_named

#: Linear predictors that every link takes.
ETA = np.linspace(0.05, 2.5, 21)
every_link = pytest.mark.parametrize("link", LINKS.values(), ids=list(LINKS))


@every_link
def test_the_inverse_undoes_the_link(link):
    np.testing.assert_allclose(link.function(link.mean(ETA)), ETA, rtol=1e-9)


@every_link
def test_slopes_are_differences_of_means(link):
    h = 1e-5
    slope = (link.mean(ETA + h) - link.mean(ETA - h)) / (2.0 * h)
    np.testing.assert_allclose(link.slope(ETA), slope, rtol=1e-7)


@every_link
def test_means_are_in_the_range(link):
    mean = link.mean(np.r_[link.keep_inside(-ETA, 1e-3), ETA])
    assert np.all((mean > link.low) & (mean < link.high))


@every_link
def test_missing_predictors_stay_missing_in_any_shape(link):
    eta = np.array([[1.0, np.nan], [2.0, 0.5]])
    for values in (link.mean(eta), link.slope(eta)):
        assert values.shape == (2, 2)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(eta))


@every_link
def test_limits_hold_the_mean(link):
    low, high = link.limits(ETA, np.full(len(ETA), 0.04))
    mean = link.mean(ETA)
    assert np.all((low < mean) & (mean < high))


def test_a_mean_has_no_upper_limit_where_its_inverse_may_be_zero():
    low, high = LINKS["inverse"].limits(np.array([1.0]), np.array([2.0]))
    np.testing.assert_allclose(low, 1.0 / 3.0)
    assert high == np.inf
    low, high = LINKS["inverse"].limits(np.array([-1.0]), np.array([2.0]))
    np.testing.assert_allclose(high, -1.0 / 3.0)
    assert low == -np.inf


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("logit", scipy.stats.logistic),
        ("probit", scipy.stats.norm),
        ("cloglog", scipy.stats.gumbel_l),
        ("loglog", scipy.stats.gumbel_r),
    ],
)
def test_latent_variances_are_those_of_the_inverse_link_as_a_distribution(name, law):
    link = LINKS[name]
    np.testing.assert_allclose(link.mean(ETA), law.cdf(ETA), rtol=1e-12)
    assert link.latent_variance == pytest.approx(law.var(), rel=1e-12)


def test_a_mean_near_zero_has_limits_on_one_side_under_a_square_root():
    """Predictors from -1 to 3 have means from 0 to 9."""
    low, high = LINKS["sqrt"].limits(np.array([1.0, -1.0, 3.0]), np.array([2.0, 2.0, 1.0]))
    np.testing.assert_allclose(low, [0.0, 0.0, 4.0])
    np.testing.assert_allclose(high, [9.0, 9.0, 16.0])


def test_the_cauchit_is_the_quantile_function_of_a_cauchy():
    p = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(LINKS["cauchit"].function(p), scipy.stats.cauchy.ppf(p), atol=1e-14)


def test_an_unknown_link_is_refused():
    with pytest.raises(ValueError, match=r"'identity', 'logit'.*not 'logg'"):
        link_named("logg")
    with pytest.raises(ValueError, match=r"'identity', 'logit'.*not \['log'\]"):
        link_named(["log"])
    assert link_named("Logit") is LINKS["logit"]
