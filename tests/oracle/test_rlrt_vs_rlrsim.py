"""The exact restricted likelihood-ratio test against R 4.2.2, RLRsim 3.1-8."""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef.inference.lrt.rlrt import null_statistics, spectrum

#: RLRTSim: quantiles at these probabilities of 200,000 and 400,000 statistics; share of zeros.
PROBABILITIES = [0.7, 0.8, 0.9, 0.95, 0.99]
FIVE_SUBJECTS = ([0.1490170, 0.5089268, 1.3608557, 2.3664633, 5.0243863], 0.55876)
DYESTUFF = ([0.1431446, 0.4922647, 1.3279174, 2.3098371, 4.8878495], 0.5619375)


def five_subjects():
    sleep = ranef.datasets.load("sleepstudy")
    few = sleep[sleep["Subject"].isin(sleep["Subject"].cat.categories[:5]) & (sleep["Days"] < 4)]
    return ranef.lmer("Reaction ~ Days + (1 | Subject)", few)


def dyestuff():
    return ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))


@pytest.mark.parametrize(
    ("model", "expected"), [(five_subjects, FIVE_SUBJECTS), (dyestuff, DYESTUFF)]
)
def test_the_null_distribution(model, expected):
    fit = model()
    kept = fit.parts.estimate.kept
    draws = null_statistics(
        spectrum(fit.parts.design, kept), fit.nobs - len(kept), 100_000, np.random.default_rng(3)
    )
    quantiles, zeros = expected
    # The standard errors of simulated quantiles are about a hundredth of them.
    np.testing.assert_allclose(np.quantile(draws, PROBABILITIES), quantiles, rtol=0.04, atol=0.01)
    assert (draws <= 1e-8).mean() == pytest.approx(zeros, abs=0.007)


def test_dyestuff():
    found = ranef.rlrt(dyestuff(), n=100_000, seed=4)
    assert found.statistic == pytest.approx(6.369, abs=5e-4)
    assert found.pvalue == pytest.approx(0.004655, abs=1.2e-3)  # five standard errors
