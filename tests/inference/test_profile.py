"""Profiles: boundaries, weights, invariance, and what the table holds."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, stats

import ranef

SLOPE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def slope(sleep):
    return ranef.lmer(SLOPE, sleep)


def singular(formula, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        return ranef.lmer(formula, data)


def test_weights_count(sleep):
    """The intervals of lme4 are too narrow here, as it leaves the weights out."""
    model = ranef.lmer(
        "Reaction ~ Days + (1 | Subject)", sleep, weights=(1 + sleep["Days"]) / 5, reml=False
    )
    found = model.conf_int("profile")
    # Roots of nlme's ML deviance with varFixed(~ 5 / (1 + Days)).
    assert_allclose(found.loc["Days"], [9.1625, 12.8505], atol=5e-5)
    assert_allclose(found.loc["Intercept"], [224.147, 272.193], atol=5e-4)


def test_a_variance_at_zero_may_grow_where_the_mean_is_held():
    """The deviance of a balanced one-way layout with the mean held, by dense algebra."""
    data = ranef.datasets.load("Dyestuff2")
    model = singular("Yield ~ 1 + (1 | Batch)", data)
    y = data["Yield"].to_numpy()
    same = data["Batch"].to_numpy()[:, None] == data["Batch"].to_numpy()[None, :]

    def deviance(mean, log_sigma, sd):
        V = np.exp(2 * log_sigma) * np.eye(30) + sd**2 * same
        return -2 * stats.multivariate_normal.logpdf(y, np.full(30, mean), V)

    def least(mean):
        starts = [(1.2, 0.0), (1.2, 1.5)]
        return min(optimize.minimize(lambda t: deviance(mean, *t), s).fun for s in starts)

    low, high = model.conf_int("profile").loc["Intercept"]
    target = least(y.mean()) + stats.chi2.ppf(0.95, 1)
    assert_allclose([least(low), least(high)], target, atol=1e-4)


def test_bounds_where_the_data_do_not_exclude_them():
    data = ranef.datasets.load("Dyestuff2")
    found = singular("Yield ~ 1 + (1 | Batch)", data).conf_int("profile")
    assert found.loc["sd_Intercept|Batch", "lower"] == 0.0
    assert found.loc["sd_Intercept|Batch", "upper"] > 0.0


def test_a_correlation_is_free_where_a_standard_deviation_may_be_zero():
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(12), 6)
    x = np.tile(np.arange(6.0), 12)
    y = 2 * rng.standard_normal(12)[group] + rng.standard_normal(72)
    model = singular("y ~ x + (x | g)", {"y": y, "x": x, "g": group})
    found = model.conf_int("profile")
    assert found.loc["sd_x|g", "lower"] == 0.0
    assert_allclose(found.loc["cor_x.Intercept|g"], [-1.0, 1.0])


def test_the_slope_does_not_depend_on_where_time_begins(sleep, slope):
    moved = ranef.lmer("Reaction ~ Year + (Year | Subject)", sleep.assign(Year=2008 + sleep.Days))
    here, there = slope.conf_int("profile"), moved.conf_int("profile")
    for a, b in (("sd_Days|Subject", "sd_Year|Subject"), ("sigma", "sigma"), ("Days", "Year")):
        assert_allclose(there.loc[b], here.loc[a], rtol=1e-6)


def test_intervals_scale_with_the_response(sleep, slope):
    scaled = ranef.lmer(SLOPE, sleep.assign(Reaction=1000 * sleep["Reaction"]))
    factor = np.where(slope.conf_int("profile").index.str.startswith("cor"), 1.0, 1000.0)
    expected = slope.conf_int("profile") * factor[:, None]
    assert_allclose(scaled.conf_int("profile"), expected, rtol=1e-6)


def test_reml_and_ml_fits_have_one_profile(sleep, slope):
    ml = ranef.lmer(SLOPE, sleep, reml=False)
    assert_allclose(ml.conf_int("profile"), slope.conf_int("profile"), rtol=1e-6)


@pytest.fixture(scope="module")
def three():
    data = ranef.datasets.load("Machines")
    model = ranef.lmer("score ~ Machine + (0 + Machine | Worker)", data)
    return model, model.conf_int("profile")


def test_three_columns(three):
    # R 4.2.2, lme4 1.1-31: confint(fit, oldNames = FALSE), which interpolates.
    expected = {
        "sd_Machine[A]|Worker": [2.26631611, 7.51551090],
        "sd_Machine[B]|Worker": [4.86814174, 15.81157785],
        "sd_Machine[C]|Worker": [2.44555706, 8.07992932],
        "sigma": [0.77594900, 1.23496477],
        "Intercept": [48.79640471, 55.91471163],
        "Machine[T.B]": [2.84016247, 13.09317874],
        "Machine[T.C]": [10.65528047, 17.17805744],
    }
    assert_allclose(three[1].loc[list(expected)], list(expected.values()), rtol=1e-4)


@pytest.mark.parametrize("side", [0, 1])
def test_correlations_of_three_columns_by_dense_algebra(three, side):
    """lme4's own interval of this correlation ends at a rise of 3.98, not 3.84."""
    model, found = three
    rho = found.loc["cor_Machine[C].Machine[A]|Worker"].iloc[side]
    free = model.update(reml=False)
    rise = least_with_correlation(free, rho) + 2 * free.llf
    assert_allclose(rise, stats.chi2.ppf(0.95, 1), atol=2e-4)


