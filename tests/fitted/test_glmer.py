"""What users see of generalised linear mixed models."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import ranef
from ranef.errors import ConvergenceWarning, SingularFitWarning, UnsupportedError

CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp():
    return ranef.datasets.load("cbpp")


@pytest.fixture(scope="module")
def model(cbpp):
    return ranef.glmer(CBPP, cbpp, family="binomial")


@pytest.fixture(scope="module")
def rows():
    """Rows of 20 groups: 0/1, counts and positive measurements with one linear predictor."""
    rng = np.random.default_rng(0)
    n = 200
    d = pd.DataFrame({"g": rng.integers(0, 20, n), "x": rng.normal(size=n)})
    eta = 0.5 * d["x"] + rng.normal(size=20)[d["g"]]
    return d.assign(
        y=rng.binomial(1, 1 / (1 + np.exp(-eta))),
        count=rng.poisson(np.exp(eta)),
        time=rng.gamma(2.0, np.exp(eta) / 2),
        row=np.arange(n),
    )


# ------------------------------------------------------------------ responses


def test_spellings_of_a_binomial_response_agree(cbpp, model):
    share = cbpp.assign(p=cbpp["incidence"] / cbpp["size"])
    other = ranef.glmer("p ~ period + (1 | herd)", share, family="binomial", weights="size")
    assert other.llf == pytest.approx(model.llf, abs=1e-9)
    pd.testing.assert_series_equal(other.params, model.params)


def test_trials_one_by_one_change_the_likelihood_by_a_constant(cbpp, model):
    one = cbpp.loc[cbpp.index.repeat(cbpp["size"])].reset_index(drop=True)
    order = one.groupby(["herd", "period"], observed=True).cumcount()
    one["ill"] = (order < one["incidence"]).map({True: "yes", False: "no"})
    other = ranef.glmer("ill ~ period + (1 | herd)", one, family="binomial")
    np.testing.assert_allclose(other.params, model.params, atol=1e-6)
    choose = scipy.special.gammaln(cbpp["size"] + 1.0)
    choose = choose - scipy.special.gammaln(cbpp["incidence"] + 1.0)
    choose = choose - scipy.special.gammaln(cbpp["size"] - cbpp["incidence"] + 1.0)
    assert other.llf + choose.sum() == pytest.approx(model.llf, abs=1e-7)


def test_rows_with_a_missing_count_are_dropped_from_both(cbpp):
    gaps = cbpp.assign(incidence=cbpp["incidence"].astype(float))
    gaps.loc[3, "incidence"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning, match="incidence"):
        model = ranef.glmer(CBPP, gaps, family="binomial")
    assert model.nobs == 55
    assert model.llf == ranef.glmer(CBPP, cbpp.drop(3), family="binomial").llf


@pytest.mark.parametrize(
    ("formula", "family", "options", "message"),
    [
        ("half ~ x + (1 | g)", "poisson", {}, "counts 0, 1, 2"),
        ("low ~ x + (1 | g)", "poisson", {}, "0 or above"),
        ("half ~ x + (1 | g)", "negative_binomial", {}, "counts 0, 1, 2"),
        ("share ~ x + (1 | g)", "binomial", {}, "whole numbers of trials"),
        ("count ~ x + (1 | g)", "binomial", {}, "between 0 and 1"),
        ("y ~ x + (1 | g)", "binomial", {"weights": "half"}, "not whole numbers"),
        ("count ~ x + (1 | g)", "gamma", {}, "above 0"),
        ("zero ~ x + (1 | g)", "poisson", {}, "0 in every row"),
        ("zero ~ x + (1 | g)", "binomial", {}, "0 in every row"),
        ("C(three) ~ x + (1 | g)", "binomial", {}, "two levels, not 3"),
        ("cbind(count, y) ~ x + (1 | g)", "poisson", {}, "2 columns"),
        ("cbind(count, y) ~ x + (1 | g)", "binomial", {"weights": "one"}, "omit the weights"),
        ("cbind(count, count) ~ x + (1 | g)", "binomial", {}, "0.5 in every row"),
        ("cbind(low, count) ~ x + (1 | g)", "binomial", {}, "successes"),
        ("cbind(count, half) ~ x + (1 | g)", "binomial", {}, "failures"),
        ("y ~ x + (1 | one)", "binomial", {}, "only one level"),
        ("far ~ x + (1 | g)", "gamma", {}, "infinite"),
    ],
)
def test_responses_out_of_range_are_refused(rows, formula, family, options, message):
    d = rows.assign(half=rows["count"] + 0.5, low=rows["count"] - 3, share=rows["y"] / 2, zero=0)
    d = d.assign(three=np.arange(200) % 3, one=1, far=np.where(d["row"] == 7, np.inf, d["time"]))
    with pytest.raises(ranef.DataError, match=message):
        ranef.glmer(formula, d, family=family, **options)


# ------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "weibull"}, "family is one of"),
        ({"family": "poisson", "link": "logit"}, "family is 'log', not"),
        ({"family": "binomial", "nagq": -1}, "nagq"),
        ({"family": "binomial", "nagq": 2.5}, "nagq"),
    ],
)
def test_options_are_checked(rows, options, message):
    with pytest.raises(ValueError, match=message):
        ranef.glmer("y ~ x + (1 | g)", rows, **options)


def test_quadrature_needs_one_grouping_factor(rows):
    d = rows.assign(h=np.arange(200) % 7)
    with pytest.raises(ValueError, match=r"g \(1\), h \(1\)"):
        ranef.glmer("y ~ x + (1 | g) + (1 | h)", d, family="binomial", nagq=5)


def test_models_that_cannot_be_estimated_are_refused(rows):
    with pytest.raises(ranef.ModelError, match="no random-effects term"):
        ranef.glmer("y ~ x", rows, family="binomial")
    with pytest.raises(ranef.ModelError, match="200 random effects for 200 rows"):
        ranef.glmer("y ~ x + (1 | row)", rows, family="binomial")
    with pytest.raises(ranef.ModelError, match="empty"):
        ranef.glmer("y ~ 0 + (1 | g)", rows, family="binomial")


def test_linear_models_do_not_take_two_columns(rows):
    with pytest.raises(ranef.DataError, match="only a binomial response of glmer"):
        ranef.lmer("cbind(count, y) ~ x + (1 | g)", rows)


# ------------------------------------------------------------------ invariance


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_location_and_scale_of_predictors_do_not_matter(rows):
    plain = ranef.glmer("y ~ x + (1 + x | g)", rows, family="binomial")
    moved = rows.assign(x=2008 + 1e-3 * rows["x"])
    other = ranef.glmer("y ~ x + (1 + x | g)", moved, family="binomial")
    assert other.llf == pytest.approx(plain.llf, abs=1e-7)
    assert other.params["x"] == pytest.approx(1e3 * plain.params["x"], rel=1e-5)


def test_offset_moves_the_intercept_alone(rows):
    plain = ranef.glmer("count ~ x + (1 | g)", rows, family="poisson")
    moved = rows.assign(far=1000.0)
    for other in (
        ranef.glmer("count ~ x + offset(far) + (1 | g)", moved, family="poisson"),
        ranef.glmer("count ~ x + (1 | g)", moved, family="poisson", offset="far"),
    ):
        assert other.llf == pytest.approx(plain.llf, abs=1e-7)
        assert other.params["Intercept"] + 1000 == pytest.approx(
            plain.params["Intercept"], abs=1e-5
        )


def test_weights_count_rows_several_times(rows):
    weighted = ranef.glmer(
        "count ~ x + (1 | g)", rows, family="poisson", weights=1 + rows["row"] % 3
    )
    twice = rows.loc[rows.index.repeat(1 + rows["row"] % 3)]
    repeated = ranef.glmer("count ~ x + (1 | g)", twice, family="poisson")
    assert weighted.llf == pytest.approx(repeated.llf, abs=1e-7)


def test_dispersion_at_infinity_is_poisson(rows):
    poisson = ranef.glmer("count ~ x + (1 | g)", rows, family="poisson")
    other = ranef.glmer("count ~ x + (1 | g)", rows, family="negative_binomial")
    assert other.llf == pytest.approx(poisson.llf, abs=1e-5)
    assert "runs to infinity" in str(other.summary())


def test_laplace_is_quadrature_of_one_point(model):
    """A rule of one point is Laplace's approximation; many points go on from there."""
    assert model.update(nagq=0).llf < model.llf
    nine, many = model.update(nagq=9).llf, model.update(nagq=30).llf
    assert nine == pytest.approx(many, abs=1e-4)
    assert abs(model.llf - many) > 1e-2


