"""Generalised linear mixed models against lme4's glmer and against glmmTMB.

With canonical links both programs compute the same Laplace approximation; with others glmmTMB's is
the exact one, and lme4's is left out. -2 log-likelihood of glmmTMB is that after its parameters
were polished by Newton steps; its coefficients are those before.
"""

import functools

import numpy as np
import pytest
import scipy.stats

import ranef
from oracle.glmm_cases import CASES, frame
from ranef.families import lookup
from ranef.families.links import INVERSE, LOG, SQRT
from ranef.families.scale import METHODS, distribution_variance
from ranef.inference.shares import generalised as glmm_shares

FITS = [(name, i) for name, case in CASES.items() for i in range(len(case["fits"]))]

#: -2 log-likelihood: lme4's weights lag a step behind its modes; glmmTMB is polished.
OBJECTIVE = {"lme4": 1e-4, "glmmTMB": 1e-6}
#: Coefficients in standard errors, and standard errors relative to themselves: both programs stop
#: at gradients of about 1e-4, and take the Hessian from differences.
COEFFICIENT, ERROR = 2e-4, 1e-3
#: Relative, for standard deviations of random effects.
SPREAD = 2e-5


@functools.cache
def fitted(name, nagq):
    case = CASES[name]
    return ranef.glmer(
        case["formula"],
        frame(case),
        family=case["family"],
        link=case["link"],
        weights=case["weights"],
        nagq=nagq,
    )


@pytest.mark.parametrize(("name", "i"), FITS)
def test_fit(name, i):
    want = CASES[name]["fits"][i]
    model = fitted(name, want["nagq"])
    assert model.convergence.converged
    assert model.npar == want["npar"]
    if want["nagq"] <= 1:
        tolerance = OBJECTIVE[want["program"]]
        assert -2 * model.llf == pytest.approx(want["objective"], abs=tolerance)
    se = np.array(want["se"])
    np.testing.assert_allclose(model.params / se, want["fixef"] / se, atol=COEFFICIENT)
    np.testing.assert_allclose(model.bse, se, rtol=ERROR)
    assert set(model.varcorr) == set(want["sd"])
    for group, sd in want["sd"].items():
        np.testing.assert_allclose(
            np.sqrt(np.diag(model.varcorr[group])), np.ravel(sd), rtol=SPREAD
        )
    if "deviance" in want:
        assert model.deviance == pytest.approx(want["deviance"], rel=1e-4)
        assert np.sum(model.resid("pearson") ** 2) == pytest.approx(want["pearson"], rel=1e-4)
    if CASES[name]["family"] == "gamma":
        assert model.sigma == pytest.approx(want["sigma"], rel=1e-5)
    if CASES[name]["family"] == "negative_binomial":
        assert model.dispersion == pytest.approx(want["sigma"], rel=1e-5)


def saturated(case, d):
    """Log-likelihood of means equal to the responses."""
    if case["family"] == "poisson":
        y = d[case["formula"].split()[0]]
        return scipy.stats.poisson.logpmf(y, y).sum()
    if case["weights"] is None:
        return 0.0  # 0/1
    return scipy.stats.binom.logpmf(d["incidence"], d["size"], d["incidence"] / d["size"]).sum()


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name, i in FITS if CASES[name]["fits"][i]["nagq"] > 1]
)
def test_quadrature_is_a_log_likelihood(name, i):
    """Above one point lme4 leaves out the saturated model's part, which ranef keeps."""
    case, want = CASES[name], CASES[name]["fits"][i]
    ours = -2 * fitted(name, want["nagq"]).llf
    assert ours + 2 * saturated(case, frame(case)) == pytest.approx(want["objective"], abs=1e-4)


def test_search_goes_on_where_glmer_stops():
    """lme4 1.1-31 stops by default at 184.0531 (nloptwrap), its best optimiser at this."""
    assert -2 * fitted("cbpp_laplace", 1).llf == pytest.approx(184.0525637295, abs=1e-8)


def test_map_estimate_is_that_of_blme():
    """blme 1.0-5 on R 4.2.2: bglmer with its default Wishart prior."""
    model = fitted("cbpp_laplace", 1).update(prior="wishart")
    assert model.llf == pytest.approx(-92.11045289134671, abs=1e-6)
    assert model.penalty == pytest.approx(0.9891768408951075, abs=1e-6)
    fixef = [-1.4144268005916008, -0.9807745138471491, -1.117624285170402, -1.5673979081080438]
    se = [0.2479507195596815, 0.3077475036671189, 0.3276618710580482, 0.4284125499973237]
    np.testing.assert_allclose(model.params, fixef, atol=1e-6)
    np.testing.assert_allclose(model.bse, se, rtol=1e-5)
    assert model.theta.iloc[0] == pytest.approx(0.7191210233698224, abs=1e-6)


