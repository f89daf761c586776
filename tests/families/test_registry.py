"""Names of families, and a family of one's own."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import ranef
from ranef.errors import UnsupportedError
from ranef.families import find, known, lookup, registered
from ranef.families.links import IDENTITY, LOG, LOGIT
from ranef.families.residuals import residuals
from ranef.families.response import check_response
from ranef.families.scale import distribution_variance
from ranef.inference.prediction.generalised import Predictive
from ranef.models.gee import GeeSpec, quasi_likelihood
from ranef.models.glmm.estimate import GlmmSpec


@pytest.mark.parametrize("name", ["poisson", "Poisson", "POISSON"])
def test_case_does_not_matter(name):
    assert find(name, "glmer") is lookup("poisson")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("nb", "negative_binomial"),
        ("nbinom2", "negative_binomial"),
        ("NegativeBinomial", "negative_binomial"),
        ("negative.binomial", "negative_binomial"),
        ("negative binomial", "negative_binomial"),
        ("bernoulli", "binomial"),
        ("binomal", "binomial"),
        ("poison", "poisson"),
        ("gama", "gamma"),
    ],
)
def test_other_words_are_told_ours(asked, meant):
    frame = pd.DataFrame({"y": [0, 1, 2, 3], "g": [1, 1, 2, 2]})
    with pytest.raises(ValueError, match=f"not '{asked}'. Use family='{meant}'"):
        ranef.glmer("y ~ 1 + (1 | g)", frame, family=asked)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("beta_binomial", "betabinomial"),
        ("nb1", "nbinom1"),
        ("Nb1", "nbinom1"),
        ("student_t", "student"),
        ("ordbeta", "ordered_beta"),
        ("generalised poisson", "generalized_poisson"),
        ("truncated.nbinom2", "truncated_negative_binomial"),
        ("lognorml", "lognormal"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"zero": "~ 1"}])
def test_names_of_families_of_several_predictors_are_told_alike(asked, meant, options):
    frame = pd.DataFrame({"y": [0, 1, 2, 3], "g": [1, 1, 2, 2]})
    told = rf"family is one of gaussian, .*, ordered_beta, not '{asked}'. Use family='{meant}'"
    with pytest.raises(ValueError, match=told):
        ranef.glmer("y ~ 1 + (1 | g)", frame, family=asked, **options)


def test_an_unknown_name_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"one of gaussian, binomial, .*_beta, not 'zzz'$"):
        find("zzz", "glmer")
    with pytest.raises(ValueError, match=r"one of binomial, poisson, gamma, neg.*, not 'zzz'$"):
        find("zzz", "glmm")
    with pytest.raises(ValueError, match="gaussian, binomial"):
        lookup("normal")


def test_an_object_of_another_package_is_told_the_name():
    class Gamma:
        pass

    for given in (Gamma(), Gamma):
        with pytest.raises(ValueError, match=r"family is a name: .*Use family='gamma'"):
            find(given, "glmer")
    with pytest.raises(ValueError, match="not 'NoneType'"):
        find(None, "glmer")


def test_a_family_of_another_estimator_says_where_it_belongs():
    with pytest.raises(ValueError, match=r"ranef\.lmer"):
        find("gaussian", "glmm")
    with pytest.raises(ValueError, match=r"only ranef\.glmer fits it; here family is one of bin"):
        find("nbinom1", "glmm")
    with pytest.raises(ValueError, match=r"ranef\.gee does not fit a negative binomial family"):
        find("negative_binomial", "gee")


@pytest.mark.parametrize("estimator", ["glmm", "gee"])
def test_families_of_an_estimator_have_a_name_in_the_core(estimator):
    for name in known(estimator):
        assert lookup(name).core
        assert lookup(name).links


def test_families_are_frozen_and_pickle():
    family = lookup("gamma")
    with pytest.raises(FrozenInstanceError):
        family.name = "other"
    again = pickle.loads(pickle.dumps(family))
    assert again == family
    assert pickle.loads(pickle.dumps(GlmmSpec("gamma", "log"))).distribution is family


@pytest.mark.parametrize("family", ["poisson", "Poisson"])
def test_a_new_family_comes_with_its_usual_link(family):
    rng, group = np.random.default_rng(4), np.arange(80) % 8
    y = rng.poisson(np.exp(1.0 + rng.normal(size=8)[group])) + 1
    frame = pd.DataFrame({"y": y, "g": group})
    model = ranef.glmer("y ~ 1 + (1 | g)", frame, family="gamma", link="log")
    assert model.update(family="Gamma").link == "log"
    assert model.update(family=family).link == "log"
    assert ranef.glmer("y ~ 1 + (1 | g)", frame, family="gamma").update(family=family).link == "log"


def test_identity_links_leave_the_variance_as_it_is():
    assert distribution_variance(lookup("gaussian"), IDENTITY, 3.0, {"sigma": 1.5}, "delta") == 2.25


# ------------------------------------------------------------------ a family of one's own


def whole_variance(mu, params):
    return mu * (1.0 + mu)


def gap(y, mu, params):
    ratio = np.log(y / mu, out=np.zeros_like(y * mu), where=y > 0)
    return 2.0 * (y * ratio - (y + 1.0) * np.log((y + 1.0) / (mu + 1.0)))


def log_probability(y, mu, params):
    return y * np.log(mu) - (y + 1.0) * np.log1p(mu)


def lower_tail(y, mu, params):
    return 1.0 - (mu / (1.0 + mu)) ** (np.floor(y) + 1.0)


@pytest.fixture
def geometric():
    """Counts of failures before a success, registered for one test."""
    toy = replace(
        lookup("poisson"),
        name="geometric",
        core="",
        unit_variance=whole_variance,
        deviance=gap,
        logpdf=log_probability,
        cdf=lower_tail,
        draw=lambda rng, mu, params: rng.geometric(1.0 / (1.0 + mu)) - 1.0,
        quantile=lambda p, mu, params: np.ceil(np.log1p(-p) / np.log(mu / (1.0 + mu)) - 1.0),
        quasi_likelihood=lambda y, mu: y * np.log(mu / (1.0 + mu)) - np.log1p(mu),
        aliases=("geom",),
    )
    with registered(toy) as family:
        yield family


def test_a_toy_family_is_one_object(geometric):
    """With size 1 a negative binomial is geometric, so every piece has an answer to match."""
    other, one = lookup("negative_binomial"), {"size": 1.0}
    assert find("Geometric", "glmer") is geometric
    spec = GlmmSpec("geometric", "log")
    eta, variance, trials = np.array([0.3, 1.2]), np.array([0.2, 0.5]), np.ones(2)
    ours = Predictive(spec, 1.0, eta, variance, trials)
    theirs = Predictive(GlmmSpec("negative_binomial", "log"), 1.0, eta, variance, trials)
    y = np.array([0.0, 4.0])
    np.testing.assert_allclose(ours.log_density(y), theirs.log_density(y), rtol=1e-10)
    np.testing.assert_allclose(ours.moments(), theirs.moments(), rtol=1e-12)
    np.testing.assert_array_equal(ours.quantile(0.9), theirs.quantile(0.9))
    for kind in ("deviance", "pearson"):
        found = residuals(geometric, LOG, kind, y, eta, trials, {})
        np.testing.assert_allclose(found, residuals(other, LOG, kind, y, eta, trials, one))
    assert GeeSpec("geometric", "log").distribution is geometric
    assert quasi_likelihood(y, np.exp(eta), geometric) == pytest.approx(
        log_probability(y, np.exp(eta), {}).sum()
    )
    scale = distribution_variance(geometric, LOG, 2.0, {}, "lognormal")
    assert scale == pytest.approx(distribution_variance(other, LOG, 2.0, one, "lognormal"))


def test_predictions_of_a_normal_response_are_normal():
    """Mixed over a normal predictor the variances add up."""
    eta, variance = np.array([-3.0, 0.4]), np.array([0.5, 2.0])
    found = Predictive(GlmmSpec("gaussian", "identity"), 1.2, eta, variance, np.ones(2))
    law = scipy.stats.norm(eta, np.sqrt(variance + 1.44))
    for p in (0.025, 0.5, 0.9):
        np.testing.assert_allclose(found.quantile(p), law.ppf(p), rtol=1e-8)
    y = np.array([-2.0, 3.0])
    np.testing.assert_allclose(found.log_density(y), law.logpdf(y), rtol=1e-9)
    np.testing.assert_allclose(found.moments(), [law.mean(), law.std()], rtol=1e-9)


def test_a_toy_family_leaves_with_its_context(geometric):
    with (
        pytest.raises(ValueError, match="there already is a family 'geometric'"),
        registered(geometric),
    ):
        pass
    assert "geometric" in known("glmer")


def test_nothing_is_left_of_a_toy_family():
    assert "geometric" not in known("glmer")
    with pytest.raises(ValueError, match="not 'geometric'"):
        GlmmSpec("geometric", "log").distribution  # noqa: B018


def test_what_a_family_cannot_do_is_refused():
    with pytest.raises(UnsupportedError, match="quasi-likelihood of a negative binomial"):
        quasi_likelihood(np.ones(2), np.ones(2), lookup("negative_binomial"))
    with pytest.raises(UnsupportedError, match="poisson response are known for log, not for logit"):
        distribution_variance(lookup("poisson"), LOGIT, 1.0, {}, "delta")


def test_a_response_out_of_range_is_refused_by_the_family_s_words():
    from ranef import design

    frame = pd.DataFrame({"y": [1.0, -2.0, 3.0], "x": [0.0, 1.0, 2.0]})
    built = design.build(ranef.formula.parse("y ~ x"), frame)
    with pytest.raises(ranef.DataError, match="a negative binomial response is 0 or above; 'y'"):
        check_response(built, lookup("negative_binomial"))
