"""Estimating equations against geepack."""

import numpy as np
import pytest

import ranef
from oracle.regression_cases import cases, frame

CASES = cases("gee")
FITS = [(name, corr) for name, case in CASES.items() for corr in case["fits"]]

#: geepack stops when coefficients move by less than 1e-8 to 1e-4 of their size.
GEEPACK = 1e-6


def _fit(case, corr, **options):
    return ranef.gee(
        case["formula"],
        frame(case),
        groups=case["groups"],
        time=case["time"],
        family=case["family"],
        link=case["link"],
        corr=corr,
        weights=case["weights"],
        **options,
    )


@pytest.mark.parametrize(("name", "corr"), FITS)
def test_estimates_and_errors(name, corr):
    case, want = CASES[name], CASES[name]["fits"][corr]
    model = _fit(case, corr)
    assert model.converged
    assert model.n_clusters == want["n"]
    se = np.array(want["se"])
    np.testing.assert_allclose(model.params / se, want["beta"] / se, atol=GEEPACK)
    np.testing.assert_allclose(model.bse, se, rtol=GEEPACK)
    np.testing.assert_allclose(model.robust("naive").bse, want["naive"], rtol=GEEPACK)
    np.testing.assert_allclose(np.sort(model.corr_params), np.sort(want["alpha"]), atol=GEEPACK)
    assert model.scale == pytest.approx(want["phi"], rel=GEEPACK)


@pytest.mark.parametrize(
    ("name", "corr"), [f for f in FITS if "jackknife" in CASES[f[0]]["fits"][f[1]]]
)
def test_one_step_jackknife(name, corr):
    model = _fit(CASES[name], corr, vcov="jackknife")
    # geepack counts scale and correlation among the parameters that enlarge the jackknife.
    groups, p = model.n_clusters, len(model.params)
    extra = (groups - p - 1 - len(model.corr_params)) / (groups - p)
    np.testing.assert_allclose(
        model.bse * np.sqrt(extra), CASES[name]["fits"][corr]["jackknife"], rtol=GEEPACK
    )


@pytest.mark.parametrize(
    ("name", "corr"),
    [
        (name, corr)
        for name, corr in FITS
        if "qic" in CASES[name]["fits"][corr]
        and not CASES[name]["weights"]
        and CASES[name]["family"] != "gamma"
    ],
)
def test_quasi_likelihood_criteria(name, corr):
    # geepack leaves weights out of the quasi-likelihood, and its gamma terms are y / (mu - log mu)
    # where the quasi-likelihood has y / mu + log mu; such cases are left out.
    want = CASES[name]["fits"][corr]["qic"]
    ours = _fit(CASES[name], corr).qic()
    assert ours.quasi_likelihood == pytest.approx(want["Quasi Lik"], rel=GEEPACK)
    assert ours.cic == pytest.approx(want["CIC"], rel=1e-5)
    assert ours.qic == pytest.approx(want["QIC"], rel=GEEPACK)
    assert ours.qicu == pytest.approx(want["QICu"], rel=GEEPACK)
