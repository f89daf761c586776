"""Kernels of known covariances and of several members a row, against dense algebra in NumPy."""

import numpy as np
import pytest

from ranef import _core

L, K2, H = 12, 15, 5


def triangle(Q):
    """Lower triangle by columns."""
    rows = [np.flatnonzero(Q[j:, j]) + j for j in range(len(Q))]
    start = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    row = np.concatenate(rows).astype(np.int32)
    value = np.concatenate([Q[r, j] for j, r in enumerate(rows)])
    return start, row, value


class Model:
    """Two members with a slope, a known covariance with levels without rows, an ordinary term."""

    def __init__(self, n=60, seed=1):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=n) + 3.0
        self.w = rng.uniform(0.2, 0.8, n)
        self.first = rng.integers(0, L, n).astype(np.int32)
        self.second = rng.integers(0, L, n).astype(np.int32)
        self.second[:3] = self.first[:3]  # a row may have a level twice
        self.animal = rng.integers(0, 10, n).astype(np.int32)
        self.other = rng.integers(0, H, n).astype(np.int32)
        B = rng.normal(size=(K2, K2))
        self.K = B @ B.T / K2 + 0.3 * np.eye(K2)
        self.y = rng.normal(size=n) + self.x
        self.counts = rng.poisson(2.0, n).astype(float)
        self.X = np.column_stack([np.ones(n), self.x])
        w, v = self.w, 1.0 - self.w
        self.columns = [self.x, w, v, w * self.x, v * self.x]
        self.members = [
            (self.first, L, [1, 3], [0, 1]),
            (self.second, L, [2, 4], [0, 1]),
            (self.animal, K2, [-1, 0], [0, 0]),
            (self.other, H, [-1], [0]),
        ]
        precision = triangle(np.linalg.inv(self.K))
        self.terms = [(2, [0, 0], 1.0, None), (1, [0, 0], 1.0, precision), (1, [0], 1.0, None)]
        self.Z, self.covariances = self.dense()

    def dense(self):
        n = len(self.x)
        z = np.column_stack([np.ones(n), self.x])
        joint, animal, other = np.zeros((n, L, 2)), np.zeros((n, K2, 2)), np.zeros((n, H, 1))
        rows = np.arange(n)
        joint[rows, self.first] += self.w[:, None] * z
        joint[rows, self.second] += (1.0 - self.w)[:, None] * z
        animal[rows, self.animal] = z
        other[rows, self.other, 0] = 1.0
        Z = [part.reshape(n, -1) for part in (joint, animal, other)]
        return Z, [np.eye(L), self.K, np.eye(H)]


FACTORS = [
    np.array([[0.7, 0.0], [0.2, 0.3]]),
    np.array([[0.5, 0.0], [-0.1, 0.2]]),
    np.array([[0.4]]),
]


def fortran(blocks):
    return [np.asfortranarray(block) for block in blocks]


def covariance_of(model, factors):
    return [np.kron(K, f @ f.T) for K, f in zip(model.covariances, factors, strict=True)]


def criterion(model, factors, reml):
    """-2 log-likelihood profiled over sigma, and what goes with it."""
    n, X, y = len(model.y), model.X, model.y
    spread = covariance_of(model, factors)
    V = np.eye(n) + sum(Z @ G @ Z.T for Z, G in zip(model.Z, spread, strict=True))
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    beta = np.linalg.solve(information, X.T @ inverse @ y)
    residual = y - X @ beta
    nu = n - (2 if reml else 0)
    squares = residual @ inverse @ residual
    value = np.linalg.slogdet(V)[1] + nu * (1.0 + np.log(2.0 * np.pi * squares / nu))
    if reml:
        value += np.linalg.slogdet(information)[1]
    P = inverse - inverse @ X @ np.linalg.solve(information, X.T @ inverse)
    return value, beta, squares, inverse @ residual, P, spread


@pytest.fixture(scope="module")
def model():
    return Model()


@pytest.fixture(scope="module")
def core(model):
    return _core.Lmm.general(model.y, model.columns, [-1, 0], model.members, model.terms)


@pytest.mark.parametrize("reml", [True, False])
def test_criterion_and_estimates(model, core, reml):
    value, beta, squares, weighted, _, spread = criterion(model, FACTORS, reml)
    assert core.objective(fortran(FACTORS), reml) == pytest.approx(value, abs=1e-9)
    found = core.evaluate(fortran(FACTORS), reml)
    np.testing.assert_allclose(found.beta, beta, rtol=1e-10)
    assert found.pwrss == pytest.approx(squares, rel=1e-10)
    for Z, G, modes in zip(model.Z, spread, found.modes, strict=True):
        np.testing.assert_allclose(modes.T.ravel(), G @ Z.T @ weighted, atol=1e-10)


