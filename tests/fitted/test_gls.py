"""Linear models with structured residuals: the fitted object."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from conftest import OPTIMUM
from reference import dense_gls


@pytest.fixture(scope="module")
def gpa():
    return ranef.datasets.load("gpa_sim")


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def ar1(sleep):
    return ranef.gls("Reaction ~ Days", sleep, groups="Subject", time="Days", corr="ar1")


@pytest.fixture(scope="module")
def both(sleep):
    """Random slopes beside correlated residuals of growing variance."""
    return ranef.gls(
        "Reaction ~ Days + (Days | Subject)",
        sleep,
        groups="Subject",
        time="Days",
        corr="car1",
        variance="~ Days",
    )


def _dense_covariance(model):
    """V of a fit, relative to sigma^2, from its public estimates alone."""
    rows, design = model.parts.rows, model.parts.design
    time = np.zeros(model.nobs) if rows.time is None else rows.time
    natural = model.correlation.to_numpy()
    natural = natural[0] if len(natural) == 1 else natural
    C = dense_gls.correlation(model.call.corr, natural, time, rows.cluster)
    terms = [
        (term.codes, design.z(term), model.varcorr[term.group].to_numpy() / model.sigma**2)
        for term in design.random
    ]
    return dense_gls.covariance(C, model.resid_sd.to_numpy() / model.sigma, terms)


@pytest.mark.parametrize("reml", [True, False])
def test_the_likelihood_is_that_of_the_estimates(sleep, reml):
    model = ranef.gls(
        "Reaction ~ Days + (Days | Subject)",
        sleep,
        groups="Subject",
        time="Days",
        corr="ar1",
        variance="~ Days",
        reml=reml,
    )
    X = model.parts.design.X
    value, beta, cov, sigma2 = dense_gls.fit_at(
        model.parts.design.y, X, _dense_covariance(model), reml=reml
    )
    assert -2.0 * model.llf == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(model.params, beta, rtol=1e-7)
    np.testing.assert_allclose(model.cov_params(), cov, rtol=1e-7)
    assert model.sigma**2 == pytest.approx(sigma2, rel=1e-7)


def test_no_dense_search_finds_a_higher_likelihood(sleep):
    model = ranef.gls("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable", reml=False)
    X, y = model.parts.design.X, model.parts.design.y
    groups, time = model.parts.rows.cluster, np.zeros(len(y))

    def objective(a):
        C = dense_gls.correlation("exchangeable", np.tanh(a[0]), time, groups)
        if np.linalg.eigvalsh(C)[0] <= 0.0:
            return 1e10
        return dense_gls.fit_at(y, X, C, reml=False)[0]

    found = dense_gls.minimise(objective, np.array([0.1]))
    assert -2.0 * model.llf == pytest.approx(found.fun, abs=1e-6)
    assert model.correlation["rho"] == pytest.approx(np.tanh(found.x[0]), abs=1e-5)


def test_independence_is_least_squares(sleep):
    model = ranef.gls("Reaction ~ Days", sleep)
    ols = ranef.feols("Reaction ~ Days", sleep)
    np.testing.assert_allclose(model.params, ols.params, rtol=1e-10)
    np.testing.assert_allclose(model.bse, ols.bse, rtol=1e-10)
    np.testing.assert_allclose(model.coef_table()["df"], 178.0)
    assert model.update(reml=False).llf == pytest.approx(ols.llf, abs=1e-9)
    assert model.npar == 3


@pytest.mark.parametrize("reml", [True, False])
def test_exchangeable_is_a_random_intercept(sleep, reml):
    gls = ranef.gls("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable", reml=reml)
    lmer = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=reml)
    assert gls.llf == pytest.approx(lmer.llf, abs=1e-8)
    assert (gls.npar, gls.aic) == (lmer.npar, pytest.approx(lmer.aic, abs=1e-7))
    between = lmer.varcorr["Subject"].iloc[0, 0]
    assert gls.sigma**2 == pytest.approx(between + lmer.sigma**2, rel=OPTIMUM)
    assert gls.correlation["rho"] == pytest.approx(between / gls.sigma**2, rel=OPTIMUM)
    pd.testing.assert_frame_equal(gls.coef_table(), lmer.coef_table(), rtol=1e-4)


def test_random_effects_alone_are_lmer(sleep):
    gls = ranef.gls("Reaction ~ Days + (Days | Subject)", sleep, groups="Subject")
    lmer = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    assert gls.llf == pytest.approx(lmer.llf, abs=1e-8)
    pd.testing.assert_frame_equal(gls.coef_table(), lmer.coef_table(), rtol=1e-4)
    pd.testing.assert_frame_equal(gls.ranef()["Subject"], lmer.ranef()["Subject"], rtol=1e-3)
    np.testing.assert_allclose(
        gls.ranef().cov["Subject"], lmer.ranef().cov["Subject"], rtol=1e-3, atol=1e-3
    )
    pd.testing.assert_series_equal(gls.fittedvalues, lmer.fittedvalues, rtol=1e-4)
    pd.testing.assert_frame_equal(gls.anova(), lmer.anova(), rtol=1e-3)


def test_negative_correlation_within_groups_is_possible():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(200, 2))
    y -= 0.8 * y.mean(axis=1, keepdims=True)
    d = pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(200), 2)})
    rho = ranef.gls("y ~ 1", d, groups="g", corr="exchangeable").correlation["rho"]
    np.testing.assert_allclose(rho, np.corrcoef(y.T)[0, 1], atol=0.01)
    assert rho < -0.8


def test_mean_of_unstructured_rows_by_time_is_the_sample_moments(gpa):
    model = ranef.gls(
        "gpa ~ 0 + C(occasion)",
        gpa,
        groups="student",
        time="occasion",
        corr="unstructured",
        variance="occasion",
        reml=False,
    )
    wide = gpa.pivot(index="student", columns="occasion", values="gpa").to_numpy()
    np.testing.assert_allclose(model.params, wide.mean(axis=0), rtol=1e-8)
    cov = np.cov(wide.T, bias=True)
    np.testing.assert_allclose(model.residual_covariance(), cov, rtol=1e-5)
    reml = model.update(reml=True)
    np.testing.assert_allclose(reml.residual_covariance(), np.cov(wide.T), rtol=1e-5)
    # Means of independent groups have n - 1 degrees of freedom each.
    np.testing.assert_allclose(reml.coef_table()["df"], 199.0, rtol=1e-4)
    np.testing.assert_allclose(reml.bse, wide.std(axis=0, ddof=1) / np.sqrt(200), rtol=1e-5)


def test_tables(ar1, both):
    assert list(ar1.correlation.index) == ["phi"]
    table = ar1.covariance_params()
    assert list(table.index) == ["sigma", "cor.phi"]
    assert (table["lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["upper"]).all()
    assert list(both.covariance_params().index) == ["sigma", "log_sd.Days", "cor.phi"]
    tidy = both.tidy(conf_int=True)
    assert list(tidy["effect"].unique()) == ["fixed", "ran_pars", "residual"]
    assert ar1.glance().loc[0, "npar"] == 4
    interval = ar1.conf_int()
    half = ar1.params - interval["lower"]
    np.testing.assert_allclose(interval["upper"] - ar1.params, half)
    assert set(ar1.coef_table("inf")["df"]) == {np.inf}
    assert set(ar1.coef_table("residual")["df"]) == {178.0}
    assert ar1.test("Days = 10").table.shape[0] == 1
    text = str(ar1.summary())
    assert "ar1: phi = 0.8" in text
    assert "<table" in ar1._repr_html_()


def test_intervals_of_covariance_parameters_agree_with_the_likelihood(sleep):
    """Half the width of Fisher's z is where a parabola through the profile says."""
    model = ranef.gls(
        "Reaction ~ Days", sleep, groups="Subject", time="Days", corr="ar1", reml=False
    )
    X, y = model.parts.design.X, model.parts.design.y
    rows = model.parts.rows
    z = np.arctanh(model.correlation["phi"])

    def profile(shift):
        C = dense_gls.correlation("ar1", np.tanh(z + shift), rows.time, rows.cluster)
        return dense_gls.fit_at(y, X, C, reml=False)[0]

    curvature = (profile(1e-2) - 2.0 * profile(0.0) + profile(-1e-2)) / 1e-4
    half = 1.959964 * np.sqrt(2.0 / curvature)
    limits = np.arctanh(
        model.covariance_params().loc["cor.phi", ["lower", "upper"]].to_numpy(float)
    )
    np.testing.assert_allclose(limits, [z - half, z + half], rtol=1e-3)


