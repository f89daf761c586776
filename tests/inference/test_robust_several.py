"""Clusters of several kinds and the wild bootstrap for mixed models and estimating equations."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.sandwich.wild import auxiliary


def _frame(seed=3):
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"a": np.repeat(np.arange(12), 14), "b": np.tile(np.arange(14), 12)})
    d = d.sample(frac=0.8, random_state=seed).sample(frac=1.0, random_state=1)
    d["top"] = d["a"] // 2
    d["x"] = rng.normal(size=len(d)) + 0.2 * d["a"]
    d["y"] = 1.0 + 0.5 * d["x"] + rng.normal(size=12)[d["a"]] + rng.normal(size=14)[d["b"]]
    d["y"] += rng.normal(size=len(d))
    d["w"] = rng.uniform(0.5, 2.0, len(d))
    return d


def _meat(rows, clusters):
    """Sum of s_i s_j' over pairs of rows that share a cluster of any kind."""
    share = np.zeros((len(rows), len(rows)), bool)
    for codes in clusters:
        share |= codes[:, None] == codes
    return rows.T @ share @ rows


def _marginal(d, model, groups, weights):
    """Covariance V of the rows over sigma^2, and X."""
    w = np.ones(len(d)) if weights is None else d[weights].to_numpy()
    V = np.diag(1.0 / w)
    for group in groups:
        Z = (d[group].to_numpy()[:, None] == np.unique(d[group])).astype(float)
        V += model.varcorr[group].to_numpy()[0, 0] / model.sigma**2 * Z @ Z.T
    return V, np.column_stack([np.ones(len(d)), d["x"]])


@pytest.mark.parametrize("weights", [None, "w"])
def test_two_way_clusters_of_crossed_random_effects_are_sums_over_pairs_of_rows(weights):
    d = _frame()
    model = ranef.lmer("y ~ x + (1 | a) + (1 | b)", d, weights=weights)
    V, X = _marginal(d, model, "ab", weights)
    solved = np.linalg.solve(V, X)
    bread = np.linalg.inv(X.T @ solved)
    rows = solved * (d["y"].to_numpy() - X @ model.params.to_numpy())[:, None]
    want = bread @ _meat(rows, [d["a"].to_numpy(), d["b"].to_numpy()]) @ bread
    found = model.robust("CR0", cluster=["a", "b"])
    np.testing.assert_allclose(found.cov_params(), want, rtol=1e-7)
    assert found.coef_table()["df"].to_list() == [11.0, 11.0]


def test_clusters_of_several_kinds_must_hold_the_random_effects():
    model = ranef.lmer("y ~ x + (1 | a) + (1 | b)", _frame())
    with pytest.raises(ranef.ModelError, match="'b' span several clusters of each of 'a', "):
        model.robust("CR0", cluster=["a", "top"])
    with pytest.raises(ranef.UnsupportedError, match="clusters of one kind"):
        model.robust("CR2", cluster=["a", "b"])


def test_two_way_clusters_of_independence_equations_are_those_of_least_squares():
    d = _frame()
    equations = ranef.gee("y ~ x", d, groups="a", corr="independence")
    squares = ranef.feols("y ~ x", d)
    for kind in ("CR0", "CR1", "CR1S"):
        found = equations.robust(kind, cluster=["a", "b"]).coef_table()
        pd.testing.assert_frame_equal(found, squares.robust(kind, cluster=["a", "b"]).coef_table())


