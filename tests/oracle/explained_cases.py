"""Expected intervals, proportions of variance and conditional AICs of R, and their data."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import pandas as pd

import ranef
from oracle.lmm_cases import raw

_FILE = Path(__file__).parent / "expected" / "explained.json"
_ALL = json.loads(_FILE.read_text(encoding="utf-8"))
CASES = {area: {case["name"]: case for case in _ALL[area]} for area in ("profile", "r2", "caic")}

FACTORS = {
    "nlme/Assay": ("sample", "dilut"),
    "datasets/ChickWeight": ("Diet",),
}


def frame(case):
    """The case's data: numbers that R holds as factors made so, weights added."""
    data = raw(case["data"])
    for column in FACTORS.get(case["data"], ()):
        data[column] = data[column].astype(str)
    if case["data"] == "nlme/Orthodont":
        data["Sex"] = pd.Categorical(data["Sex"], ["Male", "Female"])
    return data.assign(wt=1 / (1 + data["Days"])) if case.get("weights") else data


@functools.cache
def fitted(area, name):
    """One case's model, fitted once."""
    case = CASES[area][name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        return ranef.lmer(
            case["formula"], frame(case), reml=case.get("reml", True), weights=case.get("weights")
        )
