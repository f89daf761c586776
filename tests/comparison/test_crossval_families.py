"""Cross-validation of wider families and of categories, against other routes to the same scores."""

import numpy as np
import pandas as pd
import pytest
import scipy

import ranef
from ranef.fitted.several.predictive import predictive

OPTIONS = {"folds": 4, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(20), 10)
    x = rng.normal(size=g.size)
    eta = 0.7 + 0.5 * x + 0.6 * rng.normal(size=20)[g]
    mu = np.exp(eta)
    p = scipy.special.expit(eta)
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "n": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "z": np.where(rng.random(g.size) < 0.3, 0, rng.poisson(mu)),
            "share": rng.beta(5.0 * p, 5.0 * (1.0 - p)),
            "won": (rng.random(g.size) < p).astype(int),
            "o": np.digitize(eta + rng.logistic(size=g.size), [0.0, 1.5]),
        }
    )


@pytest.mark.parametrize("scheme", ["new_groups", "new_rows"])
def test_one_model_by_two_roads(data, scheme):
    """A constant dispersion as a formula is the same model, with its error in the mixture."""
    one = ranef.glmer("n ~ x + (1 | g)", data, family="negative_binomial")
    two = one.update(data=data)
    wide = ranef.glmer("n ~ x + (1 | g)", data, family="negative_binomial", dispersion="~ 1")
    a = ranef.cross_validate(two, scheme, **OPTIONS)
    b = ranef.cross_validate(wide, scheme, **OPTIONS)
    # the error of the coefficients is that of all parameters here, and given the dispersion there
    np.testing.assert_allclose(a.rows["mean"], b.rows["mean"], rtol=5e-3)
    # the error of the dispersion, which counts here, matters in the tails alone
    assert np.median(np.abs(a.rows["log_score"] - b.rows["log_score"])) < 0.01
    assert b.table["log_score"].item() == pytest.approx(a.table["log_score"].item(), abs=0.01)
    assert b.table["coverage95"].item() > 0.9


def test_densities_are_integrals(data):
    """Of a beta response of a new group, by adaptive quadrature and the density of SciPy."""
    model = ranef.glmer("share ~ x + (1 | g)", data, family="beta")
    new = data.head(3).assign(g=999)
    found = predictive(model, new, np.ones(3))
    phi = float(model.family_params["phi"])
    mean, sd = found.moments()
    for i, y in enumerate(new["share"]):
        center, scale = found.eta[0][i], np.sqrt(found.variance[0][i])
        assert scale**2 > float(model.varcorr["g"].iloc[0, 0])

        def at(u, of, center=center, scale=scale):
            p = scipy.special.expit(center + scale * u)
            return of(p) * scipy.stats.norm.pdf(u)

        def density(p, y=y):
            return scipy.stats.beta.pdf(y, p * phi, (1.0 - p) * phi)

        whole = scipy.integrate.quad(at, -8, 8, args=(density,))[0]
        assert found.log_density(new["share"].to_numpy())[i] == pytest.approx(np.log(whole))
        first = scipy.integrate.quad(at, -8, 8, args=(lambda p: p,))[0]
        second = scipy.integrate.quad(at, -8, 8, args=(lambda p: p**2 + p * (1 - p) / (1 + phi),))
        assert mean[i] == pytest.approx(first, rel=1e-6)
        assert sd[i] == pytest.approx(np.sqrt(second[0] - first**2), rel=1e-6)


def test_structural_zeros_predict_better_where_there_are_some(data):
    plain = ranef.glmer("z ~ x + (1 | g)", data, family="poisson")
    zeros = ranef.glmer("z ~ x + (1 | g)", data, family="poisson", zero="~ 1")
    results = {
        name: ranef.cross_validate(model, "new_groups", **OPTIONS)
        for name, model in (("plain", plain), ("zeros", zeros))
    }
    assert ranef.compare(results).table.index[0] == "zeros"


def test_two_categories_are_yes_and_no(data):
    """A cumulative model of two categories is a logistic one; its threshold counts as known."""
    two = ranef.cross_validate(ranef.clmm("won ~ x + (1 | g)", data), "new_groups", **OPTIONS)
    logit = ranef.glmer("won ~ x + (1 | g)", data, family="binomial")
    one = ranef.cross_validate(logit, "new_groups", **OPTIONS)
    np.testing.assert_allclose(two.rows["mean"], one.rows["mean"], atol=0.02)
    assert two.table["log_score"].item() == pytest.approx(one.table["log_score"].item(), abs=0.01)
    # both categories count in the Brier score of categories
    assert two.table["brier"].item() == pytest.approx(2.0 * one.table["brier"].item(), rel=0.03)


def test_categories_are_scored_by_their_probabilities(data):
    model = ranef.clmm("o ~ x + (1 | g)", data)
    found = ranef.cross_validate(model, "new_groups", **OPTIONS)
    out = found.rows["fold"] == 0
    new = data.loc[found.rows.index[out].sort_values()]
    rest = data.drop(index=new.index)
    prob = model.update(data=rest).predict(new, random="integrate").to_numpy()
    plain = np.log(prob[np.arange(len(new)), new["o"]])
    # that has no error of the coefficients
    assert np.abs(found.rows.loc[out, "log_score"].sort_index() - plain).max() < 0.15
    assert found.rows.loc[out, "log_score"].mean() == pytest.approx(plain.mean(), abs=0.02)
    with pytest.raises(ranef.UnsupportedError, match="folds=10"):
        ranef.cross_validate(model)


def test_a_category_that_only_the_left_out_rows_have(data):
    rare = data.assign(o=data["o"].where(data["g"] > 0, 3))
    model = ranef.clmm("o ~ x + (1 | g)", rare)
    with pytest.raises(ranef.ModelError, match="occurs only in the rows that are left out"):
        ranef.cross_validate(model, "new_groups", **OPTIONS)
