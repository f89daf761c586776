"""Predictors of groups and of few values are drawn with the likelihood of the response."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ranef
from ranef.missing.coding import Coding
from ranef.missing.compatible import (
    Likelihood,
    drawn_categories,
    drawn_numbers,
    is_asked_for,
    log_shares,
    outcome_problem,
)
from ranef.missing.functions import with_functions
from ranef.missing.sampler import Crossed, Sampler
from ranef.missing.variables import read_variables

SIGMA, VARIANCE = np.array([[0.5, 0.1], [0.1, 0.3]]), 0.7


class Still:
    """Randomness without any."""

    def normal(self, size):
        return np.zeros(size)


def unequal(seed=3, groups=6):
    """Groups of 2 to 5 rows, with a number and a category of groups."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rng.integers(2, 6, groups))
    return pd.DataFrame(
        {
            "y": rng.normal(size=len(g)),
            "x": rng.normal(size=len(g)),
            "w": rng.normal(size=groups)[g],
            "k": np.array(list("abc"))[np.arange(groups) % 3][g],
            "g": g,
        }
    )


def known(formula, data, name):
    """Likelihood of a predictor under parameters that are written down here."""
    variables = read_variables(formula, data)
    coding = Coding(variables)
    values = {
        n: np.array([item.levels.index(v) for v in data[n]], float)
        if item.levels
        else data[n].to_numpy(float)
        for n, item in variables.items.items()
    }
    problem = outcome_problem(coding, values)
    analysis = Sampler("continuous")
    analysis.beta = np.linspace(-0.4, 0.9, problem.X.shape[1])
    analysis.variance, analysis.blocks = VARIANCE, problem.blocks
    analysis.blocks[0].Sigma = SIGMA
    analysis.blocks[0].b = np.random.default_rng(1).normal(size=(problem.blocks[0].n_levels, 2))
    return Likelihood(coding, variables.items[name], analysis, values["y"]), values


def by_hand(data, name, at):
    """Columns of a variable at one value, in units of the observed standard deviation."""
    if name == "k":
        raw = np.column_stack([data.k == c for c in "bc"]).astype(float)
        moved = np.array([at == 1, at == 2], float)
    else:
        raw, moved = data[[name]].to_numpy(), np.array([at], float)
    now = raw if at is None else np.tile(moved, (len(data), 1))
    return (now - raw.mean(axis=0)) / raw.std(axis=0)


def dense_density(likelihood, data, name, at, *, product):
    """Log density of each group's response by its dense covariance, at a value of a predictor."""
    moved, x = by_hand(data, name, at), by_hand(data, "x", None)
    X = np.column_stack([np.ones(len(data)), moved, x, *([moved * x] if product else [])])
    mean, Z = X @ likelihood.analysis.beta, np.column_stack([np.ones(len(data)), x])
    out = []
    for level in range(6):
        rows = (data.g == level).to_numpy()
        V = Z[rows] @ SIGMA @ Z[rows].T + VARIANCE * np.eye(rows.sum())
        out.append(stats.multivariate_normal(mean[rows], V).logpdf(data.y[rows]))
    return np.array(out)


def test_a_number_of_groups_has_the_posterior_of_the_dense_likelihood():
    data = unequal()
    likelihood, values = known("y ~ w * x + (x | g)", data, "w")
    prior, variance = np.linspace(-1.0, 1.0, 6), 0.8
    centre, scale = data.w.mean(), data.w.std(ddof=0)
    ends = (centre, centre + scale)
    got = drawn_numbers(likelihood, values, ends, prior, variance, Still())

    def density(column):
        at = centre + scale * column
        fit = dense_density(likelihood, data, "w", at, product=True)
        return fit - 0.5 * (column - prior) ** 2 / variance

    # a quadratic: its peak from three values
    low, middle, high = (density(at) for at in (-1.0, 0.0, 1.0))
    peak = 0.5 * (low - high) / (low - 2.0 * middle + high)
    np.testing.assert_allclose(got, peak, rtol=1e-8)


