"""Covariance structures in the kernel: formulas in NumPy, differences, dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, special

from ranef import _core

K = 4
EMPTY = np.empty((0, 0), order="F")
TIMES = np.asfortranarray(np.array([[0.0], [0.7], [1.5], [4.0]]))
PLACES = np.asfortranarray(np.array([[0.0, 0.0], [1.0, 0.3], [0.2, 1.1], [2.0, 2.0]]))
FORMS = np.asfortranarray(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 2.0], [1.0, 3.0]]))
SCALE = np.array([1.3, 0.4, 2.0, 0.9])


def matern(d, length, smoothness):
    x = np.where(d > 0, d / length, 1.0)
    value = 2.0 ** (1 - smoothness) / special.gamma(smoothness)
    return np.where(d > 0, value * x**smoothness * special.kv(smoothness, x), 1.0)


def lags():
    return np.abs(np.subtract.outer(np.arange(K), np.arange(K)))


def distance(places):
    return np.linalg.norm(places[:, None] - places[None], axis=2)


#: Shape, one sd, places, forms, natural parameters (sds first), correlation by the others.
CASES = {
    "identity": ("identity", True, EMPTY, EMPTY, [1.4], lambda: np.eye(K)),
    "cs": ("cs", True, EMPTY, EMPTY, [0.8, -0.2], lambda r: np.where(lags() > 0, r, 1.0)),
    "cs het": (
        "cs",
        False,
        EMPTY,
        EMPTY,
        [0.5, 1.0, 2.0, 1.5, 0.6],
        lambda r: np.where(lags() > 0, r, 1.0),
    ),
    "ar1": ("ar1", True, EMPTY, EMPTY, [2.0, 0.7], lambda r: r ** lags()),
    "ar1 falling": ("ar1", True, EMPTY, EMPTY, [2.0, -0.6], lambda r: r ** lags()),
    "ar1 het": ("ar1", False, EMPTY, EMPTY, [0.5, 1.0, 2.0, 1.5, 0.3], lambda r: r ** lags()),
    "toep": (
        "toep",
        True,
        EMPTY,
        EMPTY,
        [1.1, 0.6, 0.5, 0.1],
        lambda *r: linalg.toeplitz([1.0, *r]),
    ),
    "toep het": (
        "toep",
        False,
        EMPTY,
        EMPTY,
        [0.5, 1.0, 2.0, 1.5, 0.6, 0.2, -0.1],
        lambda *r: linalg.toeplitz([1.0, *r]),
    ),
    "ou": ("ou", True, TIMES, EMPTY, [1.5, 0.6], lambda a: np.exp(-a * distance(TIMES))),
    "exponential": (
        "exponential",
        True,
        PLACES,
        EMPTY,
        [1.5, 0.8],
        lambda a: np.exp(-distance(PLACES) / a),
    ),
    "matern": (
        "matern",
        True,
        PLACES,
        EMPTY,
        [1.5, 0.8, 1.7],
        lambda a, k: matern(distance(PLACES), a, k),
    ),
}
DIAGONAL = {
    "variances": ("variances", [0.7, 1.6], lambda p: FORMS @ p**2),
    "precisions": ("precisions", [0.7, 1.6], lambda p: 1.0 / (FORMS @ p)),
}


def built(name):
    """A structure, parameters, and the covariance by NumPy of columns in units of SCALE."""
    if name in DIAGONAL:
        shape, natural, variances = DIAGONAL[name]
        core = _core.Structure(shape, K, True, EMPTY, FORMS)
        one = np.ones(K)
        psi = core.from_natural(np.array(natural), one)
        return core, psi, one, np.array(natural), np.diag(variances(np.array(natural)))
    shape, homogeneous, places, forms, natural, correlation = CASES[name]
    core = _core.Structure(shape, K, homogeneous, places, forms)
    scale = np.ones(K) if homogeneous else SCALE
    sds = np.array(natural[: core.n_sds]) / scale[: core.n_sds]
    R = correlation(*natural[core.n_sds :])
    D = np.diag(np.broadcast_to(sds, K))
    psi = core.from_natural(np.array(natural), scale)
    return core, psi, scale, np.array(natural), D @ R @ D


def central(function, x, a, h=1e-5):
    step = h * np.eye(len(x))[a]
    return (function(x + step) - function(x - step)) / (2 * h)


@pytest.mark.parametrize("name", [*CASES, *DIAGONAL])
def test_covariance_and_slopes(name):
    core, psi, scale, natural, Sigma = built(name)
    assert core.n_parameters == len(natural)
    np.testing.assert_allclose(core.natural(psi, scale), natural, rtol=1e-10)
    np.testing.assert_allclose(core.covariance(psi), Sigma, rtol=1e-9, atol=1e-12)
    factor = core.factor(psi)
    assert np.array_equal(factor, np.tril(factor))
    np.testing.assert_allclose(factor @ factor.T, Sigma, rtol=1e-9, atol=1e-12)
    slopes, of_factor = core.slopes(psi), core.factor_slopes(psi)
    for a in range(len(psi)):
        np.testing.assert_allclose(slopes[a], central(core.covariance, psi, a), atol=1e-7)
        np.testing.assert_allclose(of_factor[a], central(core.factor, psi, a), atol=1e-7)


@pytest.mark.parametrize("smoothness", [0.05, 0.5, 1.0, 2.5, 30.0])
def test_matern_in_all_its_range(smoothness):
    d = np.asfortranarray(np.array([[0.0], [1e-9], [1e-3], [0.4], [3.0], [60.0]]))
    core = _core.Structure("matern", len(d), True, d)
    psi = core.from_natural(np.array([1.0, 1.3, smoothness]), np.ones(len(d)))
    with np.errstate(all="ignore"):
        R = matern(distance(d), 1.3, smoothness)
    R = np.where(np.isfinite(R), R, 1.0)
    np.testing.assert_allclose(core.between(psi, d), R, atol=3e-9)


def test_what_is_out_of_reach_is_no_number():
    core = _core.Structure("ar1", K, True)
    assert np.isnan(core.factor(np.array([1.0, 50.0]))).any()
    with pytest.raises(ValueError, match="places"):
        _core.Structure("ou", 3, True)
    with pytest.raises(ValueError, match="shape"):
        _core.Structure("other", 3, True)
    with pytest.raises(ValueError, match="two columns"):
        _core.Structure("ar1", 1, True)


def model(structure, *, beside="none"):
    """Rows with a structured term, alone, as the smaller of two terms, and in a block of a term."""
    rng = np.random.default_rng(8)
    n, groups = 120, 12
    codes = np.repeat(np.arange(groups, dtype=np.int32), n // groups)
    occasion = rng.integers(0, K, n)
    x = rng.normal(size=n)
    columns = [x, *(np.ascontiguousarray((occasion == j) * 1.0) for j in range(K))]
    y = rng.normal(size=n) + 0.5 * x + rng.normal(size=groups)[codes]
    own = list(range(1, K + 1))
    term = (codes, groups, own, [0] * K)
    structures = [[structure]]
    terms = [term]
    if beside == "larger":
        many = rng.integers(0, 60, n).astype(np.int32)
        many[:60] = np.arange(60)
        terms = [(many, 60, [-1, 0], [0, 0]), term]
        structures = [[], [structure]]
    if beside == "block":
        terms = [(codes, groups, [-1, *own], [0] + [1] * K)]
        structures = [[None, structure]]
    weights = rng.uniform(0.5, 2.0, n)
    return y, columns, [-1, 0], terms, weights, structures


def dense(parts, core, states, structure, psi, reml):
    """-2 log-likelihood by dense algebra, with sigma at its best."""
    y, columns, _, terms, weights, structures = parts
    n = len(y)
    V = np.diag(1.0 / weights)
    for t, (codes, levels, references, blocks) in enumerate(terms):
        T = core.term_basis(t)
        k = len(references)
        Sigma = np.zeros((k, k))
        if structures[t]:
            b = [j for j in range(k) if structures[t][blocks[j]] is not None]
            Sigma[np.ix_(b, b)] = structure.covariance(psi)
            if len(b) < k:
                Sigma[0, 0] = states[t][0, 0] ** 2
        else:
            Sigma = states[t] @ states[t].T
        Sigma = T @ Sigma @ T.T
        z = np.column_stack([np.ones(n) if j < 0 else columns[j] for j in references])
        Z = np.zeros((n, levels * k))
        for i in range(n):
            Z[i, codes[i] * k : (codes[i] + 1) * k] = z[i]
        V += Z @ np.kron(np.eye(levels), Sigma) @ Z.T
    X = np.column_stack([np.ones(n), columns[0]])
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    r = y - X @ np.linalg.solve(information, X.T @ inverse @ y)
    nu = n - 2 if reml else n
    value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * (r @ inverse @ r) / nu))
    return value + (np.linalg.slogdet(information)[1] if reml else 0.0)


@pytest.mark.parametrize("beside", ["none", "larger", "block"])
@pytest.mark.parametrize("name", [*CASES, *DIAGONAL])
def test_objective_and_its_derivatives(name, beside):
    structure, psi, *_ = built(name)
    y, columns, fixed, terms, weights, structures = model(structure, beside=beside)
    core = _core.Lmm(y, columns, fixed, terms, weights, structures=structures)
    parts = (y, columns, fixed, terms, weights, structures)
    states = {
        "none": [psi[:, None]],
        "larger": [np.array([[0.8, 0.0], [0.3, 0.5]]), psi[:, None]],
        "block": [np.r_[0.6, psi][:, None]],
    }[beside]
    states = [np.asfortranarray(state) for state in states]
    own = len(states) - 1
    first = 1 if beside == "block" else 0
    reml = beside != "larger"

    def value(x):
        moved = [*states]
        moved[own] = np.asfortranarray(np.r_[states[own][:first, 0], x][:, None])
        return core.objective_standard(moved, reml)

    def gradient(x):
        moved = [*states]
        moved[own] = np.asfortranarray(np.r_[states[own][:first, 0], x][:, None])
        return core.curvature(moved, reml).gradient

    expected = dense(parts, core, states, structure, psi, reml)
    assert value(psi) == pytest.approx(expected, abs=1e-8)
    at = core.curvature(states, reml, order=4)
    places = [a for a, (_, _, j) in enumerate(core.parameters) if j < 0]
    numeric = [central(value, psi, a) for a in range(len(psi))]
    np.testing.assert_allclose(
        at.gradient[places], numeric, atol=2e-6 * (1 + np.abs(numeric).max())
    )
    H = np.array([central(gradient, psi, a, 1e-4)[places] for a in range(len(psi))])
    np.testing.assert_allclose(
        at.hessian[np.ix_(places, places)], H, atol=1e-5 * (1 + np.abs(H).max())
    )
    # Average information is a stand-in: right in size, positive where it leads.
    assert np.isfinite(core.curvature(states, reml).hessian).all()


@pytest.mark.parametrize("name", ["cs het", "ar1", "toep", "ou", "matern", "precisions"])
def test_fit_stands_at_an_optimum(name):
    structure, *_ = built(name)
    y, columns, fixed, terms, weights, structures = model(structure)
    core = _core.Lmm(y, columns, fixed, terms, weights, structures=structures)
    found = core.fit(False)
    here = core.objective_standard(found.lambda_standard, False)
    rng = np.random.default_rng(1)
    for _ in range(30):
        moved = found.lambda_standard[0] + 0.05 * rng.normal(size=found.lambda_standard[0].shape)
        assert core.objective_standard([np.asfortranarray(moved)], False) >= here - 1e-9