def test_quadrature_of_a_gamma_response_keeps_its_constants(rows):
    laplace = ranef.glmer("time ~ x + (1 | g)", rows, family="gamma", link="log")
    many = laplace.update(nagq=15)
    assert many.llf == pytest.approx(laplace.llf, abs=0.2)
    assert many.dispersion == pytest.approx(laplace.dispersion, rel=0.01)


# ------------------------------------------------------------------ boundaries


def test_singular_fit_is_named(rows):
    d = rows.assign(h=rows["x"] > 0)
    with pytest.warns(SingularFitWarning, match=r"\(Intercept \| h\)"):
        model = ranef.glmer("y ~ x + (1 | g) + (1 | h)", d, family="binomial")
    assert model.convergence.converged
    assert "boundary is the optimum" in repr(model.convergence)
    assert model.llf == pytest.approx(
        ranef.glmer("y ~ x + (1 | g)", d, family="binomial").llf, abs=1e-6
    )
    assert np.isfinite(model.bse).all()


def test_prior_keeps_a_variance_off_zero(rows):
    d = rows.assign(h=rows["x"] > 0)
    model = ranef.glmer("y ~ x + (1 | h)", d, family="binomial", prior="weak")
    assert not model.is_singular
    assert model.varcorr["h"].iloc[0, 0] > 0.01
    assert "penalty" in str(model.summary())