@pytest.mark.parametrize("formula", ["y ~ k + x + (x | g)", "y ~ k * x + (x | g)"])
def test_categories_of_groups_have_the_shares_of_the_dense_likelihood(formula):
    data = unequal()
    likelihood, values = known(formula, data, "k")
    own = np.log([0.5, 0.3, 0.2]) + np.zeros((6, 3))
    fits = [dense_density(likelihood, data, "k", c, product="*" in formula) for c in range(3)]
    logs = own + np.column_stack(fits)
    expected = np.exp(logs - logs.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    rng, n = np.random.default_rng(5), 600
    draws = np.array([drawn_categories(likelihood, values, own, rng) for _ in range(n)])
    shares = np.column_stack([(draws == c).mean(axis=0) for c in range(3)])
    z = (shares - expected) / np.sqrt(expected * (1.0 - expected) / n + 1e-12)
    assert np.abs(z[expected > 0.01]).max() < 4.0


def test_coefficients_are_drawn_with_the_effects_integrated_out():
    data = unequal()
    likelihood, values = known("y ~ w * x + (x | g)", data, "w")
    analysis, y = likelihood.analysis, values["y"]
    problem = outcome_problem(likelihood.coding, values)
    X, block = problem.X, analysis.blocks[0]
    V = VARIANCE * np.eye(len(y))
    for level in range(6):
        rows = np.flatnonzero(block.codes == level)
        V[np.ix_(rows, rows)] += block.Z[rows] @ SIGMA @ block.Z[rows].T
    inverse = np.linalg.inv(V)
    precision = X.T @ inverse @ X + np.eye(X.shape[1]) / 100.0
    every = slice(None)
    whole, products = Crossed(X.T @ X, X.T, every), Crossed.of(block, X, every)
    got = analysis._coefficients(whole, y, 100.0, Still(), block, products)
    np.testing.assert_allclose(got, np.linalg.solve(precision, X.T @ inverse @ y), rtol=1e-8)


def test_which_predictors_are_drawn_with_the_analysis():
    data = unequal()
    data["b"] = (data.x > 0) * 1

    def asked(formula, name, kinds=None):
        return is_asked_for(Coding(read_variables(formula, data, kinds)), name)

    for name in ("w", "x"):  # the regression on the response is right
        assert not asked("y ~ w + x + (1 | g)", name)
    assert asked("y ~ w + x + (x | g)", "w")
    assert asked("y ~ w * x + (1 | g)", "w")
    assert asked("y ~ w + x + (x | g)", "x")
    assert asked("y ~ w * x + (1 | g)", "x")
    assert asked("y ~ b + k + (1 | g)", "b")
    assert asked("y ~ b + k + (1 | g)", "k")
    assert not asked("y ~ x * w + (1 | g)", "x", {"x": "matching"})
    assert not asked("np.exp(y) ~ x * w + (1 | g)", "x")
    assert not asked("b ~ x * w + (1 | g)", "x")


def test_draws_of_a_residual_variance_have_the_mean_of_the_unbiased_estimate():
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(12), rng.normal(size=(12, 2))])
    y, seen, sampler = rng.normal(size=12), np.ones(12, bool), Sampler("continuous")
    draws = []
    for _ in range(4000):
        sampler.sweep(y, seen, X, [], rng, 1)
        draws.append(sampler.variance)
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    error = np.std(draws) / np.sqrt(len(draws))
    assert np.mean(draws) == pytest.approx(left @ left / 9.0, abs=5.0 * error)


def test_shares_of_categories_sum_to_one():
    samplers = [Sampler("binary"), Sampler("binary")]
    X = np.column_stack([np.ones(5), np.linspace(-2.0, 2.0, 5)])
    for sampler, beta in zip(samplers, ([0.3, -0.5], [-0.2, 0.8]), strict=True):
        sampler.beta = np.array(beta)
    shares = np.exp(log_shares(samplers, X))
    first, second = (stats.norm.cdf(X @ s.beta) for s in samplers)
    np.testing.assert_allclose(shares[:, 0], first, rtol=1e-12)
    np.testing.assert_allclose(shares[:, 1], (1.0 - first) * second, rtol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)


