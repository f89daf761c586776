"""Models of location, zeros and dispersion: known figures, equalities, and what is refused."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def salamanders():
    d = pd.read_csv(DATA / "salamanders.csv")
    return d.assign(mined=pd.Categorical(d["mined"], categories=["yes", "no"]))


# ------------------------------------------------------------------ known figures


@pytest.mark.parametrize(
    ("family", "zero", "llf", "tolerance"),
    [
        # R 4.2.2, glmmTMB 1.1.5; four decimals are as printed
        ("negative_binomial", "~ spp + mined", -817.1495, 5.1e-5),
        ("truncated_negative_binomial", "~ spp + mined", -819.8076, 5.1e-5),
        ("poisson", "~ mined", -949.23476, 5.1e-6),
        ("compois", None, -826.24813651, 1e-5),  # nearly geometric, with sums of many terms
    ],
)
def test_salamanders_have_the_known_likelihoods(salamanders, family, zero, llf, tolerance):
    formula = (
        "count ~ mined + (1 | site)" if family == "poisson" else "count ~ spp + mined + (1 | site)"
    )
    model = ranef.glmer(formula, salamanders, family=family, zero=zero)
    assert abs(model.llf - llf) < tolerance
    assert model.convergence.converged


def test_a_zero_part_that_runs_away_is_no_convergence(salamanders):
    # glmmTMB 1.1.5 stops at -815.1015; the likelihood goes on rising as the probabilities of a
    # structural zero of some species fall to 0
    with pytest.warns(ranef.ConvergenceWarning, match=r"spp\[T.DF\]' \(zero\)"):
        model = ranef.glmer(
            "count ~ spp + mined + (1 | site)", salamanders, family="nbinom1", zero="~ spp + mined"
        )
    assert model.llf > -815.1015
    assert not model.convergence.converged
    assert np.isnan(model.coef_table(part="zero").loc["spp[T.DF]", "se"])


# ------------------------------------------------------------------ equalities


@pytest.fixture(scope="module")
def rows():
    """300 rows of 15 groups with counts, measurements and shares of one linear predictor."""
    rng = np.random.default_rng(5)
    n = 300
    d = pd.DataFrame({"g": np.arange(n) % 15, "x": rng.normal(size=n)})
    eta = 0.3 + 0.5 * d["x"] + 0.5 * rng.normal(size=15)[d["g"]]
    mu = np.exp(eta).to_numpy()
    p = scipy.special.expit(eta.to_numpy())
    structural = rng.random(n) < 0.3
    return d.assign(
        count=rng.poisson(mu * rng.gamma(2.0, 0.5, n)),
        zeros=np.where(structural, 0, rng.poisson(mu)),
        above=1 + rng.poisson(mu),
        time=rng.gamma(2.0, mu / 2.0),
        late=np.where(structural, 0.0, rng.gamma(2.0, mu / 2.0)),
        share=np.clip(rng.beta(4 * p, 4 * (1 - p)), 1e-6, 1 - 1e-6),
        y=eta + rng.normal(size=n) * np.exp(0.3 * d["x"]),
        hits=rng.binomial(10, p),
    ).assign(
        misses=lambda d: 10 - d["hits"],
        bounded=lambda d: np.where(d["share"] < 0.1, 0.0, d["share"]),
    )


def test_a_gaussian_is_that_of_lmer(rows):
    ours = ranef.glmer("y ~ x + (1 + x | g)", rows, family="gaussian")
    linear = ranef.lmer("y ~ x + (1 + x | g)", rows, reml=False)
    assert abs(ours.llf - linear.llf) < 1e-8
    np.testing.assert_allclose(ours.params, linear.params, rtol=1e-6)
    assert ours.family_params["sigma"] == pytest.approx(linear.sigma, rel=1e-6)


def test_a_lognormal_is_a_linear_model_of_the_logarithm(rows):
    ours = ranef.glmer("time ~ x + (1 | g)", rows, family="lognormal")
    linear = ranef.lmer("np.log(time) ~ x + (1 | g)", rows, reml=False)
    assert abs(ours.llf - (linear.llf - np.log(rows["time"]).sum())) < 1e-8
    np.testing.assert_allclose(
        ours.fittedvalues, np.exp(linear.fittedvalues + linear.sigma**2 / 2), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("family", "response"), [("negative_binomial", "count"), ("gamma", "time")]
)
def test_a_constant_dispersion_formula_is_the_family_as_it_is(rows, family, response):
    formula = f"{response} ~ x + (1 | g)"
    plain = ranef.glmer(formula, rows, family=family, link="log")
    with_formula = ranef.glmer(formula, rows, family=family, link="log", dispersion="~ 1")
    assert abs(plain.llf - with_formula.llf) < 1e-8
    np.testing.assert_allclose(plain.params, with_formula.params, rtol=1e-5)
    np.testing.assert_allclose(plain.bse, with_formula.bse, rtol=1e-4)
    log_dispersion = with_formula.dispersion_params["Intercept"]
    assert np.exp(log_dispersion) == pytest.approx(plain.dispersion, rel=1e-5)


def test_a_hurdle_is_a_logistic_regression_and_the_rest(rows):
    both = ranef.glmer("zeros ~ x + (1 | g)", rows, family="truncated_poisson", zero="~ x")
    above = rows[rows["zeros"] > 0]
    rest = ranef.glmer("zeros ~ x + (1 | g)", above, family="truncated_poisson")

    def logistic(b):
        eta = b[0] + b[1] * rows["x"]
        return np.logaddexp(0.0, eta).sum() - eta[rows["zeros"] == 0].sum()

    found = scipy.optimize.minimize(logistic, np.zeros(2), tol=1e-10)
    assert abs(both.llf - (rest.llf - found.fun)) < 1e-6
    np.testing.assert_allclose(both.zero_params, found.x, atol=1e-4)


def test_limits_of_families_are_simpler_families(rows):
    formula = "above ~ x + (1 | g)"
    counts = ranef.glmer(formula, rows, family="poisson")
    for family in ("compois", "generalized_poisson"):
        wider = ranef.glmer(formula, rows, family=family)
        assert wider.llf >= counts.llf - 1e-8
        at_one = ranef.glmer(formula, rows, family=family).parts.plan
        core = at_one.core()
        beta = np.r_[np.linalg.solve(at_one.blocks[0].T, counts.params), 0.0]
        sd = float(np.sqrt(counts.varcorr["g"].iloc[0, 0]))
        theta = np.array([sd / at_one.bases[0][0, 0]])
        assert abs(core.evaluate(theta, beta).value + 2.0 * counts.llf) < 1e-6


FITS = [
    ("count", {"family": "nbinom1"}),
    ("count", {"family": "generalized_poisson"}),
    ("count", {"family": "compois"}),
    ("above", {"family": "truncated_negative_binomial"}),
    ("zeros", {"family": "poisson", "zero": "~ x"}),
    ("zeros", {"family": "poisson", "zero": "~ 1 + (1 | g)"}),
    ("late", {"family": "gamma", "zero": "~ x", "link": "log"}),
    ("late", {"family": "tweedie"}),
    ("share", {"family": "beta", "dispersion": "~ x"}),
    ("bounded", {"family": "ordered_beta"}),
    ("bounded", {"family": "beta", "zero": "~ 1"}),
    ("y", {"family": "student"}),
    ("y", {"family": "gaussian", "dispersion": "~ x + (1 | g)"}),
    ("cbind(hits, misses)", {"family": "betabinomial"}),
    ("count", {"family": "poisson", "link": "sqrt"}),
]


@pytest.mark.parametrize(("response", "options"), FITS)
@pytest.mark.filterwarnings("ignore::ranef.errors.RanefWarning")
def test_every_fit_answers(rows, response, options):
    rows = rows.head(90) if options["family"] == "compois" else rows  # sums over counts
    model = ranef.glmer(f"{response} ~ x + (1 | g)", rows, **options)
    assert np.isfinite(model.llf)
    assert model.npar == len(model.parts.estimate.coefficients) + len(model.theta)
    mean = model.fittedvalues
    np.testing.assert_allclose(model.predict(rows), mean, rtol=1e-8)
    np.testing.assert_allclose(model.predict(random="none"), model.predict(rows, random="none"))
    assert np.isfinite(model.resid("pearson")).all()
    draws = model.simulate(20, seed=1)
    assert draws.shape == (len(rows), 20)
    assert (draws == model.simulate(20, seed=1)).all()
    assert model.parts.family.support.contains(draws[draws != 0.0]).all()
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.params, model.params)
    assert "\n" not in repr(model)
    assert "Log-likelihood" in str(model.summary())
    limits = model.predict(rows.head(5), kind="link", interval="confidence")
    assert (limits["lower"] < limits["upper"]).all()
    assert model.glance()["nobs"].item() == len(rows)
    assert set(model.ranef()) == set(model.varcorr)


def test_marginal_means_are_carried_through_links_of_this_kernel_alone(rows):
    model = ranef.glmer("count ~ x + (1 | g)", rows, family="poisson", link="sqrt")
    eta = ranef.emmeans(model, "x", type="link").frame["emmean"]
    means = ranef.emmeans(model, "x", type="response").frame["response"]
    np.testing.assert_allclose(means, eta**2, rtol=1e-12)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("response", "options", "error", "message"),
    [
        ("bounded", {"family": "beta"}, ranef.DataError, "ordered_beta"),
        ("time", {"family": "nbinom1"}, ranef.DataError, "counts 0, 1, 2"),
        ("above", {"family": "poisson", "zero": "~ 1"}, ranef.DataError, "has no zeros"),
        ("count", {"family": "truncated_poisson"}, ranef.DataError, "zero='~ 1'"),
        ("late", {"family": "lognormal"}, ranef.DataError, "above 0"),
        ("y", {"family": "tweedie"}, ranef.DataError, "0 or above"),
        ("time", {"family": "tweedie"}, ranef.DataError, "no zeros.*family='gamma'"),
        ("y", {"family": "gaussian", "zero": "~ 1"}, ValueError, "no zero part"),
        ("count", {"family": "poisson", "dispersion": "~ x"}, ValueError, "no dispersion"),
        ("count", {"family": "poisson", "zero": "x"}, ValueError, "without a response"),
        ("count", {"family": "tweedie", "link": "identity"}, ValueError, "family is 'log', not"),
        ("count", {"family": "weibull", "zero": "~ 1"}, ValueError, "family is one of"),
        ("count", {"family": "nbinom", "zero": "~ 1"}, ValueError, "Use family='negative_bin"),
        ("count", {"family": "nbinom1", "nagq": 0}, ValueError, "nagq"),
        (
            "zeros",
            {"family": "poisson", "zero": "~ (1 | g)", "nagq": 5},
            ValueError,
            "one random-effects term",
        ),
        ("count", {"family": "nbinom1", "prior": "weak"}, ranef.UnsupportedError, "prior"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, response, options, error, message):
    with pytest.raises(error, match=message):
        ranef.glmer(f"{response} ~ x + (1 | g)", rows, **options)


def test_parts_that_are_not_there_are_refused(rows):
    model = ranef.glmer("share ~ x + (1 | g)", rows, family="beta")
    with pytest.raises(ValueError, match="no zero part"):
        model.predict(kind="zero")
    with pytest.raises(ValueError, match="part is 'location' for"):
        model.coef_table(part="zero")


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_a_zero_part_of_single_trials_is_told_what_it_leans_on():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"g": np.arange(300) % 20, "x": rng.normal(size=300)})
    d["n"] = rng.binomial(6, 1.0 / (1.0 + np.exp(-d["x"]))) * (rng.random(300) > 0.3)
    d["y"] = (d["n"] > 2).astype(int)
    for response, leans in (("y", True), ("cbind(n, 6 - n)", False)):
        model = ranef.glmer(f"{response} ~ x + (1 | g)", d, family="binomial", zero="~ 1")
        assert any("every row is one trial" in str(one) for one in model.warnings) == leans


def test_rows_with_missing_values_in_any_part_are_left_out(rows):
    d = rows.assign(z=np.where(rows.index < 4, np.nan, rows["x"]))
    with pytest.warns(ranef.DroppedRowsWarning, match=r"4 of 300 .* z \(4\)"):
        model = ranef.glmer("zeros ~ x + (1 | g)", d, family="poisson", zero="~ z")
    assert model.nobs == 296
    assert len(model.fittedvalues) == 296


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
def test_a_dispersion_at_its_limit_says_so(rows):
    calm = rows.assign(hits=4 + rows.index % 2, misses=6 - rows.index % 2)  # less than binomial
    plain = ranef.glmer("cbind(hits, misses) ~ x + (1 | g)", calm, family="binomial")
    wider = ranef.glmer("cbind(hits, misses) ~ x + (1 | g)", calm, family="betabinomial")
    assert wider.llf == pytest.approx(plain.llf, abs=1e-3)
    assert "phi runs to infinity" in str(wider.summary())
