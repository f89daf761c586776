"""Profiles of generalised models: against lme4, dense arithmetic, bounds and refusals."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, stats

import ranef
from ranef.errors import UnsupportedError
from reference import dense_glmm

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.glmer(CBPP, ranef.datasets.load("cbpp"), family="binomial")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"g": np.repeat(np.arange(10), 20), "x": rng.normal(size=200)})
    b = rng.normal(size=(10, 2)) * [0.7, 0.7]
    d["eta"] = 0.4 + 0.3 * d["x"] + b[d["g"], 0] + b[d["g"], 1] * d["x"]
    d["time"] = rng.gamma(2.0, np.exp(d["eta"]) / 2.0)
    d["count"] = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(d["eta"])))
    return d


@pytest.mark.parametrize(
    ("nagq", "expected"),
    [
        # R 4.2.2, lme4 1.1-31, confint(method = "profile") after bobyqa with rhoend = 1e-9
        (
            1,
            [
                (0.34607319, 1.09997479),
                (-1.90121202, -0.94775398),
                (-1.61678327, -0.40776305),
                (-1.80102439, -0.51153605),
                (-2.50075047, -0.80075536),
            ],
        ),
        (
            9,
            [
                (0.34880155, 1.11129206),
                (-1.90468293, -0.94621347),
                (-1.61608393, -0.40661098),
                (-1.80040819, -0.51045024),
                (-2.50019234, -0.79959225),
            ],
        ),
    ],
)
def test_intervals_of_lme4(cbpp, nagq, expected):
    """Those of lme4 are read from splines through fits that stop early."""
    found = cbpp.update(nagq=nagq).conf_int("profile")
    assert list(found.index)[:2] == ["sd_Intercept|herd", "Intercept"]
    assert_allclose(found, expected, atol=5e-5)


class Dense:
    """A model of the fixture's rows with a covariance of intercept and slope, in dense algebra."""

    def __init__(self, rows, family, y):
        self.rows, self.family, self.y = rows, family, rows[y].to_numpy(float)
        own = rows["g"].to_numpy()[:, None] == np.arange(10)
        self.Z = np.hstack([own, own * rows[["x"]].to_numpy()])

    def slopes(self, eta, dispersion):
        """Score and observed weight of each row, link log."""
        if self.family == "gamma":
            ratio = self.y * np.exp(-eta) / dispersion
            return ratio - 1.0 / dispersion, ratio
        p = 1.0 / (1.0 + dispersion * np.exp(-eta))
        return self.y - (self.y + dispersion) * p, (self.y + dispersion) * p * (1.0 - p)

    def deviance(self, parameters):
        """At log sds, atanh of the correlation, two coefficients, log dispersion."""
        sds, rho = np.exp(parameters[:2]), np.tanh(parameters[2])
        dispersion = np.exp(parameters[5])
        small = np.array([[sds[0], 0.0], [rho * sds[1], np.sqrt(1.0 - rho**2) * sds[1]]])
        ZL = self.Z @ np.kron(small, np.eye(10))
        fixed = parameters[3] + parameters[4] * self.rows["x"].to_numpy()
        u = np.zeros(20)
        for _ in range(40):
            score, weight = self.slopes(fixed + ZL @ u, dispersion)
            M = np.eye(20) + ZL.T @ (weight[:, None] * ZL)
            step = np.linalg.solve(M, ZL.T @ score - u)
            u = u + step / max(1.0, np.abs(step).max())
        rows = dense_glmm.log_likelihood_rows(
            self.family, "log", self.y, np.ones(200), fixed + ZL @ u, dispersion
        )
        return -2.0 * rows.sum() + u @ u + np.linalg.slogdet(M)[1]

    def least(self, held, value, start):
        """The least deviance with one parameter held, in the coordinates of ``deviance``."""
        free = np.arange(6) != held

        def f(x):
            full = np.empty(6)
            full[free], full[held] = x, value
            return self.deviance(full)

        return optimize.minimize(f, start[free], method="BFGS", options={"gtol": 1e-2}).fun


