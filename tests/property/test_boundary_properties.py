"""No fit is worse than a model that it contains, single or in a batch."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef

NESTED = [
    ("y ~ x + (0 + x | g)", ["y ~ x"]),
    (
        "y ~ x + (1 + x | g)",
        ["y ~ x", "y ~ x + (1 | g)", "y ~ x + (0 + x | g)", "y ~ x + (x || g)"],
    ),
    ("y ~ x + (1 | g) + (1 | h)", ["y ~ x", "y ~ x + (1 | g)", "y ~ x + (1 | h)"]),
    ("y ~ x + (1 | g) + (1 | h) + (1 | k)", ["y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | k)"]),
]


def tiny(count, seed):
    """Draw data sets of 8 to 20 rows with heavy tails."""
    rng = np.random.default_rng(seed)
    sets = []
    for i in range(count):
        n = int(rng.integers(8, 21))
        levels = rng.integers(2, 5, 3)
        d = pd.DataFrame({"i": i, "x": rng.normal(size=n), "y": rng.standard_t(2, size=n)})
        sets.append(
            d.assign(**{name: rng.integers(0, k, n) for name, k in zip("ghk", levels, strict=True)})
        )
    return pd.concat(sets, ignore_index=True)


def pooled(d, reml):
    """Log-likelihood of least squares."""
    X = np.column_stack([np.ones(len(d)), d.x])
    rest = d.y - X @ np.linalg.lstsq(X, d.y, rcond=None)[0]
    m = len(d) - 2 * reml
    value = -0.5 * (m * np.log(2.0 * np.pi * float(rest @ rest) / m) + m)
    return value - 0.5 * np.linalg.slogdet(X.T @ X)[1] if reml else value


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("formula", "parts"), NESTED)
def test_no_fit_is_worse_than_a_part_of_its_model(formula, parts, reml):
    d = tiny(150, seed=2)

    def llf(formula):
        if "|" not in formula:
            return d.groupby("i").apply(pooled, reml, include_groups=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batch = ranef.fit_groups(formula, d, by="i", reml=reml, progress=False)
        fits = batch.fits.set_index("i")
        return fits.llf[fits.status.isin(["converged", "singular"])]

    whole = llf(formula)
    assert len(whole) > 120
    for part in parts:
        assert (llf(part) - whole).max() < 1e-5


# Found among 60,000 data sets; the value of least squares.
def test_a_search_does_not_stay_above_the_model_without_the_term():
    y = "-2.538 0.74 -0.954 0.806 -0.087 0.271 -0.493 1.078 1.296 2.017 -0.006 3.937"
    x = "-0.269 -0.207 -0.72 0.328 1.686 -1.789 0.284 -0.115 -0.464 0.467 -0.673 0.302"
    d = {"y": np.array(y.split(), float), "x": np.array(x.split(), float)}
    d["g"] = np.array([2, 0, 2, 0, 0, 0, 0, 1, 1, 0, 2, 2])
    with pytest.warns(ranef.errors.SingularFitWarning):
        model = ranef.lmer("y ~ x + (0 + x | g)", d, reml=False)
    assert_allclose(model.llf, ranef.feols("y ~ x", d).llf, rtol=1e-10)
