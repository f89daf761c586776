"""The kernel of generalised linear mixed models: exact gradient, dense arithmetic, quadrature."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from ranef import _core
from reference import dense_glmm

FAMILIES = [
    ("binomial", "logit"),
    ("binomial", "probit"),
    ("binomial", "cloglog"),
    ("poisson", "log"),
    ("gamma", "log"),
    ("gamma", "inverse"),
    ("negative_binomial", "log"),
]
#: Levels and columns of each term, whether nested: leading blocks of sizes 1 to 3; a dense root
#: with a dense and a sparse coupling; several terms of several columns; sparse roots.
SHAPES = [
    ([(12, 1)], False),
    ([(10, 3)], False),
    ([(30, 1), (8, 1)], False),
    ([(90, 1), (60, 1)], False),
    ([(20, 2), (10, 3), (6, 1)], False),
    ([(120, 1), (60, 1), (50, 1)], True),
    ([(130, 2), (70, 2)], False),
]


class Model:
    """Random rows, the kernel on them, and their dense matrices in its standardised basis."""

    def __init__(self, family, link, shapes, nested, n=240, single=False, slope=False):
        rng = np.random.default_rng(len(shapes) * 100 + shapes[0][0])
        self.columns = [rng.normal(size=n), 5.0 + 3.0 * rng.normal(size=n)]
        self.terms = []
        for levels, k in shapes:
            random = np.r_[np.arange(levels), rng.integers(0, levels, n - levels)]
            chain = (np.arange(n) % shapes[0][0]) * levels // shapes[0][0]
            codes = (chain if nested else random).astype(np.int32)
            columns = [0] if slope and k == 1 else [-1, 0, 1][:k]
            self.terms.append((codes, levels, columns, [0] * k))
        eta = 0.3 * self.columns[0] + 0.2
        self.weights = np.ones(n) if single else rng.integers(1, 4, n).astype(float)
        self.offset = 0.1 * rng.normal(size=n)
        if family == "binomial":
            y = rng.binomial(self.weights.astype(int), dense_glmm.mean(link, eta)) / self.weights
        elif family == "gamma":
            y = rng.gamma(
                2.0, 0.5 * (np.exp(eta) if link == "log" else 1 / (2 + 0.1 * np.abs(eta)))
            )
        else:
            y = rng.poisson(np.exp(eta + 0.5 * rng.normal(size=n))).astype(float)
        self.y, self.family, self.link = y, family, link
        self.core = _core.Glmm(
            y, self.columns, [-1, 0, 1], self.terms, self.weights, self.offset, family, link
        )
        self.rng = rng
        self.has_dispersion = family in ("gamma", "negative_binomial")

    def rows(self, dispersion):
        return lambda eta: dense_glmm.log_likelihood_rows(
            self.family, self.link, self.y, self.weights, eta, dispersion
        )

    def values(self, references):
        full = [np.ones(len(self.y)) if r < 0 else self.columns[r] for r in references]
        return np.column_stack(full)

    def dense(self, theta, beta, dispersion):
        """The criterion at parameters of the standardised basis."""
        X, Z, factors = self.values([-1, 0, 1]), [], self.core.factors(theta)
        Lambda = []
        for (codes, levels, references, _), factor in zip(self.terms, factors, strict=True):
            z = self.values(references)
            wide = np.zeros((len(codes), levels, z.shape[1]))
            wide[np.arange(len(codes)), codes] = z
            Z.append(wide.reshape(len(codes), -1))
            Lambda.append(np.kron(np.eye(levels), factor))
        whole = np.zeros((sum(L.shape[0] for L in Lambda),) * 2)
        at = 0
        for L in Lambda:
            whole[at : at + len(L), at : at + len(L)] = L
            at += len(L)
        fixed = X @ (self.core.T[:3, :3] @ beta) + self.offset
        return dense_glmm.laplace(self.rows(dispersion), fixed, np.hstack(Z), whole)

    def parameters(self):
        """Covariances, and fixed effects not far from their joint mode."""
        size = 0.1 if self.link == "inverse" else 0.4  # means must stay above zero
        theta = size * self.rng.normal(size=len(self.core.parameters))
        beta = self.core.evaluate(theta, np.zeros(0), 0.7).beta
        spread = 0.01 if self.link == "inverse" else 0.05
        return theta, beta * (1.0 + spread * self.rng.normal(size=3))


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize(("shapes", "nested"), [SHAPES[1], SHAPES[4]])
def test_against_dense_arithmetic(family, link, shapes, nested):
    model = Model(family, link, shapes, nested, n=80)
    theta, beta = model.parameters()
    ours = model.core.evaluate(theta, beta, 0.7)
    # The reference differentiates by differences: weights are good to about 1e-9 of themselves.
    assert ours.value == pytest.approx(model.dense(theta, beta, 0.7), rel=1e-8, abs=1e-6)


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize("slope", [False, True])
def test_one_column_against_dense_arithmetic(family, link, slope):
    model = Model(family, link, [(12, 1)], False, n=80, single=True, slope=slope)
    theta, beta = model.parameters()
    ours = model.core.evaluate(theta, beta, 0.7)
    assert ours.value == pytest.approx(model.dense(theta, beta, 0.7), rel=1e-8, abs=1e-6)


def differences(value, x):
    """Gradient by central differences of fourth order."""
    out = np.zeros(len(x))
    for i in range(len(x)):
        e = 1e-3 * np.eye(len(x))[i]
        near, far = value(x + e) - value(x - e), value(x + 2 * e) - value(x - 2 * e)
        out[i] = (8.0 * near - far) / 12e-3
    return out


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize(("shapes", "nested"), SHAPES)
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("singular", [False, True])
def test_gradient(family, link, shapes, nested, joint, singular):
    model = Model(family, link, shapes, nested)
    theta, beta = model.parameters()
    if singular:
        theta[-1] = 0.0
    m, p = len(theta), 0 if joint else 3

    def value(x):
        dispersion = np.exp(x[-1]) if model.has_dispersion else 1.0
        return model.core.evaluate(x[:m], x[m : m + p], dispersion).value

    x = np.r_[theta, beta[:p], np.full(int(model.has_dispersion), np.log(0.7))]
    value(x)
    exact = model.core.gradient()
    # Differences over 1e-3 are off by 1e-12 times a fifth derivative, and by rounding over 1e-3.
    np.testing.assert_allclose(exact, differences(value, x), atol=2e-7 * (1 + np.abs(exact).max()))


@pytest.mark.parametrize(
    ("columns", "kind"),
    [(1, {}), (1, {"single": True}), (2, {"single": True}), (1, {"slope": True}), (2, {})],
)
def test_quadrature_against_integration(columns, kind):
    """The likelihood of one model's levels, each integrated by scipy."""
    model = Model("binomial", "logit", [(4, columns)], False, n=30, **kind)
    theta, beta = model.parameters()
    theta *= 2.0
    laplace = model.core.evaluate(theta, beta).value
    nodes, weights = np.polynomial.hermite.hermgauss(40)
    ours = laplace + model.core.quadrature(nodes, weights).value
    factor = model.core.factors(theta)[0]
    codes, levels, references, _ = model.terms[0]
    z = model.values(references)
    fixed = model.values([-1, 0, 1]) @ (model.core.T[:3, :3] @ beta) + model.offset
    total = 0.0
    for level in range(levels):
        here = codes == level

        def density(*u, here=here):
            eta = fixed[here] + z[here] @ (factor @ np.array(u))
            rows = dense_glmm.log_likelihood_rows(
                "binomial", "logit", model.y[here], model.weights[here], eta, 1.0
            )
            return np.exp(rows.sum() - 0.5 * np.dot(u, u)) / (2 * np.pi) ** (columns / 2)

        if columns == 1:
            total += np.log(scipy.integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-10)[0])
        else:
            grid = np.linspace(-9, 9, 121)  # trapezia of an analytic integrand: exact to rounding
            values = np.array([[density(a, b) for b in grid] for a in grid])
            total += np.log(values.sum() * (grid[1] - grid[0]) ** 2)
    assert ours == pytest.approx(-2.0 * total, abs=1e-7)
    assert abs(ours - laplace) > 1e-3


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize(
    ("shape", "kind"),
    [((30, 1), {}), ((30, 1), {"single": True, "slope": True}), ((20, 2), {}), ((12, 3), {})],
)
@pytest.mark.parametrize("singular", [False, True])
def test_gradient_of_quadrature(family, link, shape, kind, singular):
    model = Model(family, link, [shape], False, **kind)
    theta, beta = model.parameters()
    if singular:
        theta[-1] = 0.0
    m, rule = len(theta), np.polynomial.hermite.hermgauss(4)

    def value(x):
        dispersion = np.exp(x[-1]) if model.has_dispersion else 1.0
        point = model.core.evaluate(x[:m], x[m : m + 3], dispersion)
        return point.value + model.core.quadrature(*rule).value

    x = np.r_[theta, beta, np.full(int(model.has_dispersion), np.log(0.7))]
    value(x)
    exact = model.core.quadrature(*rule).gradient
    np.testing.assert_allclose(exact, differences(value, x), atol=2e-7 * (1 + np.abs(exact).max()))


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize(
    ("shapes", "n", "kind"),
    [
        ([(30, 1)], 240, {}),
        ([(30, 1)], 240, {"single": True, "slope": True}),
        ([(20, 2)], 400, {}),
        ([(30, 1), (8, 1)], 400, {}),
        ([(30, 1), (8, 1)], 60_000, {"single": True}),  # differences to one side serve
    ],
)
def test_curvature_at_the_end_of_a_search(family, link, shapes, n, kind):
    """Second derivatives of the search against differences of the gradient."""
    model = Model(family, link, shapes, False, n=n, **kind)
    found = model.core.search(0.0, 200, 1e-9)
    m, p = len(model.core.parameters), 3

    def gradient(x):
        dispersion = np.exp(x[-1]) if model.has_dispersion else 1.0
        model.core.evaluate(x[:m], found.centre + found.root @ x[m : m + p], dispersion)
        out = model.core.gradient()
        out[m : m + p] = found.root.T @ out[m : m + p]
        return out

    steps = 2e-3 / np.sqrt(np.maximum(np.abs(np.diag(found.hessian)), 1e-2))
    hessian = np.column_stack(
        [
            (
                8 * (gradient(found.x + e) - gradient(found.x - e))
                - (gradient(found.x + 2 * e) - gradient(found.x - 2 * e))
            )
            / (12 * e.sum())
            for e in np.diag(steps)
        ]
    )
    size = np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    # The search keeps a Hessian of a point so close that the criterion falls by 1e-7 to its end.
    np.testing.assert_allclose(found.hessian / size, hessian / size, atol=1e-3)
    coefficients = np.s_[m : m + p, m : m + p]
    np.testing.assert_allclose(
        (found.hessian / size)[coefficients], (hessian / size)[coefficients], atol=5e-5
    )


