"""Marginal models from formulas: row order, gaps, options, errors and answers."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef


def _frame(seed=6, groups=40):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, groups)
    g = np.repeat(np.arange(groups), sizes)
    t = np.concatenate([np.sort(rng.choice(5, s, replace=False)) for s in sizes])
    x = rng.normal(size=len(g))
    u = 0.6 * rng.normal(size=groups)[g]
    eta = 0.3 + 0.5 * x - 0.1 * t + u
    return pd.DataFrame(
        {
            "g": g,
            "t": t,
            "x": x,
            "y": eta + rng.normal(size=len(g)),
            "b": (rng.uniform(size=len(g)) < 1 / (1 + np.exp(-eta))).astype(int),
            "k": rng.poisson(np.exp(eta)),
            "block": g // 5,
            "w": rng.uniform(0.5, 2.0, len(g)),
        }
    )


@pytest.mark.parametrize("corr", ["exchangeable", "ar1", "unstructured", "1-dependent"])
def test_rows_may_come_in_any_order(corr):
    frame = _frame()
    mixed = frame.sample(frac=1.0, random_state=1)
    a = ranef.gee("y ~ x", frame, groups="g", time="t", corr=corr)
    b = ranef.gee("y ~ x", mixed, groups="g", time="t", corr=corr)
    pd.testing.assert_frame_equal(a.coef_table(), b.coef_table(), rtol=1e-7)
    np.testing.assert_allclose(a.fittedvalues.loc[mixed.index], b.fittedvalues, rtol=1e-7)


def test_units_of_columns_and_time_do_not_matter():
    frame = _frame().assign(year=lambda d: 2008.0 + d["t"])
    a = ranef.gee("y ~ x + t", frame, groups="g", time="t", corr="ar1")
    b = ranef.gee("y ~ x + year", frame, groups="g", time="year", corr="ar1")
    np.testing.assert_allclose(a.fittedvalues, b.fittedvalues, rtol=1e-8)
    assert b.bse["year"] == pytest.approx(a.bse["t"], rel=1e-6)


def test_dates_count_days():
    frame = _frame().assign(day=lambda d: pd.Timestamp("2024-01-01") + pd.to_timedelta(d["t"], "D"))
    a = ranef.gee("y ~ x", frame, groups="g", time="t", corr="ar1")
    b = ranef.gee("y ~ x", frame, groups="g", time="day", corr="ar1")
    assert float(a.corr_params.iloc[0]) == pytest.approx(float(b.corr_params.iloc[0]), rel=1e-8)


def test_whole_weights_repeat_independent_rows():
    frame = _frame()
    frame["n"] = np.random.default_rng(1).integers(1, 4, len(frame))
    long = frame.loc[frame.index.repeat(frame["n"])]
    a = ranef.gee("b ~ x", frame, groups="g", family="binomial", corr="independence", weights="n")
    b = ranef.gee("b ~ x", long, groups="g", family="binomial", corr="independence")
    np.testing.assert_allclose(a.params, b.params, rtol=1e-7)
    np.testing.assert_allclose(a.bse, b.bse, rtol=1e-7)


def test_independence_with_identity_link_is_least_squares():
    frame = _frame()
    marginal = ranef.gee("y ~ x + t", frame, groups="g", corr="independence")
    pooled = ranef.feols("y ~ x + t", frame)
    for kind in ("CR0", "CR1", "CR1S", "CR2", "CR3"):
        a, b = marginal.robust(kind), pooled.robust(kind, cluster="g")
        pd.testing.assert_frame_equal(a.coef_table(), b.coef_table(), rtol=1e-8)


def test_a_given_matrix_of_compound_symmetry_is_exchangeable():
    frame = _frame()
    free = ranef.gee("y ~ x", frame, groups="g", time="t")
    R = free.working_corr
    assert R.shape == (5, 5)
    fixed = ranef.gee("y ~ x", frame, groups="g", time="t", corr=R)
    np.testing.assert_allclose(free.params, fixed.params, rtol=1e-6)
    np.testing.assert_allclose(free.bse, fixed.bse, rtol=1e-6)
    assert len(fixed.corr_params) == 0


@pytest.mark.parametrize("corr", ["exchangeable", "ar1", "unstructured", "2-dependent"])
def test_named_covariances_equal_dense_formulas(corr):
    # Mancl and DeRouen (2001) and Kauermann and Carroll (2001), with explicit inverses.
    frame = _frame(groups=150)
    model = ranef.gee("k ~ x", frame, groups="g", time="t", family="poisson", corr=corr)
    R, mu = model.working_corr.to_numpy(), model.fittedvalues.to_numpy()
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    D = mu[:, None] * X
    parts, bread = [], np.zeros((2, 2))
    for _, rows in frame.groupby("g").indices.items():
        at = frame["t"].to_numpy()[rows]
        root = np.sqrt(mu[rows])
        V = root[:, None] * R[np.ix_(at, at)] * root
        bread += D[rows].T @ np.linalg.solve(V, D[rows])
        parts.append((D[rows], V, frame["k"].to_numpy()[rows] - mu[rows]))
    M = np.linalg.inv(bread)
    meats = {"robust": 0.0, "mancl-derouen": 0.0, "kauermann-carroll": 0.0}
    for Dg, V, e in parts:
        W = np.linalg.inv(V)
        H = Dg @ M @ Dg.T @ W
        lam, E = np.linalg.eig(np.eye(len(e)) - H)
        half = (E @ np.diag(1 / np.sqrt(lam)) @ np.linalg.inv(E)).real
        for name, A in (
            ("robust", np.eye(len(e))),
            ("mancl-derouen", np.linalg.inv(np.eye(len(e)) - H)),
            ("kauermann-carroll", half),
        ):
            u = Dg.T @ W @ A @ e
            meats[name] = meats[name] + np.outer(u, u)
    for name, meat in meats.items():
        ours = model.robust(name).cov_params().to_numpy()
        np.testing.assert_allclose(ours, M @ meat @ M, rtol=1e-6, err_msg=name)


def test_small_sample_errors_are_tested_by_t():
    frame = _frame()
    normal = ranef.gee("y ~ x", frame, groups="g").coef_table()
    small = ranef.gee("y ~ x", frame, groups="g", vcov="mancl-derouen").coef_table()
    assert np.isinf(normal["df"]).all()
    assert ((small["df"] > 2) & (small["df"] < 40)).all()
    assert (small["se"] > normal["se"]).all()


def test_clusters_must_hold_whole_groups():
    frame = _frame()
    model = ranef.gee("y ~ x", frame, groups="g")
    assert model.robust("CR2", cluster="block").n_clusters == {"block": 8}
    with pytest.raises(ranef.ModelError, match="whole groups"):
        model.robust("CR2", cluster="t")


def test_terms_are_tested_by_wald():
    model = ranef.gee("b ~ x + C(t)", _frame(), groups="g", family="binomial")
    table = model.anova()
    assert list(table.index) == ["x", "C(t)"]
    assert table.loc["x", "F"] == pytest.approx(model.tvalues["x"] ** 2)
    assert table.loc["x", "pvalue"] == pytest.approx(model.pvalues["x"])
    assert table.loc["C(t)", "num_df"] == 4


def test_predictions_and_intervals():
    frame = _frame()
    model = ranef.gee("b ~ x + offset(w)", frame, groups="g", family="binomial", link="cloglog")
    np.testing.assert_allclose(model.predict(frame), model.fittedvalues, rtol=1e-10)
    np.testing.assert_allclose(model.predict(), model.fittedvalues, rtol=1e-10)
    table = model.predict(frame.head(3), interval="confidence")
    assert ((table["lower"] < table["mean"]) & (table["mean"] < table["upper"])).all()
    eta = np.log(-np.log1p(-table))
    np.testing.assert_allclose(eta["upper"] - eta["mean"], eta["mean"] - eta["lower"], rtol=1e-8)


def test_a_response_of_two_levels_takes_the_first_as_failure():
    frame = _frame()
    frame["word"] = np.where(frame["b"] == 1, "yes", "no")
    a = ranef.gee("b ~ x", frame, groups="g", family="binomial")
    b = ranef.gee("word ~ x", frame, groups="g", family="binomial")
    np.testing.assert_allclose(a.params, b.params, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"family": "student"}, ValueError, "gaussian, binomial, poisson, gamma"),
        ({}, {"link": "cauchit"}, ValueError, "'identity', 'logit', 'probit'"),
        ({}, {"corr": "toeplitz"}, ValueError, "'independence', 'exchangeable', 'ar1'"),
        ({}, {"corr": "7-dependent"}, ValueError, "at most 4-dependent"),
        ({}, {"corr": np.eye(3)}, ValueError, r"must be \(5, 5\)"),
        ({}, {"corr": np.full((5, 5), 1.0)}, ValueError, "not positive definite"),
        ({}, {"corr": np.triu(np.ones((5, 5)))}, ValueError, "symmetric"),
        ({}, {"vcov": "model"}, ValueError, "'robust', 'naive', 'jackknife'"),
        ({}, {"family": "gamma"}, ranef.DataError, r"above 0; 'y' is not in \d+ rows?"),
        ({"y": 2.0}, {"family": "binomial"}, ranef.DataError, "between 0 and 1.*trials"),
        ({}, {"groups": "nope"}, ranef.DataError, "no column 'nope'"),
    ],
)
def test_wrong_input_is_explained(change, options, error, words):
    frame = _frame().assign(**change)
    with pytest.raises(error, match=words):
        ranef.gee("y ~ x", frame, **{"groups": "g", "time": "t", **options})


def test_a_time_that_occurs_twice_in_a_group_is_named():
    frame = _frame()
    frame.loc[frame.index[frame["g"] == 3][:2], "t"] = 1
    with pytest.raises(ranef.DataError, match=r"group 3 has 't' = 1 more than once \(1 repet"):
        ranef.gee("y ~ x", frame, groups="g", time="t")


def test_times_that_never_meet_have_no_correlation():
    frame = _frame()
    late = frame["t"].where(frame["g"] % 2 == 0, frame["t"] + 10)
    with pytest.raises(ranef.ModelError, match="no group has rows at both times 0 and 10"):
        ranef.gee("y ~ x", frame.assign(t=late), groups="g", time="t", corr="unstructured")


def test_uneven_times_have_no_steps():
    frame = _frame().assign(t=lambda d: d["t"] ** 1.5)
    with pytest.raises(ranef.ModelError, match="not evenly spaced"):
        ranef.gee("y ~ x", frame, groups="g", time="t", corr="1-dependent")


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_separation_is_reported(link):
    frame = _frame().assign(p=lambda d: (d["x"] > 0).astype(int))
    with pytest.warns(ranef.ConvergenceWarning, match="separates the responses"):
        model = ranef.gee("p ~ x", frame, groups="g", family="binomial", link=link)
    assert not model.converged
    assert any("separates" in str(warning) for warning in model.warnings)


def test_an_interval_of_an_inverse_link_does_not_pass_zero():
    """The mean is 1 / eta: its upper limit is infinite where eta may be zero."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.arange(24) // 4, "y": rng.gamma(0.3, 4.0, 24) + 1e-3})
    frame["x"] = rng.normal(size=24)
    model = ranef.gee("y ~ x", frame, groups="g", family="gamma")
    found = model.predict(interval="confidence", level=0.9999)
    eta = 1.0 / found["mean"]
    assert (found["lower"] > 0.0).all()
    assert (found["lower"] < found["mean"]).all()
    assert (found["mean"] < found["upper"]).all()
    half = 1.0 / found["lower"] - eta
    assert (np.isinf(found["upper"]) == (half >= eta)).all()
    assert np.isinf(found["upper"]).any()


