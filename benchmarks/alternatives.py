"""The regression side against other packages, all in one run.

    python benchmarks/alternatives.py [rounds]

Prints the figures of docs/alternatives.md: median seconds of ranef and of the other package over
alternating rounds, and their ratio. Least squares is timed by the clock, for pyfixest takes all
cores; estimating equations, which take one, by processor time, which other work on the machine
disturbs less. Needs ``pip install pyfixest statsmodels``; geepack is timed where Rscript finds it.
A package that is not there is left out.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # idle threads of BLAS would count as work

import numpy as np
import pandas as pd

import ranef

GEEPACK = """
suppressMessages(library(geepack)); d <- read.csv("{path}")
for (r in c("y", "b", "c")) for (corr in c("exchangeable", "ar1")) {{
  family <- list(y = gaussian, b = binomial, c = poisson)[[r]]
  s <- system.time(geeglm(as.formula(paste(r, "~ x + z")), data = d, id = g, corstr = corr,
                          family = family))
  s <- s[["user.self"]] + s[["sys.self"]]
  cat(r, corr, s, "\\n")
}}
"""
FAMILIES = {"y": "gaussian", "b": "binomial", "c": "poisson"}
CORRELATIONS = ("exchangeable", "ar1")


def seconds(run, clock=time.perf_counter):
    """How long a call takes."""
    start = clock()
    run()
    return clock() - start


def compare(label, runs, rounds, clock=time.perf_counter):
    """Time the calls in turn, and print the medians and their ratios to the first."""
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run, clock))
    middle = {name: statistics.median(found) for name, found in times.items()}
    ours, *others = middle.values()
    told = " ".join(f"{name} {value:.3f} s" for name, value in middle.items())
    ratios = " ".join(f"{value / ours:.1f}" for value in others)
    print(f"{label:<46}{told}  ratio {ratios}" if others else f"{label:<46}{told}", flush=True)


def clustered():
    """50,000 clusters of 5 rows, with a response for each family."""
    rng = np.random.default_rng(0)
    g, t = np.divmod(np.arange(250_000), 5)
    x, z, u = rng.normal(size=len(g)), rng.normal(size=50_000)[g], rng.normal(size=50_000)[g]
    return pd.DataFrame(
        {
            "g": g,
            "t": t,
            "x": x,
            "z": z,
            "y": 1.0 + 0.5 * x + 0.2 * z + u + rng.normal(size=len(g)),
            "b": (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-0.3 * x - 0.2 * z - u))).astype(int),
            "c": rng.poisson(np.exp(0.2 * x + 0.1 * z + 0.3 * u)),
        }
    )


def equations(d, response, corr):
    """The fit that is timed, by ranef."""
    return lambda: ranef.gee(
        f"{response} ~ x + z", d, groups="g", time="t", family=FAMILIES[response], corr=corr
    )


def time_gee(rounds):
    """Estimating equations."""
    d = clustered()
    try:
        import statsmodels.api as sm
    except ImportError:
        print("statsmodels is not installed")
    else:
        family = {"y": sm.families.Gaussian, "b": sm.families.Binomial, "c": sm.families.Poisson}
        for response in FAMILIES:
            other = lambda r=response: sm.GEE.from_formula(  # noqa: E731
                f"{r} ~ x + z", "g", d, family=family[r](), cov_struct=sm.cov_struct.Exchangeable()
            ).fit()
            runs = {"ranef": equations(d, response, "exchangeable"), "statsmodels": other}
            equations(d, response, "exchangeable")()
            compare(f"GEE {FAMILIES[response]}, exchangeable", runs, 1, time.process_time)
    if shutil.which("Rscript") is None:
        print("Rscript is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        d.to_csv(path, index=False)
        done = subprocess.run(
            ["Rscript", "-e", GEEPACK.format(path=path)], capture_output=True, text=True
        )
    for line in done.stdout.splitlines():
        response, corr, other = line.split()
        run = equations(d, response, corr)
        ours = statistics.median(seconds(run, time.process_time) for _ in range(rounds))
        label = f"GEE {FAMILIES[response]}, {corr}"
        print(f"{label:<46}ranef {ours:.3f} s geepack {other} s  ratio {float(other) / ours:.1f}")
    print(done.stderr, end="")


def million():
    """A million rows of two crossed factors, and clusters."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    d = pd.DataFrame(
        {
            "a": rng.integers(0, 50_000, n),
            "b": rng.integers(0, 1_000, n),
            "g": rng.integers(0, 10_000, n),
        }
    )
    d["x"], d["z"] = rng.normal(size=n), rng.normal(size=n) + 0.01 * d["b"]
    d["y"] = (
        d["x"] - 0.5 * d["z"] + rng.normal(size=50_000)[d["a"]] + rng.normal(size=1_000)[d["b"]]
    )
    d["y"] += rng.normal(size=n) + rng.normal(size=10_000)[d["g"]]
    return d


def time_absorption(d, rounds):
    """Two absorbed factors."""
    plain = {"ranef": lambda: ranef.feols("y ~ x + z", d, absorb=["a", "b"])}
    by_a = {"ranef": lambda: ranef.feols("y ~ x + z", d, absorb=["a", "b"], cluster="a")}
    try:
        import pyfixest
    except ImportError:
        print("pyfixest is not installed")
    else:
        formula = "y ~ x + z | a + b"
        plain["pyfixest"] = lambda: pyfixest.feols(formula, d, vcov="iid")
        by_a["pyfixest"] = lambda: pyfixest.feols(formula, d, vcov={"CRV1": "a"})
        plain["pyfixest"]()  # what it compiles is not timed
    compare("feols, two absorbed factors", plain, rounds)
    compare("feols, two absorbed factors, clustered", by_a, rounds)


def movers():
    """A million rows of 100,000 workers, of whom one in twenty changes to a firm nearby."""
    rng = np.random.default_rng(0)
    worker, year = np.divmod(np.arange(1_000_000), 10)
    firm = rng.integers(0, 10_000, 100_000)[worker]
    moves = (rng.random(100_000) < 0.05)[worker] & (year >= 5)
    firm = np.where(moves, (firm + rng.integers(1, 3, 100_000)[worker]) % 10_000, firm)
    d = pd.DataFrame({"worker": worker, "firm": firm, "x": rng.normal(size=len(firm))})
    d["y"] = d["x"] + rng.normal(size=100_000)[worker] + rng.normal(size=10_000)[firm]
    d["y"] += rng.normal(size=len(d))
    return d


def time_hardly_connected(rounds):
    """Factors whose levels few rows connect."""
    d = movers()
    run = {"ranef": lambda: ranef.feols("y ~ x", d, absorb=["worker", "firm"])}
    compare("feols, workers and firms, few moves", run, rounds)


def time_robust(d, rounds):
    """Covariances with 10,000 clusters, coefficient table included."""
    models = {
        "feols": ranef.feols("y ~ x + z", d),
        "lmer": ranef.lmer("y ~ x + z + (1 | g)", d),
        "gee": ranef.gee("y ~ x + z", d, groups="g"),
    }
    for kind in ("CR2", "CR3"):
        for name, model in models.items():
            run = lambda m=model, k=kind: m.robust(k, cluster="g").coef_table()  # noqa: E731
            compare(f"{kind} of {name}, 10,000 clusters", {"ranef": run}, rounds)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    warnings.simplefilter("ignore")
    d = million()
    time_absorption(d, rounds)
    time_hardly_connected(rounds)
    time_robust(d, rounds)
    time_gee(rounds)


if __name__ == "__main__":
    main()