def test_degrees_of_freedom_are_satterthwaites(sleep):
    """2 f^2 / var(f), with f the squared error, by differences of the dense likelihood."""
    model = ranef.gls("Reaction ~ Days", sleep, groups="Subject", time="Days", corr="ar1")
    X, y, rows = model.parts.design.X, model.parts.design.y, model.parts.rows
    n, p = X.shape

    def pieces(at):
        C = dense_gls.correlation("ar1", np.tanh(at[1]), rows.time, rows.cluster)
        value, _, cov, sigma2 = dense_gls.fit_at(y, X, C, reml=True)
        deviance = value - (n - p) * (1.0 + np.log(2.0 * np.pi * sigma2))
        deviance += (n - p) * at[0] + (n - p) * sigma2 * np.exp(-at[0])
        return deviance, np.diag(cov) / sigma2 * np.exp(at[0])

    at = np.array([2.0 * np.log(model.sigma), np.arctanh(model.correlation["phi"])])
    H, slopes, h = np.zeros((2, 2)), np.zeros((2, 2)), 1e-3
    for i in range(2):
        e = h * np.eye(2)[i]
        slopes[i] = (pieces(at + e)[1] - pieces(at - e)[1]) / (2.0 * h)
        for j in range(2):
            f = h * np.eye(2)[j]
            corners = [
                pieces(at + a * e + b * f)[0] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            H[i, j] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4.0 * h * h)
    cov = 2.0 * np.linalg.inv(H)
    f = pieces(at)[1]
    df = 2.0 * f**2 / np.einsum("ia,ij,ja->a", slopes, cov, slopes)
    np.testing.assert_allclose(model.coef_table()["df"], df, rtol=1e-3)


