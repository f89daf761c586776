"""Structures inside bars: CPU time of a fit, beside glmmTMB in the same run.

    python benchmarks/structured_terms.py
    python benchmarks/structured_terms.py --glmmTMB      where Rscript and glmmTMB are installed

The least of three fits with the coefficient table, on one thread; glmmTMB once, with its summary.
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

#: Formula, family (None is normal) and the family of glmmTMB.
CASES = {
    "ar1": ("y ~ x + ar1(0 + f | g)", None, "gaussian"),
    "cs": ("y ~ x + cs(0 + f | g)", None, "gaussian"),
    "toep": ("y ~ x + toep(0 + f | g)", None, "gaussian"),
    "ar1, counts": ("n ~ x + ar1(0 + f | g)", "poisson", "poisson"),
    "cs, counts": ("n ~ x + cs(0 + f | g)", "poisson", "poisson"),
}


def rows(groups: int = 300, times: int = 6, each: int = 2, seed: int = 1) -> pd.DataFrame:
    """Simulate groups with AR(1) effects of occasions."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), times * each)
    t = np.tile(np.repeat(np.arange(times), each), groups)
    lag = np.abs(np.subtract.outer(np.arange(times), np.arange(times)))
    effect = (rng.normal(size=(groups, times)) @ np.linalg.cholesky(0.6**lag).T)[g, t]
    frame = pd.DataFrame({"g": g, "f": np.array(list("abcdefghij"))[t]})
    frame["x"] = rng.normal(size=len(g))
    eta = 0.5 + 0.3 * frame["x"] + effect
    frame["y"] = eta + rng.normal(size=len(g))
    return frame.assign(n=rng.poisson(np.exp(0.7 * eta)))


def fit(frame: pd.DataFrame, formula: str, family: str | None) -> tuple[float, float]:
    """CPU time and log-likelihood."""
    start = time.process_time()
    if family is None:
        model = ranef.lmer(formula, frame)
    else:
        model = ranef.glmer(formula, frame, family=family)
    model.coef_table()
    return time.process_time() - start, model.llf


def theirs(frame: pd.DataFrame, formula: str, family: str) -> tuple[float, float]:
    """CPU time and log-likelihood of glmmTMB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        frame.to_csv(path, index=False)
        reml = "TRUE" if family == "gaussian" else "FALSE"
        script = (
            f"suppressMessages(library(glmmTMB)); d <- read.csv('{path}')\n"
            "d$g <- factor(d$g); d$f <- factor(d$f); s <- proc.time()\n"
            f"m <- glmmTMB({formula}, d, family = {family}, REML = {reml}); k <- summary(m)\n"
            "cat(sum((proc.time() - s)[1:2]), as.numeric(logLik(m)))"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    seconds, llf = map(float, done.stdout.split())
    return seconds, llf


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--glmmTMB", action="store_true")
    asked = parser.parse_args()
    frame = rows()
    for name in asked.cases:
        formula, family, of_tmb = CASES[name]
        seconds, llf = min(fit(frame, formula, family) for _ in range(3))
        line = f"{name:12s} {1e3 * seconds:8.1f} ms   llf {llf:.4f}"
        if asked.glmmTMB:
            other, their_llf = theirs(frame, formula, of_tmb)
            line += f"   glmmTMB {other:6.2f} s ({other / seconds:.0f} times), llf {their_llf:.4f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