@pytest.mark.parametrize(("family", "link"), FAMILIES)
@pytest.mark.parametrize("kind", [{}, {"single": True, "slope": True}])
@pytest.mark.parametrize("singular", [False, True])
def test_curvature_by_the_coefficients_of_one_column(family, link, kind, singular):
    """Exact second derivatives against differences of the gradient; none with other terms."""
    model = Model(family, link, [(30, 1)], False, **kind)
    theta, beta = model.parameters()
    theta[0] = 0.0 if singular else 0.8

    def gradient(x):
        model.core.evaluate(theta, x, 0.7)
        return model.core.gradient()[1:4]

    model.core.evaluate(theta, beta, 0.7)
    exact = model.core.hessian_beta()
    if link == "inverse":
        assert exact.size == 0
        return
    steps = 1e-3 * np.eye(3)
    near = np.array([gradient(beta + e) - gradient(beta - e) for e in steps])
    far = np.array([gradient(beta + 2 * e) - gradient(beta - 2 * e) for e in steps])
    np.testing.assert_allclose(exact, (8 * near - far) / 12e-3, atol=2e-7 * np.abs(exact).max())
    other = Model(family, link, [(20, 2)], False)
    other.core.evaluate(*other.parameters(), 0.7)
    assert other.core.hessian_beta().size == 0


