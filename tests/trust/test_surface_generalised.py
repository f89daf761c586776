"""The surface of a generalised model is the likelihood of fits whose deviations are known."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.parallel import progress

#: A log-likelihood that is half the 95% quantile of chi-squared below the largest.
DROP = 1.920729410347062


def data(seed=5, groups=30, times=6):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), times)
    h = np.tile(np.arange(times), groups) + times * (g % 3)
    x = rng.normal(size=g.size)
    eta = 0.5 + 0.4 * x + 0.6 * rng.normal(size=groups)[g] + 0.4 * rng.normal(size=3 * times)[h]
    eta += 0.4 * rng.normal(size=groups)[g] * x
    mean = np.exp(eta)
    return pd.DataFrame(
        {
            "g": g,
            "h": h,
            "x": x,
            "n": rng.poisson(mean),
            "k": rng.negative_binomial(2.0, 2.0 / (2.0 + mean)),
            "z": np.where(rng.random(g.size) < 0.3, 0, rng.poisson(mean)),
            "o": pd.Categorical.from_codes(
                np.digitize(eta + rng.logistic(size=g.size), [0.0, 1.0]),
                ordered=True,
                categories=list("abc"),
            ),
        }
    )


FRAME = data()


def crossed(**options):
    return ranef.glmer("n ~ x + (1 | g) + (1 | h)", FRAME, family="poisson", **options)


@pytest.mark.parametrize(("first", "second"), [(0.3, 0.2), (1.1, 0.7)])
def test_two_deviations_are_those_of_a_fit_in_which_both_are_known(first, second):
    known = crossed(prior={"g": ranef.Point(first), "h": ranef.Point(second)})
    found = crossed().surface(points=2, upper=(first, second))
    assert found.names == ("sd_Intercept|g", "sd_Intercept|h")
    assert found.table["llf"].iloc[-1] == pytest.approx(known.llf, abs=1e-6)


def test_a_deviation_of_zero_is_a_model_without_its_term():
    found = (
        crossed()
        .surface(points=2, upper=(0.5, 0.4))
        .table.set_index(["sd_Intercept|g", "sd_Intercept|h"])["llf"]
    )
    without = ranef.glmer("n ~ x + (1 | g)", FRAME, family="poisson")
    alone = without.surface(points=2, upper=(0.5,)).table["llf"]
    assert found.loc[(0.5, 0.0)] == pytest.approx(alone.iloc[1], abs=1e-6)
    none = ranef.gee("n ~ x", FRAME, groups="g", family="poisson", corr="independence")
    mean = none.fittedvalues.to_numpy()
    from scipy.stats import poisson

    assert found.loc[(0.0, 0.0)] == pytest.approx(poisson.logpmf(FRAME["n"], mean).sum(), abs=1e-6)


MODELS = {
    "quadrature": lambda: ranef.glmer("n ~ x + (1 | g)", FRAME, family="poisson", nagq=9),
    "slopes": lambda: ranef.glmer("n ~ x + (1 + x | g)", FRAME, family="poisson"),
    "independent slopes": lambda: ranef.glmer("n ~ x + (x || g)", FRAME, family="poisson"),
    "dispersion": lambda: ranef.glmer("k ~ x + (1 | g)", FRAME, family="negative_binomial"),
    "zeros": lambda: ranef.glmer("z ~ x + (1 | g)", FRAME, family="poisson", zero="~ 1"),
    "ordered": lambda: ranef.clmm("o ~ x + (1 | g)", FRAME),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_curve_meets_the_ends_of_the_profile(name):
    """Profiles hold a parameter as a coordinate of their own search, in another chart."""
    model = MODELS[name]()
    ends = model.conf_int("profile", progress=False)
    for deviation in [row for row in ends.index if row.startswith("sd_")]:
        for end in ends.loc[deviation][ends.loc[deviation] > 0.0]:
            table = model.surface(deviation, points=2, upper=(float(end),), progress=False).table
            assert table["drop"].iloc[-1] == pytest.approx(DROP, abs=2e-4)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_drops_at_the_estimate_and_held_is_never_higher(name):
    model = MODELS[name]()
    at = model.surface(points=2, progress=False).at
    for hold in (False, True):
        here = model.surface(points=2, upper=at, hold=hold, progress=False).table
        assert here["drop"].iloc[-1] == pytest.approx(0.0, abs=1e-6)
    ends = tuple(2.0 * value for value in at)
    best, held = (
        model.surface(points=3, upper=ends, hold=hold, progress=False) for hold in (False, True)
    )
    assert (best.table["drop"] > -1e-6).all()
    assert (held.table["llf"] <= best.table["llf"] + 1e-6).all()
    assert (held.table["llf"] < best.table["llf"] - 1e-3).any()


def test_it_draws_on_the_scale_of_the_predictor():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = crossed().surface(points=4, progress=False).plot()
    assert ax.get_xlabel() == "sd_Intercept|g"
    pyplot.close("all")


def test_a_bar_counts_the_points(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    seen = []
    with ranef.on_progress(lambda *told: seen.append(told)):
        crossed().surface(points=3)
    assert seen
    assert seen[-1] == (9, 9, "points")


@pytest.mark.parametrize(
    ("options", "what"),
    [({"prior": "weak"}, "prior"), ({"nagq": 0}, "nagq"), ({"reml": True}, "restricted")],
)
def test_fits_that_are_not_at_the_largest_likelihood_are_refused(options, what):
    with pytest.raises(ranef.UnsupportedError, match=what):
        crossed(**options).surface()


def test_ends_and_names_are_checked():
    model = crossed()
    with pytest.raises(ValueError, match="1 ends for 2"):
        model.surface(upper=(1.0,))
    with pytest.raises(ValueError, match="no standard deviation"):
        model.surface("sd_x|g")
    plain = ranef.clmm("o ~ x", FRAME)
    with pytest.raises(ValueError, match="one or two"):
        plain.surface()
