"""Profiles and intervals of the parameters of covariance structures, against dense likelihoods."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import ranef
from ranef.inference.profile.profile import interval

GROUPS, TIMES = 25, 5
LIMIT = 3.841459


def sample():
    """Serially correlated effects; also written to a file for the figures of glmmTMB below."""
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(GROUPS), TIMES), np.tile(np.arange(TIMES), GROUPS)
    R = 0.6 ** np.abs(np.subtract.outer(np.arange(TIMES), np.arange(TIMES)))
    b = rng.multivariate_normal(np.zeros(TIMES), R * 1.5**2, GROUPS).ravel()
    frame = pd.DataFrame({"g": g, "t": t, "tf": [f"t{i}" for i in t]})
    frame["x"] = rng.normal(size=len(g))
    frame["y"] = 1.0 + 0.5 * frame["x"] + b + rng.normal(size=len(g))
    frame["n"] = rng.poisson(np.exp(0.3 + 0.4 * frame["x"] + 0.5 * b))
    return frame


@pytest.fixture(scope="module")
def frame():
    return sample()


def deviance(frame, kind, sd, second, sigma):
    """-2 log-likelihood by dense matrices of one group each."""
    lag = np.abs(np.subtract.outer(np.arange(TIMES), np.arange(TIMES)))
    R = second**lag if kind == "ar1" else np.exp(-second * lag)
    L = np.linalg.cholesky(sd**2 * R + sigma**2 * np.eye(TIMES))
    y = np.linalg.solve(L, frame["y"].to_numpy().reshape(GROUPS, TIMES).T)
    X = np.stack([np.ones(len(frame)), frame["x"]]).reshape(2, GROUPS, TIMES)
    X = np.array([np.linalg.solve(L, x.T).ravel() for x in X]).T
    r = y.ravel() - X @ np.linalg.lstsq(X, y.ravel(), rcond=None)[0]
    return r @ r + 2 * GROUPS * np.log(np.diag(L)).sum() + len(frame) * np.log(2 * np.pi)


def least(f):
    """Return the lowest of two searches without gradients."""
    options = {"xatol": 1e-6, "fatol": 1e-8, "maxiter": 4000}
    starts = ([0.3, 0.0], [0.3, -2.0])
    return min(optimize.minimize(f, s, method="Nelder-Mead", options=options).fun for s in starts)


@pytest.mark.parametrize(
    ("kind", "formula", "up"),
    [("ar1", "y ~ x + ar1(0 + tf | g)", np.tanh), ("ou", "y ~ x + ou(0 + t | g)", np.exp)],
)
def test_the_deviance_rises_by_the_quantile_at_each_end(frame, kind, formula, up):
    model = ranef.lmer(formula, frame, reml=False)
    found = model.conf_int("profile", progress=False)
    second = f"g.{'corr' if kind == 'ar1' else 'rate'}"
    assert list(found.index) == ["g.sd", second, "sigma", "Intercept", "x"]
    for side in ("lower", "upper"):
        sd, other = found[side]["g.sd"], found[side][second]
        at_sd = least(lambda u, sd=sd: deviance(frame, kind, sd, up(u[0]), np.exp(u[1])))
        at_other = least(
            lambda u, other=other: deviance(frame, kind, np.exp(u[0]), other, np.exp(u[1]))
        )
        for best in (at_sd, at_other):
            assert best + 2.0 * model.llf == pytest.approx(LIMIT, abs=1e-4)
    # A structure with an effect for each row may take the residual's place.
    none = least(lambda u: deviance(frame, kind, np.exp(u[1]), up(u[0]), 1e-8))
    assert none + 2.0 * model.llf < LIMIT
    assert found["lower"]["sigma"] == 0.0
    upper = found["upper"]["sigma"]
    best = least(lambda u: deviance(frame, kind, np.exp(u[1]), up(u[0]), upper))
    assert best + 2.0 * model.llf == pytest.approx(LIMIT, abs=1e-4)


def test_coefficients_are_profiled_as_by_refits(frame):
    model = ranef.lmer("y ~ x + ar1(0 + tf | g)", frame, reml=False)
    found = model.conf_int("profile", progress=False)
    for side in ("lower", "upper"):
        moved = frame.assign(rest=frame["y"] - found[side]["x"] * frame["x"])
        held = ranef.lmer("rest ~ 1 + ar1(0 + tf | g)", moved, reml=False)
        assert 2.0 * (model.llf - held.llf) == pytest.approx(LIMIT, abs=1e-4)


def test_ends_and_errors_are_those_that_glmmtmb_finds(frame):
    """glmmTMB 1.1: with the parameter mapped to our ends its deviance rises by 3.84145 to 3.84147.

    Standard errors are from its ``vcov(full = TRUE)``, of log sd and of r / sqrt(1 - r^2).
    """
    counts = ranef.glmer("n ~ x + ar1(0 + tf | g)", frame, family="poisson")
    assert counts.llf == pytest.approx(-211.26394821, abs=1e-6)
    found = counts.conf_int("profile", progress=False)
    np.testing.assert_allclose(found.loc["g.sd"], [0.428616, 0.911352], atol=3e-6)
    np.testing.assert_allclose(found.loc["g.corr"], [0.217054, 0.963917], atol=3e-6)
    linear = ranef.lmer("y ~ x + ar1(0 + tf | g)", frame, reml=False)
    errors = {counts: (0.183088966, 0.478431202), linear: (0.21303183, 0.36483756)}
    for model, (of_log_sd, of_theta) in errors.items():
        table = model.covariance_params()
        sd, corr = table["estimate"]
        np.testing.assert_allclose(table["se"]["g.sd"], sd * of_log_sd, rtol=2e-4)
        np.testing.assert_allclose(
            table["se"]["g.corr"], of_theta * (1 - corr**2) ** 1.5, rtol=2e-4
        )
        wald = np.exp(1.959964 * np.array([-1.0, 1.0]) * of_log_sd)
        np.testing.assert_allclose(table.loc["g.sd", ["lower", "upper"]], sd * wald, rtol=2e-4)
        z = np.arctanh(corr) + 1.959964 * np.array([-1, 1]) * of_theta * np.sqrt(1 - corr**2)
        np.testing.assert_allclose(table.loc["g.corr", ["lower", "upper"]], np.tanh(z), rtol=3e-4)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_free_covariances_beside_structures_keep_their_profiles(frame):
    formula = "y ~ x + (1 | g) + ou(0 + t | all)"
    model = ranef.lmer(formula, frame.assign(all="all"), reml=False)
    found = model.conf_int("profile", progress=False)
    assert list(found.index[:3]) == ["sd_Intercept|g", "all.sd", "all.rate"]
    plain = ranef.lmer("y ~ x + (1 | g)", frame, reml=False).conf_int("profile", progress=False)
    assert found["lower"]["all.sd"] == 0.0
    row = found.loc["sd_Intercept|g"]
    np.testing.assert_allclose(row, plain.loc["sd_Intercept|g"], rtol=0.1)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_smooths_and_toeplitz(frame):
    model = ranef.lmer("y ~ x + s(t, k=4) + (1 | g)", frame, reml=False)
    found = model.conf_int("profile", progress=False)
    assert list(found.index[:2]) == ["sd_Intercept|g", "s(t).sd"]
    assert found["lower"]["s(t).sd"] == 0.0 < found["upper"]["s(t).sd"]
    toeplitz = ranef.lmer("y ~ x + toep(0 + tf | g)", frame, prior=None)
    ends = toeplitz.conf_int("profile", progress=False)
    assert "g.corr1" in ends.index
    assert "g.corr2" not in ends.index  # no coordinate of its own


def test_a_profile_with_structures_prints_and_pickles(frame):
    import pickle

    model = ranef.lmer("y ~ x + ar1(0 + tf | g)", frame, reml=False)
    profile = model.profile(level=0.9, steps=4, progress=False)
    again = pickle.loads(pickle.dumps(profile))
    pd.testing.assert_frame_equal(again.conf_int(0.9), profile.conf_int(0.9))
    np.testing.assert_allclose(
        profile.conf_int(0.9).loc["g.corr"],
        model.conf_int("profile", 0.9, progress=False).loc["g.corr"],
        atol=2e-3,
    )


def test_at_a_limit_and_without_a_likelihood_there_are_no_errors(frame):
    prior = {"residual": ranef.Point(0.9)}
    model = ranef.lmer("y ~ x + ar1(0 + tf | g)", frame, prior=prior)
    table = model.covariance_params()
    assert list(table.columns) == ["estimate", "se", "lower", "upper"]
    assert table["estimate"].notna().all()
    assert table["se"].isna().all()


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_a_bootstrap_names_the_parameters_of_structures(frame):
    model = ranef.lmer("y ~ x + ar1(0 + tf | g)", frame)
    found = model.bootstrap(6, seed=1, progress=False)
    assert list(found.replicates.columns) == ["g.sd", "g.corr", "sigma", "Intercept", "x"]
    np.testing.assert_allclose(found.estimate[:2], model.covariance_params()["estimate"])
    curve = ranef.lmer("y ~ s(t, k=4) + (1 | g)", frame).bootstrap(3, seed=1, progress=False)
    assert list(curve.replicates.columns)[:2] == ["sd_Intercept|g", "s(t).sd"]


def test_a_restricted_generalised_fit_has_no_profile(frame):
    model = ranef.glmer("n ~ x + (1 | g)", frame, family="poisson", reml=True)
    with pytest.raises(ranef.UnsupportedError, match="reml=False"):
        model.conf_int("profile")


def test_the_sign_of_a_standard_deviation_does_not_matter(frame):
    """A search may end at either; glmmTMB 1.1 has the log-likelihood -211.1831 too."""
    model = ranef.glmer("n ~ x + ar1(0 + tf | g)", frame, family="negative_binomial")
    assert model.llf == pytest.approx(-211.1831, abs=1e-4)
    lower, upper = interval(next(model.parts.walked().curves), 1.959964)
    assert 0.1 < lower < np.sqrt(model.varcorr["g"].iloc[0, 0]) < upper < 1.5


@pytest.mark.filterwarnings("ignore::ranef.RankWarning")
def test_weights_offsets_and_aliased_columns(frame):
    more = frame.assign(twice=2.0 * frame["x"], w=np.linspace(0.5, 2.0, len(frame)))
    more["known"] = 0.3 * frame["x"]
    more["y"] += np.random.default_rng(2).normal(size=len(frame))  # sigma is well above zero
    formula = "y ~ x + twice + offset(known) + ar1(0 + tf | g)"
    model = ranef.lmer(formula, more, weights="w", reml=False)
    found = model.conf_int("profile", progress=False)
    assert list(found.index) == ["g.sd", "g.corr", "sigma", "Intercept", "x"]
    for b in found.loc["x"]:
        held = more.assign(known=more["known"] + b * more["x"])
        rest = ranef.lmer("y ~ 1 + offset(known) + ar1(0 + tf | g)", held, weights="w", reml=False)
        assert 2.0 * (model.llf - rest.llf) == pytest.approx(LIMIT, abs=1e-4)