def cross_level(seed, groups=50):
    """A predictor of groups that moderates a slope, missing where the group's mean is high."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rng.integers(4, 11, groups))
    w, u = rng.normal(size=groups), 0.6 * rng.normal(size=groups)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=len(g)), "w": w[g]})
    noise = rng.normal(size=len(g))
    data["y"] = 1.0 + u[g] + 0.5 * data.w + 0.3 * data.x + 0.6 * data.w * data.x + noise
    mean = data.groupby("g").y.mean().to_numpy()
    gone = rng.random(groups) < 1.0 / (1.0 + np.exp(1.0 - 1.5 * (mean - 1.0)))
    return data, data.assign(w=data.w.where(~gone[g]))


def test_a_predictor_of_groups_keeps_its_product_with_one_of_rows():
    gaps = []
    for seed in range(4):
        full, data = cross_level(seed)
        formula = "y ~ w * x + (1 | g)"
        frame = ranef.impute(formula, data, m=4, cycles=6, seed=seed, progress=False)
        for one in frame.frames:
            assert one.groupby("g")["w"].nunique().eq(1).all()
        gaps.append(frame.fit().params["w:x"] - ranef.lmer(formula, full).params["w:x"])
    assert abs(np.mean(gaps)) < 0.05


def test_products_of_three_and_products_that_vary_are_columns():
    data = unequal()
    coding = Coding(read_variables("y ~ w * x * b + (x:b | g)", data.assign(b=data.x**2)))
    values = {n: data.assign(b=data.x**2)[n].to_numpy(float) for n in coding.variables.items}
    problem = outcome_problem(coding, values)
    w, x, b = (
        ((column - column.mean()) / column.std(ddof=0)).to_numpy()
        for column in (data.w, data.x, data.x**2)
    )
    for column in (w * x, w * b, x * b, w * x * b):
        assert np.isclose(problem.X.T, column).all(axis=1).any()
    np.testing.assert_allclose(problem.blocks[0].Z, np.column_stack([np.ones(len(x)), x * b]))


def test_categories_and_polynomials_are_known_by_their_columns():
    coding = Coding(with_functions(read_variables("y ~ C(k) * w + poly(x, 2) * w", unequal())))
    parts = ["poly(x, 2)[0]", "poly(x, 2)[1]"]
    assert coding.products == [("k", "w"), *(("w", name) for name in parts)] or (
        coding.products == [("k", "w"), *((name, "w") for name in parts)]
    )


def test_a_response_that_follows_a_curve_is_imputed_on_the_curve():
    rng = np.random.default_rng(2)
    g, t = np.repeat(np.arange(30), 6), np.tile(np.arange(6.0), 30)
    y = t**2 + rng.normal(size=30)[g] + 0.3 * rng.normal(size=180)
    gone = (t == 3.0) & (rng.random(180) < 0.8)
    data = pd.DataFrame({"y": np.where(gone, np.nan, y), "t": t, "g": g})
    formula = "y ~ t + I(t**2) + (1 | g)"
    found = ranef.impute(formula, data, m=3, cycles=2, seed=1, progress=False)
    assert list(found.first) == ["y", "t", "g"]
    for frame in found.frames:
        assert abs(np.mean(frame["y"][gone] - y[gone])) < 0.25  # the straight line is 2.7 higher


@pytest.mark.parametrize("term", ["I(x**2)", "np.exp(x)"])
def test_a_function_of_an_incomplete_column_is_told(term):
    data = unequal()
    data.loc[[2, 7], "x"] = np.nan
    with pytest.warns(ranef.RanefWarning, match=r"not part of the imputation.*too small"):
        ranef.impute(f"y ~ {term} + w + (1 | g)", data, m=1, cycles=1, seed=1, progress=False)
