"""Least squares, absorption and robust errors against plm, clubSandwich, sandwich and lme4."""

import warnings

import numpy as np
import pytest

import ranef
from conftest import EXACT, OPTIMUM
from oracle.regression_cases import cases, frame

CASES = cases("fixed")
OLS = [name for name, case in CASES.items() if case["kind"] == "ols"]
LMER = [name for name, case in CASES.items() if case["kind"] == "lmer"]
PANEL = [name for name, case in CASES.items() if case["kind"] == "panel"]


def _quiet(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return function(*args, **options)


def _check_robust(model, case, rtol, skip=()):
    for kind, want in case["robust"].items():
        if kind in skip:
            continue
        result = model.robust(kind, cluster=case["cluster"])
        table = result.coef_table()
        np.testing.assert_allclose(table["se"], want["se"], rtol=rtol, err_msg=kind)
        if "df" in want:
            np.testing.assert_allclose(table["df"], np.array(want["df"], float), rtol=rtol)
        if "htz" in want:
            contrasts = np.eye(len(case["names"]))[
                [case["names"].index(term) for term in want["htz"]["terms"]]
            ]
            test = result.wald_test(contrasts).iloc[0]
            np.testing.assert_allclose(
                [test["F"], test["den_df"]], [want["htz"]["F"], want["htz"]["den_df"]], rtol=rtol
            )


@pytest.mark.parametrize("name", OLS)
def test_pooled_least_squares(name):
    case = CASES[name]
    model = ranef.feols(case["formula"], frame(case), weights=case["weights"])
    np.testing.assert_allclose(model.params, case["coef"], rtol=EXACT)
    np.testing.assert_allclose(model.bse, case["se"], rtol=EXACT)
    for ours, theirs in (
        (model.rsquared, "r2"),
        (model.rsquared_adj, "adj_r2"),
        (model.llf, "logLik"),
        (model.sigma, "sigma"),
    ):
        assert ours == pytest.approx(case[theirs], rel=EXACT)
    _check_robust(model, case, EXACT)


@pytest.mark.parametrize("name", [name for name in OLS if CASES[name]["hetero"]])
def test_heteroscedastic_errors(name):
    case = CASES[name]
    model = ranef.feols(case["formula"], frame(case), weights=case["weights"])
    for kind, variances in case["hetero"].items():
        np.testing.assert_allclose(model.robust(kind).bse ** 2, variances, rtol=EXACT)


def test_two_way_clusters():
    case = CASES["lm_petersen_twoway"]
    model = ranef.feols(case["formula"], frame(case))
    both = [case["cluster"], case["second"]]
    # sandwich multiplies each part by its G / (G - 1); its HC1 also by (n - 1) / (n - p).
    for kind, theirs in (("CR1", "HC0"), ("CR1S", "HC1")):
        ours = model.robust(kind, cluster=both).bse ** 2
        np.testing.assert_allclose(ours, case["twoway"][theirs], rtol=EXACT)


def test_stata_convention():
    case = CASES["lm_petersen_twoway"]
    model = ranef.feols(case["formula"], frame(case), cluster=case["cluster"], ssc="stata")
    np.testing.assert_allclose(model.bse, list(case["stata"]["se"].values()), rtol=EXACT)
    assert set(model.coef_table()["df"]) == set(case["stata"]["df"].values())


@pytest.mark.parametrize("name", LMER)
def test_mixed_models(name):
    case = CASES[name]
    model = ranef.lmer(case["formula"], frame(case), reml=case["reml"])
    _check_robust(model, case, OPTIMUM)


@pytest.mark.parametrize("name", PANEL)
@pytest.mark.parametrize(
    ("key", "factors"),
    [("pooling", []), ("within_individual", [0]), ("within_time", [1]), ("within_twoways", [0, 1])],
)
def test_absorbed_factors(name, key, factors):
    case = CASES[name]
    if key not in case:
        pytest.skip("not estimable in plm")
    want = case[key]
    absorb = [case["index"][k] for k in factors]
    model = _quiet(ranef.feols, case["formula"], frame(case), absorb=absorb)
    np.testing.assert_allclose(model.params.dropna(), want["coef"], rtol=1e-8)
    np.testing.assert_allclose(model.bse.dropna(), want["se"], rtol=1e-8)
    assert model.df_resid == want["df_resid"]
    r2 = model.rsquared_within if absorb else model.rsquared
    assert r2 == pytest.approx(want["r2"], rel=1e-8)
    if "F" in want:
        test = model.f_test_effects().iloc[0]
        np.testing.assert_allclose(
            [test["F"], test["num_df"], test["den_df"]], want["F"], rtol=1e-8
        )
    if "effects" in want:
        # the first five in R's order of levels, which differs for upper-case text
        effects = model.effects()[absorb[0]].to_numpy()
        nearest = np.abs(effects[:, None] / want["effects"] - 1.0).min(axis=0)
        np.testing.assert_allclose(nearest, 0.0, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in PANEL if CASES[name].get("within_clubSandwich")])
