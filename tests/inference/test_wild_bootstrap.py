"""The wild cluster bootstrap against a plain loop that refits every draw."""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.inference.sandwich.wild import WEIGHTS, auxiliary


def _frame(seed=4, clusters=7):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(clusters), 6)
    x = rng.normal(size=len(g)) + rng.normal(size=clusters)[g]
    y = 0.4 * x + rng.normal(size=clusters)[g] + rng.normal(size=len(g))
    t = np.tile(np.arange(6), clusters)
    return pd.DataFrame({"y": y, "x": x, "g": g, "t": t, "w": rng.uniform(0.5, 2.0, len(g))})


def _refit(X, y, w, g, j):
    """Coefficient and its cluster-robust standard error."""
    M = np.linalg.inv(X.T @ (w[:, None] * X))
    beta = M @ X.T @ (w * y)
    scores = np.stack(
        [(X * (w * (y - X @ beta))[:, None])[g == k].sum(axis=0) for k in range(g.max() + 1)]
    )
    return beta, np.sqrt((M @ scores.T @ scores @ M)[j, j])


def _loop(X, y, w, g, j, null, V):
    beta, se = _refit(X, y, w, g, j)
    observed = abs(beta[j] - null) / se
    rest = np.delete(X, j, axis=1)
    target = y - null * X[:, j]
    sw = np.sqrt(w)
    gamma = np.linalg.lstsq(sw[:, None] * rest, sw * target, rcond=None)[0]
    fitted = rest @ gamma + null * X[:, j]
    draws = []
    for v in V.T:
        b, s = _refit(X, fitted + (y - fitted) * v[g], w, g, j)
        draws.append(abs(b[j] - null) / s)
    return float(np.mean(np.array(draws) >= observed * (1 - 1e-9)))


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("null", [0.0, 0.3])
def test_p_values_equal_a_loop_of_refits_over_all_signs(weights, null):
    frame = _frame()
    model = ranef.feols("y ~ x", frame, weights=weights)
    ours = model.wild_bootstrap("x", cluster="g", null=null, weights="rademacher", draws=999)
    assert ours.enumerated
    assert ours.draws == 128
    V = np.hstack(list(auxiliary(7, 999, "rademacher", None)[0]))
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    w = np.ones(len(frame)) if weights is None else frame["w"].to_numpy()
    g = frame["g"].to_numpy()
    assert ours.pvalue == _loop(X, frame["y"].to_numpy(), w, g, 1, null, V)


def test_absorbed_factors_that_cross_the_clusters_are_refitted_too():
    frame = _frame()
    absorbed = ranef.feols("y ~ x", frame, absorb=["g", "t"])
    explicit = ranef.feols("y ~ x + C(t) + C(g)", frame)
    a = absorbed.wild_bootstrap("x", cluster="g", weights="rademacher", draws=999)
    b = explicit.wild_bootstrap("x", cluster="g", weights="rademacher", draws=999)
    assert a.pvalue == b.pvalue
    assert a.lower == pytest.approx(b.lower, rel=1e-6)


def test_the_interval_inverts_the_test():
    model = ranef.feols("y ~ x", _frame())
    found = model.wild_bootstrap("x", cluster="g", draws=1999, seed=1)
    for end, inwards in ((found.lower, 0.02), (found.upper, -0.02)):
        inside = model.wild_bootstrap("x", cluster="g", null=end + inwards, draws=1999, seed=1)
        outside = model.wild_bootstrap("x", cluster="g", null=end - inwards, draws=1999, seed=1)
        assert outside.pvalue < 0.05 <= inside.pvalue


def test_auxiliary_distributions_have_mean_zero_and_variance_one():
    for values in WEIGHTS.values():
        assert values.mean() == pytest.approx(0.0, abs=1e-15)
        assert (values**2).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(np.sort(WEIGHTS["webb"] ** 2), [0.5, 0.5, 1, 1, 1.5, 1.5])


def test_the_seed_decides_the_draws():
    model = ranef.feols("y ~ x", _frame())
    a, b, c = (model.wild_bootstrap("x", cluster="g", draws=999, seed=s) for s in (1, 1, 2))
    assert a == b
    assert a.pvalue != c.pvalue or a.lower != c.lower


def test_wrong_options_are_explained():
    model = ranef.feols("y ~ x", _frame())
    with pytest.raises(ValueError, match="webb"):
        model.wild_bootstrap("x", cluster="g", weights="mammen")
    with pytest.raises(ValueError, match="too few"):
        model.wild_bootstrap("x", cluster="g", draws=10)
    with pytest.raises(ranef.ModelError, match="name them"):
        model.wild_bootstrap("x")
