"""Crossed random effects by iteration: against the exact method, and what they refuse."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef import _core
from ranef.errors import ConvergenceWarning, ModelError, UnsupportedError

FORMULA = "y ~ x1 + x2 + (1 | a) + (1 | b)"


def simulated(n: int, levels: tuple[int, ...], seed: int = 1, sd: float = 0.6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x1": rng.normal(size=n), "x2": rng.normal(size=n)})
    frame["y"] = 2.0 + 0.3 * frame["x1"] + rng.normal(size=n)
    frame["w"] = rng.uniform(0.5, 2.0, n)
    frame["o"] = rng.normal(size=n)
    for name, count in zip("abc", levels, strict=False):
        codes = rng.integers(count, size=n)
        frame[name] = [f"{name}{code}" for code in codes]
        frame["y"] += rng.normal(0.0, sd, count)[codes]
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated(9000, (320, 240))


def both(frame: pd.DataFrame, formula: str = FORMULA, **options: Any) -> tuple[Any, Any]:
    exact = ranef.lmer(formula, frame, method="exact", **options)
    return exact, ranef.lmer(formula, frame, method="iterative", **options)


def check_same_fit(exact: Any, ours: Any) -> None:
    """Within four of the errors that are reported."""
    report = ours.convergence
    assert report.converged
    assert report.method.startswith("iterative")
    assert 0.0 < report.llf_error < 0.025
    assert report.theta_error < 0.01
    assert exact.convergence.llf_error == 0.0
    assert exact.convergence.method == "exact"
    assert abs(ours.llf - exact.llf) < 4.0 * report.llf_error
    np.testing.assert_allclose(ours.theta, exact.theta, rtol=1e-3)
    assert ours.sigma == pytest.approx(exact.sigma, rel=1e-5)
    np.testing.assert_allclose(ours.params, exact.params, atol=1e-3 * exact.bse.max())
    np.testing.assert_allclose(ours.bse, exact.bse, rtol=1e-3)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"weights": "w", "offset": "o"}], ids=["plain", "weights and offset"]
)
def test_iteration_finds_what_the_factor_finds(
    frame: pd.DataFrame, reml: bool, options: dict[str, Any]
) -> None:
    check_same_fit(*both(frame, reml=reml, **options))


def test_three_crossed_factors() -> None:
    frame = simulated(9000, (320, 120, 70), seed=4)
    check_same_fit(*both(frame, "y ~ x1 + (1 | a) + (1 | b) + (1 | c)"))


def test_a_small_factor_beside_two_large_ones() -> None:
    """As departments in InstEval, whose levels meet everything: they are taken whole."""
    frame = simulated(14_000, (700, 450, 24), seed=5)
    exact, ours = both(frame, "y ~ x1 + (1 | a) + (1 | b) + (1 | c)")
    check_same_fit(exact, ours)
    assert int(ours.convergence.method.split()[1]) >= 24  # deflated vectors
    assert "exact second" not in ours.convergence.method


def test_rows_in_chunks_feed_the_iteration(frame: pd.DataFrame) -> None:
    exact = ranef.lmer(FORMULA, frame, method="exact")
    ours = ranef.lmer(FORMULA, [frame.iloc[:5000], frame.iloc[5000:]], method="iterative")
    check_same_fit(exact, ours)
    np.testing.assert_allclose(
        ours.ranef()["a"].sort_index(), exact.ranef()["a"].sort_index(), atol=2e-3
    )


def test_the_design_still_holds_its_owners(frame: pd.DataFrame) -> None:
    ours = ranef.lmer(FORMULA, frame, method="iterative")
    assert ours.parts.design.owners
    assert pickle.loads(pickle.dumps(ours)).parts.design.method == ours.parts.design.method


def test_a_table_says_how_well_it_is_known(frame: pd.DataFrame) -> None:
    small = ranef.lmer("y ~ x1 + (1 | a) + (1 | b)", frame, method="iterative", reml=False)
    large = ranef.lmer(FORMULA, frame, method="iterative", reml=False)
    table = ranef.anova(small, large)
    assert "Monte Carlo error" in table["note"].iloc[1]
    exact = ranef.anova(small.update(method="exact"), large.update(method="exact"))
    assert exact["note"].iloc[1] == ""
    error = 2.0 * (small.convergence.llf_error + large.convergence.llf_error)
    assert abs(table["chisq"].iloc[1] - exact["chisq"].iloc[1]) < 3.0 * error


def test_a_slope_of_its_own(frame: pd.DataFrame) -> None:
    check_same_fit(*both(frame, "y ~ x1 + (1 | a) + (0 + x1 | b)"))


def test_a_slope_of_a_factor_that_has_an_intercept(frame: pd.DataFrame) -> None:
    codes, levels = pd.factorize(frame["a"])
    slopes = np.random.default_rng(5).normal(0.0, 0.5, len(levels))[codes]
    sloped = frame.assign(y=frame["y"] + slopes * frame["x1"], a2=frame["a"])
    exact = ranef.lmer("y ~ x1 + (x1 || a) + (1 | b)", sloped, method="exact")
    asked = "y ~ x1 + (1 | a) + (0 + x1 | a2) + (1 | b)"
    check_same_fit(exact, ranef.lmer(asked, sloped, method="iterative"))
    with pytest.raises(UnsupportedError, match=r"\(1 \| a\) \+ \(0 \+ x1 \| a2\)"):
        ranef.lmer("y ~ x1 + (x1 || a) + (1 | b)", sloped, method="iterative")


def test_what_follows_the_fit(frame: pd.DataFrame) -> None:
    exact, ours = both(frame)
    for group in ("a", "b"):
        want, got = exact.ranef(), ours.ranef()
        np.testing.assert_allclose(got[group], want[group], atol=2e-3)
        np.testing.assert_allclose(got.cov[group], want.cov[group], rtol=0.03)
        assert got.cov[group].mean() == pytest.approx(want.cov[group].mean(), rel=2e-3)
    new = frame.head(20)
    for kind in ("confidence", "prediction"):
        np.testing.assert_allclose(
            ours.predict(new, interval=kind), exact.predict(new, interval=kind), rtol=2e-3
        )
    np.testing.assert_allclose(ours.fittedvalues, exact.fittedvalues, atol=3e-3)
    want, got = exact.coef_table(), ours.coef_table()
    np.testing.assert_allclose(got["df"], want["df"], rtol=5e-3)
    np.testing.assert_allclose(got["se"], want["se"], rtol=1e-3)
    np.testing.assert_allclose(ours.conf_int(), exact.conf_int(), atol=1e-3)
    np.testing.assert_allclose(ours.ranova()["llf"], exact.ranova()["llf"], atol=0.1)
    assert ours.simulate(2, seed=1).shape == (len(frame), 2)
    assert "error of llf" in str(ours.summary())
    assert "iterative" not in str(exact.summary())
    assert "one standard deviation" in repr(ours.convergence)


def test_refit_and_update_keep_the_method(frame: pd.DataFrame) -> None:
    exact, ours = both(frame)
    y = exact.simulate(1, seed=3)[:, 0]
    check_same_fit(exact.refit(y), ours.refit(y))
    check_same_fit(exact.update(reml=False), ours.update(reml=False))
    assert ours.update(method="exact").convergence.llf_error == 0.0


def test_a_copy_knows_the_same_sample(frame: pd.DataFrame) -> None:
    ours = ranef.lmer(FORMULA, frame, method="iterative")
    again = pickle.loads(pickle.dumps(ours))
    assert again.convergence.converged
    assert again.convergence.llf_error == ours.convergence.llf_error
    objective = again.parts.core.objective_standard(list(ours.parts.estimate.lambda_standard), True)
    assert objective == pytest.approx(-2.0 * ours.llf, abs=1e-7)


def test_bootstrap_refits_by_iteration(frame: pd.DataFrame) -> None:
    ours = ranef.lmer("y ~ x1 + (1 | a) + (1 | b)", frame, method="iterative")
    found = ours.bootstrap(6, seed=2, progress=False)
    assert found.failed == 0
    spread = found.replicates["sd_Intercept|a"]
    assert abs(spread.mean() - 0.6) < 0.1


def test_the_same_seed_gives_the_same_bits(frame: pd.DataFrame) -> None:
    one = ranef.lmer(FORMULA, frame, method="iterative")
    two = ranef.lmer(FORMULA, frame, method="iterative", threads=2)
    other = ranef.lmer(FORMULA, frame, method="iterative", control=ranef.Control(seed=9))
    assert one.llf == two.llf
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.ranef()["a"], two.ranef()["a"])
    assert one.llf != other.llf
    assert abs(one.llf - other.llf) < 4.0 * (
        one.convergence.llf_error + other.convergence.llf_error
    )


def test_auto_is_exact_where_that_is_cheap(frame: pd.DataFrame) -> None:
    assert ranef.lmer(FORMULA, frame).convergence.method == "exact"
    large = simulated(60_000, (4200, 3600), seed=2)
    found = ranef.lmer(FORMULA, large)
    assert found.convergence.method.startswith("iterative")
    assert 0.0 < found.convergence.llf_error < 0.025


def test_nearly_nested_factors_are_left_to_the_sparse_factor() -> None:
    rng = np.random.default_rng(5)
    child = np.repeat(np.arange(8000), 3)
    parent = child // 2
    parent[[7, 900, 15_000]] = [3000, 17, 5]  # three rows elsewhere
    y = rng.normal(size=8000)[child] + rng.normal(size=4000)[parent] + rng.normal(size=24_000)
    frame = pd.DataFrame({"y": y, "child": child, "parent": parent})
    found = ranef.lmer("y ~ 1 + (1 | child) + (1 | parent)", frame)
    assert found.convergence.method == "exact"
    assert found.convergence.converged


def test_a_nested_chain_under_few_groups_stays_exact() -> None:
    rng = np.random.default_rng(6)
    pupil = np.repeat(np.arange(9000), 2)
    school = pupil // 2
    country = school % 2
    y = rng.normal(size=9000)[pupil] + rng.normal(size=4500)[school] + rng.normal(size=18_000)
    frame = pd.DataFrame({"y": y, "pupil": pupil, "school": school, "country": country})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ranef.lmer("y ~ 1 + (1 | country/school/pupil)", frame)
    assert found.convergence.method == "exact"
    frame.loc[[4, 9000, 17_000], "school"] = [4000, 3, 200]  # three rows elsewhere
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ranef.lmer("y ~ 1 + (1 | country) + (1 | school) + (1 | pupil)", frame)
    assert found.convergence.method == "exact"


def test_refusals_name_what_to_do(frame: pd.DataFrame) -> None:
    ours = ranef.lmer(FORMULA, frame, method="iterative")
    for ask, instead in (
        (lambda: ours.coef_table("kenward-roger"), "satterthwaite"),
        (lambda: ours.conf_int("profile"), "boot"),
        (lambda: ours.caic(), "aic"),
        (lambda: ours.influence(), "exact"),
        (lambda: ours.surface(), "exact"),
        (lambda: ours.robust(), "exact"),
    ):
        with pytest.raises(UnsupportedError, match=instead):
            ask()
    with pytest.raises(UnsupportedError, match=r"keep \(1 \| a\)"):
        ranef.lmer("y ~ x1 + (x1 | a) + (1 | b)", frame, method="iterative")
    with pytest.raises(UnsupportedError, match="there is one"):
        ranef.lmer("y ~ x1 + (1 | a)", frame, method="iterative")
    with pytest.raises(UnsupportedError, match="prior"):
        ranef.lmer(FORMULA, frame, method="iterative", prior="weak")
    with pytest.raises(ValueError, match="method must be one of"):
        ranef.lmer(FORMULA, frame, method="fast")
    with pytest.raises(ValueError, match="threads"):
        ranef.lmer(FORMULA, frame, threads=0)


# ---------------------------------------------------------------------------- hard designs


def hard(kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 6000
    a, b = rng.integers(300, size=n), rng.integers(200, size=n)
    weight = np.ones(n)
    if kind == "disconnected":  # ten islands
        b = (a % 10) * 20 + b % 20
    if kind == "one row a level":
        a[:80], b[:80] = 300 + np.arange(80), 200 + np.arange(80)
    if kind == "duplicated pairs":
        a[n // 2 :], b[n // 2 :] = a[: n // 2], b[: n // 2]
    if kind == "twelve decades":
        weight = 10.0 ** rng.uniform(-6.0, 6.0, n)
    y = rng.normal(0.0, 0.7, a.max() + 1)[a] + rng.normal(0.0, 0.7, b.max() + 1)[b]
    y += rng.normal(size=n) / np.sqrt(weight)
    return pd.DataFrame({"y": y, "a": a, "b": b, "w": weight})


@pytest.mark.parametrize(
    "kind", ["disconnected", "one row a level", "duplicated pairs", "twelve decades"]
)
def test_hard_designs_agree_or_say_so(kind: str) -> None:
    frame = hard(kind)
    formula = "y ~ 1 + (1 | a) + (1 | b)"
    exact = ranef.lmer(formula, frame, weights="w", method="exact")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = ranef.lmer(formula, frame, weights="w", method="iterative")
    error = ours.convergence.llf_error
    assert np.isfinite(error)
    assert abs(ours.llf - exact.llf) < 4.0 * error + 1e-5
    said = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    assert said or error < 0.025
    if not said:
        np.testing.assert_allclose(ours.theta, exact.theta, rtol=0.01)


def test_a_variance_of_zero_is_found() -> None:
    frame = simulated(6000, (300, 200), seed=6)
    frame["b"] = np.random.default_rng(0).permutation(frame["b"].to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact, ours = both(frame, "y ~ x1 + (1 | a) + (1 | b)")
    np.testing.assert_allclose(ours.theta, exact.theta, atol=2e-3)
    assert abs(ours.llf - exact.llf) < 4.0 * ours.convergence.llf_error + 1e-4


# ---------------------------------------------------------------------------- the machine

LIMITED = """
import resource, sys
import numpy as np, pandas as pd
import ranef
rng = np.random.default_rng(1)
n, levels = 200_000, 12_000
frame = pd.DataFrame({"y": rng.normal(size=n), "a": rng.integers(levels, size=n),
                      "b": rng.integers(levels, size=n)})
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 900_000_000, resource.RLIM_INFINITY))
try:
    ranef.lmer("y ~ 1 + (1 | a) + (1 | b)", frame, method="exact")
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
    assert _core.free_memory() > 1e8
    assert issubclass(ModelError, ValueError)


def _fit_on_and_on(frame: pd.DataFrame) -> None:
    for _ in range(50):
        ranef.lmer(FORMULA, frame, method="iterative")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_an_interrupt_ends_the_fit() -> None:
    frame = simulated(200_000, (20_000, 18_000), seed=3)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, stop)
    start = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 1.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            _fit_on_and_on(frame)
        assert time.monotonic() - start < 1.2 + 1.5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former)
