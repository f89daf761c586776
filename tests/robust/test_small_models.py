"""Models with next to nothing in them say what they lack."""

import numpy as np
import pandas as pd
import pytest

import ranef


def test_least_squares_without_a_residual():
    data = pd.DataFrame({"y": [1.0, 2.5], "x": [0.0, 1.0]})
    with pytest.warns(ranef.RanefWarning, match="no standard errors"):
        model = ranef.feols("y ~ x", data)
    assert model.params.tolist() == pytest.approx([1.0, 1.5])
    assert model.bse.isna().all()


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_a_generalised_model_whose_only_column_is_zero():
    data = pd.DataFrame({"y": [0, 1, 0, 1, 1, 0], "z": 0.0, "g": [0, 0, 1, 1, 2, 2]})
    # Half of each group are ones, so that nothing varies: six fair coins.
    model = ranef.glmer("y ~ 0 + z + (1 | g)", data, family="binomial")
    assert model.llf == pytest.approx(6 * np.log(0.5), abs=1e-8)
    assert model.params.notna().sum() == 0


def test_separate_fits_report_rows_that_they_leave_out():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40)})
    data["g"] = np.repeat(np.arange(4), 10)
    data.loc[:9, "x"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning, match="10"):
        fits = ranef.lmlist("y ~ x", data, "g")
    assert fits.levels.tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("family", ["binomial", "poisson", "negative_binomial"])
@pytest.mark.parametrize("formula", ["y ~ 0 + z + (1 | g)", "y ~ 0 + z + (x | g)"])
def test_generalised_models_whose_fixed_effects_are_aliased(formula, family):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(range(12), 10), "z": 0.0, "x": rng.normal(size=120)})
    data["y"] = rng.integers(0, 2 if family == "binomial" else 6, 120)
    model = ranef.glmer(formula, data, family=family)
    start = ranef.glmer(
        formula,
        data,
        family=family,
        control=ranef.Control(start=model.parts.estimate.lambda_standard),
    )
    assert np.isfinite(model.llf)
    assert model.params.notna().sum() == 0
    assert model.llf == pytest.approx(start.llf, abs=1e-4)
    Y = pd.DataFrame({"a": data.y, "b": data.y[::-1].to_numpy()})
    batch = ranef.fit_many(
        formula.replace("y", "", 1).strip(), data, Y, family=family, progress=False
    )
    assert batch.fits["llf"].iloc[0] == pytest.approx(model.llf, abs=1e-4)
