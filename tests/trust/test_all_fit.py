"""Several optimisers meet at one optimum; EM is checked against its textbook definition."""

import warnings

import numpy as np
import pytest

import ranef
from ranef.inference.optimum.em import em
from ranef.inference.optimum.optimizers import Space, available, estimate_at, run
from ranef.report.searches import all_fit_table


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        return ranef.lmer(*args, **kwargs)


@pytest.fixture(scope="module")
def slopes():
    return ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def hurried():
    return quietly(
        "Reaction ~ Days + (Days | Subject)",
        ranef.datasets.load("sleepstudy"),
        control=ranef.Control(max_steps=1),
    )


def test_at_least_six_optimisers_agree(slopes):
    found = ranef.all_fit(slopes, workers=2)
    assert len(found.table) >= 6
    # lme4 1.1-31 in R 4.2.2: REML criterion 1743.628
    np.testing.assert_allclose(found.table["criterion"], 1743.6282719599, atol=1e-5)
    assert found.verdict.startswith("Practically the same: all")
    assert found.theta.shape == (len(found.table), 3)
    assert found.best.convergence.converged
    assert found.best.llf == pytest.approx(slopes.llf, abs=1e-8)
    assert found.coefficients.loc["EM", "Days"] == pytest.approx(10.467286, abs=1e-5)


def test_they_agree_on_a_zero():
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    names = [name for name in available() if name != "EM"]
    found = ranef.all_fit(model, names)
    assert found.table["above_best"].max() < 1e-3
    assert "Practically the same" in found.verdict


def test_nlopt_takes_part(slopes):
    pytest.importorskip("nlopt")  # among the packages of the test extra
    found = ranef.all_fit(slopes, ["ranef", "nlopt BOBYQA"])
    assert found.table.loc["nlopt BOBYQA", "above_best"] < 1e-6
    assert found.table.loc["nlopt BOBYQA", "evaluations"] > 20


def test_nlopt_that_gives_up_leaves_its_lowest_point():
    """At a zero BOBYQA ends with an exception about rounding instead of a result."""
    pytest.importorskip("nlopt")
    model = quietly("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    found = ranef.all_fit(model, ["ranef", "nlopt BOBYQA"])
    assert found.table["above_best"].max() < 1e-6


def test_an_optimiser_that_stops_short_is_named(slopes, hurried):
    runs = [run(slopes.parts.design, name, reml=True) for name in ("ranef", "L-BFGS-B")]
    from dataclasses import replace

    early = replace(
        runs[1],
        lambda_standard=hurried.parts.estimate.lambda_standard,
        objective=hurried.parts.estimate.objective,
    )
    estimates = [
        estimate_at(slopes.parts.design, slopes.parts.core, r.lambda_standard, reml=True)
        for r in (runs[0], early)
    ]
    table = all_fit_table(
        [runs[0], early], estimates, [slopes.theta] * 2, [slopes.params] * 2, slopes
    )
    assert "1 of 2 optimisers agree with the best (ranef)" in table.verdict
    assert "L-BFGS-B by 1.04 of -2 log-likelihood" in table.verdict


def test_an_unknown_optimiser_is_refused(slopes):
    with pytest.raises(ValueError, match="no optimiser 'bobyqa'"):
        ranef.all_fit(slopes, ["bobyqa"])


@pytest.mark.parametrize("reml", [True, False])
def test_one_em_step_is_the_mean_of_second_moments(reml):
    """Sigma+ = mean over levels of E[b b' | y], by dense algebra on V."""
    frame = ranef.datasets.load("sleepstudy")
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", frame, reml=reml)
    design, core = model.parts.design, model.parts.core
    space = Space(design, core, reml=reml)
    start = space.unpack(0.7 * space.identity)
    before = estimate_at(design, core, start, reml=reml)
    n, X = design.n_obs, design.X
    Z = np.zeros((n, 36))
    for j in range(2):
        Z[np.arange(n), 2 * design.random[0].codes + j] = design.z(design.random[0])[:, j]
    G = np.kron(np.eye(18), before.sigmas[0])
    V = Z @ G @ Z.T + before.sigma**2 * np.eye(n)
    W = np.linalg.inv(V)
    fixed = W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    P = W - fixed
    b = G @ Z.T @ P @ design.y
    spread = G - G @ Z.T @ (P if reml else W) @ Z @ G
    total = sum(
        np.outer(b[2 * g : 2 * g + 2], b[2 * g : 2 * g + 2])
        + spread[2 * g : 2 * g + 2, 2 * g : 2 * g + 2]
        for g in range(18)
    )
    moved, steps = em(design, core, start, reml=reml, max_steps=1)
    T = core.term_basis(0)
    relative = T @ moved[0] @ moved[0].T @ T.T
    np.testing.assert_allclose(before.sigma**2 * relative, total / 18, rtol=1e-8)
    assert steps == 1


def test_a_point_in_the_standard_basis_is_the_same_in_the_users(slopes):
    again = estimate_at(
        slopes.parts.design, slopes.parts.core, slopes.parts.estimate.lambda_standard, reml=True
    )
    np.testing.assert_allclose(again.lambda_[0], slopes.parts.estimate.lambda_[0], rtol=1e-10)


def test_converge_finishes_a_search_and_says_how(hurried, slopes):
    trail = ranef.converge(hurried)
    assert trail.converged
    assert trail.model.convergence
    assert trail.model.llf == pytest.approx(slopes.llf, abs=1e-8)
    assert trail.table["gain"].iloc[-1] == pytest.approx(2 * (slopes.llf - hurried.llf))
    assert trail.model.warnings == ()


def test_converge_leaves_a_converged_model_alone(slopes):
    trail = ranef.converge(slopes)
    assert trail.model is slopes
    assert trail.table.empty
    assert repr(trail).startswith("Nothing to do")