def test_residuals_and_variances(gpa, both):
    model = ranef.gls(
        "gpa ~ occasion", gpa, groups="student", time="occasion", corr="ar1", variance="occasion"
    )
    assert list(model.variances.columns) == ["sd", "variance", "ratio", "rows"]
    assert model.variances["sd"].iloc[0] == pytest.approx(model.sigma)
    np.testing.assert_allclose(
        model.resid_sd.to_numpy(), model.variances["sd"].to_numpy()[gpa["occasion"]]
    )
    cov = model.residual_covariance("3")
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), model.variances["sd"])
    phi = model.correlation["phi"]
    assert cov.iloc[0, 2] / np.sqrt(cov.iloc[0, 0] * cov.iloc[2, 2]) == pytest.approx(phi**2)
    z = model.resid_normalized
    lag = np.corrcoef(
        z.to_numpy().reshape(200, 6)[:, :-1].ravel(), z.to_numpy().reshape(200, 6)[:, 1:].ravel()
    )
    assert abs(lag[0, 1]) < 0.2
    assert np.mean(z**2) == pytest.approx(1198 / 1200, rel=1e-6)
    with pytest.raises(ranef.UnsupportedError, match="variance_params"):
        both.variances  # noqa: B018
    with pytest.raises(ValueError, match="no level"):
        model.residual_covariance("none")
    with pytest.raises(ranef.ModelError, match="no groups"):
        ranef.gls("gpa ~ occasion", gpa, variance="occasion").residual_covariance()


