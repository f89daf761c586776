"""The parametric bootstrap test."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import ranef
from ranef.inference.lrt import pbtest
from ranef.inference.lrt.pbtest import simulated_pvalue

SLOPE, LEVEL = "Reaction ~ Days + (Days | Subject)", "Reaction ~ Days + (1 | Subject)"


@functools.cache
def data():
    sleep = ranef.datasets.load("sleepstudy")
    return sleep[sleep["Subject"].isin(sleep["Subject"].cat.categories[:6])]


@functools.cache
def fit(formula, reml=True):
    return ranef.lmer(formula, data(), reml=reml)


def test_against_pbkrtest():
    # R 4.2.2, pbkrtest 0.5.2: PBmodcomp(nsim = 4000) gives LRT 0.1522 and p 0.7028.
    large = fit("Reaction ~ Days + I(Days**2) + (1 | Subject)", reml=False)
    found = ranef.pbtest(large, fit(LEVEL, reml=False), n=2000, seed=1)
    assert found.statistic == pytest.approx(0.1522, abs=5e-5)
    assert found.table["pvalue_chi2"].iloc[0] == pytest.approx(0.6965, abs=5e-5)
    assert found.pvalue == pytest.approx(0.7028, abs=4 * np.sqrt(0.7 * 0.3 * (1 / 2000 + 1 / 4000)))


def test_a_draw_is_a_refit_of_both_models():
    small, large = fit(LEVEL), fit(SLOPE)
    found = ranef.pbtest(large, small, n=3, seed=5)
    for draw, seed in zip(found.draws, np.random.SeedSequence(5).spawn(3), strict=True):
        y = small.simulate(1, seed=seed)[:, 0]
        ratio = 2.0 * (large.refit(y).llf - small.refit(y).llf)
        assert draw == pytest.approx(max(ratio, 0.0), abs=1e-6)


def test_the_number_of_workers_does_not_matter():
    one = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=100, seed=2)
    two = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=100, seed=2, workers=2)
    np.testing.assert_array_equal(one.draws, two.draws)


def test_reml_is_kept_for_equal_fixed_parts_only():
    kept = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=2, seed=1)
    assert "by REML" in kept.notes[0]
    changed = ranef.pbtest(fit(LEVEL), fit("Reaction ~ 1 + (1 | Subject)"), n=2, seed=1)
    assert "by ML" in changed.notes[0]
    table = ranef.anova(fit(LEVEL), fit("Reaction ~ 1 + (1 | Subject)"))
    assert changed.statistic == pytest.approx(table["chisq"].iloc[1], abs=1e-6)


def test_one_variance_of_two_follows_the_exact_distribution():
    pastes = ranef.datasets.load("Pastes")
    large = ranef.lmer("strength ~ 1 + (1 | sample) + (1 | batch)", pastes)
    small = ranef.lmer("strength ~ 1 + (1 | sample)", pastes)
    found = ranef.pbtest(large, small, n=2000, seed=4)
    # R 4.2.2, RLRsim 3.1-8, exactRLRT(m = batch alone, mA = large, m0 = small), 100,000 draws.
    assert found.statistic == pytest.approx(0.6576559269, abs=1e-6)
    assert found.pvalue == pytest.approx(0.1781, abs=4 * np.sqrt(0.1781 * 0.8219 / 2000))


def test_failed_fits_are_counted(monkeypatch):
    def ratios(*_, **__):
        return np.array([0.5, np.nan, 3.0, 900.0]), 1

    monkeypatch.setattr("ranef.comparison.simulated.bootstrap_ratios", ratios)
    found = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=4)
    assert "1 of 4 simulated responses could not be fitted" in repr(found)
    assert "in 1 of 4 a fit did not converge" in repr(found)
    assert found.table["draws"].iloc[0] == 3


def test_a_fit_that_fails_is_nan(monkeypatch):
    fitted = pbtest.fit_responses

    def one_fails(*args, **options):
        out = fitted(*args, **options)
        out.outcome[1] = 5
        return out

    monkeypatch.setattr(pbtest, "fit_responses", one_fails)
    found = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=4, seed=1)
    assert len(found.draws) == 3
    assert "1 of 4" in repr(found)


def test_blocks_of_draws_change_nothing(monkeypatch):
    whole = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=7, seed=3)
    monkeypatch.setattr(pbtest, "NUMBERS_AT_ONCE", 130)
    parts = ranef.pbtest(fit(SLOPE), fit(LEVEL), n=7, seed=3)
    np.testing.assert_allclose(parts.draws, whole.draws, atol=1e-9)


def test_the_pvalue_counts_the_observed():
    draws = np.array([0.0, 1.0, 2.0, 3.0])
    assert simulated_pvalue(2.5, draws) == 2 / 5
    assert simulated_pvalue(0.0, draws) == 1.0
    assert simulated_pvalue(99.0, draws) == 1 / 5


def test_the_order_of_the_models_is_checked():
    with pytest.raises(ranef.ModelError, match="takes the larger model first"):
        ranef.pbtest(fit(LEVEL), fit(SLOPE), n=2)
    with pytest.raises(ValueError, match="workers"):
        ranef.pbtest(fit(SLOPE), fit(LEVEL), n=2, workers=0)
    with pytest.raises(ranef.ModelError, match="argument 2 is a str"):
        ranef.pbtest(fit(LEVEL), "small", n=2)
