"""A batch from parquet to parquet: time beside the batch in memory, and memory as responses grow.

    python benchmarks/batch_stream.py [responses]

Writes responses to a file with a column each, fits them from there into a folder in a process of
its own, and prints fits a second and peak memory for m and 4 m responses.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ranef

FORMULA = "~ Days + (Days | Subject)"
BLOCK = 10_000

RUN = """
import json, resource, sys, time
import ranef
sleep = ranef.datasets.load("sleepstudy")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started, used = time.perf_counter(), time.process_time()
stored = ranef.fit_many(sys.argv[1], sleep, sys.argv[2], out=sys.argv[3], progress=False)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([time.perf_counter() - started, time.process_time() - used,
                  (peak - before) / 1e3, len(stored)]))
"""


def write(folder, count):
    """Write responses to files of 10,000 columns."""
    sleep = ranef.datasets.load("sleepstudy")
    rng = np.random.default_rng(1)
    for first in range(0, count, BLOCK):
        names = [f"g{i}" for i in range(first, min(first + BLOCK, count))]
        Y = sleep["Reaction"].to_numpy()[:, None] + 40 * rng.normal(size=(len(sleep), len(names)))
        pq.write_table(
            pa.table(dict(zip(names, Y.T, strict=True))), folder / f"{first:09d}.parquet",
            use_dictionary=False, write_statistics=False, compression="none",
        )  # fmt: skip


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    for m in (count, 4 * count):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "responses")
            source.mkdir()
            write(source, m)
            command = [sys.executable, "-c", RUN, FORMULA, str(source), str(Path(folder, "out"))]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, used, peak, fits = json.loads(done.stdout)
            size = sum(f.stat().st_size for f in source.iterdir()) / 1e6
            print(
                f"{fits:,} responses ({size:,.0f} MB): {seconds:.1f} s, {used:.1f} s of processor "
                f"time ({fits / used:,.0f} fits a second), {peak:,.0f} MB beside Python and data"
            )


if __name__ == "__main__":
    main()
