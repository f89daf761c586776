"""Simulation-based calibration of posteriors, and coverage with few groups.

Parameters are drawn from their prior and data from the parameters; among draws of the posterior the
rank of the truth is then uniform (Talts, Betancourt, Simpson, Vehtari and Gelman 2018,
arXiv:1804.06788). Run as

    python benchmarks/posterior_calibration.py            1,000 sets a linear model, 200 binomial
    python benchmarks/posterior_calibration.py 100 20     fewer of each
    python benchmarks/posterior_calibration.py coverage   3, 5 and 10 groups
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.stats

import ranef

DRAWS, EVERY, BINS = 396, 4, 20
HALF = ranef.HalfT(3, 0, 1.0)
PRIOR = {"random": HALF, "residual": HALF}


def half_t(rng: np.random.Generator, scale: float = 1.0) -> float:
    return float(abs(rng.standard_t(3)) * scale)


def intercept(rng: np.random.Generator) -> tuple[str, pd.DataFrame, dict, dict]:
    """Eight groups of five, a random intercept."""
    beta, sd, sigma = rng.normal(0.0, 2.0, 2), half_t(rng), half_t(rng)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 5).astype(str), "x": rng.normal(size=40)})
    b = rng.normal(0.0, sd, 8)[np.repeat(np.arange(8), 5)]
    data["y"] = beta[0] + beta[1] * data["x"] + b + rng.normal(0.0, sigma, 40)
    truth = {"Intercept": beta[0], "x": beta[1], "sd_Intercept|g": sd, "sigma": sigma}
    return "y ~ x + (1 | g)", data, truth, PRIOR


def slope(rng: np.random.Generator) -> tuple[str, pd.DataFrame, dict, dict]:
    """Ten groups of six, a random intercept and slope with a correlation under LKJ(2)."""
    beta, sigma = rng.normal(0.0, 2.0, 2), half_t(rng)
    sd, r = np.array([half_t(rng), half_t(rng)]), 2.0 * rng.beta(2.0, 2.0) - 1.0
    cov = np.outer(sd, sd) * np.array([[1.0, r], [r, 1.0]])
    g = np.repeat(np.arange(10), 6)
    data = pd.DataFrame({"g": g.astype(str), "x": np.tile(np.linspace(-1.0, 1.0, 6), 10)})
    b = rng.multivariate_normal([0.0, 0.0], cov, 10, check_valid="ignore")[g]
    data["y"] = beta[0] + b[:, 0] + (beta[1] + b[:, 1]) * data["x"] + rng.normal(0.0, sigma, 60)
    truth = {
        "Intercept": beta[0],
        "x": beta[1],
        "sd_Intercept|g": sd[0],
        "sd_x|g": sd[1],
        "cor_Intercept.x|g": r,
        "sigma": sigma,
    }
    return "y ~ x + (1 + x | g)", data, truth, {**PRIOR, "correlation": ranef.LKJ(2)}


def crossed(rng: np.random.Generator) -> tuple[str, pd.DataFrame, dict, dict]:
    """Seven by five crossed levels, once each, twice."""
    beta, sds, sigma = rng.normal(0.0, 2.0, 2), [half_t(rng), half_t(rng)], half_t(rng)
    g, h = (grid.ravel() for grid in np.meshgrid(np.arange(7), np.arange(5)))
    g, h = np.tile(g, 2), np.tile(h, 2)
    data = pd.DataFrame({"g": g.astype(str), "h": h.astype(str), "x": rng.normal(size=70)})
    b = rng.normal(0.0, sds[0], 7)[g] + rng.normal(0.0, sds[1], 5)[h]
    data["y"] = beta[0] + beta[1] * data["x"] + b + rng.normal(0.0, sigma, 70)
    truth = {
        "Intercept": beta[0],
        "x": beta[1],
        "sd_Intercept|g": sds[0],
        "sd_Intercept|h": sds[1],
        "sigma": sigma,
    }
    return "y ~ x + (1 | g) + (1 | h)", data, truth, PRIOR


def binomial(rng: np.random.Generator) -> tuple[str, pd.DataFrame, dict, dict]:
    """Twelve groups of four, ten trials each."""
    beta, sd = rng.normal(0.0, 1.0, 2), half_t(rng)
    g = np.repeat(np.arange(12), 4)
    data = pd.DataFrame({"g": g.astype(str), "x": rng.normal(size=48)})
    eta = beta[0] + beta[1] * data["x"] + rng.normal(0.0, sd, 12)[g]
    data["k"] = rng.binomial(10, 1.0 / (1.0 + np.exp(-eta)))
    truth = {"Intercept": beta[0], "x": beta[1], "sd_Intercept|g": sd}
    return "cbind(k, 10 - k) ~ x + (1 | g)", data, truth, {"random": HALF}


def ranks(
    make: Callable[[np.random.Generator], tuple], sets: int, seed: int
) -> tuple[pd.DataFrame, int]:
    """Rank of the truth among independent draws, a row a set; sets that could not be fitted."""
    out, lost = [], 0
    for i in range(sets):
        rng = np.random.default_rng([seed, i])
        formula, data, truth, prior = make(rng)
        is_binomial = make is binomial
        sd = {"Intercept": 1.0 if is_binomial else 2.0, "x": 1.0 if is_binomial else 2.0}
        prior = {**prior, "fixed": ranef.Normal(sd=sd)}
        try:
            model = (
                ranef.glmer(formula, data, family="binomial")
                if is_binomial
                else ranef.lmer(formula, data)
            )
            found = model.sample(
                DRAWS, chains=1, warmup=500, seed=int(rng.integers(2**31)), prior=prior
            )
        except ranef.RanefError:
            lost += 1
            continue
        drawn = found.draws.iloc[::EVERY]
        out.append({name: int((drawn[name] < value).sum()) for name, value in truth.items()})
    return pd.DataFrame(out), lost


def uniformity(found: pd.DataFrame, bins: int = BINS) -> pd.Series:
    """P-value of chi-squared over equal bins of ranks 0 to DRAWS / EVERY, by parameter."""
    values = DRAWS // EVERY + 1
    of = {}
    for name in found:
        counts = np.bincount(found[name] * bins // values, minlength=bins)
        of[name] = scipy.stats.chisquare(counts).pvalue
    return pd.Series(of)


def coverage(groups: int, sets: int, sd: float | None) -> tuple[float, float]:
    """Share of 95 % intervals of the sd that hold it, and their mean width."""
    inside, widths = [], []
    for i in range(sets):
        rng = np.random.default_rng([groups, i, 7])
        true, sigma = half_t(rng) if sd is None else sd, half_t(rng) if sd is None else 1.0
        beta = rng.normal(0.0, 2.0)
        g = np.repeat(np.arange(groups), 8)
        y = beta + rng.normal(0.0, true, groups)[g] + rng.normal(0.0, sigma, len(g))
        model = ranef.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"g": g.astype(str), "y": y}))
        prior = {**PRIOR, "fixed": ranef.Normal(sd={"Intercept": 2.0})}
        row = model.sample(500, chains=2, warmup=300, seed=i, prior=prior).table()
        lower, upper = row.loc["sd_Intercept|g", ["lower", "upper"]]
        inside.append(lower <= true <= upper)
        widths.append(upper - lower)
    return float(np.mean(inside)), float(np.mean(widths))


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    if arguments[:1] == ["coverage"]:
        sets = int(arguments[1]) if len(arguments) > 1 else 1000
        for groups in (3, 5, 10):
            for sd in (None, 0.2, 1.0, 3.0):
                share, width = coverage(groups, sets, sd)
                of = "drawn from the prior" if sd is None else f"= {sd}"
                print(f"{groups:2d} groups, sd {of}: {share:.1%} of {sets}, width {width:.2f}")
        return
    counts = [int(a) for a in arguments] or [1000, 200]
    for make in (intercept, slope, crossed, binomial):
        sets = counts[-1] if make is binomial else counts[0]
        bins = BINS if sets >= 400 else 10
        began = time.perf_counter()
        found, lost = ranks(make, sets, 1)
        seconds = time.perf_counter() - began
        print(f"\n{make.__name__}: {len(found)} sets in {seconds:.0f} s, {lost} not fitted")
        print(uniformity(found, bins).round(3).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