def test_predictions(sleep, both, ar1):
    np.testing.assert_allclose(both.predict(), both.fittedvalues)
    np.testing.assert_allclose(both.predict(sleep), both.fittedvalues, rtol=1e-10)
    mean = both.predict(sleep, random="none", interval="confidence")
    np.testing.assert_allclose(mean["mean"], both.predict(sleep, random="none"))
    new = pd.DataFrame({"Days": [0.0, 3.0], "Subject": ["308", "new"]})
    with pytest.raises(ranef.DataError, match="did not see"):
        both.predict(new)
    found = both.predict(new, new_levels="population")
    assert found[1] == pytest.approx(both.predict(new, random="none")[1])
    table = ar1.predict(pd.DataFrame({"Days": [0.0]}), interval="confidence")
    limits = ar1.conf_int().loc["Intercept"]
    np.testing.assert_allclose(table.loc[0, ["lower", "upper"]], limits, rtol=1e-8)
    with pytest.raises(ranef.UnsupportedError, match="population"):
        both.predict(interval="confidence")
    with pytest.raises(ValueError, match="must be 'confidence'"):
        ar1.predict(interval="prediction")


def test_pickles_copies_and_updates(sleep, both):
    again = pickle.loads(pickle.dumps(both))
    pd.testing.assert_frame_equal(again.coef_table(), both.coef_table())
    pd.testing.assert_series_equal(again.resid_normalized, both.resid_normalized)
    np.testing.assert_allclose(copy.deepcopy(both).params, both.params)
    with pytest.raises(ValueError, match="does not know its data"):
        again.update(corr="ar1")
    assert again.update(reml=False).llf == pytest.approx(both.update(reml=False).llf)
    wider = both.update(". ~ . + I(Days ** 2)", reml=False)
    assert len(wider.params) == 3
    assert both.update(corr="independence").npar == both.npar - 1
    with pytest.raises(ValueError, match="no argument"):
        both.update(family="poisson")


def test_likelihood_ratios(gpa, sleep):
    roles = {"groups": "student", "time": "occasion"}
    plain = ranef.gls("gpa ~ occasion", gpa, **roles)
    ar1 = ranef.gls("gpa ~ occasion", gpa, corr="ar1", **roles)
    toeplitz = ranef.gls("gpa ~ occasion", gpa, corr="toeplitz", **roles)
    table = ranef.anova(toeplitz, plain, ar1)
    assert list(table["npar"]) == [3, 4, 8]
    assert list(table["df"].iloc[1:]) == [1.0, 4.0]
    assert table["chisq"].iloc[1] == pytest.approx(2.0 * (ar1.llf - plain.llf))
    assert (table["estimator"] == "REML").all()
    sexed = ranef.gls("gpa ~ occasion + sex", gpa, corr="ar1", **roles)
    table = ranef.anova(ar1, sexed)
    assert (table["estimator"] == "ML").all()
    mixed = ranef.lmer("gpa ~ occasion + (1 | student)", gpa)
    table = ranef.anova(
        mixed, ranef.gls("gpa ~ occasion + (1 | student)", gpa, corr="ar1", **roles)
    )
    assert table["df"].iloc[1] == 1.0
    assert "no variance is tested at zero" in table["note"].iloc[1]
    table = ranef.anova(plain, ranef.gls("gpa ~ occasion", gpa, corr="car1", **roles))
    assert (
        table["pvalue_boundary"].iloc[1] < table["pvalue"].iloc[1]
        or table["pvalue"].iloc[1] < 1e-99
    )
    table = ranef.anova(
        ar1, ranef.gls("gpa ~ occasion", gpa, variance="sex", groups="student", corr="exchangeable")
    )
    assert "not nested" in table["note"].iloc[1]
    assert np.isnan(table["pvalue"].iloc[1])
    ranked = ranef.compare(plain, ar1, mixed).table
    for model in (plain, ar1):
        by_ml = model.update(reml=False)
        assert ranked["llf"].isin([by_ml.llf]).any()
    assert len(ranked) == 3
    other = ranef.gls("Reaction ~ Days", sleep, groups="Subject")
    with pytest.raises(ranef.ModelError, match="model 2"):
        ranef.anova(ar1, other)


