"""Figures hold the numbers that they are said to hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose

import ranef

SLOPE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def sleep():
    return ranef.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def slope(sleep):
    return ranef.lmer(SLOPE, sleep)


@pytest.fixture(scope="module")
def cake():
    data = ranef.datasets.load("cake")
    return ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)


def drawn(axis):
    """Points of every line with more than two of them."""
    return [line.get_xydata() for line in axis.lines if len(line.get_xydata()) > 2]


def test_caterpillar_shows_ordered_modes_with_intervals(slope):
    figure = slope.plot.caterpillar(level=0.9)
    modes = slope.ranef()["Subject"]
    assert [axis.get_title() for axis in figure.axes] == ["Intercept", "Days"]
    for axis, name in zip(figure.axes, modes, strict=True):
        x = np.concatenate([points[:, 0] for points in drawn(axis)])
        assert_allclose(np.sort(x), np.sort(modes[name]))
        lowest = axis.get_yticklabels()[0].get_text()
        assert str(modes[name].idxmin()) == lowest
        bars = [s for group in axis.collections for s in group.get_segments()]
        widths = np.sort([s[1, 0] - s[0, 0] for s in bars])
        sd = np.sqrt(slope.ranef().cov["Subject"][:, modes.columns.get_loc(name)].max(axis=1))
        assert len(widths) == 18
        assert widths[0] > 0.0
        if name == "Intercept":
            assert_allclose(widths, np.sort(2 * 1.6448536 * sd), rtol=1e-6)


def test_a_caterpillar_of_many_levels_names_none_of_them():
    gpa = ranef.datasets.load("gpa_sim")
    figure = ranef.lmer("gpa ~ occasion + (1 | student)", gpa).plot.caterpillar()
    assert figure.axes[0].get_yticklabels() == []


def test_lines_hold_data_fitted_and_population(slope, sleep):
    figure = slope.plot.lines(most=3)
    assert len([axis for axis in figure.axes if axis.get_visible()]) == 3
    axis = figure.axes[0]
    level = int(axis.get_title())
    rows = sleep["Subject"].astype(int).to_numpy() == level
    population, fitted, data = (points[:, 1] for points in drawn(axis))
    assert_allclose(data, sleep["Reaction"][rows])
    assert_allclose(fitted, slope.predict()[rows])
    assert_allclose(population, slope.predict(random="none")[rows])
    assert figure.figure.get_supxlabel() == "Days"


def test_lines_over_a_factor_take_the_one_that_varies_within_levels(cake):
    figure = cake.plot.lines()
    assert figure.figure.get_supxlabel() == "temperature"
    shown = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert shown == ["175", "185", "195", "205", "215", "225"]


def test_the_lowest_panel_of_each_column_has_numbers(slope):
    figure = slope.plot.lines()
    figure.figure.canvas.draw()
    lowest = figure.axes[13]  # the last panel of a column that the last row does not reach
    assert lowest.xaxis.get_tick_params()["labelbottom"]


def test_lines_over_any_column_of_the_data(slope, sleep):
    model = ranef.lmer(SLOPE, sleep.assign(row=np.arange(180.0)))
    assert model.plot.lines("row").figure.get_supxlabel() == "row"
    with pytest.raises(ValueError, match="x must be one of Days, Reaction, Subject"):
        slope.plot.lines("hours")
    with pytest.raises(ValueError, match="most is a number of levels"):
        slope.plot.lines(most=0)
    with pytest.raises(ValueError, match="group must be 'Subject'"):
        slope.plot.lines(group="subject")


def test_no_covariate_at_all():
    model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    with pytest.raises(ValueError, match="no covariate to draw over"):
        model.plot.lines()


def test_residuals_are_scaled_and_given_the_random_effects(slope):
    figure = slope.plot.residuals()
    points = max(drawn(figure.axes[0]), key=len)
    assert_allclose(points[:, 1], slope.resid / slope.sigma)
    assert_allclose(points[:, 0], slope.fittedvalues)


def test_shrinkage_goes_from_least_squares_to_the_modes(slope, sleep):
    axis = slope.plot.shrinkage()
    alone, mixed = drawn(axis)
    assert_allclose(mixed, slope.ranef()["Subject"].to_numpy())
    rows = sleep[sleep["Subject"].astype(int) == 308]
    line = np.polyfit(rows["Days"], rows["Reaction"], 1)[::-1] - slope.params.to_numpy()
    assert_allclose(alone[list(slope.ranef()["Subject"].index.astype(int)).index(308)], line)


def test_profile_figure_draws_zeta(slope):
    profile = slope.profile(steps=3)
    axis = profile.plot(["sigma"]).axes[0]
    table = profile.table[profile.table["parameter"] == "sigma"]
    assert_allclose(drawn(axis)[0], table[["value", "zeta"]].to_numpy())
    with pytest.raises(ValueError, match="no parameter 'sgima'"):
        profile.plot(["sgima"])


def test_coefficients_of_several_models(slope, sleep):
    level = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    axes = ranef.plot_coefficients({"slope": slope, "level": level, "one": slope}, ["Days"])
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels == ["slope", "level", "one"]
    segments = [s for group in axes.collections for s in group.get_segments()]
    want = slope.conf_int().loc["Days"]
    assert_allclose([segments[0][0, 0], segments[0][1, 0]], [want["lower"], want["upper"]])
    with pytest.raises(ValueError, match="no model has a coefficient 'Day'"):
        ranef.plot_coefficients([slope], ["Day"])
    with pytest.raises(ValueError, match="there is no model to draw"):
        ranef.plot_coefficients([])
    for wrong in (None, 3.0, "y ~ x", [slope, pd.DataFrame({"y": [1.0]})]):
        with pytest.raises(TypeError, match="draws fitted models"):
            ranef.plot_coefficients(wrong)


def test_thousands_of_levels_are_drawn_in_reasonable_time():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(3000), 4)
    x = np.tile(np.arange(4.0), 3000)
    y = 1.0 + x + rng.standard_normal(3000)[group] + rng.standard_normal(len(x))
    model = ranef.lmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": group})
    for drawn_ in (model.plot.caterpillar(), model.plot.shrinkage(), model.plot.lines()):
        drawn_.figure.canvas.draw()
