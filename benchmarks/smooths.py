"""A smooth beside random intercepts: CPU time of a fit, beside mgcv and gamm4 in the same run.

    python benchmarks/smooths.py
    python benchmarks/smooths.py --bam --gamm4      where Rscript and the packages are installed

20,000 rows, one curve, 500 groups. The least of three fits with the table of smooths, on one
thread; bam(discrete = TRUE) the least of three, gamm4 once.
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

FORMULA = "y ~ s(x) + (1 | g)"
#: Packages: their call, and the edf of the curve and the residual standard deviation of it.
CALLS = {
    "bam": (
        "mgcv",
        "bam(y ~ s(x) + s(g, bs = 're'), data = d, discrete = TRUE)",
        "c(sum(m$edf[2:10]), sqrt(m$sig2))",
        3,
    ),
    "gamm4": (
        "gamm4",
        "gamm4(y ~ s(x), random = ~ (1 | g), data = d)",
        "c(sum(m$gam$edf[-1]), sigma(m$mer))",
        1,
    ),
}


def rows(n: int = 20_000, groups: int = 500, seed: int = 1) -> pd.DataFrame:
    """Simulate the rows."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.uniform(0, 10, n), "g": rng.integers(0, groups, n)})
    frame["y"] = np.sin(frame["x"]) + rng.normal(size=groups)[frame["g"]] + rng.normal(size=n)
    return frame


def fit(frame: pd.DataFrame) -> tuple[float, float, float]:
    """CPU time, edf and sigma."""
    start = time.process_time()
    model = ranef.lmer(FORMULA, frame)
    edf = float(model.smooths["edf"].iloc[0])
    return time.process_time() - start, edf, model.sigma


def other(frame: pd.DataFrame, name: str) -> tuple[float, ...]:
    """CPU time, edf and sigma of another package."""
    package, call, said, times = CALLS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        frame.to_csv(path, index=False)
        script = (
            f"suppressMessages(library({package})); d <- read.csv('{path}'); d$g <- factor(d$g)\n"
            f"best <- Inf\nfor (i in 1:{times}) {{ s <- proc.time(); m <- {call}\n"
            f"best <- min(best, sum((proc.time() - s)[1:2])) }}\ncat(best, {said})"
        )
        done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def main() -> None:
    """Print a line a package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in CALLS:
        parser.add_argument(f"--{name}", action="store_true")
    asked = vars(parser.parse_args())
    frame = rows()
    seconds, edf, sigma = min(fit(frame) for _ in range(3))
    print(f"ranef  {seconds:8.3f} s   edf {edf:.3f}   sigma {sigma:.5f}", flush=True)
    for name in (name for name in CALLS if asked[name]):
        theirs, edf, sigma = other(frame, name)
        print(
            f"{name:6s} {theirs:8.3f} s   edf {edf:.3f}   sigma {sigma:.5f}   "
            f"{theirs / seconds:.0f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
