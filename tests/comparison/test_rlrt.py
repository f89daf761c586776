"""The exact test of one variance."""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef.inference.lrt.rlrt import null_statistics, spectrum


def small_fit(**options):
    rng = np.random.default_rng(11)
    g = np.repeat(["a", "b", "c", "d"], [3, 5, 6, 4])
    x = rng.normal(size=18)
    frame = {"y": rng.normal(size=18), "x": x, "g": g, "w": rng.uniform(0.5, 2.0, 18)}
    return ranef.lmer("y ~ x + (1 | g)", frame, **options)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
@pytest.mark.parametrize("weights", [None, "w"])
def test_eigenvalues_are_those_of_the_projection(weights):
    fit = small_fit(weights=weights)
    design = fit.parts.design
    root = np.ones(18) if design.weights is None else np.sqrt(design.weights)
    X, z = design.X * root[:, None], design.z(design.random[0])[:, 0] * root
    Z = z[:, None] * (design.random[0].codes[:, None] == np.arange(4))
    P0 = np.eye(18) - X @ np.linalg.solve(X.T @ X, X.T)
    expected = np.linalg.eigvalsh(Z.T @ P0 @ Z)
    np.testing.assert_allclose(spectrum(design, fit.parts.estimate.kept), expected, atol=1e-10)


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
def test_simulated_statistics_are_those_of_fits_under_the_null():
    fit = small_fit()
    rng = np.random.default_rng(2)
    fitted = []
    for _ in range(1500):
        again = fit.refit(rng.normal(size=18))
        fitted.append(again.parts.core.objective([np.zeros((1, 1))], True) + 2.0 * again.llf)
    mu, df = spectrum(fit.parts.design, fit.parts.estimate.kept), 16
    simulated = null_statistics(mu, df, 40_000, np.random.default_rng(3))
    fitted = np.maximum(fitted, 0.0)
    for p in (0.75, 0.85, 0.95):
        q = np.quantile(simulated, p)
        assert (fitted <= q).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 1500))
    assert (fitted < 1e-8).mean() == pytest.approx((simulated < 1e-8).mean(), abs=0.05)


def test_many_levels_give_the_mixture():
    # Crainiceanu and Ruppert (2004): half of the mass is at zero as the levels grow.
    draws = null_statistics(np.full(600, 4.0), 2400, 8000, np.random.default_rng(1))
    assert (draws <= 1e-8).mean() == pytest.approx(0.5, abs=0.035)
    assert np.quantile(draws, 0.95) == pytest.approx(2.7055, abs=0.2)  # 0.5 chi2(1) at 5 %


def test_an_ml_fit_is_refitted_by_reml():
    data = ranef.datasets.load("Dyestuff")
    ml = ranef.lmer("Yield ~ 1 + (1 | Batch)", data, reml=False)
    reml = ranef.lmer("Yield ~ 1 + (1 | Batch)", data)
    assert ranef.rlrt(ml, n=500, seed=1).statistic == pytest.approx(
        ranef.rlrt(reml, n=500, seed=1).statistic, abs=1e-7
    )


def test_a_variance_estimated_as_zero_has_pvalue_one():
    with pytest.warns(ranef.SingularFitWarning):
        model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    found = ranef.rlrt(model, n=500, seed=1)
    assert found.pvalue == 1.0
    assert found.table["pvalue_boundary"].iloc[0] == 1.0


def test_a_seed_repeats_and_the_table_reads():
    model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    one, two = ranef.rlrt(model, n=300, seed=9), ranef.rlrt(model, n=300, seed=9)
    np.testing.assert_array_equal(one.draws, two.draws)
    assert "Exact restricted likelihood-ratio test" in repr(one)
    assert "<table" in one._repr_html_()
    assert "*" not in repr(one)


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        ranef.rlrt(ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff")), n=0)
    with pytest.raises(ValueError, match=r"1 or more, not 20\.5"):
        ranef.rlrt(ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff")), n=20.5)