def test_gradient_by_factors_is_that_of_any_root():
    """The criterion knows lambda lambda' alone, so that G with lambda'G symmetric is its slope."""
    model = Model("poisson", "log", [(20, 3), (8, 2)], False)
    theta, beta = model.parameters()
    model.core.evaluate(theta, beta)
    gradient = model.core.gradient()
    by_factor = model.core.gradient_by_factors()
    factors = [np.zeros_like(G) for G in by_factor]
    for (t, i, j), element in zip(model.core.parameters, theta, strict=True):
        factors[t][i, j] = element
    for factor, G in zip(factors, by_factor, strict=True):
        assert np.abs(factor.T @ G - G.T @ factor).max() < 1e-8 * np.abs(G).max()
    for (t, i, j), slope in zip(model.core.parameters, gradient, strict=False):
        assert by_factor[t][i, j] == slope


@pytest.mark.parametrize(("family", "link"), [("poisson", "log"), ("gamma", "inverse")])
@pytest.mark.parametrize("shapes", [[(10, 3)], [(20, 2), (6, 1)]])
def test_errors_of_predictions_are_those_of_the_joint_curvature(family, link, shapes):
    """With X'(W^-1 + Z Sigma Z')^-1 X for C: the inverse of the curvature by beta and b."""
    model = Model(family, link, shapes, False, n=80)
    theta, beta = model.parameters()
    core, T = model.core, model.core.T[:3, :3]
    core.evaluate(theta, beta, 0.7)
    cov_beta = T @ np.linalg.inv(core.information_beta()) @ T.T
    h, rows = 1e-3, model.rows(0.7)
    eta = core.eta
    w = -(rows(eta + h) - 2.0 * rows(eta) + rows(eta - h)) / h**2
    X, Z, precision = model.values([-1, 0, 1]), [], []
    new_X, new_Z, terms = np.array([[1.0, 0.3, 4.0], [1.0, -1.0, 7.0]]), [], []
    for (codes, levels, references, _), factor in zip(
        model.terms, core.factors(theta), strict=True
    ):
        k = len(references)
        wide = np.zeros((len(codes), levels, k))
        wide[np.arange(len(codes)), codes] = model.values(references)
        Z.append(wide.reshape(len(codes), -1))
        precision.append(np.kron(np.eye(levels), np.linalg.inv(factor @ factor.T)))
        new = np.zeros((2, levels, k))
        new[[0, 1], [2, 5]] = new_X[:, :k]
        new_Z.append(new.reshape(2, -1))
        terms.append((np.array([2, 5], dtype=np.int32), np.asfortranarray(new_X[:, :k])))
    whole = np.hstack([X, *Z])
    curvature = whole.T @ (w[:, None] * whole)
    curvature[3:, 3:] += scipy.linalg.block_diag(*precision)
    at = np.hstack([new_X, *new_Z])
    expected = np.einsum("ij,jk,ik->i", at, np.linalg.inv(curvature), at)
    ours = core.prediction_variances(np.asfortranarray(new_X), cov_beta, terms)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)  # w is a difference
    unseen = [(np.array([-1, 5], dtype=np.int32), z) for _, z in terms]
    fixed = new_X[0] @ cov_beta @ new_X[0]
    own = sum(
        z[0] @ factor @ factor.T @ z[0]
        for (_, z), factor in zip(terms, core.factors(theta), strict=True)
    )
    ours = core.prediction_variances(np.asfortranarray(new_X), cov_beta, unseen)
    np.testing.assert_allclose(ours, [fixed + own, expected[1]], rtol=1e-5)


