"""Generalised models of crossed intercepts by iteration: against the exact method."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import UnsupportedError

FORMULA = "y ~ x + (1 | a) + (1 | b)"


def simulated(
    n: int, levels: tuple[int, ...], family: str, seed: int = 1, sd: float = 0.6
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "o": rng.normal(0.0, 0.3, n)})
    eta = 0.2 + 0.4 * frame["x"].to_numpy()
    for name, count in zip("abc", levels, strict=False):
        codes = rng.integers(count, size=n)
        frame[name] = [f"{name}{code}" for code in codes]
        eta = eta + rng.normal(0.0, sd, count)[codes]
    if family == "binomial":
        frame["y"] = (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    elif family == "poisson":
        frame["y"] = rng.poisson(np.exp(eta))
    elif family == "gamma":
        frame["y"] = rng.gamma(3.0, np.exp(eta) / 3.0)
    else:
        frame["y"] = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(eta)))
    return frame


def both(frame: pd.DataFrame, formula: str = FORMULA, **options: Any) -> tuple[Any, Any]:
    exact = ranef.glmer(formula, frame, method="exact", **options)
    return exact, ranef.glmer(formula, frame, method="iterative", **options)


def check_same_fit(exact: Any, ours: Any) -> None:
    """Within four of the errors that are reported."""
    report = ours.convergence
    assert report.converged
    assert report.method.startswith("iterative")
    assert 0.0 < report.llf_error < 0.025
    assert report.theta_error < 0.01
    assert exact.convergence.method == "exact"
    assert abs(ours.llf - exact.llf) < 4.0 * report.llf_error
    np.testing.assert_allclose(ours.parts.estimate.theta, exact.parts.estimate.theta, rtol=2e-3)
    np.testing.assert_allclose(ours.params, exact.params, atol=0.02 * exact.bse.min())
    np.testing.assert_allclose(ours.bse, exact.bse, rtol=3e-3)


@pytest.fixture(scope="module")
def answers() -> tuple[Any, Any]:
    return both(simulated(3000, (120, 90), "binomial"), family="binomial")


def test_iteration_finds_what_the_factor_finds(answers: tuple[Any, Any]) -> None:
    check_same_fit(*answers)


def test_a_copy_knows_the_same_sample(answers: tuple[Any, Any]) -> None:
    _, ours = answers
    again = pickle.loads(pickle.dumps(ours))
    assert again.convergence.llf_error == ours.convergence.llf_error
    assert again.parts.design.method == ours.parts.design.method
    core, e = again.parts.core, ours.parts.estimate
    standard = np.linalg.solve(core.T[: len(e.kept), : len(e.kept)], e.beta[e.kept])
    value = core.evaluate(e.theta, standard, e.dispersion).value
    assert value == pytest.approx(-2.0 * ours.llf, abs=1e-6)


def test_the_same_seed_gives_the_same_bits() -> None:
    frame = simulated(4000, (400, 300), "binomial", seed=6)
    fits = [
        ranef.glmer(FORMULA, frame, family="binomial", method="iterative", **more)
        for more in ({}, {"threads": 2}, {"control": ranef.Control(seed=9)})
    ]
    one, two, other = fits
    assert one.llf == two.llf
    np.testing.assert_array_equal(one.params, two.params)
    np.testing.assert_array_equal(one.ranef()["a"], two.ranef()["a"])
    assert one.llf != other.llf
    errors = one.convergence.llf_error + other.convergence.llf_error
    assert abs(one.llf - other.llf) < 4.0 * errors


def test_refusals_name_what_to_do(answers: tuple[Any, Any]) -> None:
    frame = answers[0].parts.training_data()

    def fit(formula: str = FORMULA, **options: Any) -> Any:
        return ranef.glmer(formula, frame, **({"family": "binomial", **options}))

    with pytest.raises(UnsupportedError, match=r"keep \(1 \| a\)"):
        fit("y ~ x + (x | a) + (1 | b)", method="iterative")
    with pytest.raises(UnsupportedError, match="there is one"):
        fit("y ~ x + (1 | a)", method="iterative")
    with pytest.raises(UnsupportedError, match="prior"):
        fit(method="iterative", prior="weak")
    with pytest.raises(UnsupportedError, match="reml"):
        fit(method="iterative", reml=True)
    with pytest.raises(UnsupportedError, match="Use method='exact'"):
        fit(method="iterative", family="betabinomial")
    with pytest.raises(ValueError, match="method must be one of"):
        fit(method="fast")
    with pytest.raises(ValueError, match="threads"):
        fit(threads=0)
