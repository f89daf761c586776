"""Does multiple imputation give back what gaps at random took? Bias and coverage by simulation.

    python benchmarks/imputation_study.py --sets 200 --design slopes

Prints, for each coefficient and each treatment of the gaps, the mean error with its Monte Carlo
standard error, and the share of 95 % intervals that contain the truth.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from tqdm import tqdm

import ranef

GROUPS, SIZE = 40, 10


def logistic(x: np.ndarray) -> np.ndarray:
    """Return a probability."""
    return 1.0 / (1.0 + np.exp(-x))


def rows(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw groups and a complete covariate."""
    g = np.repeat(np.arange(GROUPS), SIZE)
    return pd.DataFrame({"g": g, "z": rng.normal(size=len(g))}), g


def intercept(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """Gaps in x that depend on the response, in half of the rows; in y by z, in the others.

    In one row both at random would not do: that x is seen where y is missing would tell of y.
    """
    d, g = rows(rng)
    d["x"] = 0.5 * d.z + 0.5 * rng.normal(size=GROUPS)[g] + rng.normal(size=len(d))
    d["y"] = (
        1.0 + 0.5 * d.x + 0.3 * d.z + 0.8 * rng.normal(size=GROUPS)[g] + rng.normal(size=len(d))
    )
    half, u = rng.random(len(d)) < 0.5, rng.random(len(d))
    d.loc[half & (u < logistic(-0.5 + (d.y - 1.0))), "x"] = np.nan
    d.loc[~half & (u < logistic(-1.0 + d.z)), "y"] = np.nan
    return d, "y ~ x + z + (1 | g)", {"Intercept": 1.0, "x": 0.5, "z": 0.3}


def slopes(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """The effect of the incomplete covariate varies by group."""
    d, g = rows(rng)
    b = rng.multivariate_normal([0.0, 0.0], [[0.6, 0.1], [0.1, 0.25]], GROUPS)
    d["x"] = 0.5 * d.z + rng.normal(size=len(d))
    d["y"] = 1.0 + b[g, 0] + (0.5 + b[g, 1]) * d.x + 0.3 * d.z + rng.normal(size=len(d))
    d.loc[rng.random(len(d)) < logistic(-1.2 + (d.y - 1.0)), "x"] = np.nan
    return d, "y ~ x + z + (x | g)", {"Intercept": 1.0, "x": 0.5, "z": 0.3}


def product(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """The incomplete covariate is multiplied by another."""
    d, g = rows(rng)
    d["x"] = 0.5 * d.z + rng.normal(size=len(d))
    mean = 1.0 + 0.5 * d.x + 0.3 * d.z + 0.4 * d.x * d.z
    d["y"] = mean + 0.8 * rng.normal(size=GROUPS)[g] + rng.normal(size=len(d))
    d.loc[rng.random(len(d)) < logistic(-1.2 + (d.y - 1.0)), "x"] = np.nan
    return d, "y ~ x * z + (1 | g)", {"Intercept": 1.0, "x": 0.5, "z": 0.3, "x:z": 0.4}


def binary(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """A covariate of 0 and 1."""
    d, g = rows(rng)
    d["x"] = (0.5 * d.z + rng.normal(size=len(d)) > 0.3) * 1.0
    d["y"] = (
        1.0 + 0.8 * d.x + 0.3 * d.z + 0.8 * rng.normal(size=GROUPS)[g] + rng.normal(size=len(d))
    )
    d.loc[rng.random(len(d)) < logistic(-1.2 + (d.y - 1.0)), "x"] = np.nan
    return d, "y ~ x + z + (1 | g)", {"Intercept": 1.0, "x": 0.8, "z": 0.3}


def binary_slopes(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """A covariate of 0 and 1 whose effect varies by group."""
    d, g = rows(rng)
    b = rng.multivariate_normal([0.0, 0.0], [[0.6, 0.1], [0.1, 0.25]], GROUPS)
    d["x"] = (0.5 * d.z + rng.normal(size=len(d)) > 0.3) * 1.0
    d["y"] = 1.0 + b[g, 0] + (0.8 + b[g, 1]) * d.x + 0.3 * d.z + rng.normal(size=len(d))
    d.loc[rng.random(len(d)) < logistic(-1.2 + (d.y - 1.0)), "x"] = np.nan
    return d, "y ~ x + z + (x | g)", {"Intercept": 1.0, "x": 0.8, "z": 0.3}


def level_two(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """A covariate of groups, with gaps that depend on the group's observed mean of the response."""
    g = np.repeat(np.arange(80), 6)
    w, u = rng.normal(size=80), 0.8 * rng.normal(size=80)
    d = pd.DataFrame({"g": g, "z": rng.normal(size=len(g)), "w": w[g]})
    d["y"] = 1.0 + 0.5 * d.w + 0.3 * d.z + u[g] + rng.normal(size=len(g))
    mean = d.groupby("g").y.mean().to_numpy()
    gone = rng.random(80) < logistic(-1.2 + (mean - 1.0))
    d.loc[gone[g], "w"] = np.nan
    return d, "y ~ w + z + (1 | g)", {"Intercept": 1.0, "w": 0.5, "z": 0.3}


def cross_level(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """A covariate of groups that moderates the effect of one of rows; groups of 4 to 10 rows."""
    g = np.repeat(np.arange(60), rng.integers(4, 11, 60))
    w, b = rng.normal(size=60), rng.multivariate_normal([0.0, 0.0], [[0.5, 0.1], [0.1, 0.15]], 60)
    d = pd.DataFrame({"g": g, "x": rng.normal(size=len(g)), "w": w[g]})
    mean = 1.0 + b[g, 0] + 0.5 * d.w + (0.3 + b[g, 1]) * d.x + 0.4 * d.w * d.x
    d["y"] = mean + rng.normal(size=len(g))
    gone = rng.random(60) < logistic(-1.0 + 1.5 * (d.groupby("g").y.mean().to_numpy() - 1.0))
    d.loc[gone[g], "w"] = np.nan
    return d, "y ~ w * x + (x | g)", {"Intercept": 1.0, "w": 0.5, "x": 0.3, "w:x": 0.4}


def categories(rng: np.random.Generator) -> tuple[pd.DataFrame, str, dict[str, float]]:
    """A covariate of three categories."""
    d, g = rows(rng)
    latent = 0.5 * d.z + rng.normal(size=len(d))
    code = (latent > -0.5).astype(int) + (latent > 0.6)
    mean = 1.0 + 0.6 * code + 0.3 * d.z + 0.7 * rng.normal(size=GROUPS)[g]
    d["y"], d["k"] = mean + rng.normal(size=len(d)), np.array(list("abc"))[code]
    d.loc[rng.random(len(d)) < logistic(-1.2 + (d.y - 1.5)), "k"] = None
    return d, "y ~ k + z + (1 | g)", {"Intercept": 1.0, "k[T.b]": 0.6, "k[T.c]": 1.2, "z": 0.3}


KNOWN = (intercept, slopes, product, binary, binary_slopes, categories, level_two, cross_level)
DESIGNS = {design.__name__: design for design in KNOWN}


def main() -> None:
    """Simulate, impute, pool, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--m", type=int, default=10)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--design", choices=sorted(DESIGNS), nargs="*", default=sorted(DESIGNS))
    options = parser.parse_args()
    for design in options.design:
        found: list[dict[str, object]] = []
        for seed in tqdm(range(options.first, options.first + options.sets), design, disable=None):
            data, formula, truth = DESIGNS[design](np.random.default_rng(seed))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                imputed = ranef.impute(
                    formula,
                    data,
                    m=options.m,
                    cycles=options.cycles,
                    seed=seed,
                    workers=1,
                    progress=False,
                )
                fits = {"imputed": imputed.fit(), "complete rows": ranef.lmer(formula, data)}
                for treatment, fit in fits.items():
                    limits = fit.conf_int()
                    for name, right in truth.items():
                        low, high = limits.loc[name, ["lower", "upper"]]
                        error = fit.params[name] - right
                        row = {"treatment": treatment, "term": name, "error": error}
                        found.append({**row, "covered": low < right < high})
        table = pd.DataFrame(found).groupby(["treatment", "term"], sort=False)
        bias, spread = table.error.mean(), table.error.std() / np.sqrt(options.sets)
        shown = pd.DataFrame({"bias": bias, "mc_error": spread, "coverage": table.covered.mean()})
        print(f"\n{design}, {options.sets} sets, m = {options.m}\n{shown.round(4)}", flush=True)


if __name__ == "__main__":
    main()
