"""The report on convergence says what brute-force derivatives say, and warnings travel."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.optimum.optimum import examine


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.lmer(*args, **kwargs)


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def short(sleep):
    """A fit that was stopped after one step."""
    return quietly("Reaction ~ Days + (Days | Subject)", sleep, control=ranef.Control(max_steps=1))


def numeric_gradient(model, lambda_, step=1e-5):
    """Central differences of the objective by every element of lambda."""
    out = []
    for term, i, j in model.parts.core.parameters:
        ends = []
        for sign in (1.0, -1.0):
            moved = [block.copy(order="F") for block in lambda_]
            moved[term][i, j] += sign * step
            ends.append(model.parts.core.objective_standard(moved, model.reml))
        out.append((ends[0] - ends[1]) / (2.0 * step))
    return np.array(out)


def test_gradient_is_that_of_differences(short):
    lambda_ = list(short.parts.estimate.lambda_standard)
    report = short.convergence
    np.testing.assert_allclose(report.gradient, numeric_gradient(short, lambda_), rtol=1e-5)


def test_curvature_is_that_of_differences(sleep):
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    lambda_ = list(model.parts.estimate.lambda_standard)
    columns = []
    for term, i, j in model.parts.core.parameters:
        moved = [[b.copy(order="F") for b in lambda_] for _ in range(2)]
        moved[0][term][i, j] += 1e-3
        moved[1][term][i, j] -= 1e-3
        columns.append(
            (numeric_gradient(model, moved[0]) - numeric_gradient(model, moved[1])) / 2e-3
        )
    lowest = np.linalg.eigvalsh(0.5 * (np.array(columns) + np.array(columns).T))[0]
    assert model.convergence.curvature == pytest.approx(lowest, rel=1e-3)
    assert model.convergence.n_null == 0


def test_a_stopped_search_is_not_called_converged(short):
    report = short.convergence
    assert not report
    assert "can still fall" in report.verdict
    assert any("converge(model)" in text for text in report.advice)
    assert {type(w) for w in short.warnings} == {ranef.ConvergenceWarning}


def test_predicted_decrease_is_the_one_that_is_had(sleep):
    best = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    near = [np.asfortranarray(1.01 * b) for b in best.parts.estimate.lambda_standard]
    moved = best.parts.core.objective_standard(near, True)
    from dataclasses import replace

    report = examine(
        best.parts.design,
        best.parts.core,
        replace(best.parts.estimate, lambda_standard=tuple(near)),
    )
    assert report.decrement == pytest.approx(moved + 2.0 * best.llf, rel=0.05)


def test_a_zero_variance_is_proved_by_the_cone():
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    report = model.convergence
    assert report.converged
    assert "boundary is the optimum" in report.verdict
    assert report.n_null == 1
    assert np.isnan(report.curvature)
    # The slope by the relative variance, one-sided from zero.
    core, step = model.parts.core, 1e-6
    rise = core.objective_standard([np.full((1, 1), np.sqrt(step), order="F")], True)
    at_zero = core.objective_standard([np.zeros((1, 1), order="F")], True)
    assert report.cone == pytest.approx((rise - at_zero) / step, rel=1e-3)


def test_a_false_zero_is_found_out():
    model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    from dataclasses import replace

    zero = replace(model.parts.estimate, lambda_standard=(np.zeros((1, 1), order="F"),))
    report = examine(model.parts.design, model.parts.core, zero)
    assert not report.holds
    assert report.cone < 0


def test_a_singular_direction_is_left_out_of_the_curvature():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 8)
    x = np.tile(np.arange(8.0), 12)
    u = rng.normal(size=12)
    frame = pd.DataFrame({"y": u[g] * (1 + x) + 3 * rng.normal(size=96), "x": x, "g": g})
    model = quietly("y ~ x + (x | g)", frame)
    assert model.is_singular
    report = model.convergence
    assert report.n_null == 1
    assert report.converged
    assert report.curvature > 0


@pytest.mark.parametrize("how", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_warnings_travel_with_the_model(short, how):
    again = how(short)
    assert [str(w) for w in again.warnings] == [str(w) for w in short.warnings]
    assert str(short.warnings[0]) in str(again.summary())
    assert not again.convergence.converged


def test_strict_raises_what_would_be_warned_of(sleep):
    hurried = ranef.Control(max_steps=1)
    with pytest.raises(ranef.ConvergenceWarning, match="can still fall"):
        ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, control=hurried, strict=True)
    with pytest.raises(ranef.SingularFitWarning) as caught:
        ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"), strict=True)
    assert not hasattr(caught.value, "__notes__")
    assert ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep, strict=True).convergence


def test_strict_keeps_all_findings(sleep):
    frame = sleep.assign(Twice=2 * sleep["Days"])
    with pytest.raises(ranef.RankWarning) as caught:
        ranef.lmer(
            "Reaction ~ Days + Twice + (Days | Subject)",
            frame,
            control=ranef.Control(max_steps=1),
            strict=True,
        )
    assert "ConvergenceWarning" in caught.value.__notes__[0]


def test_a_search_that_breaks_off_at_the_optimum_is_no_false_alarm():
    """The step limit is reached by the very step that reaches the optimum."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(2000), 25)
    x = rng.normal(size=50_000)
    y = rng.normal(size=2000)[g] + 0.3 * rng.normal(size=2000)[g] * x + rng.normal(size=50_000)
    frame = pd.DataFrame({"y": y, "x": x, "g": g})
    best = ranef.lmer("y ~ x + (x | g)", frame)
    steps = best.parts.estimate.n_gradient - 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        broken = ranef.lmer("y ~ x + (x | g)", frame, control=ranef.Control(max_steps=steps))
    assert broken.parts.estimate.status == "step limit"
    assert broken.llf == pytest.approx(best.llf, abs=5e-6)  # 1e-5 of -2 log-likelihood converges
    assert broken.convergence.converged
    assert not caught
    assert broken.convergence.advice == ()