def test_priors_are_of_covariances_alone(rows):
    with pytest.raises(UnsupportedError, match="only for the covariances of random effects"):
        ranef.glmer("y ~ x + (1 | g)", rows, family="binomial", prior={"fixed": ranef.Normal(1.0)})
    with pytest.raises(ranef.ModelError, match="'h'"):
        ranef.glmer("y ~ x + (1 | g)", rows, family="binomial", prior={"h": "weak"})


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_separation_names_the_column(rows, family):
    """A column whose few rows have one response only."""
    y = rows["y"] if family == "binomial" else rows["count"]
    edge = np.flatnonzero(y == (1 if family == "binomial" else 0))[:5]
    d = rows.assign(rare=np.isin(np.arange(200), edge) * 1.0, answer=y)
    with pytest.warns(ConvergenceWarning, match="'rare' separates the responses"):
        model = ranef.glmer("answer ~ x + rare + (1 | g)", d, family=family)
    assert np.isnan(model.bse["rare"])
    assert np.isfinite(model.bse[["Intercept", "x"]]).all()
    assert not model.convergence.converged
    with pytest.raises(ConvergenceWarning, match="rare"):
        ranef.glmer("answer ~ x + rare + (1 | g)", d, family=family, strict=True)


def test_aliased_column_is_left_out(rows):
    with pytest.warns(ranef.RankWarning, match="twice is a combination of x"):
        model = ranef.glmer(
            "y ~ x + twice + (1 | g)", rows.assign(twice=2 * rows["x"]), family="binomial"
        )
    assert np.isnan(model.params["twice"])
    assert model.npar == 3


def test_an_effect_of_each_count(rows):
    """Counts drawn with one more effect a row: allowed, as their variance is known."""
    rng = np.random.default_rng(2)
    d = rows.assign(count=rng.poisson(np.exp(1.0 + rng.normal(size=200))))
    model = ranef.glmer("count ~ x + (1 | row)", d, family="poisson")
    assert model.varcorr["row"].iloc[0, 0] == pytest.approx(1.0, abs=0.35)
    assert model.overdispersion().ratio < 1.0
    plain = ranef.glmer("count ~ x + (1 | g)", d, family="poisson").summary()
    assert "Overdispersed" in str(plain)


# ------------------------------------------------------------------ the fitted model


def test_tables_and_text(model):
    assert list(model.coef_table()) == ["estimate", "se", "df", "z", "pvalue"]
    assert np.isinf(model.coef_table()["df"]).all()
    pd.testing.assert_series_equal(model.zvalues, model.params / model.bse)
    np.testing.assert_allclose(
        model.pvalues, 2 * scipy.stats.norm.sf(np.abs(model.zvalues)), rtol=1e-12
    )
    text = str(model.summary())
    for part in ("Laplace", "binomial, logit link", "herd (15)", "-92.0263", "exact derivatives"):
        assert part in text
    assert "<table>" in model._repr_html_()
    tidy = model.tidy(["fixed", "ran_pars", "ran_vals"], conf_int=True)
    assert len(tidy) == 4 + 1 + 15
    assert model.glance().loc[0, "logLik"] == model.llf
    augmented = model.augment()
    np.testing.assert_allclose(augmented[".mu"], model.fittedvalues)
    np.testing.assert_allclose(augmented[".fitted"], model.predict(kind="link"))
    np.testing.assert_allclose((augmented[".resid"] ** 2).sum(), model.deviance)
    assert model.aic == pytest.approx(-2 * model.llf + 10)
    assert list(model.conf_int().columns) == ["lower", "upper"]
    assert "Residual" not in repr(model.varcorr)


def test_what_belongs_to_linear_models_is_not_there(model):
    assert not hasattr(model, "wild_bootstrap")


