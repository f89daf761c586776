"""Single fits by structure of the random effects: time, evaluations, memory; beside lme4 if asked.

    python benchmarks/fits.py                      every case, as a table
    python benchmarks/fits.py crossed nested --json
    python benchmarks/fits.py --lme4               where Rscript and lme4 are installed

Each fit runs in a process of its own on one thread: the fitting call alone, formula to fitted
object, the least of three. Seconds on a shared machine drift; compare ratios of one run.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def levels(rng, count, rows, skew=0.0):
    """Level codes of a grouping factor as text, some levels more frequent than others."""
    weight = 1.0 / (np.arange(count) + 20.0) ** skew
    codes = rng.choice(count, rows, p=weight / weight.sum())
    return pd.Categorical.from_codes(codes, [f"g{i}" for i in range(count)])


def made(seed, rows, factors, slopes=()):
    """Responses with a standard normal x, random intercepts, and slopes for some factors."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=rows)})
    y = 1.0 + 0.5 * frame["x"] + rng.normal(size=rows)
    for name, count, skew in factors:
        frame[name] = levels(rng, count, rows, skew)
        codes = frame[name].cat.codes.to_numpy()
        y += 0.7 * rng.normal(size=count)[codes]
        if name in slopes:
            y += 0.4 * rng.normal(size=count)[codes] * frame["x"]
    return frame.assign(y=y)


def nested(seed, schools, rooms, pupils):
    """Pupils in rooms in schools."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), rooms * pupils)
    room = np.repeat(np.arange(schools * rooms), pupils)
    y = rng.normal(size=schools)[school] + 0.7 * rng.normal(size=schools * rooms)[room]
    x = rng.normal(size=len(room))
    return pd.DataFrame(
        {"y": y + rng.normal(size=len(room)), "x": x, "school": school, "room": room}
    )


CASES = {
    "scalar": ("y ~ x + (1 | a)", lambda: made(1, 200_000, [("a", 5_000, 0)])),
    "slopes": ("y ~ x + (x | a)", lambda: made(2, 200_000, [("a", 5_000, 0)], ("a",))),
    "nested": ("y ~ x + (1 | school/room)", lambda: nested(3, 500, 10, 40)),
    "crossed": (
        "y ~ x + (1 | a) + (1 | b)",
        lambda: made(4, 100_000, [("a", 3_000, 0.8), ("b", 1_200, 0.8)]),
    ),
    "crossed slopes": (
        "y ~ x + (x | a) + (x | b)",
        lambda: made(5, 20_000, [("a", 300, 0), ("b", 100, 0)], ("a", "b")),
    ),
    "five crossed": (
        "y ~ x + " + " + ".join(f"(1 | {f})" for f in "abcde"),
        lambda: made(6, 30_000, [(f, 150 - 20 * i, 0) for i, f in enumerate("abcde")]),
    ),
    "small": ("y ~ x + (x | a)", lambda: made(7, 200, [("a", 20, 0)], ("a",))),
}

LME4 = """
suppressMessages(library(lme4)); a <- commandArgs(TRUE)
d <- read.csv(a[1], stringsAsFactors = TRUE)
for (f in intersect(names(d), c("school", "room"))) d[[f]] <- factor(d[[f]])
invisible(lmer(Reaction ~ Days + (1 | Subject), sleepstudy))
t <- system.time(m <- lmer(as.formula(a[2]), d))[["elapsed"]]
cat(sprintf('{"seconds": %.6f, "objective": %.8f}', t, REMLcrit(m)))
"""


def fit(name):
    """Fit one case in this process and print what it took."""
    import ranef
    from ranef import _core

    formula, make = CASES[name]
    frame = make()
    ranef.lmer("y ~ x + (1 | a)", made(0, 100, [("a", 10, 0)]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model = ranef.lmer(formula, frame)
        seconds.append(time.perf_counter() - start)
    report = model.convergence
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    row = {
        "case": name,
        "seconds": min(seconds),
        "objectives": report.n_objective,
        "gradients": report.n_gradient,
        "megabytes": grown / 1024,
        "objective": -2.0 * model.llf,
        "isa": _core.isa,
        "version": ranef.__version__,
    }
    print(json.dumps(row))


def beside(name):
    """Fit the same case by lme4: seconds and criterion."""
    formula, make = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        make().to_csv(path, index=False)
        command = ["Rscript", "--vanilla", "-e", LME4, str(path), formula]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--json", action="store_true", help="a line of JSON for each case")
    parser.add_argument("--lme4", action="store_true", help="fit by lme4 too")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md, with lme4")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return fit(options.one)
    options.lme4 |= options.page
    if options.lme4 and not shutil.which("Rscript"):
        parser.error("Rscript is not installed")
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    rows = []
    for name in options.cases or CASES:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
        row = json.loads(done.stdout.splitlines()[-1])
        if options.lme4:
            other = beside(name)
            row["lme4"] = other["seconds"] / row["seconds"]
            row["lower"] = other["objective"] - row["objective"]
        rows.append(row)
        if options.json:
            print(json.dumps(row), flush=True)
            continue
        line = (
            f"{name:15} {row['seconds']:9.4f} s  {row['objectives']:3} objectives "
            f"{row['gradients']:3} gradients  +{row['megabytes']:.0f} MB"
        )
        if options.lme4:
            line += f"  {row['lme4']:.0f} x lme4's speed, criterion lower by {row['lower']:.1e}"
        print(line, flush=True)
    if options.page:
        PAGE.write_text(page(rows), encoding="utf-8")


def page(rows):
    """Write the page of the documentation."""
    head = (
        "# Benchmarks\n\n"
        "Written by `benchmarks/fits.py --page`; nothing on this page is typed. Each case is "
        "fitted on one thread, from the formula to the fitted object, by ranef and by lme4 one "
        "after the other on the same machine, the least of three. Machines differ, so read the "
        "ratio, not the seconds. The last column is by how much ranef's criterion, "
        "-2 log-likelihood, is lower.\n\n"
        "| case | formula | rows | ranef | lme4 | ratio | memory added | criterion lower by |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    lines = []
    for row in rows:
        formula, make = CASES[row["case"]]
        written = formula.replace("|", "\\|")
        seconds, ratio = row["seconds"], row["lme4"]
        lines.append(
            f"| {row['case']} | `{written}` | {len(make()):,} | {seconds:.2g} s "
            f"| {seconds * ratio:.2g} s | {ratio:.0f} | {row['megabytes']:.0f} MB "
            f"| {row['lower']:.0e} |"
        )
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
