"""The likelihood given the random effects, against SciPy's densities and differences."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import ranef


def model():
    rng = np.random.default_rng(4)
    n = 90
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "g": rng.integers(0, 6, n).astype(str),
            "h": rng.integers(0, 4, n).astype(str),
        }
    )
    data["k"] = rng.negative_binomial(2.0, 0.4, n) * (rng.random(n) < 0.7)
    return ranef.glmer(
        "k ~ x + (1 + x | g) + (1 | h)", data, family="negative_binomial", zero="~ x + (1 | g)"
    )


@pytest.fixture(scope="module")
def fitted():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model()


def point(fitted):
    plan = fitted.parts.plan
    rng = np.random.default_rng(5)
    beta = 0.4 * rng.normal(size=len(plan.start))
    effects = [0.5 * rng.normal(size=(z.shape[1], levels)) for _, levels, z, _, _ in plan.terms]
    return plan, beta, effects


def test_rows_have_scipys_densities(fitted):
    plan, beta, effects = point(fitted)
    eta = [X @ beta[index] for X, index, _ in plan.inputs]
    for (codes, _, z, _, place), b in zip(plan.terms, effects, strict=True):
        eta[place] = eta[place] + np.einsum("ij,ji->i", z, b[:, codes])
    mu, size, zero = np.exp(eta[0]), np.exp(eta[1]), 1.0 / (1.0 + np.exp(-eta[2]))
    own = (1.0 - zero) * scipy.stats.nbinom.pmf(plan.y, size, size / (size + mu))
    want = np.log(own + zero * (plan.y == 0.0))
    core = plan.core()
    np.testing.assert_allclose(core.row_densities(beta, effects), want, rtol=1e-9)
    assert core.joint(beta, effects).log_likelihood == pytest.approx(want.sum(), rel=1e-10)


def test_its_gradient_is_that_of_differences(fitted):
    plan, beta, effects = point(fitted)
    core, h = plan.core(), 1e-6
    found = core.joint(beta, effects)

    def value(beta, effects):
        return core.joint(beta, effects).log_likelihood

    want = [
        (value(beta + h * e, effects) - value(beta - h * e, effects)) / (2.0 * h)
        for e in np.eye(len(beta))
    ]
    np.testing.assert_allclose(found.by_beta, want, rtol=1e-6, atol=1e-6)
    for t, b in enumerate(effects):
        for at in np.ndindex(b.shape):
            step = np.zeros(b.shape)
            step[at] = h
            up, down = ([*effects[:t], b + s * step, *effects[t + 1 :]] for s in (1.0, -1.0))
            slope = (value(beta, up) - value(beta, down)) / (2.0 * h)
            assert found.by_effects[t][at] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_wrong_shapes_are_refused(fitted):
    plan, beta, effects = point(fitted)
    core = plan.core()
    with pytest.raises(ValueError, match="effects"):
        core.joint(beta, effects[:-1])
    with pytest.raises(ValueError, match="effects"):
        core.joint(beta, [effects[0].T, *effects[1:]])
    with pytest.raises(ValueError, match="beta"):
        core.joint(beta[:-1], effects)
