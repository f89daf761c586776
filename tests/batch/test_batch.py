"""Batches of responses against single fits, R and hand-made numbers."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef

FIT_TOLERANCE = 1e-6  # criteria and estimates of two searches for the same optimum


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def responses(sleep):
    """Twelve responses of different sizes around the reaction times."""
    rng = np.random.default_rng(5)
    noise = (
        rng.normal(size=(len(sleep), 12))
        + rng.normal(size=(18, 12))[
            sleep["Subject"].cat.codes
            if hasattr(sleep["Subject"], "cat")
            else sleep["Subject"].factorize()[0]
        ]
    )
    return sleep["Reaction"].to_numpy()[:, None] + 20.0 * noise * 10.0 ** rng.uniform(-1, 2, 12)


def many(formula, data, Y, **options):
    return ranef.fit_many(formula, data, Y, progress=False, **options)


def quiet_lmer(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ranef.lmer(*args, **options)


FORMULAS = [
    "~ Days + (1 | Subject)",
    "~ Days + (Days | Subject)",
    "~ Days + (Days || Subject)",
    "~ Days + (1 | Subject) + (1 | batch)",
    "~ 0 + Days + np.sqrt(Days) + (0 + Days | Subject)",
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_batch_equals_single_fits(sleep, responses, formula, reml):
    data = sleep.assign(batch=np.arange(len(sleep)) % 7)
    result = many(formula, data, responses, reml=reml)
    table = result.table.set_index(["response", "term"])
    for j, y in enumerate(responses.T):
        one = quiet_lmer("y" + formula, data.assign(y=y), reml=reml)
        fit = result.fits.iloc[j]
        assert fit["status"] == "converged"
        assert fit["llf"] == pytest.approx(one.llf, abs=FIT_TOLERANCE)
        assert fit["sigma"] == pytest.approx(one.sigma, rel=FIT_TOLERANCE)
        assert fit["singular"] == one.is_singular
        scale = one.bse.to_numpy()
        found = table.loc[j]
        assert list(found.index) == list(one.params.index)
        assert np.abs(found["estimate"] - one.params).max() < FIT_TOLERANCE * scale.max()
        np.testing.assert_allclose(found["se"], scale, rtol=1e-5)
        # Correlations of singular fits move freely along flat directions; variances do not.
        spread = one.varcorr["Subject"].to_numpy().diagonal() ** 0.5
        sds = fit[[c for c in result.fits if c.startswith("sd_") and c.endswith("|Subject")]]
        np.testing.assert_allclose(sds.astype(float), spread, rtol=1e-4, atol=1e-4 * one.sigma)


def test_weights_offset_and_large_means(sleep, responses):
    data = sleep.assign(
        w=(1 + sleep["Days"]) / 5, o=sleep["Days"] ** 2, year=2008.0 + sleep["Days"]
    )
    Y = 1e7 + responses
    result = many("~ year + (1 + year | Subject)", data, Y, weights="w", offset="o")
    for j in range(Y.shape[1]):
        one = quiet_lmer(
            "y ~ year + (1 + year | Subject)", data.assign(y=Y[:, j]), weights="w", offset="o"
        )
        assert result.fits["llf"][j] == pytest.approx(one.llf, abs=FIT_TOLERANCE)


# R 4.2.2, lme4 1.1-31, lmerTest 3.1-3: logLik, and df by Satterthwaite. lmerTest differences
# numerically, which leaves noise of about 1e-7 in df.
SATTERTHWAITE = [
    ("sleepstudy", "Reaction", "~ Days + (Days | Subject)", True, -871.8141359792455, [17.0] * 2),
    ("sleepstudy", "Reaction", "~ Days + (Days | Subject)", False, -875.9696722315988, [18.0] * 2),
    ("sleepstudy", "Reaction", "~ Days + (Days || Subject)", True, -871.834646790656,
     [18.15620402425819, 18.15620404749749]),
    ("Penicillin", "diameter", "~ 1 + (1 | plate) + (1 | sample)", True, -165.43029449554365,
     [5.4870922113306095]),
    ("Machines", "score", "~ Machine + (1 | Worker) + (1 | Worker:Machine)", True,
     -107.84378400411019, [8.521698378883139, 9.999999984170913, 9.999999984183688]),
    ("Machines", "score", "~ Machine + (0 + Machine | Worker)", True, -104.15560915820917,
     [5.0, 5.0, 5.0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y", "formula", "reml", "llf", "df"), SATTERTHWAITE)
def test_satterthwaite_against_lmertest(name, y, formula, reml, llf, df):
    data = ranef.datasets.load(name)
    result = many(formula, data, [y], reml=reml, ddf="satterthwaite")
    assert result.fits["llf"][0] == pytest.approx(llf, abs=1e-6)
    np.testing.assert_allclose(result.table["df"], df, rtol=2e-5)


def test_satterthwaite_under_weights(sleep):
    data = sleep.assign(wt=1 / (1 + sleep["Days"]))
    result = many("~ Days + (1 | Subject)", data, ["Reaction"], weights="wt", ddf="satterthwaite")
    # R 4.2.2, lmerTest 3.1-3
    np.testing.assert_allclose(result.table["df"], [19.24886288318358, 161.0], rtol=2e-5)
    np.testing.assert_allclose(
        result.table["se"], [7.496042026477101, 0.7633192510839164], rtol=1e-5
    )


def test_results_do_not_depend_on_place_or_company(sleep, responses):
    whole = many("~ Days + (Days | Subject)", sleep, responses, workers=1)
    for order in ([3], [11, 3, 0]):
        part = many("~ Days + (Days | Subject)", sleep, responses[:, order], workers=1)
        at = order.index(3)
        assert part.parts.estimate.objective[at] == whole.parts.estimate.objective[3]
        assert (part.parts.estimate.variance[at] == whole.parts.estimate.variance[3]).all()


def test_missing_values_are_fitted_on_what_is_there(sleep, responses):
    Y = responses.copy()
    Y[:10, 1] = np.nan  # a whole subject
    Y[5:9, 2] = np.nan
    Y[5:9, 3] = np.nan
    Y[:, 4] = np.nan
    result = many("~ Days + (Days | Subject)", sleep, Y)
    assert result.fits["nobs"].tolist()[:5] == [180, 170, 176, 176, 0]
    assert result.status[4] == "missing"
    for j in (0, 1, 2, 3):
        one = quiet_lmer("y ~ Days + (Days | Subject)", sleep.assign(y=Y[:, j]))
        assert result.fits["llf"][j] == pytest.approx(one.llf, abs=FIT_TOLERANCE)
        assert quiet_single(result, j).llf == pytest.approx(one.llf, abs=FIT_TOLERANCE)
    assert quiet_single(result, 1).ngroups == {"Subject": 17}


def quiet_single(result, which):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return result.fit(which)


def test_rows_missing_in_the_design_are_left_out_of_every_response(sleep, responses):
    data = sleep.assign(Days=sleep["Days"].where(np.arange(180) != 7))
    result = many("~ Days + (1 | Subject)", data, responses)
    one = quiet_lmer("y ~ Days + (1 | Subject)", data.assign(y=responses[:, 0]))
    assert result.fits["nobs"].eq(179).all()
    assert result.fits["llf"][0] == pytest.approx(one.llf, abs=FIT_TOLERANCE)


def test_a_bad_response_is_a_row_with_its_status(sleep, responses):
    Y = responses.copy()
    Y[:, 0] = 3.0
    Y[:, 1] = 2.0 * sleep["Days"] - 1e6
    Y[0, 2] = np.inf
    Y[:, 3] = np.nan
    Y[5:, 4] = np.nan
    Y[:, 5] = sleep["Subject"].factorize()[0]
    result = many("~ Days + (1 | Subject)", sleep, Y)
    expected = ["explained", "explained", "not finite", "missing", "too few levels"]
    assert result.status.tolist()[:5] == expected
    assert result.status[5] in ("perfect fit", "stalled")  # no residual variance: no optimum
    assert result.status[6:].eq("converged").all()
    bad = result.table[result.table["response"] < 5]
    assert bad[["estimate", "se", "t", "pvalue", "p_bh"]].isna().all(axis=None)
    assert result.table[result.table["response"] >= 6].notna().all(axis=None)
    assert len(result.table) == 2 * Y.shape[1]


def test_aliased_columns_are_nan(sleep, responses):
    data = sleep.assign(twice=2 * sleep["Days"])
    table = many("~ Days + twice + (1 | Subject)", data, responses, tests=["twice = 0"]).table
    nan = table.set_index(["response", "term"])["estimate"].isna().unstack()
    assert nan["twice"].all()
    assert nan["twice = 0"].all()
    assert not nan["Days"].any()


def test_own_weights_of_each_response(sleep, responses):
    rng = np.random.default_rng(8)
    W = rng.uniform(0.5, 2.0, responses.shape)
    result = many("~ Days + (Days | Subject)", sleep, responses, weights=W)
    for j in (0, 7):
        one = quiet_lmer(
            "y ~ Days + (Days | Subject)", sleep.assign(y=responses[:, j]), weights=W[:, j]
        )
        assert result.fits["llf"][j] == pytest.approx(one.llf, abs=FIT_TOLERANCE)
        assert quiet_single(result, j).llf == pytest.approx(one.llf, abs=FIT_TOLERANCE)


def test_hypotheses(sleep, responses):
    names = ["Days", "square"]
    data = sleep.assign(square=sleep["Days"] ** 2)
    formula = "~ Days + square + (1 | Subject)"
    tests = ["Days - square = 4", ("both", "Days = 1, square = 2"), ("matrix", np.eye(3)[1:])]
    result = many(formula, data, responses, tests=tests)
    one = quiet_lmer("y" + formula, data.assign(y=responses[:, 6]))
    beta, cov = one.params, one.cov_params()
    row = result.table.query("response == 6 and term == 'Days - square = 4'").iloc[0]
    var = cov.loc["Days", "Days"] + cov.loc["square", "square"] - 2 * cov.loc["Days", "square"]
    assert row["estimate"] == pytest.approx(beta["Days"] - beta["square"] - 4, rel=1e-6)
    assert row["se"] == pytest.approx(np.sqrt(var), rel=1e-6)
    assert row["pvalue"] == pytest.approx(2 * stats.t.sf(abs(row["t"]), 177), rel=1e-9)
    inner = np.linalg.inv(cov.loc[names, names].to_numpy())
    for name, value in (("both", [1.0, 2.0]), ("matrix", [0.0, 0.0])):
        difference = beta[names].to_numpy() - value
        F = difference @ inner @ difference / 2
        found = result.tests[result.tests["test"].eq(name) & result.tests["response"].eq(6)].iloc[0]
        assert found["F"] == pytest.approx(F, rel=1e-6)
        assert found["pvalue"] == pytest.approx(stats.f.sf(F, 2, 177), rel=1e-6)
    joint = many(formula, data, responses, tests=tests, ddf="inf").tests
    chi = stats.chi2.sf(2 * joint["F"], 2)
    np.testing.assert_allclose(joint["pvalue"], chi, rtol=1e-9)


def test_values_whose_squares_overflow_or_vanish_are_said_to_be_so(sleep, responses):
    Y = responses[:, [0, 0, 0, 0]] * [1e200, 1e-200, 1e100, 1e-100]
    for weights in (None, np.ones_like(Y)):
        result = many("~ Days + (1 | Subject)", sleep, Y, weights=weights)
        assert result.status.tolist() == ["not finite", "not finite", "converged", "converged"]
        ratio = result.fits["sigma"][2] / 1e100 / (result.fits["sigma"][3] / 1e-100)
        assert ratio == pytest.approx(1.0, rel=1e-9)


def test_responses_by_name_and_as_frames(sleep, responses):
    names = [f"r{j}" for j in range(responses.shape[1])]
    frame = pd.DataFrame(responses, columns=names, index=sleep.index)
    by_matrix = many("~ Days + (1 | Subject)", sleep, responses)
    by_frame = many("~ Days + (1 | Subject)", sleep, frame)
    by_name = many("~ Days + (1 | Subject)", pd.concat([sleep, frame], axis=1), names)
    for other in (by_frame, by_name):
        assert other.fits["response"].tolist() == names
        assert (other.fits["llf"] == by_matrix.fits["llf"]).all()
    assert by_name.fit("r3").llf == by_name.fit(3).llf


def test_input_that_does_not_fit_is_named(sleep, responses):
    formula = "~ Days + (1 | Subject)"
    with pytest.raises(ranef.DataError, match="responses has 179 rows and the data have 180"):
        many(formula, sleep, responses[1:])
    with pytest.raises(ranef.DataError, match="its transpose has as many"):
        many(formula, sleep, responses.T)
    with pytest.raises(ranef.DataError, match=r"3 dimension\(s\)"):
        many(formula, sleep, responses[:, :, None])
    with pytest.raises(ranef.DataError, match="did you mean 'Reaction'"):
        many(formula, sleep, ["Reacton"])
    with pytest.raises(ranef.DataError, match="responses must be numbers"):
        many(formula, sleep, np.full((180, 2), "a"))
    with pytest.raises(ranef.DataError, match="weights must be finite and above zero"):
        many(formula, sleep, responses, weights=np.zeros_like(responses))
    with pytest.raises(ranef.DataError, match="weights have the shape"):
        many(formula, sleep, responses, weights=np.ones((180, 2)))
    with pytest.raises(ranef.FormulaError, match="transform them first"):
        many("np.log(Reaction) ~ Days + (1 | Subject)", sleep, responses)
    with pytest.raises(ValueError, match="ddf must be"):
        many(formula, sleep, responses, ddf="kr")
    with pytest.raises(ValueError, match="the coefficients are Intercept, Days"):
        many(formula, sleep, responses, tests=["Hours = 0"])
    with pytest.raises(ValueError, match="workers must be"):
        many(formula, sleep, responses, workers=0)
    with pytest.raises(ranef.UnsupportedError, match="one by one"):
        many(formula, sleep, responses, tests=[np.eye(2)], ddf="satterthwaite")
    with pytest.raises(KeyError, match="no fit 'x'"):
        many(formula, sleep, responses).fit("x")


def test_results_pickle_without_the_data(sleep, responses):
    result = many("~ Days + (Days | Subject)", sleep, responses)
    copy = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(copy.table, result.table)
    pd.testing.assert_frame_equal(copy.fits, result.fits)
    with pytest.raises(ValueError, match="no longer knows its data"):
        copy.fit(0)
    groups = ranef.fit_groups("Reaction ~ 1 + (1 | Subject)", sleep, "Days", progress=False)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(groups)).fits, groups.fits)


def test_a_response_in_the_formula_of_a_batch_is_refused():
    sleep = ranef.datasets.load("sleepstudy")
    with pytest.raises(ranef.errors.FormulaError, match="'Reaction' would not be fitted"):
        ranef.fit_many("Reaction ~ Days + (1 | Subject)", sleep, np.ones((180, 2)))
