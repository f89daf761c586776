"""The compiled kernel against dense arithmetic, plan by plan and block size by block size."""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef import _core
from ranef.models import lmm

PLANS = {
    "scalar": [(12, 1)],
    "pair": [(15, 2)],
    "triple": [(10, 3)],
    "six columns": [(9, 6)],
    "crossed, dense coupling": [(30, 1), (8, 1)],
    "crossed vectors": [(20, 2), (9, 3), (5, 1)],
    "crossed, sparse coupling": [(90, 1), (60, 1)],
}


def rows(shapes, seed=1, n=200, weighted=False):
    """Columns, codes and factors of a random model."""
    rng = np.random.default_rng(seed)
    columns = [rng.normal(3.0 * j, 1.0 + j, n) for j in range(5)]
    terms, factors = [], []
    for levels, k in shapes:
        codes = np.concatenate([np.arange(levels), rng.integers(levels, size=n - levels)])
        blocks = [0 if j < 2 else 1 for j in range(k)]
        terms.append((codes.astype(np.int32), levels, [-1, *range(k - 1)], blocks))
        same = np.equal.outer(blocks, blocks)
        factor = np.tril(rng.normal(size=(k, k))) * same / 2 + np.eye(k) / 2
        factors.append(np.asfortranarray(factor * np.sign(np.diag(factor))))
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    return rng.normal(50.0, 3.0, n), columns, [-1, 0, 1], terms, weights, factors


def dense(y, columns, fixed, terms, weights, factors, reml):
    """The same numbers from n by n matrices."""
    n = len(y)

    def matrix(references):
        return np.column_stack([np.ones(n) if j < 0 else columns[j] for j in references])

    V = np.diag(np.ones(n) if weights is None else 1.0 / weights)
    for (codes, _, references, _), factor in zip(terms, factors, strict=True):
        z = matrix(references) @ factor
        V = V + np.equal.outer(codes, codes) * (z @ z.T)
    X = matrix(fixed)
    Vi = np.linalg.inv(V)
    precision = X.T @ Vi @ X
    beta = np.linalg.solve(precision, X.T @ Vi @ y)
    r = y - X @ beta
    nu = n - (X.shape[1] if reml else 0)
    squares = r @ Vi @ r
    objective = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * squares / nu))
    if reml:
        objective += np.linalg.slogdet(precision)[1]
    return objective, beta, np.sqrt(squares / nu), np.linalg.inv(precision), V, X


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("plan", PLANS)
def test_objective_at_fixed_covariance(plan, reml, weighted):
    *model, factors = rows(PLANS[plan], weighted=weighted)
    found = _core.Lmm(*model).evaluate(factors, reml)
    objective, beta, sigma, cov, *_ = dense(*model, factors, reml)
    assert found.objective == pytest.approx(objective, rel=1e-12)
    assert found.sigma == pytest.approx(sigma, rel=1e-10)
    np.testing.assert_allclose(found.beta, beta, rtol=1e-9)
    np.testing.assert_allclose(found.cov_beta_root @ found.cov_beta_root.T, cov, rtol=1e-7)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("plan", PLANS)
def test_gradient_and_hessian_against_differences(plan, reml):
    *model, factors = rows(PLANS[plan], seed=2)
    check_derivatives(_core.Lmm(*model), factors, reml)


def test_hessian_of_a_dense_root_in_several_panels():
    *model, factors = rows([(200, 1), (50, 2), (70, 1)], n=4000, weighted=True)
    core = _core.Lmm(*model)
    assert core.n_root == 170
    assert not core.is_sparse
    check_derivatives(core, factors, reml=True)


def check_derivatives(core, factors, reml):
    """Compare the gradient and both kinds of Hessian with differences."""
    at = core.evaluate(factors, reml).lambda_standard
    gradient = core.curvature(at, reml).gradient

    def moved(a, step):
        term, i, j = core.parameters[a]
        out = [block.copy(order="F") for block in at]
        out[term][i, j] += step
        return out

    slopes, bends = [], []
    for a in range(len(core.parameters)):
        up, down = moved(a, 1e-5), moved(a, -1e-5)
        rise = core.objective_standard(up, reml) - core.objective_standard(down, reml)
        slopes.append(rise / 2e-5)
        difference = core.curvature(up, reml).gradient - core.curvature(down, reml).gradient
        bends.append(difference / 2e-5)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * scale)
    bend = np.abs(bends).max()
    for order, tolerance in {1: 1e-4, 2: 1e-5, 4: 1e-5}.items():
        hessian = core.curvature(at, reml, order=order).hessian
        np.testing.assert_allclose(hessian, np.array(bends), atol=tolerance * bend)


