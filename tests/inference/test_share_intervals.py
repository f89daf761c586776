"""Bootstrap intervals of R², ICC and shares of variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import ranef


@pytest.fixture(scope="module")
def dyes():
    return ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))


@pytest.fixture(scope="module")
def slope():
    sleep = ranef.datasets.load("sleepstudy")
    return ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)


def test_the_bootstrap_of_a_balanced_icc_is_a_known_transform_of_f(dyes):
    # Six batches of five: the REML estimate is max(0, (F - 1) / (F - 1 + 5)), and
    # F / (1 + 5 var_batch / var_residual) is F on 5 and 24 degrees of freedom.
    ratio = dyes.varcorr["Batch"].iloc[0, 0] / dyes.sigma**2
    F = (1.0 + 5.0 * ratio) * stats.f(5, 24).ppf([0.05, 0.95])
    exact = np.maximum(0.0, (F - 1.0) / (F + 4.0))
    found = dyes.icc(interval="boot", level=0.9, n=4000, seed=1)
    limits = found.interval.loc["adjusted", ["lower", "upper"]]
    np.testing.assert_allclose(limits, exact, atol=0.02)  # 3 Monte Carlo errors
    shares = dyes.variance_decomposition(interval="boot", level=0.9, n=1000, seed=1)
    np.testing.assert_allclose(shares.loc[1, ["lower", "upper"]].astype(float), exact, atol=0.04)


def test_an_interval_is_that_of_the_bootstrap_of_the_same_seed(slope):
    found = slope.r2(interval="boot", level=0.8, n=40, seed=3)
    runs = slope.bootstrap(40, seed=3, statistic=lambda m: m.r2().conditional)
    want = runs.conf_int(level=0.8).loc["statistic"]
    assert found.interval.loc["conditional"].tolist() == pytest.approx(want.tolist())
    assert "80% by 40 parametric bootstrap fits (seed 3)" in repr(found)
    assert slope.r2().interval is None


def test_by_group_and_at_values(slope):
    pen = ranef.datasets.load("Penicillin")
    crossed = ranef.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pen)
    found = crossed.icc(interval="boot", n=20, seed=1)
    assert found.interval.index.tolist() == ["adjusted", "unadjusted", "plate", "sample"]
    at = slope.icc(at={"Days": [0, 9]}, interval="boot", n=30, seed=1)
    assert (at["lower"] < at["icc"]).all()
    assert (at["icc"] < at["upper"]).all()
    assert "lower" not in slope.icc(at={"Days": [0, 9]})


def test_unknown_intervals_are_refused(slope):
    for method in (slope.r2, slope.icc, slope.variance_decomposition):
        with pytest.raises(ValueError, match="interval must be 'boot' or None, not 'wald'"):
            method(interval="wald")
        with pytest.raises(ValueError, match="level is a coverage"):
            method(level=95)


def test_html_says_what_the_text_says(slope):
    results = [
        slope.r2(interval="boot", n=10, seed=1),
        slope.r2("kr"),
        slope.icc(),
        slope.caic(),
        slope.bootstrap(10, seed=1),
        slope.profile(steps=2),
        slope.test("Days = 0"),
        ranef.emmeans(slope, "Days"),
    ]
    for result in results:
        html = result._repr_html_()
        assert html.count("<p>") == html.count("</p>") > 0
        first = repr(result).split("(")[0].split("\n")[0].split(":")[0].strip()
        assert first.split(" ")[0] in html
