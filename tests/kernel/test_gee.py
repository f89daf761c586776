"""Estimating equations against a dense solver that inverts every working covariance."""

import numpy as np
import pytest

from ranef import _core

FIXED = np.array([[1, 0.4, 0.2, 0.1], [0.4, 1, 0.3, 0.2], [0.2, 0.3, 1, 0.5], [0.1, 0.2, 0.5, 1.0]])
EMPTY = np.empty((0, 0), order="F")


def _data(family, seed=11, n_clusters=60):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n_clusters)
    wave = np.concatenate([np.sort(rng.choice(4, s, replace=False)) for s in sizes])
    codes = np.repeat(np.arange(n_clusters), sizes)
    n = len(codes)
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=n), wave / 3.0]))
    eta = X @ [0.3, 0.4, -0.2] + 0.5 * rng.normal(size=n_clusters)[codes]
    draw = {
        "gaussian": lambda: eta + rng.normal(size=n),
        "binomial": lambda: (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(float),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "gamma": lambda: rng.gamma(2.0, np.exp(eta) / 2.0),
    }
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    weights = rng.uniform(0.5, 2.0, n)
    return draw[family](), X, weights, start, wave.astype(np.int32)


TIMES = np.array([1.0, 2.0, 4.0, 5.0])  # a gap between the second and the third
VARIANCE = {
    "gaussian": np.ones_like,
    "binomial": lambda m: m * (1 - m),
    "poisson": lambda m: m,
    "gamma": lambda m: m * m,
}
MEAN = {
    "identity": (lambda e: e, np.ones_like),
    "logit": (lambda e: 1 / (1 + np.exp(-e)), lambda e: np.exp(-e) / (1 + np.exp(-e)) ** 2),
    "log": (np.exp, np.exp),
    "cloglog": (lambda e: 1 - np.exp(-np.exp(e)), lambda e: np.exp(e - np.exp(e))),
    "inverse": (lambda e: 1 / e, lambda e: -1 / e**2),
}


def _correlation(corr, alpha):
    lag = np.abs(TIMES[:, None] - TIMES)
    if corr == "exchangeable":
        return np.where(lag == 0, 1.0, alpha[0])
    if corr == "ar1":
        return alpha[0] ** lag
    if corr == "m-dependent":
        return np.where(
            lag == 0, 1.0, np.where(lag == 1, alpha[0], np.where(lag == 2, alpha[1], 0))
        )
    if corr == "unstructured":
        R = np.eye(4)
        R[np.triu_indices(4, 1)] = alpha
        return R + R.T - np.eye(4)
    return FIXED if corr == "fixed" else np.eye(4)


def _dense_score(fit, y, X, weights, start, wave, family, link, corr):
    """Score, bread and meat at the fitted values, cluster by cluster with explicit inverses."""
    mean, slope = MEAN[link]
    eta = X @ fit.beta
    mu, D = mean(eta), slope(eta)[:, None] * X
    R = _correlation(corr, fit.alpha)
    p = X.shape[1]
    score, bread, meat = np.zeros(p), np.zeros((p, p)), np.zeros((p, p))
    for g in range(len(start) - 1):
        r = slice(start[g], start[g + 1])
        root = np.sqrt(VARIANCE[family](mu[r]) / weights[r])
        V = root[:, None] * R[np.ix_(wave[r], wave[r])] * root
        u = D[r].T @ np.linalg.solve(V, y[r] - mu[r])
        score, meat = score + u, meat + np.outer(u, u)
        bread += D[r].T @ np.linalg.solve(V, D[r])
    return score, bread, meat


def _moments(fit, y, weights, start, wave, family, corr):
    """Moment equations of the correlation parameters at the fitted means; zero at the solution."""
    r = (y - fit.mu) / np.sqrt(VARIANCE[family](fit.mu))
    phi = np.sum(weights * r * r) / np.sum(weights)
    R = _correlation(corr, fit.alpha)
    sums = np.zeros((4, 4))
    for g in range(len(start) - 1):
        rows = range(start[g], start[g + 1])
        for j in rows:
            for k in rows:
                if j < k:
                    left = r[j] * r[k] / phi - R[wave[j], wave[k]]
                    sums[wave[j], wave[k]] += weights[j] * weights[k] * left
    lag = np.abs(TIMES[:, None] - TIMES)
    if corr == "exchangeable":
        moments = [sums.sum()]
    elif corr == "ar1":
        moments = [np.sum(sums * lag * fit.alpha[0] ** (lag - 1))]
    elif corr == "m-dependent":
        moments = [sums[lag == 1].sum(), sums[lag == 2].sum()]
    else:
        moments = sums[np.triu_indices(4, 1)]
    return phi, np.array(moments)


def _fit(y, X, weights, start, wave, family, link, corr):
    fixed = np.asfortranarray(FIXED) if corr == "fixed" else EMPTY
    return _core.fit_gee(
        y, X, np.empty(0), weights, start, wave, TIMES, fixed, family, link, corr,
        lags=2, tolerance=1e-11, max_iterations=1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("gaussian", "identity"),
        ("binomial", "logit"),
        ("binomial", "cloglog"),
        ("poisson", "log"),
        ("gamma", "log"),
        ("gamma", "inverse"),
    ],
)
@pytest.mark.parametrize(
    "corr", ["independence", "exchangeable", "ar1", "m-dependent", "unstructured", "fixed"]
)
def test_solution_solves_the_dense_equations(family, link, corr):
    y, X, weights, start, wave = _data(family)
    fit = _fit(y, X, weights, start, wave, family, link, corr)
    assert fit.status.name == "converged"
    score, bread, meat = _dense_score(fit, y, X, weights, start, wave, family, link, corr)
    np.testing.assert_allclose(score, 0.0, atol=1e-7 * np.sqrt(np.diag(meat)).max())
    np.testing.assert_allclose(fit.bread, bread, rtol=1e-9)
    codes = np.repeat(np.arange(len(start) - 1), np.diff(start)).astype(np.int32)
    scores = _core.sum_by_cluster(
        np.asfortranarray(fit.columns * fit.resid[:, None]), codes, len(start) - 1
    )
    np.testing.assert_allclose(scores.T @ scores, meat, rtol=1e-9)
    if corr not in ("independence", "fixed"):
        phi, moments = _moments(fit, y, weights, start, wave, family, corr)
        assert fit.phi == pytest.approx(phi, rel=1e-9)
        np.testing.assert_allclose(moments, 0.0, atol=1e-6)


