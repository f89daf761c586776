"""What must not change a fit, and what must change it in a known way."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def frame():
    """Crossed groups with slopes, unbalanced."""
    rng = np.random.default_rng(11)
    n = 600
    g, h = rng.integers(25, size=n), rng.integers(12, size=n)
    x, w = rng.normal(5.0, 2.0, n), rng.integers(1, 4, n)
    b = rng.normal(size=(25, 2)) @ np.array([[1.0, 0.3], [0.0, 0.4]])
    y = 10 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=12)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "w": w, "g": g.astype(str), "h": h.astype(str)})


FORMULA = "y ~ x + (x | g) + (1 | h)"


@pytest.fixture(scope="module")
def model(frame):
    return ranef.lmer(FORMULA, frame)


def assert_same(a, b, rtol=1e-5):
    assert b.llf == pytest.approx(a.llf, abs=1e-7)
    np.testing.assert_allclose(b.params, a.params, rtol=rtol)
    np.testing.assert_allclose(b.bse, a.bse, rtol=rtol)
    assert b.sigma == pytest.approx(a.sigma, rel=rtol)


def test_row_order(frame, model):
    assert_same(model, ranef.lmer(FORMULA, frame.sample(frac=1.0, random_state=1)))


def test_relabelled_levels(frame, model):
    renamed = frame.assign(g=frame["g"].map(lambda s: f"{hash(s) % 10_007}-{s}"))
    assert_same(model, ranef.lmer(FORMULA, renamed))


def test_affine_response(frame, model):
    """y -> a y + X c moves the coefficients by c and scales everything else by a."""
    other = ranef.lmer(FORMULA, frame.assign(y=1000 * frame["y"] + 3e6 - 40 * frame["x"]))
    assert other.params["Intercept"] == pytest.approx(1000 * model.params["Intercept"] + 3e6)
    assert other.params["x"] == pytest.approx(1000 * model.params["x"] - 40, rel=1e-6)
    np.testing.assert_allclose(other.bse, 1000 * model.bse, rtol=1e-5)
    shift = (model.nobs - 2) * np.log(1000)
    assert other.llf == pytest.approx(model.llf - shift, abs=1e-5)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 2000.0), (1e-6, 0.0), (1e5, 1e7)])
def test_affine_predictor_with_a_random_slope(frame, model, scale, shift):
    """REML gains log|det| of the recoding of X; the likelihood itself does not move."""
    other = ranef.lmer(FORMULA, frame.assign(x=scale * frame["x"] + shift))
    assert other.llf == pytest.approx(model.llf - np.log(scale), abs=1e-6)
    assert other.params["x"] == pytest.approx(model.params["x"] / scale, rel=1e-6)
    assert other.bse["x"] == pytest.approx(model.bse["x"] / scale, rel=1e-5)
    np.testing.assert_allclose(other.fittedvalues, model.fittedvalues, atol=1e-4)


def test_weights_are_repeated_rows(frame):
    """A row of weight w is w equal rows, but for how many rows sigma counts."""
    mean = frame.groupby(["g", "h"], as_index=False).agg(y=("y", "mean"), x=("x", "mean"))
    rng = np.random.default_rng(0)
    mean["w"] = rng.integers(1, 4, len(mean))
    repeated = mean.loc[mean.index.repeat(mean["w"])]
    weighted = ranef.lmer("y ~ x + (1 | g)", mean, weights="w", reml=False)
    core = ranef.models.lmm.kernel(
        ranef.design.build(ranef.formula.parse("y ~ x + (1 | g)"), repeated)
    )
    at = core.evaluate([np.array([[weighted.theta.iloc[0]]])], False)
    np.testing.assert_allclose(at.beta, weighted.params, rtol=1e-8)
    assert at.pwrss == pytest.approx(weighted.sigma**2 * len(mean), rel=1e-8)


def test_reml_and_ml_differ_by_a_known_term(model):
    ml, reml = (
        model.parts.core.evaluate(list(model.parts.estimate.lambda_), r) for r in (False, True)
    )
    n, p = model.nobs, 2
    known = reml.logdet_RX + (n - p) * (1 + np.log(2 * np.pi * reml.pwrss / (n - p)))
    known -= n * (1 + np.log(2 * np.pi * ml.pwrss / n))
    assert reml.objective - ml.objective == pytest.approx(known, abs=1e-8)


def test_zero_variance_is_least_squares(frame):
    core = ranef.lmer("y ~ x + (1 | g)", frame).parts.core
    at = core.evaluate([np.zeros((1, 1))], False)
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    beta, squares, *_ = np.linalg.lstsq(X, frame["y"], rcond=None)
    np.testing.assert_allclose(at.beta, beta, rtol=1e-9)
    assert at.pwrss == pytest.approx(squares[0], rel=1e-10)


def test_update_of_reml_alone_equals_a_new_fit(frame, model):
    assert_same(ranef.lmer(FORMULA, frame, reml=False), model.update(reml=False))


def test_update_of_the_formula(frame, model):
    assert_same(ranef.lmer("y ~ 1 + (x | g) + (1 | h)", frame), model.update(". ~ . - x"))


def test_refit_equals_a_fit_to_that_response(frame, model):
    y = model.simulate(seed=3)[:, 0]
    assert_same(ranef.lmer(FORMULA, frame.assign(y=y)), model.refit(y))


def test_pickle_and_deepcopy(frame, model):
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(model, other, rtol=1e-15)
        new = frame.iloc[:5].assign(g="unseen")
        want = model.predict(new, new_levels="population", interval="prediction")
        got = other.predict(new, new_levels="population", interval="prediction")
        pd.testing.assert_frame_equal(got, want)


def test_simulated_intervals_cover(frame, model):
    """Prediction intervals of new rows hold the share of draws that they say."""
    draws = model.simulate(400, seed=5)
    band = model.predict(frame, random="none", interval="prediction", level=0.9)
    inside = (draws > band["lower"].to_numpy()[:, None]) & (
        draws < band["upper"].to_numpy()[:, None]
    )
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
