"""Rows of a design made of factors, grouped inside DuckDB or read one by one: time and fit.

    python benchmarks/repeated_rows.py [rows]

Ratings by 1,000 raters of 20 items in 4 conditions on 5 days; both fits in one process.
Prints one line of JSON.
"""

import json
import sys
import time
import warnings

import duckdb

import ranef
from ranef.chunks import source

FORMULA = "y ~ kind * day + (1 | rater) + (1 | item)"
ROWS = """
    CREATE TABLE rows AS
    SELECT 10 + kind * 0.3 + day * 0.1 + (hash(rater) % 100) / 50.0 + random() AS y,
           'k' || kind AS kind, day, rater, 'item' || item AS item
    FROM (SELECT i % 4 AS kind, (i // 4 % 5)::INTEGER AS day,
                 (hash(i // 20) % 1000)::INTEGER AS rater,
                 (hash(i // 20 + 1000000000) % 20)::INTEGER AS item
          FROM range({n}) t(i))
"""


def timed(data):
    wall, cpu = time.perf_counter(), time.process_time()
    model = ranef.lmer(FORMULA, data, progress=False)
    return model, time.perf_counter() - wall, time.process_time() - cpu


def main(n=10_000_000):
    warnings.simplefilter("ignore")
    database = duckdb.connect(config={"threads": 1})
    database.execute("SELECT setseed(0.5)")
    database.execute(ROWS.format(n=n))
    relation = database.table("rows")
    grouped, wall_grouped, cpu_grouped = timed(relation)
    source.repetition = lambda sums, data: None
    single, wall_single, cpu_single = timed(relation)
    figures = {
        "rows": n,
        "wall_ratio": wall_single / wall_grouped,
        "cpu_ratio": cpu_single / cpu_grouped,
        "cpu_seconds_grouped": cpu_grouped,
        "llf_relative_difference": abs(grouped.llf / single.llf - 1),
        "params_difference_in_se": ((grouped.params - single.params) / single.bse).abs().max(),
    }
    print(json.dumps({name: float(f"{value:.3g}") for name, value in figures.items()}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