def test_a_second_search_finds_the_higher_of_two_maxima():
    """Small data with heavy tails, where the moments point to the lower maximum."""
    r = np.random.default_rng(1191)
    n_groups, rows = r.integers(5, 10), r.integers(3, 6)
    n = n_groups * rows
    g = np.repeat(np.arange(n_groups), rows)
    x = r.normal(size=n)
    y = r.normal(size=n_groups)[g] * r.choice([0, 1])
    y = y + r.normal(size=n_groups)[g] * x * r.choice([0, 1]) + r.standard_t(2, size=n)
    model = quietly("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    found = ranef.multistart(model, 20)
    assert -2 * model.llf == pytest.approx(found.optima[0], abs=1e-6)
    assert found.optima[1] > found.optima[0] + 0.4


def test_next_to_nothing_left_for_the_residuals_is_said():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(40), 8)
    for noise in (0.0, 1e-9):
        y = rng.normal(size=40)[g] + noise * rng.normal(size=320)
        with pytest.raises(ranef.ModelError, match="exactly or to within rounding"):
            ranef.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}))


@pytest.mark.parametrize("noise", [1e-3, 1e-4, 1e-5])
def test_a_residual_far_below_the_random_effects_is_found(noise):
    """Balanced lines: sigma^2 is the mean square about each group's own line, whatever the rest."""
    rng = np.random.default_rng(3)
    n_groups, x = 30, np.array([-1.5, -0.5, 0.3, 0.7, 2.0])
    g = np.repeat(np.arange(n_groups), len(x))
    line = np.column_stack([np.ones(5), x])
    error = noise * rng.normal(size=(n_groups, 5))
    y = rng.normal(size=(n_groups, 2)) @ line.T + error
    d = pd.DataFrame({"y": y.ravel(), "x": np.tile(x, n_groups), "g": g})
    model = ranef.lmer("y ~ x + (x | g)", d)
    about_lines = error - error @ line @ np.linalg.solve(line.T @ line, line.T)
    assert model.sigma == pytest.approx(np.sqrt((about_lines**2).sum() / (30 * 3)), rel=1e-5)
    lines = np.linalg.lstsq(line, y.T, rcond=None)[0].T
    between = np.cov(lines.T) - model.sigma**2 * np.linalg.inv(line.T @ line)
    assert model.varcorr["g"].to_numpy() == pytest.approx(between, abs=1e-6)
    assert model.convergence.converged


@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_lines_without_error_are_no_mixed_model(noise):
    rng = np.random.default_rng(4)
    g, x = rng.integers(0, 12, 200), rng.normal(size=200)
    d = pd.DataFrame({"g": g, "x": x, "y": 1 + 2 * x + rng.normal(size=12)[g]})
    d["y"] += noise * rng.normal(size=200)
    for formula in ("y ~ x + (1 | g)", "y ~ x + (x | g)"):
        with pytest.raises(ranef.ModelError, match="exactly or to within rounding"):
            ranef.lmer(formula, d)
