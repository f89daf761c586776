"""Cluster-robust covariances against dense n by n algebra."""

import numpy as np
import pytest

import ranef
from ranef import _core
from ranef.errors import ModelError
from ranef.inference.sandwich.sandwich import DiagonalScores, cluster_factor, cluster_meat
from ranef.inference.sandwich.tests import htz_test, satterthwaite_df
from ranef.models.ols import fit_ols, orthonormal_basis

KINDS = ["CR0", "CR2", "CR3"]


def _data(weighted, seed=7, n=40, n_clusters=8):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    group = rng.normal(size=n_clusters)[codes]
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=n), group]))
    y = X @ [1.0, 0.5, -0.3] + rng.normal(size=n) + rng.normal(size=n_clusters)[codes]
    weights = rng.uniform(0.3, 3.0, n) if weighted else None
    return y, X, weights, codes.astype(np.int32)


def _model(y, X, weights, codes):
    estimate, basis = fit_ols(y, X, weights), orthonormal_basis(X, weights)
    return estimate, DiagonalScores(
        basis.columns, estimate.resid, weights, basis.root, codes, int(codes.max()) + 1
    )


def _dense(y, X, weights, codes, kind, contrasts):
    """Covariance, degrees of freedom and the clusters' functionals, from n by n matrices."""
    n = len(y)
    W = np.eye(n) if weights is None else np.diag(weights)
    M = np.linalg.inv(X.T @ W @ X)
    left = np.eye(n) - X @ M @ X.T @ W
    resid = left @ y
    functionals = np.zeros((codes.max() + 1, n, X.shape[1]))
    V = np.zeros((X.shape[1], X.shape[1]))
    for g in range(codes.max() + 1):
        r = np.flatnonzero(codes == g)
        if kind == "CR2":
            lam, E = np.linalg.eigh((left @ left.T)[np.ix_(r, r)])
            A = (E / np.sqrt(lam)) @ E.T
        else:
            A = np.eye(len(r)) if kind == "CR0" else np.linalg.inv(left[np.ix_(r, r)])
        a = A.T @ W[np.ix_(r, r)] @ X[r] @ M
        functionals[g] = left[r].T @ a
        V += np.outer(a.T @ resid[r], a.T @ resid[r])
    df = []
    for c in contrasts:
        P = np.einsum("gni,i->gn", functionals, c)
        P = P @ P.T
        df.append(np.trace(P) ** 2 / np.sum(P**2))
    return V, np.array(df), functionals


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_covariance_and_df_equal_dense_algebra(kind, weighted):
    y, X, weights, codes = _data(weighted)
    _, model = _model(y, X, weights, codes)
    contrasts = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 0.5]])
    V, df, _ = _dense(y, X, weights, codes, kind, contrasts)
    ours = model.root @ cluster_meat(model, kind) @ model.root.T
    np.testing.assert_allclose(ours, V, rtol=1e-10)
    np.testing.assert_allclose(satterthwaite_df(model, kind, contrasts), df, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_joint_test_equals_dense_algebra(kind, weighted):
    y, X, weights, codes = _data(weighted)
    estimate, model = _model(y, X, weights, codes)
    C = np.eye(3)[1:]
    V, _, functionals = _dense(y, X, weights, codes, kind, C)
    f = np.einsum("gni,qi->gnq", functionals, C)
    omega = np.einsum("gns,gnt->st", f, f)
    lam, E = np.linalg.eigh(omega)
    f = f @ (E / np.sqrt(lam)) @ E.T
    P = np.einsum("gns,hnt->stgh", f, f)
    total = sum(np.sum(P[s, s] * P[t, t] + P[s, t] * P[t, s]) for s in range(2) for t in range(2))
    eta = 6.0 / total
    value = C @ estimate.beta
    wald = value @ np.linalg.solve(C @ V @ C.T, value)
    ours = htz_test(model, kind, C, value, V)
    assert ours.den_df == pytest.approx(eta - 1.0, rel=1e-9)
    assert ours.statistic == pytest.approx((eta - 1.0) / (eta * 2.0) * wald, rel=1e-9)


def test_memory_bound_does_not_change_the_answer(monkeypatch):
    y, X, weights, codes = _data(False)
    _, model = _model(y, X, weights, codes)
    whole = satterthwaite_df(model, "CR2", np.eye(3))
    monkeypatch.setattr("ranef.inference.sandwich.sandwich.CHUNK", 20)
    np.testing.assert_allclose(satterthwaite_df(model, "CR2", np.eye(3)), whole, rtol=1e-12)


def test_a_column_of_one_cluster_alone():
    y, X, _, codes = _data(False)
    X = np.asfortranarray(np.column_stack([X, codes == 0]).astype(float))
    _, model = _model(y, X, None, codes)
    assert np.isfinite(cluster_meat(model, "CR2")).all()
    with pytest.raises(ModelError, match="CR3 leaves out one cluster"):
        cluster_meat(model, "CR3")


def test_one_cluster_is_refused():
    y, X, _, codes = _data(False)
    _, model = _model(y, X, None, np.zeros_like(codes))
    with pytest.raises(ModelError, match="only one"):
        cluster_meat(model, "CR0")


def test_unknown_kind_names_the_known_ones():
    y, X, _, codes = _data(False)
    _, model = _model(y, X, None, codes)
    with pytest.raises(ValueError, match="CR0, CR1, CR1S, CR2, CR3"):
        cluster_meat(model, "HC9")


def test_factors():
    assert cluster_factor("CR1", 100, 10, 3) == pytest.approx(10 / 9)
    assert cluster_factor("CR1S", 100, 10, 3) == pytest.approx(10 / 9 * 99 / 97)
    assert cluster_factor("CR2", 100, 10, 3) == 1.0


def test_sums_and_grams_equal_loops():
    _, X, _, codes = _data(False)
    sums = _core.sum_by_cluster(X, codes, 8)
    grams = _core.gram_by_cluster(X, codes, 2, 5)
    for g in range(8):
        np.testing.assert_allclose(sums[g], X[codes == g].sum(axis=0), rtol=1e-13)
    for g in range(2, 5):
        np.testing.assert_allclose(
            grams[g - 2].reshape(3, 3), X[codes == g].T @ X[codes == g], rtol=1e-12
        )


def test_wrong_arrays_are_refused():
    _, X, _, codes = _data(False)
    with pytest.raises(ValueError, match="one entry for each row"):
        _core.sum_by_cluster(X, codes[:-1].copy(), 8)
    with pytest.raises(ValueError, match="outside"):
        _core.sum_by_cluster(X, codes, 3)
    with pytest.raises(ValueError, match="one entry for each row"):
        _core.gram_by_cluster(X, codes[:-1].copy(), 0, 8)


def test_rows_are_ordered_by_cluster_and_place():
    codes = np.random.default_rng(0).integers(0, 7, 200).astype(np.int32)
    codes[codes == 3] = 4  # a cluster without rows
    found = _core.order_by_cluster(codes, 7)
    np.testing.assert_array_equal(found, np.argsort(codes, kind="stable"))
    assert len(_core.order_by_cluster(codes[:0], 0)) == 0
    with pytest.raises(ValueError, match="outside 0 to n_clusters"):
        _core.order_by_cluster(codes, 6)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e6, 1e12])
def test_the_unit_of_the_weights_does_not_reach_cluster_robust_errors(kind, unit):
    rng = np.random.default_rng(11)
    d = {"g": np.repeat(np.arange(15), 6), "x": rng.normal(size=90), "f": np.tile(list("abc"), 30)}
    d |= {"y": rng.normal(size=90) + rng.normal(size=15)[d["g"]]}
    w = rng.uniform(0.2, 5.0, 90)
    tables = [
        ranef.feols("y ~ x + f", d, weights=w * k).robust(kind, cluster="g").coef_table()
        for k in (1.0, unit)
    ]
    np.testing.assert_allclose(tables[1][["se", "df"]], tables[0][["se", "df"]], rtol=1e-7)