@pytest.mark.parametrize(("family", "y"), [("gamma", "time"), ("negative_binomial", "count")])
def test_ends_are_those_of_dense_arithmetic(rows, family, y):
    model = ranef.glmer(f"{y} ~ x + (x | g)", rows, family=family, link="log")
    found, dense = model.conf_int("profile"), Dense(rows, family, y)
    cov = model.varcorr["g"].to_numpy()
    sds = np.sqrt(np.diag(cov))
    rho = cov[0, 1] / sds.prod()
    at = np.r_[np.log(sds), np.arctanh(rho), model.params, np.log(model.dispersion)]
    best = dense.deviance(at)
    assert best == pytest.approx(-2.0 * model.llf, abs=1e-5)
    for name, side, held, coordinate in (
        ("sd_x|g", "lower", 1, np.log),
        ("cor_x.Intercept|g", "upper", 2, np.arctanh),
        ("x", "lower", 4, float),
        ("dispersion", "upper", 5, np.log),
    ):
        end = coordinate(found.loc[name, side])
        rise = dense.least(held, end, at) - best
        assert rise == pytest.approx(stats.chi2.ppf(0.95, 1), abs=2e-3), name


def test_table_holds_refits(cbpp):
    """A held coefficient is an offset of a fit without its column."""
    profile = cbpp.profile(0.95)
    table = profile.table.set_index("parameter")
    row = table.loc["period[T.3]"].iloc[0]
    data = ranef.datasets.load("cbpp")
    data = data.assign(third=(data["period"].astype(str) == "3") * 1.0)
    data["second"] = (data["period"].astype(str) == "2") * 1.0
    data["fourth"] = (data["period"].astype(str) == "4") * 1.0
    held = ranef.glmer(
        "cbind(incidence, size - incidence) ~ second + fourth + (1 | herd)",
        data,
        family="binomial",
        offset=row["value"] * data["third"].to_numpy(),
    )
    assert 2.0 * (cbpp.llf - held.llf) == pytest.approx(row["zeta"] ** 2, abs=1e-6)
    assert_allclose(
        row[["Intercept", "period[T.2]", "period[T.4]"]].to_numpy(float), held.params, atol=2e-4
    )
    assert_allclose(profile.conf_int(), cbpp.conf_int("profile"), atol=2e-4)
    assert "Profile" in repr(pickle.loads(pickle.dumps(profile)))


def test_scales_of_predictors_do_not_matter(rows):
    shifted = rows.assign(x=2008.0 + 1e3 * rows["x"])
    one = ranef.glmer("count ~ x + (1 | g)", rows, family="poisson").conf_int("profile")
    two = ranef.glmer("count ~ x + (1 | g)", shifted, family="poisson").conf_int("profile")
    assert_allclose(two.loc["x"] * 1e3, one.loc["x"], rtol=1e-5)
    assert_allclose(two.loc["sd_Intercept|g"], one.loc["sd_Intercept|g"], rtol=1e-5)


def test_crossed_factors_and_a_variance_at_zero(rows):
    rng = np.random.default_rng(8)
    d = rows.assign(h=rng.integers(0, 6, len(rows)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        model = ranef.glmer("count ~ x + (1 | g) + (1 | h)", d, family="negative_binomial")
    found = model.conf_int("profile")
    assert found.loc["sd_Intercept|h", "lower"] == 0.0
    assert (found["lower"] < found["upper"]).all()
    assert_allclose(model.profile(0.95).conf_int(), found, atol=2e-3)


def test_an_end_where_means_leave_their_range():
    """With an inverse link no predictor may be negative: the walk turns back from there."""
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 4)
    y = rng.gamma(1.0, 1.0 / np.maximum(0.5 + 0.1 * rng.normal(size=8)[g], 0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        model = ranef.glmer("y ~ 1 + (1 | g)", {"y": y, "g": g}, family="gamma")
    found = model.conf_int("profile", 0.999)
    assert np.isfinite(found.to_numpy()).all()
    assert found.loc["Intercept", "lower"] > 0.0


def test_what_has_no_profile_says_so(cbpp):
    with pytest.raises(UnsupportedError, match=r"update\(nagq=1\)"):
        cbpp.update(nagq=0).conf_int("profile")
    with pytest.raises(UnsupportedError, match="prior=None"):
        cbpp.update(prior="weak").profile()
    with pytest.raises(ValueError, match="method must be one of"):
        cbpp.conf_int("bayes")
    with pytest.raises(ValueError, match="steps"):
        cbpp.profile(steps=1)
