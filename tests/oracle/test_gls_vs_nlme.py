"""Correlated and unequal residuals against nlme and glmmTMB."""

import numpy as np
import pytest

from oracle.lmm_cases import plain
from oracle.structured_cases import CASES, FITS, expected, fitted

#: nlme stops by relative changes, and glmmTMB by a rough gradient: log-likelihoods agree to this.
LIKELIHOOD = 2e-6
#: Estimates and errors, relative, or in units of a standard error: the root of the likelihood's.
ESTIMATE = 3e-4

NLME = [(name, reml) for name, reml in FITS if "se" in expected(name, reml)]
TMB = [(name, reml) for name, reml in FITS if "se" not in expected(name, reml)]


def _by_name(values):
    return {plain(name): value for name, value in values.items()}


def _matrices(found):
    """Covariance matrices of random effects, the outermost group first."""
    return list(found.values()) if isinstance(found, dict) else found or []


@pytest.mark.parametrize(("name", "reml"), FITS)
def test_likelihood_is_as_high_and_counts_agree(name, reml):
    model, want = fitted(name, reml), expected(name, reml)
    assert model.parts.estimate.converged
    # glmmTMB's cases hold a residual of standard deviation 1e-4 beside the structured one.
    close = LIKELIHOOD if (name, reml) in NLME else 10 * LIKELIHOOD
    assert -close < model.llf - want["logLik"] < 5 * close
    assert model.npar == want["npar"]


@pytest.mark.parametrize(("name", "reml"), NLME)
def test_coefficients_and_errors(name, reml):
    model, want = fitted(name, reml), expected(name, reml)
    ours, errors = _by_name(model.params), _by_name(model.bse)
    for term, value in _by_name(want["fixef"]).items():
        se = _by_name(want["se"])[term]
        assert abs(ours[term] - value) < ESTIMATE * se
        assert errors[term] == pytest.approx(se, rel=ESTIMATE)


@pytest.mark.parametrize(("name", "reml"), NLME)
def test_covariance_parameters(name, reml):
    model, want = fitted(name, reml), expected(name, reml)
    if want["sd_by_level"] is None:  # nlme's sigma is of the level that comes first in its rows
        assert model.sigma == pytest.approx(want["sigma"], rel=ESTIMATE)
    if want["correlation"] is not None:
        np.testing.assert_allclose(model.correlation, want["correlation"], atol=ESTIMATE)
    if want["sd_by_level"] is not None:
        sds = model.variances["sd"]
        ours = {str(level): sd for level, sd in sds.items()}
        for level, sd in want["sd_by_level"].items():
            assert ours[level] == pytest.approx(sd, rel=ESTIMATE)
    if want["log_sd_slope"] is not None:
        np.testing.assert_allclose(model.variance_params, want["log_sd_slope"], atol=ESTIMATE)
    for cov, theirs in zip(model.varcorr.values(), _matrices(want.get("random_cov")), strict=True):
        theirs = np.asarray(theirs)
        scale = np.sqrt(np.outer(np.diag(theirs), np.diag(theirs)))
        np.testing.assert_allclose(cov / scale, theirs / scale, atol=3 * ESTIMATE)


@pytest.mark.parametrize(("name", "reml"), NLME)
def test_rows(name, reml):
    model, want = fitted(name, reml), expected(name, reml)
    sd = float(np.std(model.parts.design.y))
    np.testing.assert_allclose(model.fittedvalues[:10], want["fitted"], atol=ESTIMATE * sd)
    ours = model.resid_normalized.to_numpy()
    # nlme takes a symmetric factor under compound symmetry, and after lme it mixes up groups that
    # have as many rows as no other (ovary); the first group is right.
    if name != "ovary_ar1":
        assert np.sum(ours**2) == pytest.approx(want["normalized_ss"], rel=2 * ESTIMATE)
    if name != "gpa_compsymm":
        np.testing.assert_allclose(ours[:10], want["normalized"], atol=5 * ESTIMATE)


@pytest.mark.parametrize(("name", "reml"), TMB)
def test_marginal_covariance(name, reml):
    model, want = fitted(name, reml), expected(name, reml)
    ours, theirs = _by_name(model.params), _by_name(want["fixef"])
    for term, value in theirs.items():
        assert abs(ours[term] - value) < ESTIMATE * model.bse.iloc[-1]
    cov = model.residual_covariance().to_numpy()
    sd = np.sqrt(np.diag(cov))
    np.testing.assert_allclose(sd, want["sd"], rtol=ESTIMATE)
    np.testing.assert_allclose((cov / np.outer(sd, sd))[0, 1:], want["corr"], atol=ESTIMATE)


def test_every_kind_of_correlation_is_covered():
    kinds = {case["args"].get("corr") for case in CASES.values()}
    assert kinds >= {"exchangeable", "ar1", "car1", "toeplitz", "unstructured"}
