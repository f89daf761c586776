"""Parts of the variance against insight 0.19.0 (oracle/shares.R), where insight is right."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.families import lookup
from ranef.families.links import link_named
from ranef.families.scale import row_variance

#: Name: family and what else; fixed, random and distribution's variance, log-likelihood.
OF_R = {
    "nb": ({"family": "negative_binomial"}, 0.2179361, 0.3933113, 0.5016258, -432.2298),
    "nb1": ({"family": "nbinom1"}, 0.2353819, 0.3354911, 0.4964891, -436.475),
    "zip": ({"family": "poisson", "zero": "~ 1"}, 0.2442437, 0.1897605, None, -345.5008),
    "be": ({"family": "beta"}, 0.2698767, 0.3447994, None, 42.38454),
    "bb": ({"family": "betabinomial"}, 0.2935584, 0.3313761, None, -414.1841),
    "tw": ({"family": "tweedie"}, 0.418576, 0.2460255, 0.6612347, -408.1033),
    "ga": ({"family": "gamma", "link": "log"}, 0.2903449, 0.290556, 0.3678911, -357.712),
}


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(Path(__file__).with_name("shares.csv"))


@pytest.mark.parametrize("name", OF_R)
def test_parts_of_the_variance(data, name):
    more, fixed, random, own, llf = OF_R[name]
    left = {"nb1": "nb", "bb": "cbind(bb, rest)"}.get(name, name)
    model = ranef.glmer(f"{left} ~ x + (1 | g) + (1 | h)", data, **more)
    assert model.llf == pytest.approx(llf, abs=2e-3)
    method = "delta" if name == "ga" else "lognormal"
    table = model.variance_decomposition(method).set_index("component")["variance"]
    assert table["fixed"] == pytest.approx(fixed, rel=2e-4)
    assert table.filter(like="random").sum() == pytest.approx(random, rel=2e-4)
    if own is None:  # see the test below
        return
    # insight takes the median over random effects, exp(intercept), for the mean that the paper has
    mean = np.exp(model.update(". ~ . - x").params["Intercept"])
    family, params = lookup(more["family"]), dict(model.family_params)
    at = row_variance(family, link_named("log"), np.array([mean]), params, method)
    assert at[0] == pytest.approx(own, rel=1e-3)


def test_where_insight_is_wrong(data):
    """Its formula for a log link, on a logit: negative variances and shares above 1.

    insight 0.19.0 has -0.0255 for the beta and -0.4061, -0.3889 for the beta-binomial model, and
    performance 0.10.2 a conditional R² of 1.043 and of 2.856. Ours are those of simulated shares.
    """
    rng = np.random.default_rng(1)
    for left, family in (("be", "beta"), ("cbind(bb, rest)", "betabinomial")):
        model = ranef.glmer(f"{left} ~ x + (1 | g) + (1 | h)", data, family=family)
        phi = float(model.family_params["phi"])
        null = model.update(". ~ . - x")
        mean = float(null.predict(random="integrate").mean())
        draws = rng.beta(mean * phi, (1.0 - mean) * phi, 200_000)
        own = np.log(draws / (1.0 - draws)).var()
        if family == "betabinomial":
            own += np.pi**2 / 3.0
        residual = model.variance_decomposition()["variance"].iloc[-1]
        assert residual == pytest.approx(own, rel=0.02)
        assert 0.0 < model.r2().marginal < model.r2().conditional < 1.0


@pytest.mark.parametrize(
    ("link", "fixed", "own"), [("logit", 0.2667394, 3.289868), ("probit", 0.0894479, 1.0)]
)
def test_ordered_categories(data, link, fixed, own):
    with pytest.warns(ranef.SingularFitWarning):  # h has no variance in these data
        model = ranef.clmm("o ~ x + (1 | g) + (1 | h)", data, link=link)
    table = model.variance_decomposition().set_index("component")["variance"]
    assert table["fixed"] == pytest.approx(fixed, rel=2e-4)
    assert table["residual"] == pytest.approx(own, rel=1e-6)
    random = sum(float(cov.iloc[0, 0]) for cov in model.varcorr.values())
    given = random + table["residual"]
    assert model.icc().adjusted == pytest.approx(random / given, rel=1e-9)
