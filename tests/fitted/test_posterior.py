"""Posteriors of models: against quadrature, and what they refuse."""

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef

HALF, POINT = ranef.HalfT(3, 0, 60), ranef.Point(25.0)
SLEEP = {
    "Subject": ranef.HalfT(3, 0, {"Intercept": 60, "Days": 20}),
    "correlation": ranef.LKJ(2),
    "residual": HALF,
    "fixed": ranef.Normal(sd={"Intercept": 100, "Days": 50}, mean={"Intercept": 250, "Days": 0}),
}
#: Means and standard deviations by quadrature over the four covariance parameters with NumPy and
#: SciPy, exact to 1e-3 posterior standard deviations.
SLEEP_MOMENTS = {
    "Intercept": (251.4041, 7.4365),
    "Days": (10.4552, 1.7135),
    "sd_Intercept|Subject": (26.9018, 6.7679),
    "cor_Intercept.Days|Subject": (0.0700, 0.2732),
    "sd_Days|Subject": (6.5256, 1.4847),
    "sigma": (25.8924, 1.5509),
}
SLEEP_EFFECTS = {("308", "Days"): (9.2010, 2.8757), ("309", "Intercept"): (-40.0526, 14.4538)}


@pytest.fixture(scope="module")
def sleep():
    data = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + (1 + Days | Subject)", data)


@pytest.fixture(scope="module")
def posterior(sleep):
    return sleep.sample(1000, seed=4, prior=SLEEP)


def close(table, moments, ess):
    """Whether means and standard deviations are within 4.5 Monte Carlo errors."""
    for name, (mean, sd) in moments.items():
        assert abs(table.loc[name, "mean"] - mean) < 4.5 * sd / np.sqrt(ess), name
        assert abs(table.loc[name, "sd"] / sd - 1.0) < 9.0 / np.sqrt(ess), name


def test_moments_are_those_of_quadrature(posterior):
    table = posterior.table()
    assert list(table.columns) == ["mean", "sd", "lower", "median", "upper", "rhat", "ess"]
    assert list(table.index) == list(SLEEP_MOMENTS)
    assert (table["ess"] > 2000).all()
    assert posterior.reliable
    close(table, SLEEP_MOMENTS, 2000)


def test_random_effects_are_those_of_quadrature(posterior):
    effects = posterior.ranef()
    for (level, column), (mean, sd) in SLEEP_EFFECTS.items():
        frame = effects["Subject"]
        at, j = frame.index.get_loc(level), list(frame.columns).index(column)
        assert abs(frame.iloc[at, j] - mean) < 4.5 * sd / np.sqrt(4000)
        assert np.sqrt(effects.cov["Subject"][at, j, j]) == pytest.approx(sd, rel=0.05)


def test_a_binomial_posterior_is_that_of_importance_sampling():
    """Moments by importance sampling with 2^19 Sobol points and adaptive quadrature (NumPy)."""
    cbpp = ranef.datasets.load("cbpp")
    model = ranef.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"
    )
    others = [name for name in model.params.index if name != "Intercept"]
    normal = ranef.Normal(sd={"Intercept": 5.0, **dict.fromkeys(others, 2.5)})
    prior = {"herd": ranef.HalfT(3, 0, 2.5), "fixed": normal}
    found = model.sample(500, chains=2, warmup=500, seed=2, prior=prior)
    moments = dict(
        zip(
            ["Intercept", *others, "sd_Intercept|herd"],
            [
                (-1.4306, 0.2624),
                (-0.9751, 0.3077),
                (-1.1142, 0.3277),
                (-1.5711, 0.4277),
                (0.7616, 0.2255),
            ],
            strict=True,
        )
    )
    table = found.table()
    close(table, moments, table["ess"].min())
    effects = found.ranef()
    assert effects["herd"].loc["1"].iloc[0] == pytest.approx(0.6022, abs=0.08)
    assert np.sqrt(effects.cov["herd"][0, 0, 0]) == pytest.approx(0.4167, rel=0.12)


