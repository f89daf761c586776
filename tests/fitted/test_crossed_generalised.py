"""Generalised models of crossed intercepts by iteration: against the exact method."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import ConvergenceWarning, UnsupportedError

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
    # The sign of a standard deviation is that of its random effects, and free.
    np.testing.assert_allclose(
        np.abs(ours.parts.estimate.theta), np.abs(exact.parts.estimate.theta), rtol=2e-3
    )
    np.testing.assert_allclose(ours.params, exact.params, atol=0.02 * exact.bse.min())
    np.testing.assert_allclose(ours.bse, exact.bse, rtol=3e-3)


@pytest.fixture(scope="module")
def answers() -> tuple[Any, Any]:
    return both(simulated(3000, (120, 90), "binomial"), family="binomial")


def test_iteration_finds_what_the_factor_finds(answers: tuple[Any, Any]) -> None:
    check_same_fit(*answers)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "gamma"])
def test_other_families(family: str) -> None:
    frame = simulated(3000, (120, 90), family, seed=3)
    options = {"link": "log"} if family == "gamma" else {}
    exact, ours = both(frame, family=family, offset="o", **options)
    check_same_fit(exact, ours)
    assert ours.dispersion == pytest.approx(exact.dispersion, rel=1e-3)


def test_three_crossed_factors() -> None:
    frame = simulated(5000, (110, 70, 40), "poisson", seed=4)
    check_same_fit(*both(frame, "y ~ x + (1 | a) + (1 | b) + (1 | c)", family="poisson"))


def test_three_factors_of_very_different_sizes_end() -> None:
    """Solves of one block have right sides of different sizes, each with a tolerance of its own."""
    frame = simulated(6000, (400, 150, 60), "poisson", seed=14)
    frame["x"] = 1e6 * (frame["x"] + 40.0)
    frame["tiny"] = 1e-7 * np.random.default_rng(2).normal(size=len(frame))
    formula = "y ~ x + tiny + (1 | a) + (1 | b) + (1 | c)"
    for nagq in (0, 1):
        exact, ours = both(frame, formula, family="poisson", nagq=nagq)
        assert ours.convergence.converged
        assert abs(ours.llf - exact.llf) < 4.0 * ours.convergence.llf_error
        np.testing.assert_allclose(np.abs(ours.theta), np.abs(exact.theta), rtol=2e-3)
        np.testing.assert_allclose(ours.params / exact.bse, exact.params / exact.bse, atol=0.02)
        np.testing.assert_allclose(ours.bse, exact.bse, rtol=3e-3)


def test_a_slope_of_a_factor_that_has_an_intercept() -> None:
    frame = simulated(6000, (150, 90), "poisson", seed=15, sd=0.4)
    codes, levels = pd.factorize(frame["a"])
    slopes = np.random.default_rng(5).normal(0.0, 0.3, len(levels))[codes]
    rate = np.exp(0.4 + slopes * frame["x"].to_numpy())
    sloped = frame.assign(y=frame["y"] + np.random.default_rng(6).poisson(rate), a2=frame["a"])
    exact = ranef.glmer("y ~ x + (x || a) + (1 | b)", sloped, family="poisson", method="exact")
    asked = "y ~ x + (1 | a) + (0 + x | a2) + (1 | b)"
    check_same_fit(exact, ranef.glmer(asked, sloped, family="poisson", method="iterative"))


def test_a_variance_of_zero_is_found() -> None:
    frame = simulated(4000, (120, 90), "binomial", seed=16)
    frame["c"] = np.random.default_rng(9).integers(80, size=len(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact, ours = both(frame, "y ~ x + (1 | a) + (1 | b) + (1 | c)", family="binomial")
    assert abs(ours.llf - exact.llf) < 4.0 * ours.convergence.llf_error + 1e-6
    np.testing.assert_allclose(
        np.abs(ours.parts.estimate.theta), np.abs(exact.parts.estimate.theta), atol=5e-3
    )


def test_fixed_effects_at_their_joint_mode() -> None:
    frame = simulated(3000, (120, 90), "binomial", seed=5)
    check_same_fit(*both(frame, family="binomial", nagq=0))


def test_what_follows_the_fit(answers: tuple[Any, Any]) -> None:
    exact, ours = answers
    for group in ("a", "b"):
        want, got = exact.ranef(), ours.ranef()
        np.testing.assert_allclose(got[group], want[group], atol=3e-3)
        np.testing.assert_allclose(got.cov[group], want.cov[group], rtol=0.05)
        assert got.cov[group].mean() == pytest.approx(want.cov[group].mean(), rel=4e-3)
    new = exact.parts.training_data().head(15)
    np.testing.assert_allclose(
        ours.predict(new, interval="confidence"),
        exact.predict(new, interval="confidence"),
        rtol=5e-3,
    )
    np.testing.assert_allclose(ours.fittedvalues, exact.fittedvalues, atol=2e-3)
    np.testing.assert_allclose(ours.coef_table(), exact.coef_table(), rtol=2e-2, atol=1e-3)
    assert "error of llf" in str(ours.summary())
    assert "iterative" not in str(exact.summary())
    assert ours.update(method="exact").convergence.llf_error == 0.0
    y = exact.simulate(1, seed=3)[:, 0]
    check_same_fit(exact.refit(y), ours.refit(y))


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


def test_auto_is_exact_where_that_is_cheap() -> None:
    small = simulated(2000, (60, 50), "binomial", seed=7)
    assert ranef.glmer(FORMULA, small, family="binomial").convergence.method == "exact"
    large = simulated(14_000, (1900, 1600), "binomial", seed=8)
    found = ranef.glmer(FORMULA, large, family="binomial")
    assert found.convergence.method.startswith("iterative")
    assert 0.0 < found.convergence.llf_error < 0.025


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


def hard(kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 5000
    a, b = rng.integers(240, size=n), rng.integers(170, size=n)
    trials = np.ones(n)
    if kind == "disconnected":  # ten islands
        b = (a % 10) * 17 + b % 17
    if kind == "one row a level":
        a[:60], b[:60] = 240 + np.arange(60), 170 + np.arange(60)
    if kind == "duplicated pairs":
        a[n // 2 :], b[n // 2 :] = a[: n // 2], b[: n // 2]
    if kind == "uneven trials":
        trials = np.ceil(10.0 ** rng.uniform(0.0, 6.0, n))
    eta = rng.normal(0.0, 0.7, a.max() + 1)[a] + rng.normal(0.0, 0.7, b.max() + 1)[b]
    y = rng.binomial(trials.astype(int), 1.0 / (1.0 + np.exp(-eta)))
    return pd.DataFrame({"y": y, "no": trials.astype(int) - y, "a": a, "b": b})


@pytest.mark.parametrize(
    "kind", ["disconnected", "one row a level", "duplicated pairs", "uneven trials"]
)
def test_hard_designs_agree_or_say_so(kind: str) -> None:
    frame = hard(kind)
    formula = "cbind(y, no) ~ 1 + (1 | a) + (1 | b)"
    exact = ranef.glmer(formula, frame, family="binomial", method="exact")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = ranef.glmer(formula, frame, family="binomial", method="iterative")
    error = ours.convergence.llf_error
    assert np.isfinite(error)
    assert abs(ours.llf - exact.llf) < 4.0 * error + 1e-5
    said = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    assert said or error < 0.025
    if not said:
        np.testing.assert_allclose(
            np.abs(ours.parts.estimate.theta), np.abs(exact.parts.estimate.theta), rtol=0.01
        )


LIMITED = """
import resource
import numpy as np, pandas as pd
import ranef
rng = np.random.default_rng(1)
n, levels = 200_000, 12_000
frame = pd.DataFrame({"y": rng.integers(2, size=n), "a": rng.integers(levels, size=n),
                      "b": rng.integers(levels, size=n)})
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 900_000_000, resource.RLIM_INFINITY))
try:
    ranef.glmer("y ~ 1 + (1 | a) + (1 | b)", frame, family="binomial", method="exact")
except ranef.errors.ModelError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what is taken from /proc")
def test_a_limit_on_memory_is_respected() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120, check=False
    )
    assert "GB" in done.stdout, done.stderr
    assert "iterative" in done.stdout
