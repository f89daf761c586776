"""Over models of R packages, whose optima are known, findings are those that the data call for."""

import pytest

import ranef
from oracle.lmm_cases import CASES, fitted, frame

#: Findings that good data and a finished search never have.
NEVER = {
    "not-converged",
    "not-estimable",
    "labels-reused",
    "same-groups",
    "random-aliased",
    "flat-ridge",
    "effects-as-many-as-rows",
    "slope-constant-within",
    "one-row-levels",
    "few-rows-a-level",
    "rows-without-information",
    "slope-units",
}
#: Where levels end early, and where crossed factors fall apart.
DROPOUT = {"sleepstudy_missing_reml", "fatigue_ml"}
UNCONNECTED = {"insteval_service_dept_reml"}


@pytest.mark.parametrize("name", CASES)
def test_findings_are_those_that_the_data_call_for(name):
    case = CASES[name]
    model, caught = fitted(name)
    codes = set(ranef.diagnose(model).codes)
    assert not codes & NEVER
    assert bool(codes & {"zero-variance", "correlation-one"}) == case["is_singular"]
    assert ("few-levels" in codes) == (min(model.ngroups.values()) < 20)
    assert ("aliased" in codes) == bool(case.get("aliased"))
    assert ("missing-rows" in codes) == (case["nobs"] < len(frame(case)))
    assert ("intercept-far-from-data" in codes) == ("year" in name)
    assert ("dropout" in codes) == (name in DROPOUT)
    assert ("unconnected" in codes) == (name in UNCONNECTED)
    assert ranef.ConvergenceWarning not in caught
    assert (ranef.SingularFitWarning in caught) == case["is_singular"]