def test_predictions_and_modes_of_lme4():
    """lme4 1.1-31: the first ranef and its condVar, and predict at herds and periods."""
    model = fitted("cbpp_laplace", 1)
    new = {"period": ["1", "1", "4", "2"], "herd": ["1", "4", "6", "10"]}
    link = [-0.8085121200638757, -1.3592548243916531, -3.3791145670996974, -2.9318000436750595]
    np.testing.assert_allclose(model.predict(new, kind="link"), link, atol=1e-6)
    mean = [0.19804914332349527, 0.19804914332349527, 0.04839074207288246, 0.08387195524528077]
    np.testing.assert_allclose(model.predict(new, random="none"), mean, atol=1e-6)
    unseen = {"period": ["1"], "herd": ["new"]}
    np.testing.assert_allclose(model.predict(unseen, new_levels="population"), mean[:1], atol=1e-6)
    assert model.fittedvalues.iloc[0] == pytest.approx(0.3082076444875968, abs=1e-6)


def test_shares_of_insight():
    """insight and performance on lme4 1.1-31: cbpp with its logit link."""
    model = fitted("cbpp_laplace", 1)
    shares, correlation = model.r2(), model.icc()
    assert shares.marginal == pytest.approx(0.08541605496991844, abs=1e-6)
    assert shares.conditional == pytest.approx(0.18731453510520799, abs=1e-6)
    assert correlation.adjusted == pytest.approx(0.11141512016366963, abs=1e-6)
    assert correlation.unadjusted == pytest.approx(0.10189848013528953, abs=1e-6)


def test_distribution_variances_of_insight():
    """The same at the mean that insight takes, exp of the intercept of the null model.

    Nakagawa, Johnson and Schielzeth (2017) add half of the variances to that intercept, as ranef
    does; the formulas at a given mean are the same.
    """
    ticks = fitted("grouseticks_crossed", 1)
    null = ticks.update("~ 1 + (1 | BROOD) + (1 | LOCATION)")
    at_median = np.exp(null.params.iloc[0])
    found = distribution_variance(lookup("poisson"), LOG, at_median, {}, "lognormal")
    assert found == pytest.approx(0.46534287095420646, rel=2e-6)
    mean = np.exp(null.params.iloc[0] + sum(v.iloc[0, 0] for v in null.varcorr.values()) / 2)
    ours = glmm_shares.null_mean(ticks.parts.design, ticks.parts.estimate)
    assert ours == pytest.approx(mean, rel=1e-6)
    parts = glmm_shares.parts_of_variance(ticks.parts.design, ticks.parts.estimate, "lognormal")
    assert parts.fixed == pytest.approx(1.7300127036863882, rel=1e-5)
    assert parts.random == pytest.approx(0.9220038425658255, rel=1e-5)
    assert parts.residual == pytest.approx(np.log1p(1 / mean), rel=1e-6)


def test_three_approximations_of_a_count():
    """Table 1 of Nakagawa, Johnson and Schielzeth (2017): close to each other for large means."""
    counts, size = lookup("negative_binomial"), {"size": 100.0}
    values = [distribution_variance(counts, LOG, 50.0, size, m) for m in METHODS]
    np.testing.assert_allclose(values, [np.log(1.03), scipy.special.polygamma(1, 1 / 0.03), 0.03])
    for name, link in [("gamma", INVERSE), ("nbinom1", SQRT), ("tweedie", SQRT)]:
        with pytest.raises(ranef.UnsupportedError, match=f"not for {link.name}"):
            distribution_variance(lookup(name), link, 1.0, {"phi": 1.0}, "delta")
    with pytest.raises(ValueError, match="method"):
        distribution_variance(counts, LOG, 1.0, size, "theory")


def test_an_effect_of_each_row_explains_nothing():
    """performance 0.10.2 on lme4 1.1-31: var.dispersion is in the denominator alone."""
    data = frame(CASES["grouseticks_crossed"])
    model = ranef.glmer(
        "TICKS ~ YEAR + (1 | INDEX) + (1 | BROOD) + (1 | LOCATION)", data, family="poisson"
    )
    correlation = model.icc()
    assert model.r2().conditional == pytest.approx(0.8484, abs=2e-3)
    assert correlation.adjusted == pytest.approx(0.7783, abs=2e-3)
    assert list(correlation.by_group.index) == ["BROOD", "LOCATION"]
    assert correlation.by_group.sum() == pytest.approx(correlation.adjusted, rel=1e-12)


def test_the_unit_of_an_exposure_does_not_change_shares():
    """The same model in days and in years; the mean count is that of the rows' own exposures."""
    rng = np.random.default_rng(21)
    group, x, exposure = np.arange(400) // 10, rng.normal(size=400), rng.uniform(0.1, 50.0, 400)
    u = 0.7 * rng.normal(size=40)[group]
    y = rng.poisson(np.exp(0.3 + 0.4 * x + u) * exposure / 10.0)
    found = []
    for unit in (1.0, 365.0):
        data = {"y": y, "x": x, "g": group, "ex": exposure * unit}
        model = ranef.glmer("y ~ x + offset(np.log(ex)) + (1 | g)", data, family="poisson")
        found.append([model.r2().marginal, model.r2().conditional, model.icc().adjusted])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    null = model.update("~ 1 + offset(np.log(ex)) + (1 | g)")
    half = null.varcorr["g"].iloc[0, 0] / 2.0
    mean = np.mean(data["ex"]) * np.exp(null.params.iloc[0] + half)
    random = model.varcorr["g"].iloc[0, 0]
    assert model.icc().adjusted == pytest.approx(random / (random + np.log1p(1 / mean)), rel=1e-6)
