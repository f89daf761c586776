"""Fits a second of batches, on one core, and beside lme4's refit and on two workers.

    python benchmarks/batch_speed.py [repeats]

Prints, for each case, the best of some runs in fits a second of processor time, its ratio to the
goal, and the largest difference of the criterion (-2 log-likelihood) from single fits of a sample.
With R and lme4 on the path, lme4::refit by maximum likelihood on the same responses is timed too.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import ranef

SAMPLE = 40

REFIT = """
suppressMessages(library(lme4))
d <- read.csv("design.csv"); Y <- as.matrix(read.csv("responses.csv"))
m <- suppressMessages(lmer(update(FORMULA, y ~ .), transform(d, y = Y[, 1]), REML = FALSE))
best <- Inf
for (i in 1:REPEATS) {
  t <- system.time(for (j in seq_len(ncol(Y))) suppressMessages(suppressWarnings(
    f <- refit(m, Y[, j]))))
  best <- min(best, t[["user.self"]] + t[["sys.self"]])
}
cat(ncol(Y) / best, "\\n")
"""


def sleepstudy(formula, count):
    """Responses drawn from the model fitted to the reaction times."""
    sleep = ranef.datasets.load("sleepstudy")
    model = ranef.lmer("Reaction " + formula, sleep)
    return sleep, model.simulate(count, seed=1)


def crossed(count):
    """200 subjects and 40 items, 2,000 rows."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(200), 10)
    item = np.concatenate([rng.choice(40, 10, replace=False) for _ in range(200)])
    data = pd.DataFrame({"subject": subject, "item": item, "x": rng.normal(size=2000)})
    Y = rng.normal(size=(2000, count))
    Y += rng.normal(size=(200, count))[subject] + 0.7 * rng.normal(size=(40, count))[item]
    return data, Y


def speed(formula, data, Y, repeats, workers=1, clock=time.process_time):
    """Fits a second, the best of some runs, and the last result."""
    best = np.inf
    for _ in range(repeats):
        started = clock()
        batch = ranef.fit_many(formula, data, Y, reml=False, workers=workers, progress=False)
        best = min(best, clock() - started)
    assert set(batch.counts().index) == {"converged"}, batch
    return Y.shape[1] / best, batch


def difference(formula, data, Y, batch):
    """Largest difference of -2 log-likelihood from single fits of a sample."""
    chosen = np.linspace(0, Y.shape[1] - 1, SAMPLE).astype(int)
    worst = 0.0
    for j in chosen:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = ranef.lmer("y " + formula, {**dict(data), "y": Y[:, j]}, reml=False)
        worst = max(worst, abs(-2.0 * (one.llf - batch.fits["llf"][j])))
    return worst


def refit_speed(formula, data, Y, repeats):
    """Fits a second of lme4::refit by maximum likelihood, None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame(data).to_csv(Path(folder, "design.csv"), index=False)
        pd.DataFrame(Y).to_csv(Path(folder, "responses.csv"), index=False)
        code = REFIT.replace("FORMULA", formula).replace("REPEATS", str(repeats))
        run = subprocess.run(
            ["Rscript", "-e", code], cwd=folder, capture_output=True, text=True, check=False
        )
    return float(run.stdout) if run.returncode == 0 and run.stdout.strip() else None


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    slope, intercept = "~ Days + (Days | Subject)", "~ Days + (1 | Subject)"
    cases = [
        ("slope, sleepstudy", slope, *sleepstudy(slope, 20_000), 10_000),
        ("intercept, sleepstudy", intercept, *sleepstudy(intercept, 20_000), 40_000),
        ("200 x 40 crossed", "~ x + (1 | subject) + (1 | item)", *crossed(600), 300),
    ]
    for name, formula, data, Y, goal in cases:
        found, batch = speed(formula, data, Y, repeats)
        print(
            f"{name}: {found:,.0f} fits a second, {found / goal:.1f} x the goal of {goal:,}; "
            f"criteria within {difference(formula, data, Y, batch):.1e} of {SAMPLE} single fits"
        )
        refits = refit_speed(formula, data, Y[:, : min(200, Y.shape[1])], 2)
        if refits is None:
            print("  lme4 is not there to compare with")
        else:
            print(f"  lme4::refit: {refits:,.0f} a second, ranef {found / refits:,.0f} x")
    for name, formula, data, Y, _ in cases:
        print(f"{name}: {scaling(formula, data, np.tile(Y, 3), repeats)}")


def scaling(formula, data, Y, turns):
    """Compare one and two workers, in turns, so that both meet the same company."""
    clock, used = {1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}
    for _ in range(turns):
        for workers in clock:
            started = time.process_time()
            rate = speed(formula, data, Y, 1, workers, time.perf_counter)[0]
            clock[workers] = max(clock[workers], rate)
            used[workers] = max(used[workers], Y.shape[1] / (time.process_time() - started))
    return (
        f"two workers give {clock[2] / clock[1]:.2f} x one by the clock, at "
        f"{used[1] / used[2]:.2f} x the processor time"
    )


if __name__ == "__main__":
    main()
