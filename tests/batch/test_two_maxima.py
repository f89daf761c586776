"""Likelihoods with two maxima: batches find the higher one, as single fits do."""

import warnings

import numpy as np
import pandas as pd
import pytest

import ranef

FORMULA = "y ~ x + (x | g)"
#: Of these the last has two maxima, the lower of which is where the moments point.
SEEDS = [*range(1100, 1160), 1191]


def heavy_tailed(seed):
    """A small data set whose residuals have Student's t distribution of two degrees of freedom."""
    rng = np.random.default_rng(seed)
    n_groups, rows = rng.integers(5, 10), rng.integers(3, 6)
    g = np.repeat(np.arange(n_groups), rows)
    x = rng.normal(size=len(g))
    y = rng.normal(size=n_groups)[g] * rng.choice([0, 1])
    y = y + rng.normal(size=n_groups)[g] * x * rng.choice([0, 1])
    return pd.DataFrame({"y": y + rng.standard_t(2, size=len(g)), "x": x, "g": g})


@pytest.fixture(scope="module")
def sets():
    return {seed: heavy_tailed(seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def single(sets):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {seed: ranef.lmer(FORMULA, frame) for seed, frame in sets.items()}


def test_no_other_start_ends_lower(single):
    for model in single.values():
        best = ranef.multistart(model, 12).optima[0]
        assert -2 * model.llf < best + 1e-5


def test_one_of_them_has_two_maxima(single):
    found = ranef.multistart(single[SEEDS[-1]], 20).optima
    assert len(found) == 2
    assert found[1] > found[0] + 0.4


def test_groups_find_the_same(sets, single):
    data = pd.concat(frame.assign(seed=seed) for seed, frame in sets.items())
    fits = ranef.fit_groups(FORMULA, data, "seed", progress=False).fits.set_index("seed")
    expected = [model.llf for model in single.values()]
    np.testing.assert_allclose(fits.loc[list(single), "llf"], expected, atol=1e-7)


def test_responses_find_the_same(sets, single):
    frame, model = sets[SEEDS[-1]], single[SEEDS[-1]]
    Y = np.stack([frame["y"], -3.0 * frame["y"] + 7.0 * frame["x"] + 2.0], axis=1)
    for weights in (None, np.ones_like(Y)):
        batch = ranef.fit_many("~ x + (x | g)", frame, Y, weights=weights, progress=False)
        assert batch.fits["llf"][0] == pytest.approx(model.llf, abs=1e-7)
        shrunk = (len(frame) - 2) * np.log(3.0)
        assert batch.fits["llf"][1] == pytest.approx(model.llf - shrunk, abs=1e-7)