def test_equations_without_a_solution_are_reported():
    frame = _frame().assign(p=lambda d: (d["x"] > 0).astype(int))
    with pytest.warns(ranef.ConvergenceWarning, match="or the usual link"):
        ranef.gee("p ~ x", frame, groups="g", family="binomial", link="identity")


def test_aliased_columns_are_named():
    with pytest.warns(ranef.RankWarning, match="x2"):
        model = ranef.gee("y ~ x + x2", _frame().assign(x2=lambda d: 2 * d["x"]), groups="g")
    assert np.isnan(model.params["x2"])


def test_other_tables_pickles_and_views():
    frame = _frame()
    model = ranef.gee("y ~ x", frame, groups="g", time="t", corr="ar1")
    again = ranef.gee("y ~ x", pl.from_pandas(frame), groups="g", time="t", corr="ar1")
    pd.testing.assert_frame_equal(model.coef_table(), again.coef_table())
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        pd.testing.assert_frame_equal(other.coef_table(), model.coef_table())
    assert "ar1" in str(model)
    assert "<table>" in model._repr_html_()
    counted = ranef.gee("y ~ x", frame, groups="g", corr="ar1")
    assert "no time was given" in str(counted)


def test_thousands_of_times_of_no_step_are_welcome():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(900), 5)
    frame = pd.DataFrame(
        {"g": g, "t": rng.uniform(0.0, 10.0, len(g)), "x": rng.normal(size=len(g))}
    )
    frame["y"] = frame["x"] + rng.normal(size=900)[g] + rng.normal(size=len(g))
    timed = ranef.gee("y ~ x", frame, groups="g", time="t")
    untimed = ranef.gee("y ~ x", frame, groups="g")
    np.testing.assert_allclose(timed.params, untimed.params, rtol=1e-9)
    assert (
        0.0 < ranef.gee("y ~ x", frame, groups="g", time="t", corr="ar1").corr_params["alpha"] < 1.0
    )


def test_dates_and_days_are_the_same_times():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(40), 5)
    days = np.tile([0, 30, 61, 91, 122], 40)
    e = np.zeros(len(g))
    for i in range(len(g)):
        e[i] = rng.normal() + (0.8 * e[i - 1] if i % 5 else 0.0)
    frame = pd.DataFrame({"g": g, "days": days, "y": e, "x": rng.normal(size=len(g))})
    frame["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["days"], unit="D")
    a = ranef.gee("y ~ x", frame, groups="g", time="days", corr="ar1")
    b = ranef.gee("y ~ x", frame, groups="g", time="date", corr="ar1")
    assert a.corr_params["alpha"] == pytest.approx(b.corr_params["alpha"], rel=1e-12)
    assert a.corr_params["alpha"] ** 30 == pytest.approx(0.8, abs=0.15)