def test_irregular_times_use_real_distances():
    y, X, weights, start, wave = _data("gaussian")
    times = np.array([0.0, 0.7, 1.9, 4.0])
    fit = _core.fit_gee(
        y, X, np.empty(0), weights, start, wave, times, EMPTY, "gaussian", "identity", "ar1"
    )
    V = fit.alpha[0] ** np.abs(times[:, None] - times)
    bread = np.zeros((3, 3))
    for g in range(len(start) - 1):
        r = slice(start[g], start[g + 1])
        s = np.sqrt(weights[r])
        whole = V[np.ix_(wave[r], wave[r])] / s[:, None] / s
        bread += X[r].T @ np.linalg.solve(whole, X[r])
    np.testing.assert_allclose(fit.bread, bread, rtol=1e-9)


def test_a_matrix_that_is_no_correlation_is_reported():
    y, X, weights, start, wave = _data("gaussian")
    bad = np.asfortranarray(np.full((4, 4), -0.9) + 1.9 * np.eye(4))
    fit = _core.fit_gee(
        y, X, np.empty(0), weights, start, wave, TIMES, bad, "gaussian", "identity", "fixed"
    )
    assert fit.status.name == "not_positive_definite"


def test_collinear_columns_are_reported():
    y, X, weights, start, wave = _data("gaussian")
    X = np.asfortranarray(np.column_stack([X, np.zeros(len(X))]))
    fit = _fit(y, X, weights, start, wave, "gaussian", "identity", "exchangeable")
    assert fit.status.name == "singular"


def test_wrong_arrays_are_refused():
    y, X, weights, start, wave = _data("gaussian")
    with pytest.raises(ValueError, match="wave"):
        _fit(y, X, weights, start, wave[:-1].copy(), "gaussian", "identity", "ar1")
    with pytest.raises(ValueError, match="start"):
        _fit(y, X, weights, start[:-1].copy(), wave, "gaussian", "identity", "ar1")
    with pytest.raises(ValueError, match="offset, weights"):
        _fit(y, X, weights[:-1].copy(), start, wave, "gaussian", "identity", "ar1")
    with pytest.raises(ValueError, match="family: its variance"):
        _fit(y, X, weights, start, wave, "student", "identity", "ar1")


@pytest.mark.parametrize("unit", [1.0, 7.0, 86400.0, 0.01])
@pytest.mark.parametrize("times", [[0.0, 1.0, 2.0, 3.0], [0.0, 0.7, 1.9, 4.0]])
def test_the_unit_of_time_changes_only_the_unit_of_the_correlation(unit, times):
    y, X, weights, start, wave = _data("gaussian")

    def fit(time):
        return _core.fit_gee(
            y, X, np.empty(0), weights, start, wave, time, EMPTY, "gaussian", "identity", "ar1"
        )

    base, other = fit(np.array(times)), fit(unit * np.array(times))
    np.testing.assert_allclose(other.beta, base.beta, rtol=1e-9)
    np.testing.assert_allclose(other.bread, base.bread, rtol=1e-8)
    np.testing.assert_allclose(other.alpha**unit, base.alpha, rtol=1e-8)


def test_m_dependence_needs_equal_steps():
    y, X, weights, start, wave = _data("gaussian")
    times = np.array([0.0, 0.7, 1.9, 4.0])
    with pytest.raises(ValueError, match="equal steps"):
        _core.fit_gee(
            y, X, np.empty(0), weights, start, wave, times, EMPTY, "gaussian", "identity",
            "m-dependent",
        )  # fmt: skip
