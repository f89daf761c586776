"""Full information against lavaan 0.6-14 (R 4.2.2), and its gradient against differences."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import ModelError
from ranef.models.growth_fiml import FimlModel, fit_fiml, jacobian, likelihood, patterns_of

DATA = Path(__file__).parents[1] / "data" / "growth_wide.csv"
LINEAR = np.vander(np.arange(4.0), 2, increasing=True)


@pytest.fixture(scope="module")
def values():
    return pd.read_csv(DATA)[["y1", "y2", "y3", "y4", "x", "z"]].to_numpy()


def test_lavaans_estimates(values):
    found = fit_fiml(FimlModel(LINEAR, 2, 2, False), values)
    assert found.llf == pytest.approx(-1392.2765282758876, abs=1e-7)
    assert found.converged
    # Intercept, slope, i ~ x, i ~ z, s ~ x, s ~ z
    np.testing.assert_allclose(
        found.params[:6], [2.1416, 0.5026, 0.6953, 0.3577, 0.2737, -0.1774], atol=5e-5
    )
    np.testing.assert_allclose(
        np.sqrt(np.diag(found.cov))[:6],
        [0.0756, 0.0340, 0.0955, 0.0861, 0.0432, 0.0387],
        atol=5e-5,
    )


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("n_random", [1, 2])
def test_the_gradient(values, free, n_random):
    model = FimlModel(LINEAR, n_random, 2, free)
    patterns = patterns_of(values)
    at = fit_fiml(model, values).params + 0.01
    differences = jacobian(lambda x: np.atleast_1d(likelihood(model, patterns, x)[0]), at)[0]
    np.testing.assert_allclose(
        likelihood(model, patterns, at)[1], differences, rtol=1e-5, atol=1e-3
    )


def test_a_dense_likelihood(values):
    model = FimlModel(LINEAR, 2, 2, False)
    at = fit_fiml(model, values).params
    mean, cov = model.moments(at)
    total = 0.0
    for row in values:
        seen = np.isfinite(row)
        gap = row[seen] - mean[seen]
        part = cov[np.ix_(seen, seen)]
        total -= 0.5 * (
            seen.sum() * np.log(2 * np.pi)
            + np.linalg.slogdet(part)[1]
            + gap @ np.linalg.solve(part, gap)
        )
    assert likelihood(model, patterns_of(values), at)[0] == pytest.approx(total, rel=1e-12)


def test_a_covariate_that_does_not_vary(values):
    constant = values.copy()
    constant[:, 4] = 1.0
    with pytest.raises(ModelError, match="two different"):
        fit_fiml(FimlModel(LINEAR, 2, 2, False), constant)


def test_growth_from_long_data(values):
    long = pd.DataFrame(values, columns=["y0", "y1", "y2", "y3", "x", "z"]).assign(unit=range(180))
    long = long.melt(id_vars=["unit", "x", "z"], var_name="wave", value_name="y")
    long["time"] = long["wave"].str[1:].astype(int)
    options = {"time": "time", "groups": "unit", "covariates": ["x", "z"], "missing": "fiml"}
    model = ranef.growth("y", long, **options)
    assert model.llf == pytest.approx(-1392.2765282758876, abs=1e-6)
    assert model.npar == 15
    assert model.params["slope ~ x"] == pytest.approx(0.2737, abs=5e-5)
    assert model.bse["Cov(intercept, slope)"] == pytest.approx(0.0365, abs=5e-5)
    assert model.params["Cov(x, z)"] == pytest.approx(0.4461, abs=5e-5)
    assert model.coef_table().columns.tolist() == ["estimate", "se", "df", "z", "pvalue"]
    assert model.test("slope = 0").pvalue < 0.001
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.params, model.params)
    assert "full information" in str(model)
    with pytest.raises(ranef.UnsupportedError, match="missing='drop'"):
        model.predict()
    with pytest.raises(ranef.DataError, match="varies within"):
        ranef.growth("y", long.assign(x=np.arange(720.0)), **options)
    with pytest.raises(ValueError, match="there are none"):
        ranef.growth("y", long, time="time", groups="unit", missing="fiml")