def test_two_way_clusters_of_correlated_equations_hold_whole_groups():
    d = _frame()
    d["ab"] = d["a"] * 100 + d["b"] // 2
    d["half"] = d["b"] // 2
    model = ranef.gee("y ~ x", d, groups="ab", corr="exchangeable")
    R = np.where(d["ab"].to_numpy()[:, None] == d["ab"].to_numpy(), model.corr_params["alpha"], 0.0)
    np.fill_diagonal(R, 1.0)
    X = np.column_stack([np.ones(len(d)), d["x"]])
    solved = np.linalg.solve(R, X)
    bread = np.linalg.inv(X.T @ solved)
    rows = solved * model.resid.to_numpy()[:, None]
    want = bread @ _meat(rows, [d["a"].to_numpy(), d["half"].to_numpy()]) @ bread
    found = model.robust("CR0", cluster=["a", "half"]).cov_params()
    np.testing.assert_allclose(found, want, rtol=1e-7)
    with pytest.raises(ranef.ModelError, match="use corr"):
        model.robust("CR0", cluster=["a", "b"])


def test_row_clusters_are_refused_for_models_of_dependent_rows():
    with pytest.raises(ValueError, match="HC0 to HC3 take rows as independent"):
        ranef.lmer("y ~ x + (1 | a)", _frame()).robust("HC1")


def test_the_bootstrap_of_a_mixed_model_is_that_of_least_squares_on_whitened_rows():
    d = _frame()
    model = ranef.lmer("y ~ x + (1 | a)", d)
    found = model.wild_bootstrap("x", null=0.4, weights="rademacher", draws=5000)
    assert found.enumerated
    V, X = _marginal(d, model, "a", None)
    order = np.argsort(d["a"].to_numpy(), kind="stable")
    half = np.linalg.inv(np.linalg.cholesky(V[np.ix_(order, order)]))
    Xw, yw, g = half @ X[order], half @ d["y"].to_numpy()[order], d["a"].to_numpy()[order]

    def fit(y):
        M = np.linalg.inv(Xw.T @ Xw)
        beta = M @ Xw.T @ y
        scores = np.stack([Xw[g == k].T @ (y - Xw @ beta)[g == k] for k in range(12)])
        return beta[1], np.sqrt((M @ scores.T @ scores @ M)[1, 1])

    rest = Xw[:, :1]
    null = rest @ np.linalg.lstsq(rest, yw - 0.4 * Xw[:, 1], rcond=None)[0] + 0.4 * Xw[:, 1]
    V12 = np.hstack(list(auxiliary(12, 5000, "rademacher", None)[0]))
    beta, se = fit(yw)
    draws = [fit(null + (yw - null) * v[g]) for v in V12.T[::4]]
    t = np.array([abs(b - 0.4) / s for b, s in draws])
    share = np.mean(t >= abs(beta - 0.4) / se * (1 - 1e-9))
    assert found.pvalue == pytest.approx(share, abs=0.03)
    assert found.statistic == pytest.approx((beta - 0.4) / se, rel=1e-6)


def test_the_bootstrap_of_independence_equations_is_that_of_least_squares():
    d = _frame()
    ours = ranef.gee("y ~ x", d, groups="a", corr="independence").wild_bootstrap("x", seed=1)
    theirs = ranef.feols("y ~ x", d).wild_bootstrap("x", cluster="a", seed=1)
    assert ours.pvalue == pytest.approx(theirs.pvalue, abs=1e-12)
    assert ours.lower == pytest.approx(theirs.lower, rel=1e-6)


def test_the_bootstrap_needs_clusters_of_one_kind():
    model = ranef.feols("y ~ x", _frame())
    with pytest.raises(ranef.UnsupportedError, match="one kind"):
        model.robust("CR1", cluster=["a", "b"]).wild_bootstrap("x")
    with pytest.raises(ranef.UnsupportedError, match="one kind"):
        model.robust("HC1").wild_bootstrap("x")


def test_the_jackknife_of_equations_has_the_degrees_of_freedom_of_its_own_adjustment():
    model = ranef.gee("y ~ x", _frame(), groups="a")
    jackknife, cautious = model.robust("jackknife"), model.robust("CR3")
    pd.testing.assert_series_equal(jackknife.coef_table()["df"], cautious.coef_table()["df"])
    assert jackknife.kind == "jackknife"
