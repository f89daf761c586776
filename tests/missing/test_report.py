"""What is missing is counted as by hand, and R's mice::md.pattern."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import ranef

mpl.use("Agg")


def panel():
    """Six units on four occasions; two leave, one comes back."""
    d = pd.DataFrame({"id": np.repeat(range(6), 4), "t": np.tile(range(4), 6)})
    d["y"] = d["id"] + 0.5 * d["t"]
    d["x"] = 1.0 * d["id"] + d["t"] % 2
    d.loc[(d["id"] == 0) & (d["t"] > 0), "y"] = np.nan
    d.loc[(d["id"] == 1) & (d["t"] > 1), "y"] = np.nan
    d.loc[[9, 13], "x"] = np.nan
    return d


def test_patterns_losses_and_dropout():
    report = ranef.missing_report("y ~ t + x + (1 | id)", panel(), time="t")
    assert report.missing.to_dict() == {"y": 5, "t": 0, "x": 2}
    assert report.complete == 17
    counts = {tuple(row[["y", "t", "x"]]): row["n"] for _, row in report.patterns.iterrows()}
    assert counts == {(True, True, True): 17, (False, True, True): 5, (True, True, False): 2}
    assert report.groups.loc["id"].tolist() == [6, 0, 2]
    assert report.dropout["leave"].tolist() == [1, 1, 0]
    assert report.dropout["observed"].tolist() == [6, 5, 4]
    assert report.monotone
    assert report.loss["rows"] == 7
    assert report.occasions["y"].round(3).tolist() == [0.0, 0.167, 0.333, 0.333]
    text = report.limitations()
    assert "17 of 24 rows" in text
    assert "No test can show" in text


def test_a_unit_that_returns_is_not_monotone():
    data = panel()
    data.loc[3, "y"] = 1.0
    assert not ranef.missing_report("y ~ t + (1 | id)", data, time="t").monotone


def test_dropout_after_low_values_is_found():
    rng = np.random.default_rng(1)
    rows = []
    for i in range(150):
        level = rng.normal()
        for t in range(5):
            y = level + rng.normal()
            rows.append((i, t, y))
            if rng.random() < 1.0 / (1.0 + np.exp(1.5 + 1.5 * y)):
                break
    data = pd.DataFrame(rows, columns=["id", "t", "y"])
    whole = pd.MultiIndex.from_product([range(150), range(5)], names=["id", "t"])
    data = data.set_index(["id", "t"]).reindex(whole).reset_index()
    report = ranef.missing_report("y ~ t + (1 | id)", data, time="t")
    # The truth is -1.5 per unit of y; the outcome's standard deviation is about 1.4.
    assert -3.0 < report.dropout_test["estimate"] < -1.2
    assert report.dropout_test["pvalue"] < 1e-6


def test_figures_are_drawn_on_the_axes_given():
    _, axes = pyplot.subplots(1, 3)
    report = ranef.missing_report("y ~ t + x + (1 | id)", panel(), time="t")
    imputed = ranef.impute("y ~ t + x + (1 | id)", panel(), m=2, cycles=2, seed=1, progress=False)
    assert report.plot(ax=axes[0]) is axes[0]
    assert report.plot_dropout(ax=axes[1]) is axes[1]
    assert axes[1].get_xlabel() == "t"
    assert list(axes[1].get_xticks()) == list(report.dropout.index)
    assert imputed.plot("y", ax=axes[2]) is axes[2]
    assert report.plot().get_yticklabels()[0].get_text() == "17 rows"
    with pytest.raises(ValueError, match="not imputed"):
        imputed.plot("t")
    with pytest.raises(ValueError, match="time="):
        ranef.missing_report("y ~ t + (1 | id)", panel()).plot_dropout()
    pyplot.close("all")


def test_bad_columns_are_named():
    with pytest.raises(ranef.DataError, match="no column 'w'"):
        ranef.missing_report("y ~ w + (1 | id)", panel())
    with pytest.raises(ranef.DataError, match="no column 'when'"):
        ranef.missing_report("y ~ t + (1 | id)", panel(), time="when")


def test_treatments_side_by_side():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(40), 6)
    x = rng.normal(size=240)
    y = 0.5 * x + rng.normal(size=40)[g] + rng.normal(size=240)
    data = pd.DataFrame({"y": y, "x": np.where(rng.random(240) < 0.4, np.nan, x), "g": g})
    data.loc[data["g"] < 10, "x"] = x[data["g"] < 10]
    found = ranef.compare_missing("y ~ x + (1 | g)", data, m=5, seed=1, progress=False)
    rows = found.table["rows"].groupby(level=0).first()
    assert rows["multiple imputation"] == rows["one-off imputation"] == 240
    assert rows["complete groups"] < rows["available rows"] < 240
    assert "do not believe" in found.table.loc[("one-off imputation", "x"), "flag"]
    assert "valid if" in repr(found)
