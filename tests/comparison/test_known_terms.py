"""Likelihood-ratio tests of models with known covariances and structures."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef


@pytest.fixture(scope="module")
def herd():
    rng = np.random.default_rng(1)
    labels = [f"a{i}" for i in range(20)]
    A = pd.DataFrame(0.3 + 0.7 * np.eye(20), labels, labels)
    frame = pd.DataFrame({"animal": np.repeat(labels, 4), "x": rng.normal(size=80)})
    frame["h"] = np.tile(np.arange(4), 20)
    frame["y"] = np.repeat(rng.normal(size=20), 4) + 0.5 * frame["x"] + rng.normal(size=80)
    return frame, A


def fitted(herd, formula, **more):
    frame, A = herd
    return ranef.lmer(formula, frame, covariance={"animal": A}, **more)


def test_coefficients_are_tested_by_ml_beside_the_same_known_covariance(herd):
    large, small = (fitted(herd, f"y ~ {x} + (1 | animal)") for x in ("x", "1"))
    row = ranef.anova(small, large).iloc[1]
    chisq = 2.0 * (large.update(reml=False).llf - small.update(reml=False).llf)
    assert row["chisq"] == pytest.approx(chisq, abs=1e-8)
    assert row["pvalue"] == pytest.approx(scipy.stats.chi2.sf(chisq, 1), rel=1e-8)
    found = ranef.pbtest(large, small, n=30, seed=1, progress=False)
    assert found.table.loc["test", "chisq"] == pytest.approx(chisq, abs=1e-6)
    assert found.pvalue < 0.2


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_variances_are_tested_and_other_covariances_are_no_smaller_models(herd):
    frame, A = herd
    large = fitted(herd, "y ~ x + (1 | animal) + (1 | h)")
    for small in (fitted(herd, "y ~ x + (1 | animal)"), ranef.lmer("y ~ x + (1 | h)", frame)):
        row = ranef.anova(small, large).iloc[1]
        assert row["pvalue_boundary"] == pytest.approx(row["pvalue"] / 2.0)
    other = ranef.lmer(
        "y ~ x + (1 | animal) + (1 | h)", frame, covariance={"animal": A + np.eye(20)}
    )
    table = ranef.anova(fitted(herd, "y ~ x + (1 | animal)"), other)
    assert np.isnan(table["pvalue"].iloc[1])


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_simulated_responses_are_fitted_with_their_structure():
    sleep = ranef.datasets.load("sleepstudy")
    sleep["f"] = sleep["Days"].astype(int).astype(str)
    large = ranef.lmer("Reaction ~ Days + ar1(0 + f | Subject)", sleep, reml=False)
    small = ranef.lmer("Reaction ~ 1 + ar1(0 + f | Subject)", sleep, reml=False)
    found = ranef.pbtest(large, small, n=20, seed=1, progress=False)
    assert found.pvalue == pytest.approx(1.0 / 21.0)  # no draw is as large as 37


def test_batches_fit_structures_as_lmer_does():
    sleep = ranef.datasets.load("sleepstudy")
    formula = "~ Days + diag(1 + Days | Subject)"
    batch = ranef.fit_many(formula, sleep, sleep[["Reaction"]], progress=False)
    model = ranef.lmer(f"Reaction {formula}", sleep)
    np.testing.assert_allclose(batch.table["estimate"], model.params, rtol=1e-5)
    np.testing.assert_allclose(batch.table["se"], model.bse, rtol=1e-4)
