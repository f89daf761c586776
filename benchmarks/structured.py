"""Structured residuals: time of a fit, beside nlme in the same run if asked.

    python benchmarks/structured.py
    python benchmarks/structured.py --nlme        where Rscript and nlme are installed

The least of three fits, formula to fitted object with its coefficient table, on one thread; nlme
once, by its defaults.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

import ranef


def rows(groups, times, drop=0.0, seed=1):
    """Groups observed at equal times with AR(1) residuals, two covariates."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), times), np.tile(np.arange(times), groups)
    e = rng.normal(size=(groups, times))
    for j in range(1, times):
        e[:, j] = 0.6 * e[:, j - 1] + 0.8 * e[:, j]
    arm = rng.choice(["a", "b"], groups)[g]
    base = rng.normal(size=groups)[g]
    d = pd.DataFrame({"g": g, "t": t, "arm": arm, "base": base})
    d["y"] = 1.0 + 0.3 * t + 0.5 * base + 0.2 * (arm == "b") * t + e.ravel() * (1.0 + 0.1 * t)
    return d[rng.random(len(d)) >= drop].reset_index(drop=True)


ROLES = {"groups": "g", "time": "t"}
FORMULA = "y ~ C(t) * arm + base"
R_FORMULA = "y ~ factor(t) * arm + base"
LEVELS = "weights = varIdent(form = ~ 1 | t)"

#: name: rows, formula and options of ranef.gls, call of nlme.
CASES = {
    "unstructured": (
        lambda: rows(2000, 6),
        FORMULA,
        {"corr": "unstructured", "variance": "t", **ROLES},
        f"gls({R_FORMULA}, d, correlation = corSymm(form = ~ place | g), {LEVELS})",
    ),
    "unstructured_gaps": (
        lambda: rows(2000, 6, 0.15),
        FORMULA,
        {"corr": "unstructured", "variance": "t", **ROLES},
        f"gls({R_FORMULA}, d, correlation = corSymm(form = ~ place | g), {LEVELS})",
    ),
    "ar1": (
        lambda: rows(2000, 6),
        FORMULA,
        {"corr": "ar1", **ROLES},
        f"gls({R_FORMULA}, d, correlation = corAR1(form = ~ t | g))",
    ),
    "ar1_intercept": (
        lambda: rows(2000, 6),
        "y ~ t * arm + base + (1 | g)",
        {"corr": "ar1", **ROLES},
        "lme(y ~ t * arm + base, d, random = ~ 1 | g, correlation = corAR1(form = ~ t | g))",
    ),
    "slope_varident": (
        lambda: rows(2000, 6, 0.15),
        "y ~ t * arm + base + (t | g)",
        {"variance": "t", **ROLES},
        f"lme(y ~ t * arm + base, d, random = ~ t | g, {LEVELS}, "
        "control = lmeControl(msMaxIter = 500, maxIter = 200))",
    ),
}


def fit(data, formula, options):
    """Fit with tests, and its time."""
    start = time.perf_counter()
    model = ranef.gls(formula, data, **options)
    table = model.coef_table()
    return time.perf_counter() - start, model, table


def nlme(data, call):
    """Time of nlme's call and its log-likelihood."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        data.assign(place=data["t"] + 1).to_csv(path, index=False)
        script = (
            f"library(nlme); d <- read.csv('{path}'); d$g <- factor(d$g)\n"
            f"s <- proc.time()[3]; m <- {call}; s <- proc.time()[3] - s\n"
            "cat(s, as.numeric(logLik(m)))"
        )
        out = subprocess.run(
            ["Rscript", "-e", script], capture_output=True, text=True, check=True
        ).stdout
    return tuple(map(float, out.split()))


def main():
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--nlme", action="store_true")
    args = parser.parse_args()
    for name in args.cases:
        make, formula, options, call = CASES[name]
        data = make()
        runs = [fit(data, formula, options) for _ in range(3)]
        seconds, model, _ = min(runs, key=lambda run: run[0])
        line = f"{name:18s} {1e3 * seconds:8.1f} ms   llf {model.llf:.4f}"
        if args.nlme:
            theirs, llf = nlme(data, call)
            line += f"   nlme {theirs:6.2f} s ({theirs / seconds:.0f} times), llf {llf:.4f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
