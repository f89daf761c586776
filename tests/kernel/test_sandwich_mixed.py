"""Cluster-robust inference of mixed models against dense algebra with V = Z Sigma Z' + W^-1."""

import numpy as np
import pandas as pd
import pytest

from ranef.design import build
from ranef.errors import ModelError
from ranef.formula import parse
from ranef.inference.sandwich.mixed import mixed_scores
from ranef.inference.sandwich.sandwich import cluster_meat
from ranef.inference.sandwich.tests import satterthwaite_df

SLOPES = np.array([[0.8, 0.2], [0.2, 0.5]])
RELATIVE = (SLOPES, np.array([[0.6]]))
BETA = np.array([1.0, 0.4])


def _frame(seed=5):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(7), rng.integers(8, 14, 7))
    n = len(school)
    room = rng.integers(0, 2, n)
    x = rng.normal(size=n)
    y = BETA[0] + BETA[1] * x + rng.normal(size=7)[school] + rng.normal(size=n)
    return pd.DataFrame(
        {"y": y, "x": x, "school": school, "room": room, "w": rng.uniform(0.5, 2.0, n)}
    )


def _design(weights):
    formula = parse("y ~ x + (1 + x | school) + (1 | school:room)")
    return build(formula, _frame(), weights=weights)


def _dense(design, codes, kind):
    X, n = design.X, design.n_obs
    V = np.diag(np.ones(n) if design.weights is None else 1.0 / design.weights)
    for term, cov in zip(design.random, RELATIVE, strict=True):
        same = term.codes[:, None] == term.codes
        z = design.z(term)
        V = V + same * (z @ cov @ z.T)
    W = np.linalg.inv(V)
    M = np.linalg.inv(X.T @ W @ X)
    left = np.eye(n) - X @ M @ X.T @ W
    covered = left @ V @ left.T
    resid = design.y - X @ BETA
    meat, functionals = np.zeros((2, 2)), np.zeros((codes.max() + 1, n, 2))
    for g in range(codes.max() + 1):
        r = np.flatnonzero(codes == g)
        block = np.ix_(r, r)
        if kind == "CR2":
            D = np.linalg.cholesky(V[block]).T
            lam, E = np.linalg.eigh(D @ covered[block] @ D.T)
            A = D.T @ (E / np.sqrt(lam)) @ E.T @ D
        else:
            A = np.eye(len(r)) if kind == "CR0" else np.linalg.inv(left[block])
        a = A.T @ W[block] @ X[r] @ M
        meat += np.outer(a.T @ resid[r], a.T @ resid[r])
        functionals[g] = left[r].T @ a
    df = []
    for j in range(2):
        f = functionals[:, :, j]
        P = f @ V @ f.T
        df.append(np.trace(P) ** 2 / np.sum(P**2))
    return meat, np.array(df)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_covariance_and_df_equal_dense_algebra(kind, weights):
    design = _design(weights)
    codes = design.random[0].codes
    scores = mixed_scores(design, BETA, RELATIVE, codes)
    cov, df = _dense(design, codes, kind)
    ours = scores.root @ cluster_meat(scores, kind) @ scores.root.T
    np.testing.assert_allclose(ours, cov, rtol=1e-9)
    np.testing.assert_allclose(satterthwaite_df(scores, kind, np.eye(2)), df, rtol=1e-9)


def test_clusters_that_cut_a_grouping_factor_are_refused():
    design = _design(None)
    with pytest.raises(ModelError, match=r"'school' span several clusters of 'room'"):
        mixed_scores(design, BETA, RELATIVE, design.random[1].codes % 2, "room")
