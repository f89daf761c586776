"""Absorption against dense least squares on indicator columns."""

import numpy as np
import pytest

from ranef import _core

LEVELS = np.array([9, 5, 4], np.int32)


def _data(n_factors, columns, n=60, seed=1):
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, L, n) for L in LEVELS[:n_factors]])
    for k, L in enumerate(LEVELS[:n_factors]):
        codes[:L, k] = np.arange(L)
    X = np.asfortranarray(rng.normal(size=(n, columns)) + 100.0)
    return X, np.asfortranarray(codes.astype(np.int32)), rng.uniform(0.5, 2.0, n)


def _indicators(codes, n_factors):
    return np.hstack([(codes[:, [k]] == np.arange(LEVELS[k])) for k in range(n_factors)]).astype(
        float
    )


@pytest.mark.parametrize("n_factors", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 2, 3, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_residuals_equal_dense_least_squares(n_factors, columns, weighted):
    X, codes, weights = _data(n_factors, columns)
    D = _indicators(codes, n_factors)
    root = np.sqrt(weights)[:, None] if weighted else np.ones((len(X), 1))
    dense = X - D @ np.linalg.lstsq(root * D, root * X, rcond=None)[0]
    levels = LEVELS[:n_factors].copy()
    found = _core.absorb(X, codes, levels, weights if weighted else np.empty(0))
    assert found.converged
    np.testing.assert_allclose(found.residual, dense, atol=1e-9)
    np.testing.assert_allclose(X - D @ found.effects, found.residual, atol=1e-10)


def test_a_chain_of_levels_that_barely_touch_still_converges():
    # A path graph: the slowest case for alternating projections.
    n = 400
    codes = np.empty((n, 2), np.int32, order="F")
    codes[:, 0], codes[:, 1] = np.arange(n) // 2, (np.arange(n) + 1) // 2
    levels = (codes.max(axis=0) + 1).astype(np.int32)
    x = np.asfortranarray(np.random.default_rng(3).normal(size=(n, 1)))
    found = _core.absorb(x, codes, levels, np.empty(0))
    D = np.hstack([codes[:, [k]] == np.arange(levels[k]) for k in range(2)]).astype(float)
    dense = x - D @ np.linalg.lstsq(D, x, rcond=None)[0]
    assert found.converged
    np.testing.assert_allclose(found.residual, dense, atol=1e-8)


def test_too_few_iterations_are_reported():
    X, codes, _ = _data(3, 2)
    found = _core.absorb(X, codes, LEVELS.copy(), np.empty(0), max_iterations=1)
    assert not found.converged


def test_components_of_two_factors():
    codes = np.asfortranarray([[0, 0], [1, 0], [2, 1], [3, 2], [3, 1]], dtype=np.int32)
    assert _core.count_components(codes, np.array([4, 3], np.int32)) == 2


def test_wrong_arrays_are_refused():
    X, codes, _ = _data(1, 2)
    with pytest.raises(ValueError, match="codes"):
        _core.absorb(X, codes[:-1].copy(order="F"), LEVELS[:1].copy(), np.empty(0))
    with pytest.raises(ValueError, match="outside"):
        _core.absorb(X, codes + np.int32(3), LEVELS[:1].copy(), np.empty(0))
    with pytest.raises(TypeError):
        _core.absorb(X, codes.astype(np.int64), LEVELS[:1].copy(), np.empty(0))
