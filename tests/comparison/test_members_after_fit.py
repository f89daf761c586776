"""What follows a fit with several levels a row: rows left out, checks, figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef

LEVELS = list("ABCDEFGHIJ")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    out = pd.DataFrame({"t1": rng.choice(LEVELS, 300), "t2": rng.choice(LEVELS, 300)})
    out["x"] = rng.normal(size=300)
    effect = pd.Series(rng.normal(size=10), LEVELS)
    both = 0.5 * (out["t1"].map(effect) + out["t2"].map(effect))
    return out.assign(y=both + 0.3 * out["x"] + 0.5 * rng.normal(size=300))


@pytest.fixture(scope="module")
def model(frame):
    return ranef.lmer("y ~ x + (1 | mm(t1, t2))", frame)


def test_rows_left_out_are_predicted_by_fits_without_them(model, frame):
    found = ranef.cross_validate(model, "new_rows", folds=3, seed=1, progress=False)
    assert any("mm(t1, t2) in 3 of 3 folds" in note for note in found.notes)
    rows, error = found.rows, np.empty(300)
    for fold in range(3):
        own = rows["fold"].to_numpy() == rows["fold"].unique()[fold]
        at = rows.index[own] if "row" not in rows else rows["row"][own]
        test = np.asarray(at, dtype=int)
        fit = ranef.lmer(model.call.formula, frame.drop(index=test))
        error[test] = frame["y"].iloc[test] - fit.predict(frame.iloc[test])
    assert found.table["rmse"].iloc[0] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)


def test_checks_and_figures_leave_out_what_is_of_one_level_a_row(model):
    found = model.simulated_residuals(n=30, seed=1)
    assert "uniformity" in str(found)
    assert len(model.check().axes) > 1
    assert len(model.plot.predictions("x").lines) >= 1
    with pytest.raises(ranef.UnsupportedError, match="a diagnosis is not available with"):
        ranef.diagnose(model)