def test_weights_and_offsets(sleep):
    w = 1.0 + sleep["Days"].to_numpy(float)
    model = ranef.gls("Reaction ~ Days + (1 | Subject)", sleep, groups="Subject", weights=w)
    lmer = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=w)
    assert model.llf == pytest.approx(lmer.llf, abs=1e-8)
    np.testing.assert_allclose(model.bse, lmer.bse, rtol=OPTIMUM)
    shifted = ranef.gls(
        "Reaction ~ Days + offset(10 * Days)", sleep, groups="Subject", corr="exchangeable"
    )
    plain = ranef.gls("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable")
    assert shifted.llf == pytest.approx(plain.llf, abs=1e-8)
    assert shifted.params["Days"] == pytest.approx(plain.params["Days"] - 10.0)
    np.testing.assert_allclose(shifted.fittedvalues, plain.fittedvalues, rtol=1e-9)


def test_correlation_within_a_finer_group_than_the_random_effect():
    """Pupils in schools, occasions in pupils: the unit is the school."""
    rng = np.random.default_rng(4)
    school, pupil = np.repeat(np.arange(30), 20), np.repeat(np.arange(150), 4)
    d = pd.DataFrame({"school": school, "pupil": pupil, "t": np.tile(np.arange(4), 150)})
    d["y"] = rng.normal(size=30)[school] + rng.normal(size=150)[pupil] + rng.normal(size=600)
    gls = ranef.gls("y ~ t + (1 | school)", d, groups="pupil", corr="exchangeable")
    lmer = ranef.lmer("y ~ t + (1 | school) + (1 | pupil)", d)
    assert gls.llf == pytest.approx(lmer.llf, abs=1e-7)
    assert gls.ngroups == {"pupil": 150, "school": 30}
    pd.testing.assert_frame_equal(gls.coef_table(), lmer.coef_table(), rtol=1e-3)
    z = gls.resid_normalized
    assert len(z) == 600


def test_an_aliased_column_is_named(sleep):
    d = sleep.assign(twice=2 * sleep["Days"])
    with pytest.warns(ranef.RankWarning, match="twice is a combination of Days"):
        model = ranef.gls("Reaction ~ Days + twice", d, groups="Subject", corr="exchangeable")
    assert np.isnan(model.params["twice"])
    assert list(model.anova().index) == ["Days"] or model.anova().loc["twice", "num_df"] == 0


def test_maketables_column(both):
    (column,) = both.to_list()
    assert "Residual car1, phi" in column.rows


def test_means_of_a_complete_trial_are_those_of_its_cells(gpa):
    """A covariance without structure and a mean of each cell: a t test at each occasion."""
    model = ranef.gls(
        "gpa ~ C(occasion) * sex",
        gpa,
        groups="student",
        time="occasion",
        corr="unstructured",
        variance="occasion",
    )
    means = ranef.emmeans(model, "sex", by="occasion")
    cells = gpa.groupby(["occasion", "sex"], observed=True)["gpa"]
    count, mean = cells.size(), cells.mean()
    pooled = np.sqrt((cells.var(ddof=0) * count).groupby("occasion").sum() / (200 - 2))
    at = list(zip(means.frame["occasion"], means.frame["sex"], strict=True))
    assert means.frame["emmean"].to_numpy() == pytest.approx(mean.loc[at].to_numpy(), rel=1e-9)
    se = pooled.loc[means.frame["occasion"]].to_numpy() / np.sqrt(count.loc[at].to_numpy())
    assert means.frame["se"].to_numpy() == pytest.approx(se, rel=1e-6)
    assert means.frame["df"].to_numpy() == pytest.approx(198.0, rel=1e-5)
    with pytest.raises(ranef.UnsupportedError, match="'satterthwaite' or 'residual' or 'inf'"):
        ranef.emmeans(model, "sex", ddf="kenward-roger")


def test_means_and_trends_are_those_of_the_same_mixed_model(gpa):
    structured = ranef.gls("gpa ~ occasion * sex", gpa, groups="student", corr="exchangeable")
    mixed = ranef.lmer("gpa ~ occasion * sex + (1 | student)", gpa)
    for ask in (
        lambda model: ranef.emmeans(model, "sex", at={"occasion": [0, 4]}).frame,
        lambda model: ranef.emtrends(model, "sex", "occasion").frame,
        lambda model: ranef.emtrends(model, "sex", "occasion").pairs().frame,
    ):
        found, want = ask(structured), ask(mixed)
        numbers = want.select_dtypes("number").columns
        assert found[numbers].to_numpy() == pytest.approx(want[numbers].to_numpy(), rel=1e-5)


