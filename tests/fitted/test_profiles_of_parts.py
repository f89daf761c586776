"""Profiles by the kernel of several predictors: those of the fast families, and a direct search."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.fitted.several.fit import parts_call
from ranef.fitted.several.model import fit_parts_model


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 10)
    x = rng.normal(size=g.size)
    b = rng.multivariate_normal([0.0, 0.0], [[0.4, 0.1], [0.1, 0.2]], 12)
    mean = np.exp(0.6 + 0.3 * x + b[g, 0] + b[g, 1] * x)
    y = rng.negative_binomial(3.0, 3.0 / (3.0 + mean))
    o = np.digitize(0.8 * x + 2.0 * b[g, 0] + rng.logistic(size=g.size), [-0.5, 1.0])
    return pd.DataFrame({"g": g.astype(str), "x": x, "y": y, "o": o})


@pytest.mark.parametrize(
    ("family", "bar"), [("negative_binomial", "(1 | g)"), ("poisson", "(x | g)")]
)
def test_they_are_those_of_the_hand_written_family(rows, family, bar):
    formula = f"y ~ x + {bar}"
    fast = ranef.glmer(formula, rows, family=family).conf_int("profile")
    call = parts_call(formula, family, None, None, None, 1)
    found = fit_parts_model(call, rows).conf_int("profile")
    found = found.rename(index={"size": "dispersion"}).loc[fast.index]
    np.testing.assert_allclose(found, fast, rtol=2e-4, atol=2e-4)


def test_the_ends_of_an_ordinal_model_are_where_the_likelihood_has_fallen(rows):
    """Brute force: hold the coefficient by an offset, and fit all else."""
    model = ranef.clmm("o ~ x + (1 | g)", rows)
    lower, upper = model.conf_int("profile").loc["x"]
    fall = 0.5 * scipy.stats.norm.ppf(0.975) ** 2
    for end in (lower, upper):
        held = ranef.clmm("o ~ 1 + (1 | g)", rows.assign(h=end * rows["x"]), offset="h")
        assert model.llf - held.llf == pytest.approx(fall, abs=2e-3)
    assert {"0|1", "1|2"} <= set(model.conf_int("profile").index)


def test_those_of_a_zero_part_hold_its_coefficients(rows):
    d = rows.assign(y=np.where(rows.index % 4 == 0, 0, rows["y"]))
    model = ranef.glmer("y ~ x + (1 | g)", d, family="poisson", zero="~ 1")
    lower, upper = model.conf_int("profile").loc["zero:Intercept"]
    assert lower < model.zero_params["Intercept"] < upper
    wald = model.conf_int(part="zero").loc["Intercept"]
    assert upper - lower == pytest.approx(wald["upper"] - wald["lower"], rel=0.3)


def test_a_model_without_predictors_has_thresholds_alone(rows):
    model = ranef.clmm("o ~ 1 + (1 | g)", rows)
    assert not len(model.params)
    assert list(model.conf_int("profile").index) == ["sd_Intercept|g", "0|1", "1|2"]
    assert " z " in str(model.summary())
