"""Studies of counts and shares against the same data sets fitted by hand, and known limits."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.batch.many import shared_design
from ranef.inference.study import Truth, draw_counts
from ranef.models.glmm.estimate import GlmmSpec

QUIET = {"progress": False, "workers": 1}
SPEC = GlmmSpec("binomial", "logit")


def visits(clusters, times=6):
    g = np.repeat(np.arange(clusters), times)
    return pd.DataFrame(
        {
            "g": g,
            "x": (g % 2).astype(float),
            "t": np.tile(np.arange(times), clusters),
            "size": np.tile(np.arange(times) + 2.0, clusters),
        }
    )


@pytest.fixture(scope="module")
def herds():
    return ranef.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ranef.datasets.load("cbpp"),
        family="binomial",
    )


def test_responses_have_the_mean_and_the_spread_that_were_stated():
    design = shared_design("~ x + (1 | g)", visits(4), 24, "size", None, None)
    truth = Truth(np.array([-0.4, 0.9]), (np.array([[0.25]]),), 1.0)
    Y = draw_counts(design, truth, SPEC, 40_000, np.random.default_rng(1))
    assert np.array_equal(np.round(Y.T * design.weights), Y.T * design.weights)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for x in (0.0, 1.0):
        p = 1.0 / (1.0 + np.exp(0.4 - 0.9 * x - 0.5 * nodes))
        mean = weights @ p / weights.sum()
        second = weights @ p**2 / weights.sum()
        rows = np.flatnonzero(design.X[:, 1] == x)
        assert abs(Y[rows].mean() - mean) < 0.005
        trials = design.weights[rows[0]]
        variance = second - mean**2 + (mean - second) / trials
        assert abs(Y[rows[0]].var() / variance - 1.0) < 0.03
    one, other = (np.flatnonzero(design.random[0].codes == 0))[:2]
    shared = np.cov(Y[one], Y[other])[0, 1]  # of two rows of a cluster: the random effect's alone
    p = 1.0 / (1.0 + np.exp(0.4 - 0.5 * nodes))
    mean = weights @ p / weights.sum()
    assert abs(shared / (weights @ p**2 / weights.sum() - mean**2) - 1.0) < 0.2


def test_fits_are_those_of_single_models():
    drawn = ranef.simulate_study(
        "y ~ x + (1 | g)",
        visits(12),
        family="binomial",
        weights="size",
        params={"x": 1.0},
        varcorr={"g": 0.5},
        n=3,
        seed=4,
        **QUIET,
    )
    design = shared_design("~ x + (1 | g)", visits(12), 72, "size", None, None)
    truth = Truth(np.array([0.0, 1.0]), (np.array([[0.25]]),), 1.0)
    seeds = np.random.SeedSequence(4).spawn(1)[0].spawn(1)[0]
    Y = draw_counts(design, truth, SPEC, 3, np.random.default_rng(seeds))
    fits = drawn.runs[0].result.fits
    for j in range(3):
        frame = visits(12).assign(y=Y[:, j])
        single = ranef.glmer("y ~ x + (1 | g)", frame, family="binomial", weights="size")
        assert fits["llf"].iloc[j] == pytest.approx(single.llf, abs=1e-6)


def test_power_is_that_of_the_normal_test_where_clusters_do_not_vary():
    # two groups of 30 clusters with 6 visits: a difference of log odds of 0.6, no random effects
    found = ranef.power(
        "y ~ x + (1 | g)",
        "x",
        visits(60),
        family="binomial",
        params={"x": 0.6},
        varcorr={"g": 0.0},
        n=1000,
        seed=3,
        **QUIET,
    )
    p = np.array([0.5, 1.0 / (1.0 + np.exp(-0.6))])
    se = np.sqrt((1.0 / (180 * p * (1.0 - p))).sum())
    expected = stats.norm.cdf(0.6 / se - 1.96)
    row = found.table.iloc[0]
    assert row["failed"] == 0
    assert abs(row["power"] - expected) < 0.06  # the fitted variance of clusters costs some


def test_pilots_bring_data_family_and_trials(herds):
    curve = ranef.power(herds, "period[T.4]", levels={"herd": [10, 30]}, n=100, seed=1, **QUIET)
    assert curve.table["n_herd"].tolist() == [10, 30]
    assert curve.table["power"].iloc[0] < curve.table["power"].iloc[1]
    both = ranef.power(herds, "period[T.2] = 0, period[T.3] = 0", n=50, seed=1, **QUIET)
    assert both.table["power"].iloc[0] > 0.5


def test_dispersions_make_settings_and_are_found_again():
    found = ranef.simulate_study(
        "y ~ x + (1 | g)",
        visits(40),
        family="negative_binomial",
        params={"Intercept": 1.5},
        varcorr={"g": 0.4},
        dispersion=[1.0, 5.0],
        n=60,
        seed=2,
        **QUIET,
    )
    rows = found.table[found.table["term"] == "dispersion"]
    assert rows["dispersion"].tolist() == rows["truth"].tolist() == [1.0, 5.0]
    assert (np.abs(rows["mean"] / rows["truth"] - 1.0) < 0.15).all()
    assert "sigma" not in set(found.table["term"])


def test_failed_fits_are_counted():
    found = ranef.simulate_study(
        "y ~ x + (1 | g)",
        visits(8, 2),
        family="poisson",
        params={"Intercept": -4.0},
        varcorr={"g": 0.1},
        n=50,
        seed=2,
        **QUIET,
    )
    counts = found.runs[0].counts()
    assert counts["failed"] > 10  # all zero, or no information on a coefficient
    assert counts["n"] + counts["failed"] == 50


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"family": "binomial", "sigma": 1.0}, "linear model; a binomial model has none"),
        ({"family": "negative_binomial", "sigma": 1.0}, "dispersion= instead"),
        ({"family": "poisson", "dispersion": 2.0}, "poisson has none"),
        ({"family": "negative_binomial"}, "dispersion is not given"),
        ({"family": "negative_binomial", "dispersion": 0.0}, "above zero"),
        ({"dispersion": 2.0, "sigma": 1.0}, "a linear model has sigma="),
        ({"family": "beta"}, "family is one of"),
        ({"family": "binomial", "ddf": "satterthwaite"}, "normal"),
    ],
)
def test_options_of_other_families_are_refused(options, words):
    with pytest.raises((ValueError, ranef.UnsupportedError), match=words):
        ranef.simulate_study(
            "y ~ x + (1 | g)",
            visits(10),
            params={"x": 0.1},
            varcorr={"g": 0.5},
            n=2,
            seed=1,
            **QUIET,
            **options,
        )


def test_pilots_that_cannot_be_repeated_say_why(herds):
    with pytest.raises(ValueError, match="family and link are those of the fitted model"):
        ranef.simulate_study(herds, family="poisson", n=2, seed=1, **QUIET)
    with pytest.raises(ranef.UnsupportedError, match="Laplace"):
        ranef.simulate_study(herds.update(nagq=5), n=2, seed=1, **QUIET)
    with pytest.raises(ValueError, match="name the column of the new data"):
        ranef.simulate_study(herds, ranef.datasets.load("cbpp"), n=2, seed=1, **QUIET)
    with pytest.raises(TypeError, match="the name of a column"):
        ranef.simulate_study(herds, weights=np.ones(56), n=2, seed=1, **QUIET)
