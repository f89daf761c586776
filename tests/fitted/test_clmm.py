"""Cumulative link models: known figures, invariances, and what is refused."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.fitted.ordinal.fit import fit_found

#: Ratings of the bitterness of wine by nine judges, eight bottles each: Randall (1989), Biometrical
#: Journal 31, 781-793.
RATINGS = "233444551213235423325544323232532343333332322454112223232223333412323244"


@pytest.fixture(scope="module")
def wine():
    bottle = np.arange(72) % 8
    return pd.DataFrame(
        {
            "rating": pd.Categorical(list(RATINGS), categories=list("12345"), ordered=True),
            "temp": np.where(bottle < 4, "cold", "warm"),
            "contact": np.where(bottle // 2 % 2 == 0, "no", "yes"),
            "bottle": bottle,
            "judge": np.arange(72) // 8,
        }
    )


@pytest.fixture(scope="module")
def model(wine):
    return ranef.clmm("rating ~ temp + contact + (1 | judge)", wine)


def test_wine_has_the_known_estimates(model):
    # R 4.2.2, ordinal 2022.11-16's clmm
    known = [-1.62366692, 1.51336518, 4.22852669, 6.08877256]
    np.testing.assert_allclose(model.thresholds, known, atol=2e-5)  # where clmm stops
    np.testing.assert_allclose(model.params, [3.06299663, 1.83488492], atol=2e-5)
    np.testing.assert_allclose(model.bse, [0.595376, 0.512529], atol=5e-5)
    assert abs(model.llf + 81.56540929) < 5e-6
    assert model.npar == 7
    assert model.convergence.converged


def test_quadrature_has_the_known_likelihood(wine):
    seven = ranef.clmm("rating ~ temp + contact + (1 | judge)", wine, nagq=7)
    assert abs(seven.llf + 81.5324612) < 1e-6  # R 4.2.2, ordinal 2022.11-16


def direct(wine, link, cuts, eta):
    """Log-likelihood of given thresholds and predictors, from distribution functions."""
    F = {
        "logit": scipy.stats.logistic.cdf,
        "probit": scipy.stats.norm.cdf,
        "cloglog": lambda x: 1.0 - np.exp(-np.exp(x)),
        "loglog": lambda x: np.exp(-np.exp(-x)),
        "cauchit": scipy.stats.cauchy.cdf,
    }[link]
    padded = np.r_[-np.inf, cuts, np.inf]
    y = wine["rating"].cat.codes.to_numpy()
    return np.log(F(padded[y + 1] - eta) - F(padded[y] - eta)).sum()


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchit"])
@pytest.mark.parametrize("thresholds", ["flexible", "symmetric", "equidistant"])
def test_without_bars_it_is_the_maximum_of_the_likelihood(wine, link, thresholds):
    model = ranef.clmm("rating ~ temp + contact", wine, link=link, thresholds=thresholds)
    x = np.column_stack([wine["temp"] == "warm", wine["contact"] == "yes"]).astype(float)
    J = {
        "flexible": np.eye(4),
        "symmetric": np.array([[1, 0, -1], [1, 0, 0], [0, 1, 0], [0, 1, 1]], dtype=float),
        "equidistant": np.column_stack([np.ones(4), np.arange(4)]),
    }[thresholds]

    def value(p):
        cuts = J @ p[:-2]
        if (np.diff(cuts) <= 0).any():
            return 1e10
        return -direct(wine, link, cuts, x @ p[-2:])

    at = np.r_[np.linalg.lstsq(J, model.thresholds.to_numpy(), rcond=None)[0], model.params]
    assert abs(model.llf + value(at)) < 1e-8
    found = scipy.optimize.minimize(
        value, at + 0.05, method="Nelder-Mead", options={"fatol": 1e-10}
    )
    assert -found.fun <= model.llf + 1e-7


def test_scale_and_nominal_effects_are_those_of_the_likelihood(wine):
    model = ranef.clmm("rating ~ temp", wine, scale="~ temp", nominal="~ contact")
    warm, yes = (wine["temp"] == "warm").to_numpy(), (wine["contact"] == "yes").to_numpy()
    moves = model.params[[f"{cut}:contact[T.yes]" for cut in model.thresholds.index]].to_numpy()
    cuts = model.thresholds.to_numpy() + np.outer(yes, moves)
    scale = np.exp(model.params["scale:temp[T.warm]"] * warm)
    latent = (cuts - (model.params["temp[T.warm]"] * warm)[:, None]) / scale[:, None]
    padded = np.column_stack([np.zeros(72), scipy.special.expit(latent), np.ones(72)])
    y = wine["rating"].cat.codes.to_numpy()
    p = padded[np.arange(72), y + 1] - padded[np.arange(72), y]
    assert abs(model.llf - np.log(p).sum()) < 1e-8
    np.testing.assert_allclose(model.fittedvalues, p, atol=1e-10)


def test_two_categories_are_a_logistic_regression(wine):
    d = wine.assign(high=(wine["rating"].cat.codes > 2).astype(int))
    ordered = ranef.clmm("high ~ contact + (1 | judge)", d)
    logistic = ranef.glmer("high ~ contact + (1 | judge)", d, family="binomial")
    assert abs(ordered.llf - logistic.llf) < 1e-7
    assert abs(ordered.thresholds.iloc[0] + logistic.params["Intercept"]) < 1e-5
    np.testing.assert_allclose(ordered.bse, logistic.bse[1:], rtol=1e-4)


def test_shifted_and_scaled_predictors_give_the_same_fit(wine):
    d = wine.assign(x=(wine["temp"] == "warm") * 1.0)
    d = d.assign(year=2008.0 + 0.01 * d["x"])
    a = ranef.clmm("rating ~ x + (1 | judge)", d)
    b = ranef.clmm("rating ~ year + (1 | judge)", d)
    assert abs(a.llf - b.llf) < 1e-8
    np.testing.assert_allclose(b.params["year"], 100.0 * a.params["x"], rtol=1e-6)
    np.testing.assert_allclose(b.thresholds - 2008.0 * b.params["year"], a.thresholds, atol=1e-4)


def test_predictions_are_probabilities_in_order(model, wine):
    prob = model.predict(kind="prob")
    assert list(prob.columns) == list("12345")
    np.testing.assert_allclose(prob.sum(axis=1), 1.0)
    own = prob.to_numpy()[np.arange(72), wine["rating"].cat.codes]
    np.testing.assert_allclose(own, model.fittedvalues, atol=1e-12)
    cumulative = model.predict(wine.head(3), kind="cumulative", random="none")
    np.testing.assert_allclose(cumulative.iloc[:, -1], 1.0)
    assert (model.predict(wine, kind="class").cat.codes == prob.to_numpy().argmax(axis=1)).all()


def test_unused_categories_are_left_out(wine):
    wider = pd.Categorical(wine["rating"], categories=list("0123456"), ordered=True)
    model = ranef.clmm("rating ~ temp + contact + (1 | judge)", wine.assign(rating=wider))
    assert model.categories == tuple("12345")
    assert abs(model.llf + 81.56540929) < 5e-6


def test_a_separated_predictor_is_no_convergence(wine):
    d = wine.assign(top=(wine["rating"] == "5").astype(float))
    with pytest.warns(ranef.ConvergenceWarning, match="without bound"):
        model = ranef.clmm("rating ~ top", d)
    assert not model.convergence.converged


def test_it_pickles_and_prints(model):
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.params, model.params)
    assert "\n" not in repr(model)
    assert "1|2" in str(model.summary())
    assert model.ranef().cov["judge"].shape == (9, 1, 1)
    assert model.tidy().shape[0] == 3
    draws = model.simulate(3, seed=1)
    assert draws.shape == (72, 3)
    assert set(np.unique(draws)) <= set(range(5))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d.assign(rating=d["rating"].astype(str)), ranef.DataError, "order is not known"),
        (
            lambda d: d.assign(rating=pd.Categorical(d["rating"].astype(str))),
            ranef.DataError,
            "without an order",
        ),
        (lambda d: d.assign(rating=1), ranef.DataError, "one category"),
        (lambda d: d.assign(rating=np.arange(72) / 7), ranef.DataError, "different values"),
    ],
)
def test_responses_without_order_are_refused(wine, change, error, message):
    with pytest.raises(error, match=message):
        ranef.clmm("rating ~ temp + (1 | judge)", change(wine))


def test_options_are_checked(wine):
    with pytest.raises(ValueError, match="link must be one of"):
        ranef.clmm("rating ~ temp", wine, link="log")
    with pytest.raises(ValueError, match="thresholds must be one of"):
        ranef.clmm("rating ~ temp", wine, thresholds="free")
    with pytest.raises(ValueError, match="one random-effects term"):
        ranef.clmm("rating ~ temp + (1 | judge) + (1 | bottle)", wine, nagq=5)
    with pytest.raises(ranef.ModelError, match="0 \\+"):
        ranef.clmm("rating ~ 0 + temp", wine)
    with pytest.raises(ranef.ModelError, match="nominal"):
        ranef.clmm("rating ~ temp", wine, nominal="~ temp")


@pytest.mark.parametrize("fit", ["lmer", "glmer"])
def test_other_models_name_this_one_for_ordered_responses(wine, fit):
    options = {"family": "binomial"} if fit == "glmer" else {}
    with pytest.raises(ranef.DataError, match=r"ranef\.clmm"):
        getattr(ranef, fit)("rating ~ temp + (1 | judge)", wine, **options)


def test_levels_of_one_answer_have_no_finite_variance():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"x": rng.normal(size=120), "g": np.repeat(np.arange(12), 10)})
    d["y"] = pd.Categorical.from_codes(d["g"] % 3, ["l", "m", "h"], ordered=True)
    d["z"] = d["g"] % 2
    with pytest.warns(ranef.ConvergenceWarning, match="all responses are alike"):
        model = ranef.clmm("y ~ x + (1 | g)", d)
    assert not model.convergence.converged
    with pytest.warns(ranef.ConvergenceWarning, match="all responses are alike"):
        model = ranef.glmer("z ~ x + (1 | g)", d, family="binomial", link="cauchit")
    assert not model.convergence.converged


def test_a_search_that_starts_near_ends_where_a_whole_one_does(wine):
    model = ranef.clmm("rating ~ temp + contact + (1 | judge)", wine)
    parts, e = model.parts, model.parts.estimate
    y = model.simulate(1, seed=3)[:, 0]
    found = (replace(parts.design, y=y), parts.nominal, parts.scale, parts.categories)
    whole = fit_found(parts.call, found, parts.data)
    near = fit_found(parts.call, found, parts.data, (e.theta, e.standard))
    assert near.estimate.converged
    assert near.estimate.objective == pytest.approx(whole.estimate.objective, abs=1e-9)
    np.testing.assert_allclose(near.estimate.coefficients, whole.estimate.coefficients, atol=1e-5)
    assert near.estimate.n_gradient < whole.estimate.n_gradient


def test_categories_that_never_occur_are_told_of(wine):
    merged = wine["rating"].where(wine["rating"] != "3", "2")
    told = str(ranef.clmm("rating ~ temp + (1 | judge)", wine.assign(rating=merged)).summary())
    assert "'3' never occurs, and is left out" in told


@pytest.fixture(scope="module")
def opposed():
    """Middle answers where z is small or large, outer ones elsewhere: no order of thresholds."""
    z = np.linspace(-3.0, 3.0, 240)
    answers = np.where(z < 0.0, np.arange(240) % 2 * 3, 1 + np.arange(240) % 2)
    answers = np.where(np.arange(240) % 5 == 0, np.arange(240) // 5 % 4, answers)
    return pd.DataFrame({"y": answers, "z": z})


def test_thresholds_that_cross_are_told_of_and_give_no_negative_probability(opposed):
    with pytest.warns(ranef.RanefWarning, match="thresholds cross in .* of 'z'"):
        model = ranef.clmm("y ~ 1", opposed, nominal="~ z")
    far = pd.DataFrame({"z": [-30.0, 0.0, 30.0]})
    slopes = model.params.to_numpy()
    cuts = model.thresholds.to_numpy() + far[["z"]].to_numpy() * slopes
    crossed = (np.diff(cuts, axis=1) < 0.0).any(axis=1)
    assert crossed.any()
    assert not crossed.all()
    with pytest.warns(ranef.RanefWarning, match="Predictions are NaN"):
        found = model.predict(far)
    np.testing.assert_array_equal(found.isna().all(axis=1), crossed)
    assert (found[~crossed] >= 0.0).all(axis=None)
    with pytest.raises(ranef.ModelError, match="cannot be drawn"):
        model.simulate(1, seed=1)


def test_joint_tests_are_those_of_emmeans(wine, model):
    """emmeans 1.8.4-1 on ordinal 2022.11-16: joint_tests(clmm(...)). They were of other columns."""
    found = ranef.joint_tests(model)
    assert found["F"].round(2).tolist() == pytest.approx([26.467, 12.817], abs=0.02)
    both = ranef.joint_tests(ranef.clmm("rating ~ temp * contact + (1 | judge)", wine))
    assert both["num_df"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(both["F"], [26.454, 12.798, 0.059], atol=0.02)


def test_joint_tests_beside_scale_and_nominal_effects(wine):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.clmm("rating ~ temp + (1 | judge)", wine, nominal="~ contact")
    found = ranef.joint_tests(model)
    assert found["F"].item() == pytest.approx(float(model.anova()["chisq"].item()), rel=1e-6)
