"""Simulation studies against exact power, dense covariances and measures by hand."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.batch.many import shared_design
from ranef.inference.study import Truth, binomial_interval, draw_responses, performance
from ranef.models.batch import estimate as batch_estimate
from ranef.study import engine as study_engine
from ranef.study.settings import extended

QUIET = {"progress": False, "workers": 1}


def treatment(clusters, times=4):
    """Half of the clusters are treated."""
    g = np.repeat(np.arange(clusters), times)
    return pd.DataFrame(
        {"g": g, "x": (g % 2).astype(float), "t": np.tile(np.arange(times), clusters)}
    )


def study(**more):
    options = {
        "params": {"x": 0.8},
        "varcorr": {"g": 0.7},
        "sigma": 1.0,
        "settings": {"clusters": [12, 24]},
        "n": 400,
        "seed": 4,
        **QUIET,
        **more,
    }
    return ranef.simulate_study("y ~ x + (1 | g)", treatment, **options)


def test_power_of_a_balanced_comparison_is_the_t_tests():
    """The test of a cluster-level effect is a t test of cluster means, with clusters - 2 df."""
    n = 4000
    found = ranef.power(
        "y ~ x + (1 | g)",
        "x",
        treatment,
        params={"x": 0.8},
        varcorr={"g": 1.0},
        sigma=1.0,
        settings={"clusters": [12, 24, 48]},
        n=n,
        seed=2,
        **QUIET,
    )
    for row in found.table.itertuples():
        se = np.sqrt((1.0 + 1.0 / 4) * 4.0 / row.clusters)
        df, centre = row.clusters - 2, 0.8 / se
        cut = stats.t.ppf(0.975, df)
        exact = stats.nct.sf(cut, df, centre) + stats.nct.cdf(-cut, df, centre)
        assert row.power == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / n))
        assert row.lower < row.power < row.upper
        assert row.n + row.failed == n


def test_draws_have_the_stated_covariance():
    data = treatment(6, 3)
    data["h"] = np.arange(18) % 4
    data["w"] = 1.0 + data["t"]
    design = shared_design("~ x + t + (1 + t | g) + (1 | h)", data, 18, "w", None, None)
    cov = np.array([[2.0, 0.6], [0.6, 0.5]])
    truth = Truth(np.array([1.0, -2.0, 0.5]), (cov, np.array([[0.8]])), 0.9)
    Y = draw_responses(design, truth, 40_000, np.random.default_rng(1))
    Z = np.column_stack([np.ones(18), data["t"]])
    same_g = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
    same_h = data["h"].to_numpy()[:, None] == data["h"].to_numpy()
    V = same_g * (Z @ cov @ Z.T) + 0.8 * same_h + np.diag(0.81 / data["w"])
    assert np.abs(np.cov(Y) - V).max() < 6 * np.sqrt(2.0 / 40_000) * V.max()
    mean = design.X @ truth.beta
    assert np.abs(Y.mean(axis=1) - mean).max() < 5 * np.sqrt(V.max() / 40_000)


def test_measures_by_hand():
    found = study(tests=["x = 0.5", "x = 0, Intercept = 1"], ddf="residual", n=150)
    table, draws = found.table, found.draws
    for clusters in (12, 24):
        mine = table[table["clusters"] == clusters].set_index("term")
        all_draws = draws[draws["clusters"] == clusters]
        for term, truth in (("x", 0.8), ("Intercept", 0.0), ("x = 0.5", 0.3)):
            rows = all_draws[all_draws["term"] == term]
            row, e = mine.loc[term], rows["estimate"].to_numpy()
            assert row["truth"] == pytest.approx(truth)
            assert row["bias"] == pytest.approx(e.mean() - truth)
            assert row["bias_mcse"] == pytest.approx(e.std(ddof=1) / np.sqrt(150))
            assert row["sd_mcse"] == pytest.approx(e.std(ddof=1) / np.sqrt(2 * 149))
            assert row["rmse"] == pytest.approx(np.sqrt(np.mean((e - truth) ** 2)))
            assert row["mean_se"] == pytest.approx(np.sqrt(np.mean(rows["se"] ** 2)))
            half = stats.t.ppf(0.975, rows["df"]) * rows["se"]
            assert row["coverage"] == pytest.approx(np.mean(np.abs(e - truth) <= half))
            assert row["power"] == pytest.approx(np.mean(rows["pvalue"] < 0.05))
        joint = mine.loc["x = 0, Intercept = 1"]
        assert 0.0 < joint["power"] <= 1.0
        fits = found.fits[found.fits["clusters"] == clusters]
        assert mine.loc["sd_Intercept|g", "mean"] == pytest.approx(fits["sd_Intercept|g"].mean())
        assert mine.loc["sd_Intercept|g", "truth"] == pytest.approx(0.7)
        assert mine.loc["sigma", "bias"] == pytest.approx(fits["sigma"].mean() - 1.0)


def test_gaps_do_not_count():
    estimates = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 2.0]])
    found = performance(estimates, np.array([1.0, 2.0]))
    np.testing.assert_allclose(found.n, [2, 1])
    np.testing.assert_allclose(found.bias, [1.0, 0.0])
    assert np.isnan(found.sd[1])


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (7, 20), (20, 20)])
def test_interval_of_a_proportion(hits, n):
    low, high = binomial_interval(np.array([hits]), np.array([n]))
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    np.testing.assert_allclose([low[0], high[0]], [exact.low, exact.high], atol=1e-12)


def test_the_same_bits_for_any_number_of_workers():
    first = study()
    for workers in (2, 5):
        pd.testing.assert_frame_equal(study(workers=workers).draws, first.draws, check_exact=True)
    assert not study(seed=5).draws["estimate"].equals(first.draws["estimate"])
    assert len(first.draws) == 2 * 400 * 2


def test_a_pilot_and_more_levels():
    sleep = ranef.datasets.load("sleepstudy")
    pilot = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    found = ranef.simulate_study(
        pilot, levels={"Subject": [6, 40]}, within={"Subject": 5}, n=300, seed=1, **QUIET
    )
    assert found.fits.groupby("n_Subject")["nobs"].unique().map(list).tolist() == [[30], [200]]
    days = found.table[found.table["term"] == "Days"].set_index("n_Subject")
    np.testing.assert_allclose(days["truth"], pilot.params["Days"])
    assert (np.abs(days["bias"]) < 4 * days["bias_mcse"]).all()
    assert days["sd"][6] > days["sd"][40]
    # The standard error of the slope with 40 people and 5 days, from the pilot's parameters.
    t = np.arange(5.0)
    Z = np.column_stack([np.ones(5), t])
    V = Z @ pilot.varcorr["Subject"].to_numpy() @ Z.T + pilot.sigma**2 * np.eye(5)
    exact = np.sqrt(np.linalg.inv(40 * Z.T @ np.linalg.solve(V, Z))[1, 1])
    assert days["sd"][40] == pytest.approx(exact, abs=4 * exact / np.sqrt(600))


def test_levels_of_nested_columns_are_new_ones_too():
    pupils = pd.DataFrame(
        {
            "school": np.repeat(["a", "b"], 6),
            "pupil": np.repeat(np.arange(4), 3),
            "item": 4 * [1, 2, 3],
        }
    )
    out = pd.DataFrame(extended(pupils, {"school": 5}, {}, ["school", "pupil", "item"]))
    assert out.groupby("school")["pupil"].nunique().tolist() == [2] * 5
    assert out["pupil"].nunique() == 10
    assert out["item"].nunique() == 3
    assert set(extended(pupils, {"school": 2}, {}, ["pupil"])["school"]) == {"a", "b"}
    rows = pd.DataFrame(extended(pupils, {}, {"pupil": 5}, []))
    assert rows["item"].tolist() == 4 * [1, 2, 3, 1, 2]


def test_another_formula_may_be_fitted():
    """Slopes that vary and are left out make the intervals of their mean too short."""
    options = {
        "params": {"t": 0.3},
        "varcorr": {"g": [0.5, 0.6]},
        "sigma": 1.0,
        "settings": {"clusters": 20, "times": 6},
        "n": 300,
        "seed": 3,
        **QUIET,
    }
    right = ranef.simulate_study("y ~ t + (t | g)", treatment, **options)
    wrong = ranef.simulate_study("y ~ t + (t | g)", treatment, fit="y ~ t + (1 | g)", **options)
    coverage = [s.table.set_index("term").loc["t", "coverage"] for s in (right, wrong)]
    assert coverage[0] > 0.9
    assert coverage[1] < 0.75


def test_functions_take_what_they_name():
    found = ranef.simulate_study(
        "y ~ x + (1 | g)",
        treatment,
        params=lambda effect: {"x": effect},
        varcorr=lambda sd: {"g": [[sd**2]]},
        sigma=lambda noise, **_: noise,
        settings={"clusters": 10, "effect": [0.0, 1.0], "sd": 0.5, "noise": [1.0, 2.0]},
        n=20,
        seed=1,
        **QUIET,
    )
    truth = found.table.pivot_table("truth", ["effect", "noise"], "term", sort=False)
    assert truth["x"].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert truth["sigma"].tolist() == [1.0, 2.0, 1.0, 2.0]
    np.testing.assert_allclose(truth["sd_Intercept|g"], 0.5)


def test_failures_are_counted(monkeypatch):
    """Fits that do not converge count, and stay out of the measures."""
    store = batch_estimate.BatchEstimate.store

    def failing(estimate, at, rows):
        store(estimate, at, rows)
        estimate.outcome[at[::10]] = batch_estimate.STATUSES.index("failed")
        estimate.estimate[at[::10]] = 1e9

    monkeypatch.setattr(batch_estimate.BatchEstimate, "store", failing)
    found = study(n=60)
    counts = found.counts()
    assert (counts["n"] + counts["failed"]).tolist() == [60, 60]
    assert (counts["failed"] >= 6).all()
    assert found.table["mean"].abs().max() < 10


def test_an_interrupt_keeps_what_is_done(monkeypatch):
    store, left = batch_estimate.BatchEstimate.store, [3]

    def stop(estimate, at, rows):
        store(estimate, at, rows)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(batch_estimate.BatchEstimate, "store", stop)
    with pytest.warns(ranef.RanefWarning, match=r"interrupted after \d+ of 800"):
        found = study()
    assert found.interrupted
    counts = found.counts()
    assert 0 < counts["n"].sum() < 800
    assert counts["failed"].sum() == 0


def test_a_stopped_study_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(study_engine, "NUMBERS", 100 * 48)  # blocks of 50 to 100 data sets
    whole = study()
    store, made, left = batch_estimate.BatchEstimate.store, [], [0]

    def stop(estimate, at, rows):
        store(estimate, at, rows)
        made.extend(at)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(batch_estimate.BatchEstimate, "store", stop)
    for blocks in (2, 5, 3, 9):
        left[0] = blocks
        with pytest.warns(ranef.RanefWarning, match="interrupted"):
            study(out=tmp_path / "out")
    for _ in range(2):
        found = study(out=tmp_path / "out", workers=2)
        pd.testing.assert_frame_equal(found.draws, whole.draws, check_exact=True)
        pd.testing.assert_frame_equal(found.table, whole.table, check_exact=True)
    assert len(made) == 800
    with pytest.raises(ranef.DataError, match="another seed"):
        study(out=tmp_path / "out", seed=9)
    with pytest.raises(ranef.DataError, match="another n"):
        study(out=tmp_path / "out", n=9)
    with pytest.raises(ValueError, match="needs a seed"):
        study(out=tmp_path / "other", seed=None)
    with pytest.raises(ranef.DataError, match="no run of fit_many"):
        ranef.StoredBatch(tmp_path / "out")
    with pytest.raises(ranef.DataError, match=r"'setting-00000\.npz' .* other data or parameters"):
        study(out=tmp_path / "out", varcorr={"g": 0.7 + 1e-9})


def test_what_is_wrong_is_named():
    for error, match, more in [
        (ValueError, "'z'.*the coefficients are Intercept, x", {"params": {"z": 1}}),
        (ValueError, "varcorr lacks 'g'", {"varcorr": {}}),
        (ValueError, "varcorr has 'h'", {"varcorr": {"h": 1, "g": 1}}),
        (ValueError, "1 standard deviations", {"varcorr": {"g": [1, 2]}}),
        (ValueError, "covariance matrix", {"varcorr": {"g": [[-1.0]]}}),
        (ValueError, "sigma", {"sigma": None}),
        (ValueError, "above zero", {"sigma": -1}),
        (ValueError, "n must be", {"n": 0}),
        (ValueError, "alpha", {"alpha": 5}),
        (ValueError, "is empty", {"settings": {"clusters": []}}),
        (ValueError, "ddf", {"ddf": "exact"}),
        (ranef.DataError, "no column 'gg'", {"levels": {"gg": 3}}),
        (ValueError, "2 or more", {"levels": {"g": 1}}),
    ]:
        with pytest.raises(error, match=match):
            study(**more)
    with pytest.raises(ValueError, match="neither a coefficient"):
        ranef.power(
            "y ~ x + (1 | g)", "q", treatment, varcorr={"g": 1}, sigma=1, n=5,
            settings={"clusters": 10}, **QUIET,
        )  # fmt: skip
    with pytest.raises(TypeError, match="formula or a model"):
        ranef.simulate_study(3.0)
    with pytest.raises(ValueError, match="data are needed"):
        ranef.simulate_study("y ~ x + (1 | g)")
    sleep = ranef.datasets.load("sleepstudy")
    pilot = ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep, prior="weak")
    with pytest.raises(ranef.UnsupportedError, match="fitted with a prior"):
        ranef.power(pilot, "Days", n=5, **QUIET)


def test_figures():
    mpl.use("Agg")
    from matplotlib import pyplot

    found = study(n=40, settings={"clusters": [8, 12], "times": [2, 4]}, tests=["x = 1"])
    figures = [found.plot(m) for m in ("power", "coverage", "bias", "sd", "mean_se", "rmse")]
    assert [a.get_title() for a in figures[0].axes] == ["x", "x = 1"]
    lines = figures[0].axes[0].get_lines()
    power = found.table.query("term == 'x' and times == 4")["power"]
    assert any(np.array_equal(line.get_ydata(), power) for line in lines)
    with pytest.raises(ValueError, match="measure must be one of"):
        found.plot("speed")
    with pytest.raises(ValueError, match="no term"):
        found.plot(terms=["q"])
    with pytest.raises(ValueError, match="x must be one of"):
        found.plot(x="q")
    pyplot.close("all")
