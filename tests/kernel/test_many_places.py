"""Structures of many columns, their levels factored by large matrices, against dense algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef

PLACES, GROUPS = 40, 6


def sample(share, each=1):
    rng = np.random.default_rng(2)
    t = np.sort(rng.choice(200, PLACES, replace=False)) / 10.0
    R = np.exp(-np.abs(np.subtract.outer(t, t)))
    b = rng.standard_normal((GROUPS, PLACES)) @ np.linalg.cholesky(R).T
    j = np.tile(np.repeat(np.arange(PLACES), each), GROUPS)
    g = np.repeat(np.arange(GROUPS), PLACES * each)
    frame = pd.DataFrame({"g": g, "t": t[j], "x": rng.standard_normal(len(g))})
    frame["y"] = 1.0 + 0.5 * frame["x"] + b[g, j] + 0.5 * rng.standard_normal(len(g))
    return frame.sample(frac=share, random_state=1) if share < 1.0 else frame


@pytest.mark.parametrize("share", [1.0, 0.8])  # levels that are alike, and levels that are not
@pytest.mark.parametrize("each", [1, 20])  # a variance below the residual's, and far above it
def test_the_likelihood_is_that_of_the_dense_covariance(share, each):
    frame = sample(share, each)
    model = ranef.lmer("y ~ x + ou(0 + t | g)", frame, reml=False)
    params = model.covariance_params()["estimate"]
    apart = np.abs(np.subtract.outer(frame["t"].to_numpy(), frame["t"].to_numpy()))
    same = np.equal.outer(frame["g"].to_numpy(), frame["g"].to_numpy())
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    y = frame["y"].to_numpy()

    def criterion(sigma, sd, rate):
        V = same * sd**2 * np.exp(-rate * apart) + sigma**2 * np.eye(len(y))
        W = np.linalg.inv(V)
        r = y - X @ np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
        return np.linalg.slogdet(V)[1] + r @ W @ r + len(y) * np.log(2.0 * np.pi)

    at = [model.sigma, params["g.sd"], params["g.rate"]]
    least = criterion(*at)
    assert -2.0 * model.llf == pytest.approx(least, rel=1e-9)
    if each > 1:
        return
    for j in range(3):
        for step in (0.99, 1.01):
            moved = list(at)
            moved[j] *= step
            assert criterion(*moved) > least