def test_robust_errors_after_absorption(name):
    case = CASES[name]
    unit = case["index"][0]
    model = _quiet(ranef.feols, case["formula"], frame(case), absorb=unit)
    for kind, want in case["within_clubSandwich"].items():
        table = model.robust(kind, cluster=unit).coef_table().dropna()
        np.testing.assert_allclose(table["se"], want["se"], rtol=1e-7, err_msg=kind)
        np.testing.assert_allclose(table["df"], want["df"], rtol=1e-7, err_msg=kind)


@pytest.mark.parametrize("name", [name for name in PANEL if "random_swar" in CASES[name]])
def test_random_effects_least_squares(name):
    case = CASES[name]
    want = case["random_swar"]
    model = ranef.random_effects_gls(case["formula"], frame(case), groups=case["index"][0])
    np.testing.assert_allclose(
        model.variances, [want["sigma2"]["id"], want["sigma2"]["idios"]], rtol=1e-8
    )
    np.testing.assert_allclose(model.params, want["coef"], rtol=1e-7)
    np.testing.assert_allclose(model.bse, want["se"], rtol=1e-7)
    if want.get("hausman"):
        test = model.hausman().iloc[0]
        assert test["F"] * test["num_df"] == pytest.approx(want["hausman"], rel=1e-6)


BALANCED = ["cigar_panel", "grunfeld_panel", "ricefarms_panel"]


@pytest.mark.parametrize("name", BALANCED)
def test_random_effects_of_two_factors(name):
    case = CASES[name]
    want, (unit, time) = case["random_twoways_swar"], case["index"]
    model = ranef.random_effects_gls(case["formula"], frame(case), groups=unit, time=time)
    variances = [want["sigma2"][key] for key in ("id", "time", "idios")]
    np.testing.assert_allclose(model.variances, variances, rtol=1e-8)
    np.testing.assert_allclose(model.params, want["coef"], rtol=1e-7)
    np.testing.assert_allclose(model.bse, want["se"], rtol=1e-7)


def test_variances_of_two_factors_on_an_unbalanced_panel():
    case = CASES["empluk_unbalanced"]
    want, (unit, time) = case["random_twoways_swar"]["sigma2"], case["index"]
    model = ranef.random_effects_gls(case["formula"], frame(case), groups=unit, time=time)
    np.testing.assert_allclose(
        model.variances, [want["id"], want["time"], want["idios"]], rtol=1e-8
    )


@pytest.mark.parametrize("name", [name for name in PANEL if CASES[name].get("mundlak")])
def test_hausman_as_a_wald_test(name):
    case = CASES[name]
    want = case["mundlak"]
    for form in ("hybrid", "mundlak"):
        model = _quiet(
            ranef.within_between, case["formula"], frame(case), case["index"][0], form=form
        )
        test = model.hausman().iloc[0]
        assert test["num_df"] == want["df"]
        assert test["F"] * test["num_df"] == pytest.approx(want["chisq"], rel=1e-4)


def _cake():
    """Cakes with rows taken out, so that the conventions differ."""
    cake = ranef.datasets.load("cake")
    cake = cake[cake.index % 7 != 0].copy()
    cake["hot"] = (cake.index % 5) * 1.0
    cake["cell"] = cake["replicate"].astype(str) + "." + cake["recipe"].astype(str)
    return cake


#: Standard errors of temp and hot by pyfixest 0.60.0, fixest's conventions in Python.
FIXEST = [
    (["replicate"], ["replicate"], [0.015778125129491827, 0.19429734566944973]),
    (["cell"], ["replicate"], [0.016749343167882045, 0.20684796198241057]),
    (["replicate", "recipe"], ["replicate"], [0.016047206896289943, 0.19975595689577946]),
    (
        ["replicate", "recipe"],
        ["replicate", "temperature"],
        [0.019967792317586736, 0.17285510937808274],
    ),
]


@pytest.mark.parametrize(("absorb", "cluster", "want"), FIXEST)
def test_fixest_convention(absorb, cluster, want):
    model = ranef.feols("angle ~ temp + hot", _cake(), absorb=absorb, cluster=cluster)
    np.testing.assert_allclose(model.bse, want, rtol=1e-8)


#: The same by estimatr 1.0.0 in R, lm_robust with fixed_effects.
ESTIMATR = [
    ("CR1S", ["cell"], [0.0186447383321, 0.2302553650627]),
    ("CR1S", ["replicate", "recipe"], [0.0165685972455, 0.2062462345371]),
    ("HC2", ["replicate", "recipe"], [0.0187618849221, 0.2275890712915]),
    ("HC3", ["replicate", "recipe"], [0.0196336292077, 0.2381468215433]),
]


@pytest.mark.parametrize(("kind", "absorb", "want"), ESTIMATR)
def test_stata_convention_and_leverage_with_absorbed_factors(kind, absorb, want):
    model = ranef.feols("angle ~ temp + hot", _cake(), absorb=absorb)
    found = model.robust(kind, cluster="replicate", ssc="stata")
    np.testing.assert_allclose(found.bse, want, rtol=1e-8)
