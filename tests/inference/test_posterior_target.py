"""The log posterior density of a linear model, against dense normal densities."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import ranef
from ranef.inference.posterior.coordinates import Coordinates, correlation_root
from ranef.inference.posterior.linear import LinearTarget, draw_fixed
from ranef.inference.posterior.priors import Scales, posterior_priors


def frame(n=60, seed=5):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(1.0, 2.0, n),
            "g": rng.integers(0, 6, n).astype(str),
            "h": rng.integers(0, 4, n).astype(str),
            "w": rng.uniform(0.5, 2.0, n),
            "y": rng.normal(3.0, 2.0, n),
        }
    )


def target(formula, prior, **options):
    model = ranef.lmer(formula, frame(), **options)
    parts = model.parts
    known = getattr(prior.get("residual"), "sigma", None)
    coordinates = Coordinates(
        parts.design.random, has_scale=known is None, known_scale=known or 1.0
    )
    scales = Scales(tuple(np.ones(t.n_cols) for t in parts.design.random), 1.0)
    priors = posterior_priors(prior, parts.design, parts.kept, coordinates, scales)
    return parts.design, LinearTarget(parts.core, parts.nobs, coordinates, priors)


def marginal(design, factors, sigma):
    """Covariance of the responses given covariances and sigma."""
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    V = np.diag(sigma**2 / w)
    for term, L in zip(design.random, factors, strict=True):
        z = design.z(term)
        V += (term.codes[:, None] == term.codes) * (z @ L @ L.T @ z.T)
    return V


FIXED = ranef.Normal(sd={"Intercept": 4.0, "x": 1.5}, mean={"Intercept": 2.0, "x": 0.3})
HALF = ranef.HalfT(3, 0.5, 2.0)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("formula", ["y ~ x + (1 + x | g) + (1 | h)", "y ~ x + (1 + x || g)"])
def test_density_is_that_of_dense_normal_responses(formula, known, weighted):
    prior = {"random": HALF, "fixed": FIXED, "residual": ranef.Point(1.7) if known else HALF}
    if "||" not in formula:
        prior["correlation"] = ranef.LKJ(2.5)
    design, of = target(formula, prior, weights="w" if weighted else None)
    x = np.random.default_rng(1).normal(0.0, 0.6, (4, of.size))
    values = of.coordinates.values(x)
    factors = of.coordinates.factors(values)
    m, D = np.array([2.0, 0.3]), np.diag([16.0, 2.25])
    want = []
    for s in range(4):
        V = marginal(design, [L[s] for L in factors], values.scale[s])
        cov = V + design.X @ D @ design.X.T
        total = scipy.stats.multivariate_normal.logpdf(design.y, design.X @ m, cov)
        sds = np.concatenate([sd[s] for sd in values.sd] + ([] if known else [values.scale[[s]]]))
        total += np.sum(scipy.stats.t.logpdf(sds, 3, 0.5, 2.0)) + np.sum(np.log(sds))
        for root in values.cor_root:
            if root.shape[1] == 2:  # density of rho, and its slope by the coordinate
                total += (2.5 - 1.0) * np.log(1.0 - root[s, 1, 0] ** 2)
                total += np.log(1.0 - root[s, 1, 0] ** 2)
        want.append(total)
    got = of.log_density(x)
    np.testing.assert_allclose(got - got[0], np.array(want) - want[0], rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("relative", [False, True])
def test_fixed_effects_are_drawn_from_their_dense_conditional(relative):
    normal = ranef.Normal(sd={"x": 0.2}, mean={"x": 0.5}, relative=relative)
    design, of = target("y ~ x + (1 | g)", {"fixed": normal})
    x = np.tile(np.array([0.2, 0.4]), (20_000, 1))
    values = of.coordinates.values(x[:1])
    sigma = float(values.scale[0])
    V = marginal(design, [L[0] for L in of.coordinates.factors(values)], sigma)
    tight = 0.2 * sigma if relative else 0.2
    precision = design.X.T @ np.linalg.solve(V, design.X) + np.diag([0.0, tight**-2])
    right = design.X.T @ np.linalg.solve(V, design.y) + np.array([0.0, 0.5 * tight**-2])
    cov = np.linalg.inv(precision)
    one = of.given(x[:1])
    many = type(one)(np.tile(one.beta, (len(x), 1)), np.tile(one.root, (len(x), 1, 1)))
    beta = draw_fixed(of, many, np.full(len(x), sigma), np.random.default_rng(2))
    error = np.sqrt(np.diag(cov) / len(x))
    assert (np.abs(beta.mean(axis=0) - cov @ right) < 4.5 * error).all()
    np.testing.assert_allclose(np.cov(beta.T), cov, rtol=0.06, atol=0.02 * np.abs(cov).max())


def test_correlation_coordinates_have_their_jacobian():
    z = np.random.default_rng(3).normal(size=(1, 6))
    root, log_slope = correlation_root(z, 4)
    assert np.allclose(np.linalg.norm(root[0], axis=1), 1.0)
    rows, columns = np.tril_indices(4, -1)

    def below(at):
        return correlation_root(at[None], 4)[0][0][rows, columns]

    h = 1e-6
    J = np.array([(below(z[0] + h * e) - below(z[0] - h * e)) / (2 * h) for e in np.eye(6)])
    np.testing.assert_allclose(np.linalg.slogdet(J)[1], log_slope[0], rtol=1e-6)


def test_uniform_correlations_are_those_of_lewandowski_kurowicka_and_joe():
    """Under LKJ(eta) in k dimensions each (r + 1) / 2 is beta(eta + k/2 - 1, same)."""
    from ranef.inference.posterior.priors import log_lkj

    z = np.random.default_rng(4).standard_t(5, size=(200_000, 3))
    root, slope = correlation_root(z, 3)
    weights = np.exp(log_lkj(root, 1.0) + slope - scipy.stats.t.logpdf(z, 5).sum(axis=1))
    weights /= weights.sum()
    for i, j in ((1, 0), (2, 0), (2, 1)):
        r = (root @ root.transpose(0, 2, 1))[:, i, j]
        assert abs(weights @ r**2 - 0.25) < 0.01  # of beta(3/2, 3/2): variance 1/(2 eta + k - 1)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_densities_of_covariance_matrices_keep_their_measure():
    """An inverse Wishart of a 2 x 2 matrix, by its elements and by the coordinates."""
    prior = {"g": ranef.InverseWishart(5, 2.0), "residual": ranef.Point(1.0)}
    _, of = target("y ~ x + (1 + x | g)", prior)
    x = np.random.default_rng(6).normal(0.0, 0.4, (3, 3))

    def elements(at):
        L = of.coordinates.factors(of.coordinates.values(at[None]))[0][0]
        return (L @ L.T)[np.tril_indices(2)]

    want = []
    for at in x:
        h = 1e-6
        J = [(elements(at + h * e) - elements(at - h * e)) / (2 * h) for e in np.eye(3)]
        S = np.zeros((2, 2))
        S[np.tril_indices(2)] = elements(at)
        S[0, 1] = S[1, 0]
        density = scipy.stats.invwishart.logpdf(S, 5, 2.0 * np.eye(2))
        want.append(density + np.linalg.slogdet(np.array(J))[1])
    values = of.coordinates.values(x)
    got = of.priors.log_density(of.coordinates, values, relative=True) + values.log_jacobian
    np.testing.assert_allclose(got, want, rtol=1e-6)


def generalised(family, **options):
    rng = np.random.default_rng(8)
    data = frame()
    data["k"] = rng.poisson(np.exp(0.3 + 0.2 * data["x"] / 2.0)) + (family == "gamma") * 0.5
    model = ranef.glmer("k ~ x + (1 + x | g)", data, family=family, **options)
    from ranef.fitted.posterior.prepare import prepared

    prior = {
        "g": ranef.HalfT(3, 0, {"Intercept": 1.0, "x": 0.7}),
        "correlation": ranef.LKJ(2),
        "fixed": ranef.Normal(sd={"Intercept": 2.0, "x": 1.0}, mean={"Intercept": 0.2}),
    }
    return model, prepared(model, prior).draw.__closure__


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "gamma"])
def test_density_of_a_generalised_model_is_that_of_its_parts(family):
    """Against SciPy's densities, with the gradient against differences."""
    model, closure = generalised(family, **({"link": "log"} if family == "gamma" else {}))
    of = next(c.cell_contents for c in closure if hasattr(c.cell_contents, "value_and_slope"))
    design = model.parts.design
    start = of.start()
    points = start + np.random.default_rng(9).normal(0.0, 0.2, (3, of.size))

    def whole(x):
        found = of.split(x[None])
        L, b, standard = found.factors[0][0], found.effects[0][0], found.standard[0]
        beta = of.T @ standard[of.places]
        term = design.random[0]
        eta = design.X @ beta + np.einsum("ij,ij->i", design.z(term), b[term.codes])
        mu = np.exp(eta)
        if family == "poisson":
            total = scipy.stats.poisson.logpmf(design.y, mu).sum()
        else:
            shape = np.exp(standard[-1])
            if family == "gamma":
                total = scipy.stats.gamma.logpdf(design.y, 1 / shape, scale=mu * shape).sum()
            else:
                total = scipy.stats.nbinom.logpmf(design.y, shape, shape / (shape + mu)).sum()
            total += scipy.stats.t.logpdf(shape, 3, 0, 10.0) + standard[-1]
        u = np.linalg.solve(L, b.T)
        total += scipy.stats.norm.logpdf(u).sum()
        sd = np.linalg.norm(L, axis=1)
        r = (L @ L.T)[0, 1] / sd.prod()
        total += scipy.stats.t.logpdf(sd / [1.0, 0.7], 3).sum() + np.log(sd).sum()
        total += 2.0 * np.log(1.0 - r**2)  # LKJ(2), and the slope of r by its coordinate
        return total + scipy.stats.norm.logpdf(beta, [0.2, 0.0], [2.0, 1.0]).sum()

    got = np.array([of.value_and_slope(x)[0] for x in points])
    want = np.array([whole(x) for x in points])
    np.testing.assert_allclose(got - got[0], want - want[0], rtol=1e-8, atol=1e-7)
    h = 1e-5
    slope = of.value_and_slope(points[0])[1]
    for j in range(of.size):
        step = h * np.eye(of.size)[j]
        moved = [of.value_and_slope(points[0] + s * step)[0] for s in (1.0, -1.0)]
        assert slope[j] == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-4, abs=1e-4)
