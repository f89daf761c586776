"""A simulation study of growth curves: 45 settings, 500 data sets each, 22,500 fits.

    python benchmarks/growth_study.py [workers]

10 to 100 clusters with 5 to 25 times, three sizes of the slopes' standard deviation. Prints the
seconds of the whole study and how many fits failed.
"""

import sys
import time

import numpy as np
import pandas as pd

import ranef

CLUSTERS = [10, 25, 50, 75, 100]
TIMES = [5, 15, 25]
SLOPES = [0.05, 0.1, 0.2]


def growth(clusters, times):
    """Rows of one design: time from -1 to 1."""
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(clusters), times),
            "time": np.tile(np.linspace(-1.0, 1.0, times), clusters),
        }
    )


def main():
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    started, used = time.perf_counter(), time.process_time()
    study = ranef.simulate_study(
        "y ~ time + (time | id)",
        growth,
        params={"Intercept": 1.0, "time": 0.1},
        varcorr=lambda slope: {"id": [[0.25, 0.2 * 0.5 * slope], [0.2 * 0.5 * slope, slope**2]]},
        sigma=0.5,
        settings={"clusters": CLUSTERS, "times": TIMES, "slope": SLOPES},
        n=500,
        seed=1,
        workers=workers,
    )
    table = study.table
    seconds, used = time.perf_counter() - started, time.process_time() - used
    counts = study.counts()
    print(table[table["term"] == "time"].iloc[::8].round(3).to_string(index=False))
    total = int(counts["n"].sum() + counts["failed"].sum())
    print(
        f"{total:,} fits in {len(counts)} settings, {int(counts['failed'].sum())} failed: "
        f"{seconds:.2f} s on {workers} workers ({used:.2f} s of processor time), "
        f"{20.0 / seconds:.1f} times faster than 20 s"
    )


if __name__ == "__main__":
    main()
