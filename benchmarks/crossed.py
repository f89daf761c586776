"""Large crossed factors by iteration: CPU seconds, and distance from the exact fit.

    python benchmarks/crossed.py                       # the small shapes, without exact fits
    python benchmarks/crossed.py linear_10k --exact    # -2 log L and theta against a factor
    python benchmarks/crossed.py logit_5k --seeds 200  # is the reported error honest?
    python benchmarks/crossed.py linear_50k --threads 2

Each fit prints one line of JSON. CPU seconds are those of the process, after a small fit that loads
what a first fit loads. `--seeds` fits again under other seeds and counts how often the exact
log-likelihood lies within two reported standard deviations; it makes the exact fit, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import ranef


def balanced(levels: int, each: int = 20, seed: int = 1) -> pd.DataFrame:
    """Each level of two factors in `each` rows, all standard deviations 0.5."""
    rng = np.random.default_rng(seed)
    a = np.repeat(np.arange(levels), each)
    b = rng.permutation(a)
    y = rng.normal(0, 0.5, levels)[a] + rng.normal(0, 0.5, levels)[b]
    return pd.DataFrame({"y": y + rng.normal(0, 0.5, len(a)), "a": a, "b": b})


def ratings(rows: int, users: int, items: int, seed: int = 1) -> pd.DataFrame:
    """Users by items, popularity falling off as in the MovieLens ratings."""
    rng = np.random.default_rng(seed)

    def drawn(n: int, power: float, offset: int) -> Any:
        weight = 1 / (np.arange(n) + offset) ** power
        return rng.choice(n, rows, p=weight / weight.sum()).astype(np.int32)

    a, b = drawn(users, 1.1, 60), drawn(items, 1.4, 120)
    y = 3.6 + rng.normal(0, 0.43, users)[a] + rng.normal(0, 0.72, items)[b]
    y = np.clip(np.round(y + rng.normal(0, 0.9, rows)), 1, 5)
    return pd.DataFrame({"y": y, "a": a, "b": b})


def answers(levels: int, each: int = 20, seed: int = 5) -> pd.DataFrame:
    """Yes and no, each level of two factors in `each` rows, one covariate."""
    rng = np.random.default_rng(seed)
    a = np.repeat(np.arange(levels), each)
    b, x = rng.permutation(a), rng.standard_normal(len(a))
    eta = 0.5 * x + rng.normal(0, 0.8, levels)[a] + rng.normal(0, 0.6, levels)[b]
    y = (rng.random(len(a)) < 1 / (1 + np.exp(-eta))).astype(float)
    return pd.DataFrame({"y": y, "x": x, "a": a, "b": b})


SHAPES: dict[str, Callable[[], pd.DataFrame]] = {
    "linear_300": lambda: balanced(300),
    "linear_5k": lambda: balanced(5_000),
    "linear_10k": lambda: balanced(10_000),
    "movielens_1m": lambda: ratings(1_000_209, 6_040, 3_706),
    "linear_50k": lambda: balanced(50_000),
    "movielens_10m": lambda: ratings(10_000_054, 69_878, 10_677),
    "movielens_25m": lambda: ratings(25_000_095, 162_541, 59_047),
    "logit_300": lambda: answers(300),
    "logit_5k": lambda: answers(5_000),
    "logit_50k": lambda: answers(50_000),
}
SMALL = ("linear_5k", "linear_10k", "movielens_1m", "linear_50k", "logit_5k")


def fit(name: str, frame: pd.DataFrame, **options: Any) -> tuple[Any, float]:
    """Fit a shape; the model and its CPU seconds."""
    before = time.process_time()
    if name.startswith("logit"):
        model = ranef.glmer("y ~ x + (1 | a) + (1 | b)", frame, family="binomial", **options)
    else:
        model = ranef.lmer("y ~ 1 + (1 | a) + (1 | b)", frame, reml=False, **options)
    return model, time.process_time() - before


def described(name: str, model: Any, seconds: float) -> dict[str, Any]:
    """Say what a fit took and found."""
    report = model.convergence
    return {
        "shape": name,
        "method": report.method,
        "cpu_seconds": round(seconds, 3),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "deviance": round(-2 * model.llf, 4),
        "reported_sd": round(2 * report.llf_error, 5),
        "theta": [round(abs(float(v)), 6) for v in model.theta],
    }


def honesty(name: str, frame: pd.DataFrame, exact: Any, seeds: int) -> dict[str, Any]:
    """Compare the error under many seeds with what is reported."""
    z = []
    for seed in range(seeds):
        model, _ = fit(name, frame, method="iterative", control=ranef.Control(seed=1 + seed))
        z.append((model.llf - exact.llf) / model.convergence.llf_error)
    within = float(np.mean(np.abs(z) < 2))
    return {"shape": name, "seeds": seeds, "within_two_sd": within, "rms": float(np.std(z))}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=[], choices=[*SHAPES, []])
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    for kind in ("linear_300", "logit_300"):  # what a first fit loads
        fit(kind, SHAPES[kind](), method="iterative")
    for name in asked.shapes or SMALL:
        frame = SHAPES[name]()
        found = fit(name, frame, method="iterative", threads=asked.threads)
        print(json.dumps(described(name, *found)))
        if asked.exact or asked.seeds:
            exact, seconds = fit(name, frame, method="exact")
            print(json.dumps(described(name, exact, seconds)))
        if asked.seeds:
            print(json.dumps(honesty(name, frame, exact, asked.seeds)))


if __name__ == "__main__":
    main()
