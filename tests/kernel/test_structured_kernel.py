"""The kernel of structured covariances against dense matrices, and its gradient."""

import numpy as np
import pytest

from conftest import EXACT
from ranef import _core
from reference import dense_gls

KINDS = ("independence", "exchangeable", "ar1", "car1", "toeplitz", "unstructured")


def _rows(seed, units=14, times=4, drop=0.25, repeats=1, p=3):
    """Units of different rows, some alike; each unit has one or two clusters."""
    rng = np.random.default_rng(seed)
    unit, cluster, time = [], [], []
    for u in range(units * repeats):
        for c in range(1 + u % 2):
            kept = np.flatnonzero(np.random.default_rng(u % units + 100 * c).random(times) > drop)
            kept = kept if len(kept) else np.array([0])
            unit += [u] * len(kept)
            cluster += [10 * u + c] * len(kept)
            time += list(kept)
    unit, time = np.array(unit, np.int32), np.array(time, float)
    n = len(unit)
    return {
        "y": rng.normal(size=n),
        "X": np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])),
        "start": np.append(np.flatnonzero(np.diff(unit, prepend=-1)), n).astype(np.int32),
        "cluster": np.array(cluster, np.int32),
        "place": time,
        "unit": unit,
        "D": np.asfortranarray(np.column_stack([time == 1.0, time]).astype(float)),
        "log_scale": 0.1 * (time == 2.0),
    }


def _model(rows, kind, terms=()):
    largest = int(np.bincount(np.unique(rows["cluster"], return_inverse=True)[1]).max())
    return _core.Structured(
        rows["y"],
        rows["X"],
        rows["start"],
        rows["cluster"],
        rows["place"],
        4,
        largest,
        kind,
        rows["log_scale"],
        rows["D"],
        list(terms),
    ), largest


def _terms(rows):
    z = np.asfortranarray(np.column_stack([np.ones(len(rows["y"])), rows["place"]]))
    one = np.asfortranarray(z[:, :1])
    return [(rows["unit"], z, [0, 0]), (rows["cluster"], one, [0])]


def _correlation(kind, a, natural, rows):
    if kind == "unstructured":
        R = np.eye(4)
        R[np.tril_indices(4, -1)] = 0.0
        R.T[np.triu_indices(4, 1)] = natural
        R[np.triu_indices(4, 1)] = natural
        R = np.triu(R, 1) + np.triu(R, 1).T + np.eye(4)
        natural = R
    elif kind in ("exchangeable", "ar1", "car1"):
        natural = natural[0]
    return dense_gls.correlation(kind, natural, rows["place"], rows["cluster"])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("repeats", [1, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_objective_and_coefficients(kind, repeats, reml):
    rows = _rows(3, units=4 if repeats > 1 else 14, repeats=repeats)
    terms = _terms(rows)
    model, _ = _model(rows, kind, terms)
    rng = np.random.default_rng(5)
    psi = 0.4 * rng.normal(size=model.n_parameters)
    delta = psi[4:6]
    natural = model.natural_correlation(psi)
    C = _correlation(kind, psi[6:], natural, rows)
    assert np.linalg.eigvalsh(C)[0] > 0.0
    sd = np.exp(rows["log_scale"] + rows["D"] @ delta)
    factors = [model.lambda_(0, psi), model.lambda_(1, psi)]
    random = [(c, z, L @ L.T) for (c, z, _), L in zip(terms, factors, strict=True)]
    V = dense_gls.covariance(C, sd, random)
    value, beta, cov, sigma2 = dense_gls.fit_at(rows["y"], rows["X"], V, reml=reml)
    point = model.evaluate(psi, reml)
    nu = len(rows["y"]) - 3 * reml
    assert point.objective == pytest.approx(value, rel=EXACT)
    np.testing.assert_allclose(point.beta, beta, rtol=1e-8, atol=1e-10)
    assert point.rss / nu == pytest.approx(sigma2, rel=EXACT)
    np.testing.assert_allclose(point.root.T @ point.root, sigma2 * np.linalg.inv(cov), rtol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("repeats", [1, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient(kind, repeats, reml):
    rows = _rows(4, units=4 if repeats > 1 else 14, repeats=repeats)
    model, _ = _model(rows, kind, _terms(rows))
    psi = 0.4 * np.random.default_rng(6).normal(size=model.n_parameters)
    g = model.gradient(psi, reml)
    for a in range(len(psi)):
        slopes = []
        for h in (2e-3, 1e-3):  # Richardson
            up, down = psi.copy(), psi.copy()
            up[a] += h
            down[a] -= h
            high, low = model.evaluate(up, reml).objective, model.evaluate(down, reml).objective
            slopes.append((high - low) / (2.0 * h))
        assert g[a] == pytest.approx((4.0 * slopes[1] - slopes[0]) / 3.0, rel=1e-7, abs=1e-6)


def test_equal_units_share_a_pattern():
    rows = _rows(3, units=4, repeats=30)
    model, _ = _model(rows, "ar1", _terms(rows))
    assert model.n_patterns == 4
    assert model.pattern_of_unit[:4] == model.pattern_of_unit[4:8]


def test_wrong_arrays_are_refused():
    rows = _rows(3)
    with pytest.raises(TypeError):
        _model({**rows, "y": rows["y"].astype(np.float32)}, "ar1")
    with pytest.raises(ValueError, match="place does not have a row"):
        _model({**rows, "place": rows["place"][1:]}, "ar1")
    with pytest.raises(ValueError, match="outside 0 to n_places"):
        _model({**rows, "place": rows["place"] + 9.0}, "toeplitz")
    with pytest.raises(ValueError, match="no such correlation"):
        _model(rows, "spherical")


def test_an_infeasible_point_is_a_large_objective():
    rows = _rows(3)
    model, _ = _model(rows, "ar1")
    psi = np.array([1e6, 0.0, 0.0])
    assert model.evaluate(psi, True).objective == 1e300
