"""Rows beyond memory: one model over parquet, its memory and speed, beside a GROUP BY of DuckDB.

    python benchmarks/many_rows.py make rows100m.parquet 100_000_000
    python benchmarks/many_rows.py fit rows100m.parquet          # one process, its peak memory
    python benchmarks/many_rows.py group rows100m.parquet        # DuckDB on the same file
    python benchmarks/many_rows.py memory rows10m.parquet        # same rows in memory and in chunks

Two crossed factors of 100,000 and 1,000 levels, every level of one meeting any of the other, and
three covariates. Each command prints one line of JSON.
"""

import argparse
import json
import resource
import time

import ranef

FORMULA = "y ~ x1 + x2 + x3 + (1 | a) + (1 | b)"

ROWS = """
    WITH u AS (
        SELECT (hash(i) % 100000)::INTEGER AS a, (hash(i + 500000000000) % 1000)::INTEGER AS b,
               random() AS u1, random() AS u2, random() AS u3, random() AS u4, random() AS u5,
               random() AS u6
        FROM range({n}) t(i)
    ), z AS (
        SELECT a, b, sqrt(-2 * ln(1 - u1)) * cos(2 * pi() * u2) AS x1,
               sqrt(-2 * ln(1 - u1)) * sin(2 * pi() * u2) AS x2, u3 AS x3,
               sqrt(-2 * ln(1 - u4)) * cos(2 * pi() * u5) AS e
        FROM u
    )
    SELECT 10 + 0.5 * x1 - 0.3 * x2 + 0.2 * x3 + (hash(a) % 1000) / 500.0
           + (hash(b + 7) % 1000) / 1000.0 + e AS y, x1, x2, x3, a, b
    FROM z
"""

GROUPS = """
    SELECT {by}, count(*), sum(y), sum(x1), sum(x2), sum(x3)
    FROM read_parquet('{path}') GROUP BY {by}
"""


def connect(threads):
    import duckdb

    return duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})


def say(**figures):
    figures["cpu_seconds"] = time.process_time()
    figures["peak_memory_GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({k: shortened(v) for k, v in figures.items()}))


def shortened(value):
    return float(f"{value:.6g}") if isinstance(value, float) else value


def make(path, n):
    database = connect(2)
    database.execute("SELECT setseed(0.5)")
    database.execute(
        f"COPY ({ROWS.format(n=n)}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 500000)"
    )
    say(made=path, rows=n)


def fit(path):
    start = time.perf_counter()
    total = ranef.lmer(FORMULA, path)
    whole = time.perf_counter() - start
    say(
        rows=total.nobs,
        seconds=whole,
        rows_per_second=total.nobs / whole,
        llf=repr(float(total.llf)),
        sigma=total.sigma,
        sds=[float(c.to_numpy()[0, 0]) ** 0.5 for c in total.varcorr.values()],
    )


def group(path, threads=1):
    database = connect(threads)
    for by in ("a", "a, b"):
        start = time.perf_counter()
        n_groups = len(
            database.execute(GROUPS.format(by=by, path=path)).fetchnumpy()["count_star()"]
        )
        seconds = time.perf_counter() - start
        n = database.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()[0]
        say(group_by=by, groups=n_groups, seconds=seconds, rows_per_second=n / seconds)


def memory(path):
    import pandas as pd

    whole = ranef.lmer(FORMULA, pd.read_parquet(path))
    chunks = ranef.lmer(FORMULA, path)
    say(
        rows=whole.nobs,
        llf=repr(whole.llf),
        llf_relative_difference=abs(chunks.llf / whole.llf - 1),
        params_difference_in_se=float(((chunks.params - whole.params) / whole.bse).abs().max()),
        sigma_relative_difference=abs(chunks.sigma / whole.sigma - 1),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["make", "fit", "group", "memory"])
    parser.add_argument("path")
    parser.add_argument("number", nargs="?", type=int, help="rows to make, threads of DuckDB")
    asked = parser.parse_args()
    extra = () if asked.number is None else (asked.number,)
    {"make": make, "fit": fit, "group": group, "memory": memory}[asked.what](asked.path, *extra)
