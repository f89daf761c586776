"""Comparisons and marginal means of models with zeros, dispersion and ordered responses."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def salamanders():
    return pd.read_csv(DATA / "salamanders.csv")


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
            "judge": np.arange(72) // 8,
        }
    )


@pytest.fixture(scope="module")
def zeros(salamanders):
    return ranef.glmer(
        "count ~ mined + spp + (1 | site)",
        salamanders,
        family="negative_binomial",
        zero="~ mined",
    )


@pytest.fixture(scope="module")
def ratings(wine):
    return ranef.clmm("rating ~ temp + contact + (1 | judge)", wine)


def test_formulas_of_parts_are_nested_or_not(salamanders, zeros):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.ConvergenceWarning)
        constant = zeros.update(zero="~ 1")
    table = ranef.anova(constant, zeros)
    assert table["chisq"].iloc[1] == pytest.approx(2.0 * (zeros.llf - constant.llf))
    assert table["df"].iloc[1] == 1.0
    plain = ranef.glmer("count ~ mined + spp + (1 | site)", salamanders, family="negative_binomial")
    note = ranef.anova(plain, zeros)["note"].iloc[1]
    assert "not nested" in note  # a probability at its end
    spread = ranef.glmer(
        "count ~ mined + spp + (1 | site)",
        salamanders,
        family="negative_binomial",
        dispersion="~ mined",
    )
    assert ranef.anova(plain, spread)["df"].iloc[1] == 1.0
    best = ranef.compare(plain, zeros, constant, spread).table
    assert best["aic"].is_monotonic_increasing


def test_ordinal_models_are_compared_with_and_without_effects(wine, ratings):
    # R 4.2.2, ordinal 2022.11: anova(clmm(rating ~ temp + (1 | judge)), ...) LR 14.347 on 1;
    # logLik(clm(rating ~ temp + contact)) -86.49192
    smaller = ratings.update(". ~ . - contact")
    table = ranef.anova(smaller, ratings)
    assert table["chisq"].iloc[1] == pytest.approx(14.347, abs=2e-3)
    without = ranef.clmm("rating ~ temp + contact", wine)
    table = ranef.anova(without, ratings)
    assert table["chisq"].iloc[1] == pytest.approx(2.0 * (-81.56541 + 86.49192), abs=1e-3)
    assert table["pvalue_boundary"].iloc[1] == pytest.approx(0.5 * table["pvalue"].iloc[1])
    nominal = ranef.clmm("rating ~ temp + (1 | judge)", wine, nominal="~ contact")
    assert ranef.anova(ratings, nominal)["df"].iloc[1] == 3.0
    equidistant = ratings.update(thresholds="equidistant")
    assert ranef.anova(equidistant, ratings)["df"].iloc[1] == 2.0
    with pytest.raises(ranef.ModelError, match="link"):
        ranef.anova(ratings.update(link="probit"), smaller)


def test_marginal_probabilities_are_those_of_emmeans(ratings):
    # R 4.2.2, emmeans: emmeans(clmm(rating ~ temp + contact + (1 | judge), wine),
    # ~ temp | rating, mode = "prob")
    means = ranef.emmeans(ratings, "temp", type="prob")
    frame = means.frame.set_index(["rating", "temp"])
    expected = {
        ("1", "cold"): (0.09761, 0.05626),
        ("2", "warm"): (0.09866, 0.05073),
        ("3", "cold"): (0.33106, 0.08617),
        ("5", "warm"): (0.13969, 0.06838),
    }
    for cell, (prob, se) in expected.items():
        assert frame.loc[cell, "prob"] == pytest.approx(prob, abs=2e-5)
        assert frame.loc[cell, "se"] == pytest.approx(se, abs=2e-5)
    np.testing.assert_allclose(frame.groupby("temp", observed=True)["prob"].sum(), 1.0, rtol=1e-9)
    latent = ranef.emmeans(ratings, "temp").pairs().frame
    assert latent["estimate"].item() == pytest.approx(-ratings.params["temp[T.warm]"])


def test_marginal_means_of_each_part(zeros):
    # R 4.2.2, glmmTMB 1.1.5 and emmeans: emmeans(fit, ~ mined, component = "zi" and "cond")
    share = ranef.emmeans(zeros, "mined", part="zero", type="response").frame.set_index("mined")
    assert share.loc["yes", "response"] == pytest.approx(0.4808461, abs=2e-4)
    assert share.loc["yes", "se"] == pytest.approx(0.1331661, abs=2e-4)
    given = ranef.emmeans(zeros, "mined").frame.set_index("mined")
    assert given.loc["yes", "emmean"] == pytest.approx(-0.9467772, abs=5e-4)
    assert given.loc["no", "se"] == pytest.approx(0.1664434, abs=2e-4)
    mean = ranef.emmeans(zeros, "mined", by="spp", type="mean").frame
    inner = ranef.emmeans(zeros, "mined", by="spp").frame["emmean"]
    expected = (1.0 - share["response"][mean["mined"]].to_numpy()) * np.exp(inner)
    np.testing.assert_allclose(mean["mean"], expected, rtol=1e-9)
    with pytest.raises(ranef.UnsupportedError, match="'link' or 'response' or 'mean'"):
        ranef.emmeans(zeros, "mined", type="prob")
    with pytest.raises(ValueError, match="part is 'location' or 'zero' for"):
        ranef.emmeans(zeros, "mined", part="dispersion")


def test_types_of_tests_of_terms(ratings, zeros):
    for model in (ratings, zeros):
        tables = [model.anova(kind) for kind in (1, 2, 3)]
        assert all(table["df"].iloc[0] == 1.0 for table in tables)
        np.testing.assert_allclose(tables[1]["chisq"], tables[2]["chisq"], rtol=1e-9)
    assert ratings.anova()["chisq"].iloc[1] == pytest.approx(ratings.tvalues.iloc[1] ** 2)


def test_the_doctor_says_what_to_use(zeros, ratings):
    for model in (zeros, ratings):
        with pytest.raises(ranef.ModelError, match=r"model\.convergence"):
            ranef.doctor(model)