def test_residuals_by_kind(model):
    y, mu, w = model.parts.design.y, model.fittedvalues, model.parts.design.weights
    np.testing.assert_allclose(model.resid("response"), y - mu)
    np.testing.assert_allclose(model.resid("working"), (y - mu) / (mu * (1 - mu)))
    np.testing.assert_allclose(model.resid("pearson"), (y - mu) / np.sqrt(mu * (1 - mu) / w))
    own = scipy.stats.binom.logpmf(np.round(y * w), w, y) - scipy.stats.binom.logpmf(
        np.round(y * w), w, mu
    )
    np.testing.assert_allclose(model.resid() ** 2, 2 * own, atol=1e-9)
    with pytest.raises(ValueError, match="kind must be one of"):
        model.resid("raw")


@pytest.mark.parametrize("family", ["poisson", "gamma", "negative_binomial"])
def test_deviance_residuals_are_likelihood_ratios(rows, family):
    name = "time" if family == "gamma" else "count"
    link = "log"
    model = ranef.glmer(f"{name} ~ x + (1 | g)", rows, family=family, link=link)
    y, mu, k = rows[name].to_numpy(), model.fittedvalues, model.dispersion
    density = {
        "poisson": lambda m: scipy.stats.poisson.logpmf(y, m),
        "gamma": lambda m: k * scipy.stats.gamma.logpdf(y, 1 / k, scale=m * k),
        "negative_binomial": lambda m: scipy.stats.nbinom.logpmf(y, k, k / (k + m)),
    }[family]
    np.testing.assert_allclose(
        model.resid() ** 2, 2 * (density(np.maximum(y, 1e-300)) - density(mu)), atol=1e-6
    )


def test_predictions(model, cbpp):
    np.testing.assert_allclose(model.predict(cbpp), model.predict())
    np.testing.assert_allclose(model.predict(cbpp, random="none"), model.predict(random="none"))
    np.testing.assert_allclose(model.predict(cbpp, random=["herd"]), model.fittedvalues)
    limits = model.predict(random="none", interval="confidence")
    assert ((limits["lower"] < limits["mean"]) & (limits["mean"] < limits["upper"])).all()
    # the first row has the reference period: its linear predictor is the intercept
    first = model.predict(random="none", interval="confidence", kind="link").iloc[0]
    np.testing.assert_allclose(first[["lower", "upper"]], model.conf_int().iloc[0])
    with pytest.raises(ranef.DataError, match="new"):
        model.predict({"period": ["1"], "herd": ["new"]})
    with pytest.raises(ValueError, match="kind"):
        model.predict(kind="mean")


def test_simulated_responses_come_from_the_model(rows):
    """Their mean over rows is that of the model, random effects integrated out."""
    model = ranef.glmer("count ~ x + (1 | g)", rows, family="poisson")
    draws = model.simulate(4000, seed=3)
    assert draws.shape == (200, 4000)
    marginal = model.predict(random="none") * np.exp(model.varcorr["g"].iloc[0, 0] / 2)
    np.testing.assert_allclose(draws.mean(), marginal.mean(), rtol=0.05)
    np.testing.assert_array_equal(draws[:, :2], model.simulate(2, seed=3))


def test_refit_and_update(model, cbpp):
    draw = model.simulate(seed=1)[:, 0]
    again = model.refit(draw)
    assert again.llf != model.llf
    assert again.refit(model.parts.design.y).llf == pytest.approx(model.llf, abs=1e-9)
    null = model.update(". ~ . - period")
    assert null.npar == 2
    assert model.update(link="probit").link == "probit"
    assert model.update(data=cbpp.iloc[:40]).nobs == 40
    with pytest.raises(ranef.DataError, match="56 rows"):
        model.refit([1.0])
    with pytest.raises(ranef.DataError, match="whole numbers of trials"):
        model.refit(np.linspace(0.1, 0.2, 56))
    with pytest.raises(ValueError, match="no argument 'robust'"):
        model.update(robust=True)


def test_copies_answer_alike(model):
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        pd.testing.assert_series_equal(other.params, model.params)
        np.testing.assert_allclose(other.ranef().cov["herd"], model.ranef().cov["herd"])
        assert str(other.summary()) == str(model.summary())
    with pytest.raises(ValueError, match="unpickled"):
        pickle.loads(pickle.dumps(model)).update(nagq=5)


