"""Draws of random effects given everything else, against dense algebra."""

import numpy as np
import pytest

import ranef

PLANS = {
    "one term": "y ~ x + (1 + x | g)",
    "independent": "y ~ x + (1 + x || g)",
    "crossed": "y ~ x + (1 + x | g) + (1 | h)",
    "nested": "y ~ x + (1 | g) + (1 | g:h)",
}


def frame(n=120, seed=3):
    rng = np.random.default_rng(seed)
    import pandas as pd

    return pd.DataFrame(
        {
            "x": rng.normal(2.0, 1.5, n),
            "g": rng.integers(0, 7, n).astype(str),
            "h": rng.integers(0, 4, n).astype(str),
            "w": rng.uniform(0.5, 3.0, n),
            "y": rng.normal(10.0, 3.0, n),
        }
    )


def dense(model, factors, beta, sigma):
    """Mean and covariance of all effects given beta and sigma, level after level, term by term."""
    design = model.parts.design
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    Z, prior = [], []
    for term, L in zip(design.random, factors, strict=True):
        own = np.zeros((design.n_obs, term.n_levels, term.n_cols))
        own[np.arange(design.n_obs), term.codes] = design.z(term)
        Z.append(own.reshape(design.n_obs, -1))
        prior += [np.linalg.inv(sigma**2 * L @ L.T)] * term.n_levels
    Z = np.hstack(Z)
    sizes = np.cumsum([0, *(len(p) for p in prior)])
    P = np.zeros((sizes[-1], sizes[-1]))
    for at, block in zip(sizes, prior, strict=False):
        P[at : at + len(block), at : at + len(block)] = block
    precision = P + (Z * w[:, None]).T @ Z / sigma**2
    cov = np.linalg.inv(precision)
    return cov @ (Z.T @ (w * (design.y - design.X @ beta))) / sigma**2, cov


def setting(plan, weighted):
    data = frame()
    model = ranef.lmer(PLANS[plan], data, weights="w" if weighted else None)
    rng = np.random.default_rng(1)
    factors = []
    for term in model.parts.design.random:
        L = np.tril(rng.normal(0.3, 0.3, (term.n_cols, term.n_cols)))
        L[np.diag_indices_from(L)] = rng.uniform(0.4, 1.2, term.n_cols)
        if len(term.blocks) > 1:
            L = np.diag(np.diag(L))
        factors.append(np.asfortranarray(L))
    return model, factors, np.array([9.0, 0.5]), 2.5


def flat(effects):
    return np.concatenate([b.T.ravel() for b in effects])


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("plan", list(PLANS))
def test_draws_have_the_mean_and_covariance_of_the_dense_model(plan, weighted):
    model, factors, beta, sigma = setting(plan, weighted)
    core, terms = model.parts.core, model.parts.design.random
    shapes = [(t.n_cols, t.n_levels) for t in terms]
    mean, cov = dense(model, factors, beta, sigma)
    zero = [np.zeros(shape, order="F") for shape in shapes]
    centre = flat(core.draw(factors, beta, sigma, zero))
    np.testing.assert_allclose(centre, mean, rtol=1e-8, atol=1e-9)
    # the draw is linear in its noise: unit noises are the columns of a root of the covariance
    root = []
    for t, (columns, levels) in enumerate(shapes):
        for level in range(levels):
            for column in range(columns):
                noise = [np.zeros(shape, order="F") for shape in shapes]
                noise[t][column, level] = 1.0
                root.append(flat(core.draw(factors, beta, sigma, noise)) - centre)
    root = np.array(root).T
    np.testing.assert_allclose(root @ root.T, cov, rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_wrong_shapes_are_refused():
    model, factors, beta, sigma = setting("one term", False)
    right = [np.zeros((2, 7), order="F")]
    with pytest.raises(ValueError, match="noise"):
        model.parts.core.draw(factors, beta, sigma, [np.zeros((7, 2), order="F")])
    with pytest.raises(ValueError, match="noise"):
        model.parts.core.draw(factors, beta, sigma, right * 2)
    with pytest.raises(ValueError, match="beta"):
        model.parts.core.draw(factors, beta[:1], sigma, right)
