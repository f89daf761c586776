"""Latent growth curves against lavaan."""

import functools
import json

import numpy as np
import pytest

import ranef
from oracle.structured_cases import EXPECTED, frame

CASES = json.loads((EXPECTED / "growth.json").read_text("utf-8"))["cases"]
COLUMNS = {
    "gpa_sim": ("gpa", "occasion", "student"),
    "gaps": ("gpa", "occasion", "student"),
    "nlme/Orthodont": ("distance", "age", "Subject"),
    "lme4/sleepstudy": ("Reaction", "Days", "Subject"),
}
FACTOR = {"intercept": "i", "slope": "s", "quadratic": "q"}

#: lavaan stops by relative changes of its criterion; its likelihoods are good to this.
LIKELIHOOD = 1e-6
#: In units of a standard error, and relative for errors.
ESTIMATE = 1e-4


@functools.cache
def fitted(name):
    case = CASES[name]
    outcome, time, groups = COLUMNS[case["data"]]
    d = frame(case["data"])
    sex = d["Sex"] if "Sex" in d else d.get("sex")
    if sex is not None:
        d["female"] = (sex.astype(str).str.lower() == "female").astype(float)
    return ranef.growth(outcome, d, time=time, groups=groups, **dict(case["args"]))


def _key(label, times):
    """lavaan's name of a parameter."""
    if label in FACTOR:
        return FACTOR[label], "~1", ""
    if " ~ " in label:
        factor, column = label.split(" ~ ")
        return FACTOR[factor], "~", column
    inner = label[label.index("(") + 1 : -1].split(", ")
    if inner[0] == "residual":
        occasion = f"t{inner[1] if len(inner) > 1 else times[0]}"
        return occasion, "~~", occasion
    return FACTOR[inner[0]], "~~", FACTOR[inner[-1]]


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_errors(name):
    model = fitted(name)
    rows = {(p["lhs"], p["op"], p["rhs"]): p for p in CASES[name]["parameters"]}
    assert model.converged
    assert model.information == ("observed" if "fiml" in name else "expected")
    for label, value in model.params.items():
        want = rows[_key(label, model.occasions)]
        assert abs(value - want["est"]) < ESTIMATE * want["se"], label
        assert model.bse[label] == pytest.approx(want["se"], rel=ESTIMATE), label


@pytest.mark.parametrize("name", CASES)
def test_likelihood_and_measures_of_fit(name):
    model, want = fitted(name), CASES[name]["measures"]
    fit = model.fit
    assert model.npar == want["npar"]
    assert model.llf == pytest.approx(want["logl"], abs=LIKELIHOOD)
    assert model.aic == pytest.approx(want["aic"], abs=4 * LIKELIHOOD)
    assert model.bic == pytest.approx(want["bic"], abs=4 * LIKELIHOOD)
    assert fit.unrestricted_llf == pytest.approx(want["unrestricted.logl"], abs=LIKELIHOOD)
    assert fit.chisq == pytest.approx(want["chisq"], abs=4 * LIKELIHOOD)
    assert fit.df == want["df"]
    assert fit.baseline_chisq == pytest.approx(want["baseline.chisq"], abs=4 * LIKELIHOOD)
    assert fit.baseline_df == want["baseline.df"]
    for ours, theirs in (
        (fit.pvalue, "pvalue"),
        (fit.cfi, "cfi"),
        (fit.tli, "tli"),
        (fit.rmsea, "rmsea"),
        (fit.rmsea_lower, "rmsea.ci.lower"),
        (fit.rmsea_upper, "rmsea.ci.upper"),
    ):
        assert ours == pytest.approx(want[theirs], abs=1e-5), theirs
    assert fit.srmr == pytest.approx(want["srmr"], abs=1e-5)


@pytest.mark.parametrize("name", [n for n in CASES if "gpa" in n])
def test_scores(name):
    ours = fitted(name).scores().iloc[:5].to_numpy()
    theirs = np.array(CASES[name]["scores"], float)
    if theirs.shape == ours.shape:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
