"""Refits of generalised models with structures, known covariances and several levels a row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef

LEVELS = list("abcdefghijkl")
A = pd.DataFrame(0.3 + 0.7 * np.eye(12), LEVELS, LEVELS)
MODELS = {
    "ar1": ("n ~ x + ar1(0 + f | g)", {}),
    "known": ("n ~ x + (1 | h)", {"covariance": {"h": A}}),
    "members": ("n ~ x + (1 | mm(h, h2))", {}),
    "smooth": ("n ~ s(x, k=5) + (1 | g)", {}),
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(30), 8), np.tile(np.repeat(np.arange(4), 2), 30)
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    out = pd.DataFrame({"g": g, "f": np.array(list("pqrs"))[t], "x": rng.normal(size=240)})
    out["h"], out["h2"] = rng.choice(LEVELS, 240), rng.choice(LEVELS, 240)
    of_h = pd.Series(rng.normal(0.0, 0.5, 12), LEVELS)
    eta = 0.6 * (rng.normal(size=(30, 4)) @ np.linalg.cholesky(0.6**lag).T)[g, t]
    eta += of_h[out["h"]].to_numpy() + 0.3 * out["x"]
    return out.assign(n=rng.poisson(np.exp(1.0 + eta)))


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_a_bootstrap_refits_simulated_responses(frame, kind):
    formula, given = MODELS[kind]
    model = ranef.glmer(formula, frame, family="poisson", **given)
    found = model.bootstrap(3, seed=5, progress=False)
    assert found.failed == 0
    seed = np.random.SeedSequence(5).spawn(3)[1]
    drawn = frame.assign(n=model.simulate(1, seed=np.random.default_rng(seed))[:, 0])
    again = ranef.glmer(formula, drawn, family="poisson", **given)
    own = found.replicates.iloc[1]
    np.testing.assert_allclose(own[again.params.index], again.params, rtol=1e-4, atol=1e-5)
    for name, value in again.covariance_params()["estimate"].items():
        assert own[name] == pytest.approx(value, rel=2e-3, abs=1e-4)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_ranova_compares_with_the_fits_without_a_term(frame):
    formula = "n ~ x + ar1(0 + f | g) + (1 | h)"
    table = ranef.glmer(formula, frame, family="poisson").ranova(progress=False)
    assert list(table.index) == ["<none>", "ar1(0 + f | g)", "(1 | h)"]
    for row, smaller in zip(
        table.index[1:], ("n ~ x + (1 | h)", "n ~ x + ar1(0 + f | g)"), strict=True
    ):
        fit = ranef.glmer(smaller, frame, family="poisson")
        assert table.loc[row, "llf"] == pytest.approx(fit.llf, abs=1e-5)
        assert table.loc[row, "npar"] == fit.npar


def test_what_needs_independent_levels_is_refused(frame):
    formula, given = MODELS["known"]
    model = ranef.glmer(formula, frame, family="poisson", **given)
    for what in (model.robust, model.influence, model.ranova):
        with pytest.raises(ranef.UnsupportedError, match="which has levels of known covariance"):
            what()


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("kind", ["ar1", "known", "members"])
def test_fixed_effects_are_compared(frame, kind):
    formula, given = MODELS[kind]
    large = ranef.glmer(formula, frame, family="poisson", **given)
    small = ranef.glmer(formula.replace("x + ", "1 + "), frame, family="poisson", **given)
    row = ranef.anova(small, large).iloc[1]
    assert row["chisq"] == pytest.approx(2.0 * (large.llf - small.llf), abs=1e-6)
    assert row["df"] == 1
    found = ranef.pbtest(large, small, n=3, seed=1)
    assert found.statistic == pytest.approx(row["chisq"], abs=1e-6)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_a_known_covariance_is_compared_with_none(frame):
    formula, given = MODELS["known"]
    large = ranef.glmer(formula + " + (1 | g)", frame, family="poisson", **given)
    small = ranef.glmer("n ~ x + (1 | g)", frame, family="poisson")
    row = ranef.anova(small, large).iloc[1]
    assert row["chisq"] == pytest.approx(2.0 * (large.llf - small.llf), abs=1e-6)
    assert row["pvalue_boundary"] == pytest.approx(row["pvalue"] / 2.0, rel=1e-6)
    # Independent levels and related ones are not nested in each other.
    other = ranef.glmer("n ~ x + (1 | h) + (1 | g)", frame, family="poisson")
    assert np.isnan(ranef.anova(large, other)["pvalue"]).all()


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_a_residual_covariance_is_referred_to_gls_and_varcorr(frame):
    model = ranef.glmer(MODELS["ar1"][0], frame, family="poisson")
    with pytest.raises(AttributeError, match=r"ranef.gls has it.*model.varcorr"):
        model.residual_covariance()