def test_conditional_covariances_of_two_factors(rows):
    """Inverse of the penalised information in dense arithmetic, given all parameters."""
    d = rows.assign(h=np.arange(200) % 9)
    d["count"] = np.random.default_rng(5).poisson(np.exp(np.sin(d["h"]) + 0.1 * d["g"]))
    model = ranef.glmer("count ~ x + (1 | g) + (1 | h)", d, family="poisson")
    Z = np.column_stack([pd.get_dummies(d["g"]), pd.get_dummies(d["h"])]).astype(float)
    sizes = [d["g"].nunique(), d["h"].nunique()]
    precision = np.repeat([1 / model.varcorr[k].iloc[0, 0] for k in ("g", "h")], sizes)
    mu = model.fittedvalues.to_numpy()
    cov = np.linalg.inv(Z.T @ (mu[:, None] * Z) + np.diag(precision))
    found = model.ranef().cov
    np.testing.assert_allclose(
        np.r_[found["g"].ravel(), found["h"].ravel()], np.diag(cov), rtol=1e-6
    )


def test_coverage_of_the_errors():
    """Wald intervals of 95 % cover the slope in most of 60 simulated data sets."""
    rng = np.random.default_rng(11)
    g, x = np.repeat(np.arange(30), 10), rng.normal(size=300)
    frame = pd.DataFrame({"g": g, "x": x, "y": 0})
    inside = 0
    for _ in range(60):
        eta = 0.3 + 0.5 * x + 0.8 * rng.normal(size=30)[g]
        frame["y"] = rng.binomial(1, 1 / (1 + np.exp(-eta)))
        limits = ranef.glmer("y ~ x + (1 | g)", frame, family="binomial").conf_int().loc["x"]
        inside += limits["lower"] < 0.5 < limits["upper"]
    assert 51 <= inside <= 60  # binomial(60, 0.95) is outside with a chance of 0.3 %


# ------------------------------------------------------------------ comparisons


def test_anova_tests_the_fixed_part(model):
    null = model.update(". ~ . - period")
    table = ranef.anova(model, null)
    row = table.iloc[1]
    assert row["chisq"] == pytest.approx(2 * (model.llf - null.llf))
    assert row["df"] == 3
    # lme4 1.1-31 by bobyqa; its two deviances are each 5e-4 above the optimum, not equally
    assert row["chisq"] == pytest.approx(25.609938, abs=1e-3)
    assert row["pvalue"] == pytest.approx(scipy.stats.chi2.sf(row["chisq"], 3))


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_anova_knows_the_boundary_of_a_variance(rows):
    d = rows.assign(h=np.arange(200) % 5)
    small = ranef.glmer("count ~ x + (1 | g)", d, family="poisson")
    large = ranef.glmer("count ~ x + (1 | g) + (0 + x | g)", d, family="poisson")
    row = ranef.anova(small, large).iloc[1]
    assert row["pvalue_boundary"] == pytest.approx(row["pvalue"] / 2) or row["chisq"] < 1e-6
    assert "tested at zero" in row["note"]


def test_anova_refuses_models_of_different_kinds(model, cbpp):
    linear = ranef.lmer("size ~ period + (1 | herd)", cbpp)
    for others, message in [
        ([linear], "LinearMixedModel"),
        ([model.update(link="probit")], "link"),
        ([model.update(nagq=5)], "nagq"),
        ([model.update(data=cbpp.iloc[:50])], "rows"),
        ([model.update(prior="weak")], "prior"),
        ([], "two or more"),
    ]:
        with pytest.raises(ranef.ModelError, match=message):
            ranef.anova(model, *others)


def test_what_treats_linear_models_refuses_others(model):
    with pytest.raises(ranef.ModelError, match=r"fitted by ranef\.lmer.*for one of ranef\.glmer,"):
        ranef.rlrt(model)


def test_wald_tests_of_terms_and_hypotheses(model):
    """Against b'V^-1 b by hand."""
    names = ["period[T.2]", "period[T.3]", "period[T.4]"]
    b, V = model.params[names].to_numpy(), model.cov_params().loc[names, names].to_numpy()
    chisq = b @ np.linalg.solve(V, b)
    row = model.anova().loc["period"]
    assert row["chisq"] == pytest.approx(chisq)
    assert row["pvalue"] == pytest.approx(scipy.stats.chi2.sf(chisq, 3))
    found = model.test("period[T.2] = 0, period[T.3] = 0, period[T.4] = 0")
    assert pytest.approx(chisq / 3) == found.F
    assert found.pvalue == pytest.approx(row["pvalue"])
    assert "(normal)" in repr(found)
    difference = model.test("period[T.4] - period[T.2]").table.iloc[0]
    c = np.array([-1.0, 0.0, 1.0])
    assert difference["se"] == pytest.approx(np.sqrt(c @ V @ c))
    with pytest.raises(UnsupportedError, match="ddf='inf'"):
        model.test("period[T.2] = 0", ddf="kenward-roger")