@pytest.mark.parametrize("reml", [True, False])
def test_gradient_and_curvature_against_differences(core, reml):
    standard = fortran(core.evaluate(fortran(FACTORS), reml).lambda_standard)
    at = core.curvature(standard, reml, order=4)

    def moved(a, step):
        t, i, j = core.parameters[a]
        blocks = [block.copy(order="F") for block in standard]
        blocks[t][i, j] += step
        return blocks

    for a in range(len(core.parameters)):
        ends = [core.objective_standard(moved(a, h), reml) for h in (1e-5, -1e-5)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(at.gradient[a], abs=2e-6)
        slopes = [core.curvature(moved(a, h), reml).gradient for h in (1e-4, -1e-4)]
        np.testing.assert_allclose((slopes[0] - slopes[1]) / 2e-4, at.hessian[a], atol=2e-4)


def test_curvature_of_the_search_is_the_average_information(model, core):
    """By its own definition, for the variance of the ordinary term."""
    _, _, squares, weighted, P, _ = criterion(model, FACTORS, True)
    nu = len(model.y) - 2
    Z = model.Z[2]
    V = Z @ Z.T
    found = core.evaluate(fortran(FACTORS), True)
    at = core.curvature(fortran(found.lambda_standard), True)
    a = core.parameters.index((2, 0, 0))
    scale = core.term_basis(2)[0, 0]
    quadratic = weighted @ V @ weighted / (squares / nu)
    information = weighted @ V @ P @ V @ weighted / (squares / nu)
    sd = found.lambda_standard[2][0, 0]
    S = np.trace(P @ V) - quadratic
    expected = 2.0 * S * scale**2 + (2.0 * sd) ** 2 * scale**4 * (information - quadratic**2 / nu)
    assert at.hessian[a, a] == pytest.approx(expected, rel=1e-8)


def test_prediction_error_variances(model, core):
    _, _, _, _, P, spread = criterion(model, FACTORS, True)
    standard = fortran(core.evaluate(fortran(FACTORS), True).lambda_standard)
    found = core.conditional_covariances(standard)
    for Z, G, blocks in zip(model.Z, spread, found, strict=True):
        errors = G - G @ Z.T @ P @ Z @ G
        k = round(np.sqrt(len(blocks)))
        for level, block in enumerate(blocks.T):
            own = slice(level * k, (level + 1) * k)
            np.testing.assert_allclose(block.reshape(k, k), errors[own, own], atol=1e-10)


def test_variances_of_new_rows(model, core):
    """Of x'(beta^ - beta) + z'(b^ - b), by Henderson's equations."""
    n, X = len(model.y), model.X
    Z = np.hstack(model.Z)
    _, _, _, _, _, spread = criterion(model, FACTORS, True)
    inverse = [np.linalg.inv(G) for G in spread]
    q, sizes = Z.shape[1], np.cumsum([0, *[len(G) for G in spread]])
    C = np.zeros((2 + q, 2 + q))
    C[:2, :2], C[:2, 2:], C[2:, :2], C[2:, 2:] = X.T @ X, X.T @ Z, Z.T @ X, Z.T @ Z
    for a, b, G in zip(sizes[:-1], sizes[1:], inverse, strict=True):
        C[2 + a : 2 + b, 2 + a : 2 + b] += G
    rng = np.random.default_rng(3)
    x, z = np.column_stack([np.ones(4), rng.normal(size=4)]), np.zeros((4, q))
    z[np.arange(4)[:, None], rng.integers(0, q, (4, 3))] = rng.normal(size=(4, 3))
    both = np.hstack([x, z])
    expected = np.einsum("ij,jk,ik->i", both, np.linalg.inv(C), both)
    start = np.cumsum([0, *(z != 0).sum(axis=1)]).tolist()
    column, value = np.nonzero(z)[1].tolist(), z[z != 0].tolist()
    standard = fortran(core.evaluate(fortran(FACTORS), True).lambda_standard)
    found = core.general_variances(standard, np.asfortranarray(x), start, column, value)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert n > q // 2


def test_zero_variances_are_ordinary_least_squares(model, core):
    zero = [np.zeros_like(block, order="F") for block in FACTORS]
    n, k = model.X.shape
    squares = np.linalg.lstsq(model.X, model.y, rcond=None)[1][0]
    nu = n - k
    value = np.linalg.slogdet(model.X.T @ model.X)[1] + nu * (1 + np.log(2 * np.pi * squares / nu))
    assert core.objective(zero, True) == pytest.approx(value, abs=1e-9)
    assert np.isfinite(core.curvature(zero, True).gradient).all()


def test_pair_traces(model, core):
    _, _, _, _, _, spread = criterion(model, FACTORS, True)
    n = len(model.y)
    V = np.eye(n) + sum(Z @ G @ Z.T for Z, G in zip(model.Z, spread, strict=True))
    inverse = np.linalg.inv(V)
    parts = []
    for t, i, j in core.parameters:
        E = np.zeros((len(FACTORS[t]),) * 2)
        E[i, j] = E[j, i] = 1.0
        T = core.term_basis(t)
        parts.append(model.Z[t] @ np.kron(model.covariances[t], T @ E @ T.T) @ model.Z[t].T)
    expected = [[np.trace(inverse @ a @ inverse @ b) for b in parts] for a in parts]
    found = core.pair_traces(fortran(core.evaluate(fortran(FACTORS), True).lambda_standard))
    np.testing.assert_allclose(found.pairs, expected, rtol=1e-8)
    np.testing.assert_allclose(found.single, [np.trace(inverse @ a) for a in parts], rtol=1e-8)


# ------------------------------------------------------------------ Laplace's approximation


def glmm(model, family="poisson", link="log"):
    n = len(model.y)
    y = model.counts if family == "poisson" else model.counts + 0.5
    return _core.GeneralGlmm(
        y, model.columns, [-1, 0], model.members, model.terms, np.ones(n), np.zeros(n), family, link
    )


def laplace(model, factors, beta):
    """-2 log-likelihood of counts by Laplace's approximation, from a dense Newton search."""
    from scipy.special import gammaln

    Z = np.hstack(model.Z)
    spread = covariance_of(model, factors)
    prior = np.zeros((Z.shape[1],) * 2)
    at = 0
    for G in spread:
        prior[at : at + len(G), at : at + len(G)] = np.linalg.inv(G)
        at += len(G)
    b = np.zeros(Z.shape[1])
    for _ in range(50):
        mean = np.exp(model.X @ beta + Z @ b)
        M = prior + Z.T @ (mean[:, None] * Z)
        b = b + np.linalg.solve(M, Z.T @ (model.counts - mean) - prior @ b)
    eta = model.X @ beta + Z @ b
    fit = np.sum(model.counts * eta - np.exp(eta) - gammaln(model.counts + 1.0))
    logs = np.linalg.slogdet(prior + Z.T @ (np.exp(eta)[:, None] * Z))[1]
    return -2.0 * fit + b @ prior @ b + logs - np.linalg.slogdet(prior)[1], b


def theta_of(core, factors):
    """Elements of standardised factors that are ``factors`` in the user's basis."""
    out = []
    for t, i, j in core.parameters:
        standard = np.linalg.solve(core.term_basis(t), factors[t])
        out.append(np.linalg.cholesky(standard @ standard.T)[i, j])
    return np.array(out)


def test_laplace_against_dense_algebra(model):
    core = glmm(model)
    beta = np.array([0.3, 0.1])
    theta = theta_of(core, FACTORS)
    T = core.T[:2, :2]
    point = core.evaluate(theta, np.linalg.solve(T, beta))
    value, b = laplace(model, FACTORS, beta)
    assert point.value == pytest.approx(value, abs=1e-8)
    np.testing.assert_allclose(np.concatenate([m.T.ravel() for m in core.modes()]), b, atol=1e-8)


@pytest.mark.parametrize(
    ("family", "link"), [("poisson", "log"), ("gamma", "log"), ("gamma", "inverse")]
)
@pytest.mark.parametrize("joint", [True, False])
def test_gradient_of_laplace_against_differences(model, family, link, joint):
    core = glmm(model, family, link)
    has_dispersion = family == "gamma"
    theta = 0.3 * theta_of(core, FACTORS)
    beta = core.evaluate(theta, np.zeros(0), 0.5 if has_dispersion else 1.0).beta
    x = np.r_[theta, [] if joint else 1.01 * beta, [np.log(0.5)] if has_dispersion else []]

    def value(x):
        m = len(theta)
        rest = x[m : len(x) - has_dispersion]
        return core.evaluate(x[:m], rest, np.exp(x[-1]) if has_dispersion else 1.0).value

    value(x)
    found = core.gradient()
    for a in range(len(x)):
        step = np.zeros(len(x))
        step[a] = 1e-3  # the mode, and so the value, stands to about 1e-9
        near, far = (value(x + k * step) - value(x - k * step) for k in (1, 2))
        assert (8.0 * near - far) / 12e-3 == pytest.approx(found[a], rel=2e-6, abs=2e-6)


def test_independent_levels_are_those_of_the_ordinary_kernel(model):
    """Of ordinary terms both kernels say the same."""
    n = len(model.y)
    members = model.members[2:]
    terms = [(1, [0, 0], 1.0, triangle(np.eye(K2))), (1, [0], 1.0, None)]
    rest = (np.ones(n), np.zeros(n), "poisson", "log")
    general = _core.GeneralGlmm(model.counts, model.columns, [-1, 0], members, terms, *rest)
    ordinary = _core.Glmm(model.counts, model.columns, [-1, 0], members, *rest)
    theta = np.array([0.6, 0.2, 0.4, 0.5])
    by_place = dict(zip(ordinary.parameters, range(4), strict=True))
    order = [by_place[p] for p in general.parameters]
    mixed = np.empty(4)
    mixed[order] = theta
    ours, theirs = general.evaluate(theta, np.zeros(0)), ordinary.evaluate(mixed, np.zeros(0))
    assert ours.value == pytest.approx(theirs.value, abs=1e-9)
    np.testing.assert_allclose(general.gradient(), ordinary.gradient()[order], atol=1e-8)
    np.testing.assert_allclose(
        general.conditional_covariances()[0], ordinary.conditional_covariances()[0], atol=1e-10
    )
    np.testing.assert_allclose(general.information_beta(), ordinary.information_beta(), rtol=1e-9)