@pytest.mark.parametrize("corr", ["ar1", "car1", "exchangeable", "toeplitz"])
def test_the_unit_of_time_changes_nothing_but_the_units(corr):
    sleep = ranef.datasets.load("sleepstudy")
    models = {
        k: ranef.gls(
            "Reaction ~ Days",
            sleep.assign(Days=sleep.Days * k),
            groups="Subject",
            time="Days",
            corr=corr,
        )
        for k in (1, 7, 28, 1000)
    }
    for k, model in models.items():
        assert_allclose(model.llf + np.log(k), models[1].llf, rtol=1e-9)
        assert_allclose(model.tvalues, models[1].tvalues, rtol=1e-5)
        if corr in ("ar1", "car1"):
            assert_allclose(model.correlation ** float(k), models[1].correlation, rtol=1e-4)


def test_a_negative_correlation_over_an_even_step_has_no_value_per_unit():
    rng = np.random.default_rng(3)
    shocks = rng.normal(size=(40, 8))
    y = shocks.copy()
    for j in range(1, 8):
        y[:, j] = -0.6 * y[:, j - 1] + 0.8 * shocks[:, j]
    d = {"y": y.ravel(), "g": np.repeat(np.arange(40), 8), "t": np.tile(np.arange(8), 40)}
    one = ranef.gls("y ~ 1", d, groups="g", time="t", corr="ar1")
    assert one.correlation.iloc[0] < -0.4
    three, two = (
        ranef.gls("y ~ 1", {**d, "t": d["t"] * k}, groups="g", time="t", corr="ar1") for k in (3, 2)
    )
    assert_allclose([three.llf, two.llf], one.llf, rtol=1e-9)
    assert_allclose(three.correlation**3, one.correlation, rtol=1e-5)
    assert np.isnan(two.correlation.iloc[0])


def test_the_origin_of_what_a_variance_depends_on_moves_sigma_alone():
    sleep = ranef.datasets.load("sleepstudy")
    options = {"groups": "Subject", "time": "Days", "corr": "car1"}
    near = ranef.gls("Reaction ~ Days", sleep, variance="~ Days", **options)
    for origin in (2_020, 20_000, -3_000_000):
        shifted = sleep.assign(year=sleep.Days + origin)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            far = ranef.gls("Reaction ~ Days", shifted, variance="~ year", **options)
        assert_allclose(far.llf, near.llf, rtol=1e-9)
        assert_allclose(far.bse["Days"], near.bse["Days"], rtol=1e-6)
        assert_allclose(far.resid_sd, near.resid_sd, rtol=1e-6)
        assert_allclose(far.variance_params["year"], near.variance_params["Days"], rtol=1e-6)
        log_sigma = np.log(near.sigma) - origin * near.variance_params["Days"]
        assert_allclose(far.sigma, np.exp(log_sigma) if log_sigma < 700.0 else np.inf, rtol=1e-3)
        said = [str(w.message) for w in caught]
        if abs(origin) == 2_020:
            assert not said
        else:
            assert len(said) == 1
            assert f"I(year - {origin + 4.5:.6g})" in said[0]
        assert f"(year - {origin + 4.5:.6g})" in str(far.summary()) or origin == 2_020


def test_a_factor_both_fixed_and_random_is_not_identified(sleep):
    options = {"groups": "Subject", "time": "Days", "corr": "ar1"}
    with pytest.warns(ranef.ConvergenceWarning, match=r"\(1 \| Subject\) is not identified"):
        both = ranef.gls("Reaction ~ Days + Subject + (1 | Subject)", sleep, **options)
    fixed = ranef.gls("Reaction ~ Days + Subject", sleep, **options)
    assert not both.convergence.converged
    assert str(both.convergence).startswith("Not identified: (1 | Subject)")
    assert "Converged" not in str(both.summary())
    assert_allclose(both.llf, fixed.llf, rtol=1e-9)
    assert_allclose(both.bse, fixed.bse, rtol=1e-5)
    assert both.varcorr["Subject"].iloc[0, 0] == 0.0
