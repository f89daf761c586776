"""Two versions of ranef on the same work, in turn, as ratios.

    python benchmarks/compare.py OLD NEW [case ...] [--rounds 7]

OLD and NEW are interpreters of environments with ranef installed, or folders that hold the package
``ranef`` with its compiled core. Every round runs both, each in a process of its own on one thread;
printed are the least processor times and their ratio, new over old. Seconds of a shared machine
drift by a factor of two within minutes; ratios of one run are what can be quoted.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

WORK = {
    "import": ("import pandas, formulaic", "import ranef; ranef.lmer; ranef.LinearMixedModel", 1),
    "sleepstudy": (
        "import ranef; d = ranef.datasets.load('sleepstudy')",
        "ranef.lmer('Reaction ~ Days + (Days | Subject)', d)",
        300,
    ),
    "summary": (
        "import ranef; d = ranef.datasets.load('sleepstudy');"
        "m = ranef.lmer('Reaction ~ Days + (Days | Subject)', d)",
        "str(m.summary())",
        100,
    ),
    "insteval": (
        "import ranef; d = ranef.datasets.load('InstEval')",
        "ranef.lmer('y ~ 1 + (1 | s) + (1 | d) + (1 | dept:service)', d)",
        2,
    ),
    "cbpp": (
        "import ranef; d = ranef.datasets.load('cbpp')",
        "ranef.glmer('cbind(incidence, size - incidence) ~ period + (1 | herd)', d,"
        " family='binomial')",
        30,
    ),
    "pairs": (
        "import numpy as np, pandas as pd, ranef; r = np.random.default_rng(1);"
        "g = np.repeat(np.arange(100_000), 2); x = r.normal(size=200_000);"
        "d = pd.DataFrame({'g': g, 'x': x, 'y': x + r.normal(size=100_000)[g]"
        " + r.normal(size=200_000)})",
        "ranef.lmer('y ~ x + (1 | g)', d)",
        3,
    ),
}

RUN = """
import time, warnings
warnings.simplefilter("ignore")
{setup}
def work():
    {work}
if {repeats} > 1:
    work()
best = float("inf")
for _ in range(3 if {repeats} > 1 else 1):
    start = time.process_time()
    for _ in range({repeats}):
        work()
    best = min(best, (time.process_time() - start) / {repeats})
print(best)
"""


def command(place):
    """The interpreter and the environment of a version."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if Path(place).is_dir():
        return sys.executable, {**env, "PYTHONPATH": str(place)}
    return place, env


def seconds(place, case):
    """Processor time of a case under a version."""
    setup, work, repeats = WORK[case]
    python, env = command(place)
    code = RUN.format(setup=setup, work=work, repeats=repeats)
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=env, check=True)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("cases", nargs="*", help=", ".join(WORK))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"{'case':<12}{'old ms':>10}{'new ms':>10}{'ratio':>8}")
    for case in options.cases or WORK:
        times = [
            (seconds(options.old, case), seconds(options.new, case)) for _ in range(options.rounds)
        ]
        old, new = (min(pair) for pair in zip(*times, strict=True))
        print(f"{case:<12}{1e3 * old:10.3f}{1e3 * new:10.3f}{new / old:8.3f}", flush=True)


if __name__ == "__main__":
    main()