def test_the_same_seed_gives_the_same_draws(sleep, posterior):
    again = sleep.sample(1000, seed=4, prior=SLEEP)
    pd.testing.assert_frame_equal(again.draws, posterior.draws)
    other = sleep.sample(1000, seed=5, prior=SLEEP)
    assert not np.allclose(other.draws, posterior.draws)


def test_it_can_be_pickled(posterior):
    other = pickle.loads(pickle.dumps(posterior))
    pd.testing.assert_frame_equal(other.table(), posterior.table())
    pd.testing.assert_frame_equal(other.ranef()["Subject"], posterior.ranef()["Subject"])


def test_it_prints_its_priors_and_a_verdict(posterior):
    text = repr(posterior)
    assert "LKJ(eta=2)" in text
    assert "The chains agree" in text
    assert "<table" in posterior._repr_html_()


WRONG = [
    ({"Group": HALF}, ranef.ModelError, "grouping factors"),
    ({"Subject": ranef.HalfT(3, 0, {"Intercept": 1.0})}, ranef.ModelError, "no scale for 'Days'"),
    (
        {"Subject": ranef.HalfT(3, 0, {"Intercept": 1.0, "Days": 1.0, "x": 1.0})},
        ranef.ModelError,
        "'x'",
    ),
    ({"Subject": 3.0}, ValueError, "HalfT"),
    ({"Subject": ranef.HalfT}, ValueError, "HalfT"),
    ({"fixed": HALF}, ValueError, "Normal"),
    ({"fixed": ranef.Normal(sd={"x": 1.0})}, ranef.ModelError, "'x'"),
    ({"correlation": HALF}, ValueError, "LKJ"),
    ({"correlation": ranef.LKJ(2), "random": ranef.InverseWishart(4)}, ranef.ModelError, "whole"),
    ({"residual": ranef.LKJ(2)}, ValueError, "residual"),
    ({"residual": ranef.HalfT(3, 0, {"a": 1.0})}, ValueError, "one scale"),
    ({"residual": ranef.Point("a")}, ValueError, "Point"),
    ({"dispersion": HALF}, ranef.ModelError, "dispersion"),
    (3.0, ValueError, "mapping"),
    ("strong", ValueError, "weak"),
]


@pytest.mark.parametrize(("prior", "error", "words"), WRONG)
def test_a_prior_that_does_not_fit_is_refused(sleep, prior, error, words):
    with pytest.raises(error, match=words):
        sleep.sample(10, seed=1, prior=prior)


@pytest.mark.parametrize(
    "arguments",
    [{"draws": 0}, {"draws": 1.5}, {"chains": 0}, {"warmup": -1}, {"draws": True}, {"seed": "a"}],
)
def test_settings_are_checked(sleep, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        sleep.sample(**{"seed": 1, **arguments})


@pytest.mark.parametrize(
    "values", [(0, 0, 1), (3, np.inf, 1), (3, 0, 0), (3, 0, -1), ("a", 0, 1), (3, 0, {"a": 0})]
)
def test_a_half_t_is_checked(values):
    with pytest.raises(ValueError, match="HalfT"):
        ranef.HalfT(*values)


def test_two_groups_and_a_flat_prior_are_improper():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(["a", "b"], 8), "y": rng.normal(size=16)})
    data["y"] += 2.0 * (data["g"] == "b")
    model = ranef.lmer("y ~ 1 + (1 | g)", data)
    with pytest.raises(ranef.ModelError, match=r"sd_Intercept\|g grows"):
        model.sample(50, seed=1, prior={"g": None})
    assert model.sample(200, seed=1).table().loc["sd_Intercept|g", "mean"] > 0.0


def test_too_few_draws_are_told(sleep):
    with pytest.warns(ranef.ConvergenceWarning, match="Too few|Coarse|Not to be used"):
        sleep.sample(3, chains=1, seed=1, prior=SLEEP)
