"""Conditional AIC against cAIC4 1.0 (R 4.2.2)."""

import pytest
from numpy.testing import assert_allclose

from oracle.explained_cases import CASES, fitted


@pytest.mark.parametrize("name", CASES["caic"])
def test_conditional_likelihood_and_degrees_of_freedom(name):
    ours, want = fitted("caic", name).caic(), CASES["caic"][name]
    # Where nothing random is left cAIC4 does not count sigma.
    sigma = 1.0 if name == "dyestuff2_singular" else 0.0
    assert_allclose(ours.cll, want["cll"], rtol=1e-6)
    assert_allclose(ours.df, want["df"] + sigma, rtol=1e-4)
    assert ours.caic == pytest.approx(2 * ours.df - 2 * ours.cll)
