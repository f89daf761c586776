"""Rules of comparison: what is refused, what is refitted, what is said."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.comparison.models import by_likelihood
from ranef.inference.lrt.lrt import boundary_pvalue, parts, relate


@functools.cache
def data():
    frame = ranef.datasets.load("gpa_sim")
    female = (frame["sex"] == "female").astype(float)
    return frame.assign(
        male=1.0 - female,
        female=female,
        year=2008.0 + frame["occasion"] / 2.0,
        back=5.0 - frame["occasion"],
        noise=np.sin(np.arange(len(frame)) * 1.7),
    )


@functools.cache
def fit(formula, reml=True):
    return ranef.lmer(formula, data(), reml=reml)


def relation(small, large):
    return relate(*(parts(fit(f).parts.design, fit(f).parts.estimate) for f in (small, large)))


# ------------------------------------------------------------------ how models lie in each other


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("gpa ~ sex + (1 | student)", "gpa ~ male + (1 | student)"),
        ("gpa ~ sex + (1 | student)", "gpa ~ 0 + sex + (1 | student)"),
        ("gpa ~ occasion + (1 | student)", "gpa ~ year + (1 | student)"),
        ("gpa ~ 0 + male + female + (1 | student)", "gpa ~ sex + (1 | student)"),
        ("gpa ~ poly(occasion, 2) + (1 | student)", "gpa ~ year + I(year**2) + (1 | student)"),
    ],
)
def test_the_same_fixed_part_is_recognised_in_any_coding(small, large):
    found = relation(small, large)
    assert found.same_fixed
    assert found.same_random


@pytest.mark.parametrize(
    ("small", "large", "zeros"),
    [
        ("(1 | student)", "(occasion | student)", 1),
        ("(0 + occasion | student)", "(occasion | student)", 1),
        ("(occasion || student)", "(occasion | student)", 0),
        ("(1 | student)", "(occasion + noise | student)", 2),
        ("(1 | student)", "(1 | student) + (1 | student:job)", 1),
        ("(1 | student) + (1 | sex:job)", "(1 | student) + (1 | job)", None),
        ("(1 | student) + (1 | sex:job)", "(1 | student) + (0 + sex | job)", 0),
        ("(1 | student) + (1 | job) + (1 | sex:job)", "(1 | student) + (0 + sex | job)", 0),
        ("(occasion | student)", "(noise | student)", None),
        ("(occasion || student)", "(year || student)", None),
    ],
)
@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_random_parts_are_compared_as_covariances(small, large, zeros):
    found = relation(f"gpa ~ occasion + {small}", f"gpa ~ occasion + {large}")
    assert found.nested == (zeros is not None)
    if zeros is not None:
        assert found.zeros == zeros


def test_an_unstructured_slope_is_the_same_from_any_origin():
    found = relation("gpa ~ occasion + (occasion | student)", "gpa ~ occasion + (back | student)")
    assert found.same_random
    shifted = relation(
        "gpa ~ occasion + (occasion || student)", "gpa ~ occasion + (back || student)"
    )
    assert not shifted.nested


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_offsets_are_part_of_the_fixed_space():
    plain, known = "gpa ~ sex + (1 | student)", "gpa ~ sex + offset(female) + (1 | student)"
    other = "gpa ~ sex + offset(noise) + (1 | student)"
    assert relation(plain, known).same_fixed
    assert not relation(plain, other).same_fixed
    assert not relation(plain, other).nested


def test_restricted_likelihoods_of_two_codings_are_brought_together():
    table = ranef.anova(
        fit("gpa ~ 0 + male + female + (1 | student)"), fit("gpa ~ sex + (occasion | student)")
    )
    same = ranef.anova(fit("gpa ~ sex + (1 | student)"), fit("gpa ~ sex + (occasion | student)"))
    assert list(table["estimator"]) == ["REML", "REML"]
    assert table["chisq"].iloc[1] == pytest.approx(same["chisq"].iloc[1], abs=1e-6)


def test_a_recoding_is_corrected_by_its_determinant():
    frame = data().assign(wide=100.0 * data()["female"])
    small = ranef.lmer("gpa ~ wide + (1 | student)", frame)
    table = ranef.anova(small, fit("gpa ~ sex + (occasion | student)"))
    same = ranef.anova(fit("gpa ~ sex + (1 | student)"), fit("gpa ~ sex + (occasion | student)"))
    raw = table["deviance"].iloc[0] - table["deviance"].iloc[1]
    assert raw - table["chisq"].iloc[1] == pytest.approx(2.0 * np.log(100.0), abs=1e-6)
    assert table["chisq"].iloc[1] == pytest.approx(same["chisq"].iloc[1], abs=1e-6)
    assert "coded otherwise" in table["note"].iloc[1]


# ------------------------------------------------------------------ the table


def test_a_pair_that_differs_in_both_parts_gets_no_pvalue_but_two_steps():
    table = ranef.anova(
        fit("gpa ~ occasion + (1 | student)"), fit("gpa ~ occasion + sex + (occasion | student)")
    )
    assert np.isnan(table["pvalue"].iloc[1])
    assert np.isnan(table["pvalue_boundary"].iloc[1])
    note = table["note"].iloc[1]
    assert "Two steps: fit gpa ~ occasion + sex + (1 | student)" in note
    between = fit("gpa ~ occasion + sex + (1 | student)")  # the proposal can be fitted
    assert between.npar == 5


def test_an_unnested_pair_gets_no_statistic():
    table = ranef.anova(
        fit("gpa ~ sex + (1 | student)"), fit("gpa ~ occasion + job + (1 | student)")
    )
    assert table[["chisq", "df", "pvalue"]].iloc[1].isna().all()
    assert "not nested" in table["note"].iloc[1]
    equal = ranef.anova(fit("gpa ~ sex + (1 | student)"), fit("gpa ~ occasion + (1 | student)"))
    assert equal[["chisq", "df", "pvalue"]].iloc[1].isna().all()
    assert "as many parameters" in equal["note"].iloc[1]


def test_one_model_in_two_spellings_is_said_to_be_one():
    table = ranef.anova(fit("gpa ~ sex + (1 | student)"), fit("gpa ~ male + (1 | student)"))
    assert "the same model" in table["note"].iloc[1]
    assert np.isnan(table["chisq"].iloc[1])


def test_ml_and_reml_are_never_differenced():
    small, large = "gpa ~ occasion + (1 | student)", "gpa ~ occasion + (occasion | student)"
    with pytest.warns(ranef.ComparisonWarning, match="never differenced"):
        table = ranef.anova(fit(small, reml=False), fit(large), refit=False)
    assert np.isnan(table["chisq"].iloc[1])
    assert list(table["estimator"]) == ["ML", "REML"]
    mended = ranef.anova(fit(small, reml=False), fit(large))
    assert list(mended["estimator"]) == ["ML", "ML"]
    assert list(mended["note"].str.startswith("refitted by ML")) == [False, True]


def test_refits_are_made_once_and_equal_a_fit_by_ml():
    model = fit("gpa ~ occasion + (occasion | student)")
    assert by_likelihood(model) is by_likelihood(model)
    direct = ranef.lmer(model.call.formula, data(), reml=False)
    assert by_likelihood(model).llf == pytest.approx(direct.llf, abs=1e-8)
    assert model.reml


def test_a_table_of_one_random_part_and_several_fixed_parts_is_all_by_ml():
    table = ranef.anova(
        fit("gpa ~ occasion + (1 | student)"),
        fit("gpa ~ occasion + (occasion | student)"),
        fit("gpa ~ occasion + sex + (occasion | student)"),
    )
    assert set(table["estimator"]) == {"ML"}
    assert table["pvalue"].iloc[1:].notna().all()
    assert table["pvalue_boundary"].notna().tolist() == [False, True, False]


def test_no_stars():
    table = ranef.anova(
        fit("gpa ~ occasion + (1 | student)"), fit("gpa ~ occasion + (occasion | student)")
    )
    assert "*" not in table.to_string()


# ------------------------------------------------------------------ the boundary


def test_the_mixture_is_the_mean_of_two_tails():
    # Stram and Lee (1994): a slope beside an intercept is chi-squared on 1 and 2, half each.
    for x, df in [(2.7, 1), (5.0, 2), (11.1, 3)]:
        lower = stats.chi2.sf(x, df - 1) if df > 1 else 0.0
        expected = 0.5 * lower + 0.5 * stats.chi2.sf(x, df)
        assert boundary_pvalue(x, df) == pytest.approx(expected, rel=1e-12)
    assert boundary_pvalue(0.0, 1) == 1.0


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_two_variances_at_zero_have_no_mixture():
    table = ranef.anova(
        fit("gpa ~ occasion + (1 | student)"),
        fit("gpa ~ occasion + (1 | student) + (0 + occasion | student) + (0 + noise | student)"),
    )
    assert np.isnan(table["pvalue_boundary"].iloc[1])
    assert table["pvalue"].iloc[1] < 1e-20
    assert "pbtest" in table["note"].iloc[1]


def test_a_correlation_is_not_at_a_boundary():
    table = ranef.anova(
        fit("gpa ~ occasion + (occasion || student)"), fit("gpa ~ occasion + (occasion | student)")
    )
    assert np.isnan(table["pvalue_boundary"].iloc[1])
    assert "no variance is tested at zero" in table["note"].iloc[1]


# ------------------------------------------------------------------ refusals


def test_other_rows_are_named():
    holes = data().assign(highgpa=data()["highgpa"].mask(np.arange(len(data())) % 40 == 0))
    with pytest.warns(ranef.DroppedRowsWarning):
        large = ranef.lmer("gpa ~ occasion + highgpa + (1 | student)", holes)
    with pytest.raises(ranef.ModelError, match=r"1170 rows \(30 lost .* in highgpa \(30\)\)"):
        ranef.anova(fit("gpa ~ occasion + (1 | student)"), large)
    with pytest.raises(ranef.ModelError, match=r"dropna\(subset=\['highgpa'\]\)"):
        ranef.compare(fit("gpa ~ occasion + (1 | student)"), large)


def test_as_many_rows_but_others_are_named():
    frame = data().assign(gpa=2.0 + data()["noise"].round(1))
    first = frame.assign(a=frame["occasion"].mask(np.arange(1200) == 3))
    second = frame.assign(b=frame["occasion"].mask(np.arange(1200) == 7))
    with pytest.warns(ranef.RanefWarning):
        models = [
            ranef.lmer("gpa ~ a + (1 | job)", first),
            ranef.lmer("gpa ~ b + (1 | job)", second),
        ]
    with pytest.raises(ranef.ModelError, match=r"lost to missing values in b \(1\)"):
        ranef.anova(*models)


def test_another_response_is_named():
    with pytest.raises(ranef.ModelError, match=r"response np.log\(gpa\), the first gpa"):
        ranef.anova(
            fit("gpa ~ occasion + (1 | student)"), fit("np.log(gpa) ~ occasion + (1 | student)")
        )
    shuffled = data().sample(frac=1.0, random_state=1)
    with pytest.raises(ranef.ModelError, match="another order"):
        ranef.anova(
            fit("gpa ~ occasion + (1 | student)"),
            ranef.lmer("gpa ~ sex + (1 | student)", shuffled),
        )


def test_other_weights_are_refused():
    weighted = ranef.lmer("gpa ~ occasion + (1 | student)", data(), weights=data()["year"] - 2007)
    with pytest.raises(ranef.ModelError, match="other weights"):
        ranef.anova(fit("gpa ~ sex + (1 | student)"), weighted)


@pytest.mark.parametrize("function", [ranef.anova, ranef.compare])
def test_one_model_or_none_is_refused(function):
    with pytest.raises(ranef.ModelError, match="two or more"):
        function(fit("gpa ~ sex + (1 | student)"))
    with pytest.raises(ranef.ModelError, match="two or more"):
        function()


@pytest.mark.parametrize("other", ["a text", 3, pd.DataFrame()])
def test_what_is_no_model_is_refused(other):
    with pytest.raises(ranef.ModelError, match=r"argument 2 is a (str|int|DataFrame)"):
        ranef.anova(fit("gpa ~ sex + (1 | student)"), other)


def test_a_model_without_random_effects_is_refused():
    plain = ranef.feols("gpa ~ sex", data())
    with pytest.raises(ranef.ModelError, match=r"argument 2 is a FixedEffectsModel .*likelihood"):
        ranef.anova(fit("gpa ~ sex + (1 | student)"), plain)


def test_a_list_is_told_to_be_unpacked():
    with pytest.raises(ranef.ModelError, match="one by one"):
        ranef.anova([fit("gpa ~ sex + (1 | student)"), fit("gpa ~ male + (1 | student)")])


# ------------------------------------------------------------------ rankings


def models():
    return (
        fit("gpa ~ occasion + (1 | student)"),
        fit("gpa ~ occasion + (occasion | student)"),
        fit("gpa ~ occasion + sex + (occasion | student)"),
        fit("gpa ~ occasion + sex + job + noise + (occasion | student)"),
    )


def test_weights_follow_from_differences():
    table = ranef.compare(*models()).table
    delta = table["aic"] - table["aic"].min()
    expected = np.exp(-delta / 2) / np.exp(-delta / 2).sum()
    np.testing.assert_allclose(table["delta"], delta, atol=1e-12)
    np.testing.assert_allclose(table["weight"], expected, rtol=1e-12)
    assert table["delta"].is_monotonic_increasing


def test_disagreement_of_criteria_is_put_in_words():
    noisy = fit("gpa ~ occasion + sex + highgpa + (occasion | student)")
    pair = (fit("gpa ~ occasion + sex + (occasion | student)"), noisy)
    by_aic, by_bic = ranef.compare(*pair), ranef.compare(*pair, by="bic")
    text = repr(by_aic)
    assert by_aic.table.index[0] != by_bic.table.index[0]
    assert "criteria disagree: lowest BIC is" in text
    assert "log(1200) = 7.09" in text
    assert "lowest AIC" in text
    assert "best" not in text
    assert "<table" in by_aic._repr_html_()
    assert "lowest AIC" in by_aic._repr_html_()


def test_the_conditional_aic_ranks_when_asked():
    found = ranef.compare(*models()[:3], by="caic")
    expected = [by_likelihood(fit(name)).caic().caic for name in found.table.index]
    np.testing.assert_allclose(found.table["caic"], expected, rtol=1e-12)
    assert found.table["caic"].is_monotonic_increasing
    assert "conditional AIC" in repr(found)
    assert "caic" not in ranef.compare(*models()[:3]).table


def test_agreement_of_criteria_is_put_in_words():
    found = ranef.compare(*models()[:2])
    assert "AICc, BIC are lowest for the same model" in repr(found)


def test_ml_fits_as_they_stand_have_no_flag():
    found = ranef.compare(
        *(fit(m.call.formula, reml=False) for m in models()), estimator="as_fitted"
    )
    assert "flag" not in found.table


def test_reml_beside_ml_is_flagged():
    pair = (fit("gpa ~ sex + (1 | student)"), fit("gpa ~ occasion + (1 | student)", reml=False))
    with pytest.warns(ranef.ComparisonWarning, match="REML beside ML"):
        found = ranef.compare(*pair, estimator="as_fitted")
    assert sorted(found.table["flag"]) == ["ML beside REML", "REML beside ML"]


def test_equal_formulas_are_numbered():
    again = ranef.lmer("gpa ~ sex + (1 | student)", data())
    table = ranef.compare(fit("gpa ~ sex + (1 | student)"), again).table
    assert sorted(table.index) == ["gpa ~ sex + (1 | student) [1]", "gpa ~ sex + (1 | student) [2]"]


def test_unknown_options_are_named():
    with pytest.raises(ValueError, match="by must be one of 'aic', 'aicc', 'bic', 'caic'"):
        ranef.compare(*models(), by="waic")
    with pytest.raises(ValueError, match="estimator must be"):
        ranef.compare(*models(), estimator="reml")
