"""Random starts find one optimum; the surface is the likelihood of constrained fits."""

import warnings

import numpy as np
import pytest
from scipy import optimize

import ranef
from ranef.report.surface import MultiStart


@pytest.fixture(scope="module")
def slopes():
    return ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))


def test_every_start_finds_the_optimum(slopes):
    found = ranef.multistart(slopes, 20, seed=4)
    assert found.reached == 1.0
    assert found.table["converged"].all()
    assert len(found.optima) == 1
    assert found.table["criterion"].nunique() > 1  # they are different searches
    assert "100% of 20 random starts" in repr(found)


def test_local_optima_are_counted():
    import pandas as pd

    table = pd.DataFrame(
        {"criterion": [5.0, 5.0 + 1e-9, 7.5, 9.0], "converged": [True, True, True, False]}
    )
    found = MultiStart(table, 5.5)
    assert found.reached == 0.5
    assert found.optima == [5.0, 7.5]
    assert "0.5 below the model's" in repr(found)


def test_a_profile_is_a_fit_with_one_standard_deviation_set(slopes):
    """Constrained by brute force: sd of the slope set, the other two elements by Nelder-Mead."""
    sd = 0.4

    def objective(free):
        a, angle = free
        factor = np.array([[a, 0.0], [sd * np.sin(angle), sd * np.cos(angle)]], order="F")
        return slopes.parts.core.objective([factor], True)

    best = optimize.minimize(
        objective, [1.0, 0.0], method="Nelder-Mead", options={"fatol": 1e-11, "xatol": 1e-8}
    ).fun
    found = slopes.surface("sd_Days|Subject", points=3, upper=(0.8,))
    assert -2 * found.table["llf"].iloc[1] == pytest.approx(best, abs=1e-6)


def test_the_gradient_of_the_surface_is_that_of_differences(slopes):
    explorer = slopes.parts.explorer(((0, 1),), hold=False)
    units = explorer._units()
    raw, sds = np.array([0.9, 0.2, 0.3]), np.array([0.4])
    _, gradient = explorer._at(raw, sds, units)
    step = 1e-6
    for a in range(3):
        ends = [explorer._at(raw + sign * step * np.eye(3)[a], sds, units)[0] for sign in (1, -1)]
        assert gradient[a] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)


def test_at_the_estimate_nothing_drops(slopes):
    at = [float(np.linalg.norm(slopes.parts.estimate.lambda_[0][j])) for j in range(2)]
    found = slopes.surface(points=2, upper=tuple(at))
    assert found.table["drop"].iloc[-1] == pytest.approx(0.0, abs=1e-8)
    assert (found.table["drop"] > -1e-8).all()
    assert found.maxima.index.tolist() == [3]


def test_held_is_no_higher_than_profiled(slopes):
    profiled = slopes.surface(points=5)
    held = slopes.surface(points=5, hold=True)
    assert (held.table["llf"] <= profiled.table["llf"] + 1e-7).all()
    assert held.table.shape == (25, 4)


def test_a_zero_variance_has_its_maximum_at_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.RanefWarning)
        model = ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff2"))
    found = model.surface()
    assert found.maxima["sd_Intercept|Batch"].tolist() == [0.0]
    value = found.table.iloc[7]
    factor = np.full((1, 1), value["sd_Intercept|Batch"], order="F")
    expected = model.parts.core.objective([factor], True)
    assert -2 * value["llf"] == pytest.approx(expected, abs=1e-8)


def test_it_draws(slopes):
    import matplotlib

    matplotlib.use("Agg")
    ax = slopes.surface(points=6).plot()
    assert ax.get_xlabel() == "sd_Intercept|Subject / sigma"
    assert len(ax.lines) == 2  # the model and the maxima of the grid
    ax = slopes.surface("sd_Days|Subject", points=6).plot()
    assert ax.get_ylabel() == "log-likelihood"
    matplotlib.pyplot.close("all")


def test_names_are_checked(slopes):
    with pytest.raises(ValueError, match=r"no standard deviation 'Days' among \['sd_Int"):
        slopes.surface("Days")
    with pytest.raises(ValueError, match="one or two different"):
        slopes.surface("sd_Days|Subject", "sd_Days|Subject")