def test_nested_terms_take_the_sparse_plan():
    n = 600
    room = np.arange(n, dtype=np.int32) % 150
    school, town = (room // 2).astype(np.int32), (room // 30).astype(np.int32)
    rng = np.random.default_rng(4)
    model = (
        rng.normal(size=n),
        [rng.normal(size=n)],
        [-1, 0],
        [(town, 5, [-1], [0]), (room, 150, [-1], [0]), (school, 75, [-1, 0], [0, 0])],
        None,
    )
    factors = [np.eye(1), np.eye(1) * 0.7, np.asfortranarray([[0.5, 0.0], [0.2, 0.4]])]
    core = _core.Lmm(*model)
    assert core.is_sparse
    assert core.n_root == 155
    for reml in (False, True):
        expected = dense(*model, factors, reml)[0]
        assert core.objective(factors, reml) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("plan", ["pair", "crossed vectors", "crossed, sparse coupling"])
def test_prediction_variances(plan):
    """Var of x'(beta^ - beta) + z'(b^ - b) by the dense joint distribution."""
    y, columns, fixed, terms, weights, factors = rows(PLANS[plan], seed=6)
    core = _core.Lmm(y, columns, fixed, terms, weights)
    V, X = dense(y, columns, fixed, terms, weights, factors, True)[4:]
    n, Vi = len(y), np.linalg.inv(V)
    C = np.linalg.inv(X.T @ Vi @ X)
    at = core.evaluate(factors, True).lambda_standard
    new = []
    total, cross = np.zeros(n), np.zeros((n, n))  # Var(z'b) and Cov(y, z'b) of each row
    for t, ((codes, _, references, _), factor) in enumerate(zip(terms, factors, strict=True)):
        z = np.column_stack([np.ones(n) if j < 0 else columns[j] for j in references])
        unseen = np.arange(n) % 7 == t  # some rows belong to levels that were not fitted
        new.append((np.where(unseen, -1, codes).astype(np.int32), np.asfortranarray(z)))
        half = z @ factor
        total += (half**2).sum(axis=1)
        cross += np.equal.outer(codes, codes) * (half @ half.T) * ~unseen
    gap = X - cross.T @ Vi @ X
    expected = (
        total - np.einsum("ij,ik,kj->j", cross, Vi, cross) + np.einsum("ij,jk,ik->i", gap, C, gap)
    )
    got = core.prediction_variances(at, np.asfortranarray(X), new)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_conditional_covariances_are_those_of_the_dense_model():
    y, columns, fixed, terms, weights, factors = rows(PLANS["crossed vectors"], seed=3)
    core = _core.Lmm(y, columns, fixed, terms, weights)
    V = dense(y, columns, fixed, terms, weights, factors, True)[4]
    got = core.conditional_covariances(core.evaluate(factors, True).lambda_standard)
    for (codes, levels, references, _), factor, blocks in zip(terms, factors, got, strict=True):
        z = np.column_stack([np.ones(len(y)) if j < 0 else columns[j] for j in references])
        k, cov = len(factor), factor @ factor.T
        for level in range(levels):
            zl = z * (codes == level)[:, None]
            expected = cov - cov @ zl.T @ np.linalg.solve(V, zl) @ cov
            np.testing.assert_allclose(blocks[:, level].reshape(k, k), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"y": np.zeros(199)}, ValueError),
        ({"y": np.zeros(200, dtype=np.float32)}, TypeError),
        ({"terms": [(np.full(200, 12, np.int32), 12, [-1], [0])]}, ValueError),
        ({"terms": [(np.zeros(200, np.int64), 12, [-1], [0])]}, TypeError),
        ({"weights": np.ones(3)}, ValueError),
    ],
)
def test_wrong_arrays_are_refused(change, error):
    y, columns, fixed, terms, weights, _ = rows(PLANS["scalar"])
    model = {"y": y, "columns": columns, "fixed": fixed, "terms": terms, "weights": weights}
    with pytest.raises(error):
        _core.Lmm(**{**model, **change})


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x | g) + (1 | h)"])
def test_a_factor_that_serves_again_is_that_of_the_covariance_asked_for(formula):
    rng = np.random.default_rng(4)
    g, h, x = np.arange(120) // 10, np.arange(120) % 8, rng.normal(size=120)
    y = rng.normal(size=12)[g] + 3.0 * rng.normal(size=12)[g] * x + rng.normal(size=8)[h]
    y += rng.normal(size=120)
    frame = {"y": y, "x": x, "g": g, "h": h}
    used = ranef.lmer(formula, frame)
    at = list(used.parts.estimate.lambda_standard)
    other = [0.7 * block for block in at]

    def fresh(ask):
        return ask(lmm.kernel(used.parts.design))

    def evaluate(core, lambda_, reml):
        return core.curvature(lambda_, reml).objective

    core = lmm.kernel(used.parts.design)
    for lambda_, reml in [(at, True), (at, True), (at, False), (other, True), (other, True)]:
        expected = fresh(lambda c, la=lambda_, r=reml: evaluate(c, la, r))
        assert evaluate(core, lambda_, reml) == expected  # the first call spends the factor
        core.fixed_derivatives(lambda_, False)  # this one leaves it
        assert evaluate(core, lambda_, reml) == expected
        before = np.array(core.conditional_covariances(lambda_)[0])
        again = fresh(lambda c, la=lambda_: np.array(c.conditional_covariances(la)[0]))
        np.testing.assert_array_equal(before, again)
