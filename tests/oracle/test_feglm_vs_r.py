"""Poisson regression with dummies by R's glm, and exact conditional logit by survival."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef

R = json.loads((Path(__file__).parent / "expected" / "feglm.json").read_text())
CBPP = ranef.datasets.load("cbpp")


def counts():
    seen = CBPP[CBPP.groupby("herd", observed=True)["incidence"].transform("sum") > 0]
    formula = "incidence ~ period + offset(np.log(size))"
    return ranef.feglm(formula, seen, family="poisson", absorb="herd")


@pytest.mark.filterwarnings("ignore::ranef.errors.DroppedRowsWarning")
def animals():
    single = CBPP.loc[CBPP.index.repeat(CBPP["size"])].copy()
    single["ill"] = (single.groupby(level=0).cumcount() < single["incidence"]).astype(int)
    return ranef.feglm("ill ~ period", single, family="binomial", absorb="herd")


def infert():
    frame = pd.DataFrame(R["data"])
    return ranef.feglm("case ~ spontaneous + induced", frame, family="binomial", absorb="stratum")


@pytest.mark.filterwarnings("ignore::ranef.errors.DroppedRowsWarning")
@pytest.mark.parametrize("fit", [counts, animals, infert], ids=lambda fit: fit.__name__)
def test_estimates_errors_and_likelihood_are_rs(fit):
    expected, model = R[fit.__name__], fit()
    np.testing.assert_allclose(model.params, expected["estimates"], rtol=1e-8)
    np.testing.assert_allclose(model.bse, expected["errors"], rtol=1e-7)
    assert model.llf == pytest.approx(expected["llf"], abs=1e-8)