def test_refusals():
    model = Model("poisson", "log", [(12, 1)], False)
    with pytest.raises(ValueError, match="theta"):
        model.core.evaluate(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="beta"):
        model.core.evaluate(np.zeros(1), np.zeros(2))
    with pytest.raises(ValueError, match="dispersion"):
        model.core.evaluate(np.zeros(1), np.zeros(3), 0.0)
    with pytest.raises(ValueError, match="link"):
        _core.Glmm(model.y, [], [-1], model.terms, model.weights, model.offset, "poisson", "logit")
    with pytest.raises(ValueError, match="no criterion has been evaluated"):
        _ = Model("poisson", "log", [(12, 1)], False).core.eta
    several = Model("poisson", "log", [(12, 1), (5, 1)], False)
    with pytest.raises(ValueError, match="more than one term"):
        several.core.quadrature(np.zeros(1), np.ones(1))
    joint = Model("poisson", "log", [(12, 1)], False)
    joint.core.evaluate(np.ones(1), np.zeros(0))
    with pytest.raises(ValueError, match="joint mode"):
        joint.core.quadrature(np.zeros(1), np.ones(1))


def test_extreme_predictors_have_exact_tails():
    """Scores and weights of far-away rows follow their asymptotes: probit by Mills' ratio."""
    for eta, want in [(-40.0, -804.608442), (-10.0, -53.2312852)]:
        n = 4  # log Phi(eta), Abramowitz and Stegun 26.2.12 and scipy.special.log_ndtr
        core = _core.Glmm(
            np.r_[1.0, 1.0, 1.0, 0.0],
            [],
            [-1],
            [(np.array([0, 0, 1, 1], np.int32), 2, [-1], [0])],
            np.ones(n),
            np.r_[eta, 0.0, 0.0, 0.0],
            "binomial",
            "probit",
        )
        point = core.evaluate(np.zeros(1), np.zeros(1))
        assert point.log_likelihood - 3 * np.log(0.5) == pytest.approx(want, rel=1e-8)