def least_with_correlation(model, rho):
    """ML deviance of score ~ Machine + (0 + Machine | Worker), correlation of A and C held."""
    data = model.augment()
    one = np.stack([data["Machine"] == m for m in "ABC"], axis=1).astype(float)
    same = data["Worker"].to_numpy()[:, None] == data["Worker"].to_numpy()[None, :]
    y = data["score"].to_numpy()

    def deviance(p):
        a, b, c, d, e, log_sigma = p
        # Rows A, C, B of a Cholesky factor: the correlation of the first two is rho.
        L = np.array([[a, 0, 0], [rho * b, np.sqrt(1 - rho**2) * b, 0], [c, d, e]])[[0, 2, 1]]
        V = one @ L @ L.T @ one.T * same + np.exp(2 * log_sigma) * np.eye(54)
        root = np.linalg.cholesky(V)
        scaled, target = np.linalg.solve(root, one), np.linalg.solve(root, y)
        left = target - scaled @ np.linalg.lstsq(scaled, target, rcond=None)[0]
        return 2 * np.log(np.diag(root)).sum() + left @ left + 54 * np.log(2 * np.pi)

    start = [4, 4, 6, 2, 5, 0]
    return optimize.minimize(deviance, start, bounds=[(0, None)] * 2 + [(None, None)] * 4).fun


def test_the_table_holds_the_constrained_fits(slope, sleep):
    table = slope.profile().table
    row = table[(table["parameter"] == "Days") & (table["zeta"] > 1)].iloc[0]
    held = ranef.lmer(
        "Reaction ~ 1 + (Days | Subject)", sleep, offset=row["value"] * sleep["Days"], reml=False
    )
    free = ranef.lmer(SLOPE, sleep, reml=False)
    assert_allclose(row["zeta"] ** 2, 2 * (free.llf - held.llf), rtol=1e-6)
    assert_allclose(row["sigma"], held.sigma, rtol=1e-5)
    assert_allclose(row["Intercept"], held.params["Intercept"], rtol=1e-6)


def test_a_held_sigma_agrees_with_dense_algebra(slope, sleep):
    table = slope.profile().table
    row = table[table["parameter"] == "sigma"].iloc[0]
    z = np.column_stack([np.ones(10), np.arange(10.0)])
    cov = row["cor_Days.Intercept|Subject"] * row["sd_Intercept|Subject"] * row["sd_Days|Subject"]
    Sigma = [[row["sd_Intercept|Subject"] ** 2, cov], [cov, row["sd_Days|Subject"] ** 2]]
    V = z @ np.array(Sigma) @ z.T + row["value"] ** 2 * np.eye(10)
    Y = sleep["Reaction"].to_numpy().reshape(18, 10)
    mean = z @ np.array([row["Intercept"], row["Days"]])
    deviance = -2 * stats.multivariate_normal.logpdf(Y, mean, V).sum()
    ml = ranef.lmer(SLOPE, sleep, reml=False)
    assert_allclose(row["zeta"] ** 2, deviance + 2 * ml.llf, atol=1e-5)


def test_zeta_rises_with_every_parameter(slope):
    for _, part in slope.profile().table.groupby("parameter", sort=False):
        assert part["value"].is_monotonic_increasing
        assert part["zeta"].is_monotonic_increasing


def test_a_profile_pickles_and_prints(slope):
    profile = pickle.loads(pickle.dumps(slope.profile(0.95)))
    assert "sd_Days|Subject" in repr(profile)
    assert "sigma" in profile._repr_html_()


def test_a_level_beyond_the_profile_is_refused(slope):
    with pytest.raises(ValueError, match=r"profile\(level=0.999\)"):
        slope.profile(0.9).conf_int(0.999)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_levels_are_coverages(slope, level):
    for method in ("profile", "wald", "boot"):
        with pytest.raises(ValueError, match="level"):
            slope.conf_int(method, level, n=2)


def test_unknown_methods_are_refused(slope):
    with pytest.raises(ValueError, match="'profile'"):
        slope.conf_int("exact")


def test_aliased_columns_have_no_interval(sleep):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RankWarning)
        model = ranef.lmer(
            "Reaction ~ Days + twice + (1 | Subject)", sleep.assign(twice=2 * sleep["Days"])
        )
    plain = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    found = model.conf_int("profile")
    assert "twice" not in found.index
    assert_allclose(found.loc["Days"], plain.conf_int("profile").loc["Days"], rtol=1e-6)


def test_a_limit_that_cannot_be_followed_is_left_out_with_a_warning(monkeypatch):
    from ranef.inference.profile import profile as profiling

    def lost(curve, z):
        return (np.nan, 1.0) if curve.target.name == "Days" else (0.0, 1.0)

    monkeypatch.setattr(profiling, "interval", lost)
    model = ranef.lmer("Reaction ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
    with pytest.warns(ranef.ConvergenceWarning, match="of Days is not smooth"):
        found = model.conf_int("profile", progress=False)
    assert np.isnan(found.loc["Days", "lower"])
