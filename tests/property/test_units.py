"""Units are free: of response, predictors, weights and exposure, from 1e-12 to 1e12.

Every number of a fit changes as its unit says, and nothing else changes.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef

UNITS = [1e-12, 1e-6, 1e6, 1e12]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    groups, size = 18, 8
    n = groups * size
    g = np.repeat(np.arange(groups), size)
    d = pd.DataFrame({"g": g, "t": np.tile(np.arange(size), groups), "x": rng.normal(2, 1, n)})
    d["f"] = np.array(list("abc"))[rng.integers(0, 3, n)]
    d["w"] = rng.uniform(0.5, 2.0, n)
    d["exposure"] = rng.uniform(1.0, 5.0, n)
    b, s = rng.normal(size=(2, groups))[:, g]
    eta = 0.5 + 0.4 * d.x + 0.6 * (d.f == "b") + 0.6 * b
    d["y"] = 3.0 + eta + 0.4 * s * d.x + rng.normal(size=n)
    d["bin"] = rng.binomial(1, 1.0 / (1.0 + np.exp(1.0 - eta)))
    d["count"] = rng.poisson(np.exp(0.5 * eta) * d.exposure)
    d["size"] = rng.gamma(6.0, np.exp(0.4 * eta) / 6.0)
    return d


def negative(formula, d, **options):
    return ranef.glmer(formula, d, family="negative_binomial", **options)


#: A fit by right side, whether its response has a unit, and the name of the response.
FITS = {
    "lmer": (lambda r, d: ranef.lmer(f"y ~ {r} + (x | g)", d), True),
    "lmer ml": (lambda r, d: ranef.lmer(f"y ~ {r} + (x || g)", d, reml=False), True),
    "lmer weights": (lambda r, d: ranef.lmer(f"y ~ {r} + (1 | g)", d, weights="w"), True),
    "binomial": (lambda r, d: ranef.glmer(f"bin ~ {r} + (1 | g)", d, family="binomial"), False),
    "probit": (
        lambda r, d: ranef.glmer(f"bin ~ {r} + (1 | g)", d, family="binomial", link="probit"),
        False,
    ),
    "quadrature": (
        lambda r, d: ranef.glmer(f"bin ~ {r} + (1 | g)", d, family="binomial", nagq=5),
        False,
    ),
    "poisson": (lambda r, d: ranef.glmer(f"count ~ {r} + (x | g)", d, family="poisson"), False),
    "negative binomial": (lambda r, d: negative(f"count ~ {r} + (1 | g)", d), False),
    "feols": (lambda r, d: ranef.feols(f"y ~ {r}", d), True),
    "feols absorbed": (lambda r, d: ranef.feols(f"y ~ {r}", d, absorb="g"), True),
    "feols weights": (lambda r, d: ranef.feols(f"y ~ {r}", d, weights="w"), True),
    "gls": (lambda r, d: ranef.gls(f"y ~ {r}", d, groups="g", time="t", corr="ar1"), True),
    "gee": (lambda r, d: ranef.gee(f"y ~ {r}", d, groups="g"), True),
    "gee poisson": (
        lambda r, d: ranef.gee(f"count ~ {r}", d, groups="g", family="poisson"),
        False,
    ),
    "random effects gls": (lambda r, d: ranef.random_effects_gls(f"y ~ {r}", d, groups="g"), True),
    "within between": (lambda r, d: ranef.within_between(f"y ~ {r}", d, groups="g"), True),
}


def fitted(name, d):
    """Coefficients and errors, without a word of warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", ranef.errors.SingularFitWarning)
        model = FITS[name][0]("x + f", d)
        return model, model.coef_table()


def of_units(table, unit):
    """What each coefficient is to be multiplied by when x is."""
    return np.array([1.0 / unit if "x" in name else 1.0 for name in table.index])


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", [n for n, (_, has_unit) in FITS.items() if has_unit])
def test_the_unit_of_the_response(name, unit, data):
    _, before = fitted(name, data)
    _, after = fitted(name, data.assign(y=data.y * unit))
    assert_allclose(after.estimate, before.estimate * unit, rtol=2e-5, atol=1e-9 * unit)
    assert_allclose(after.se, before.se * unit, rtol=2e-4)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", list(FITS))
def test_the_unit_of_a_predictor(name, unit, data):
    _, before = fitted(name, data)
    _, after = fitted(name, data.assign(x=data.x * unit))
    assert list(after.index) == list(before.index)
    by = of_units(before, unit)
    assert_allclose(after.estimate / by, before.estimate, rtol=2e-5, atol=1e-9)
    assert_allclose(after.se / by, before.se, rtol=2e-4)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", ["lmer weights", "feols weights"])
def test_the_unit_of_the_weights(name, unit, data):
    _, before = fitted(name, data)
    _, after = fitted(name, data.assign(w=data.w * unit))
    assert_allclose(after[["estimate", "se"]], before[["estimate", "se"]], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("link", ["inverse", "log"])
def test_the_unit_of_a_gamma_response(link, unit, data):
    # the linear predictor of the inverse link is in units of 1 / y
    models = [
        ranef.glmer(
            "size ~ x + f + (1 | g)", data.assign(size=data["size"] * k), family="gamma", link=link
        )
        for k in (1.0, unit)
    ]
    before, after = models
    by = 1.0 / unit if link == "inverse" else 1.0
    rows = before.params.index if link == "inverse" else before.params.index[1:]
    assert_allclose(after.params[rows] / by, before.params[rows], rtol=1e-5)
    assert_allclose(after.bse / by, before.bse, rtol=1e-4)
    sds = [m.varcorr["g"].iloc[0, 0] ** 0.5 for m in models]
    assert_allclose(sds[1] / by, sds[0], rtol=1e-5)
    assert_allclose(after.llf + len(data) * np.log(unit), before.llf, rtol=1e-7)
    assert_allclose(after.fittedvalues / unit, before.fittedvalues, rtol=1e-6)
    assert before.is_singular == after.is_singular
    new = data.head(5)
    wide, narrow = (
        after.predict(new, interval="confidence"),
        before.predict(new, interval="confidence"),
    )
    assert_allclose(wide / unit, narrow, rtol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_of_exposure(unit, data):
    d = data.assign(e=data.exposure * unit)
    for fit in (
        lambda right, d: ranef.glmer(f"count ~ {right} + (1 | g)", d, family="poisson"),
        lambda right, d: ranef.gee(f"count ~ {right}", d, groups="g", family="poisson"),
    ):
        before = fit("x + f + offset(np.log(exposure))", d)
        after = fit("x + f + offset(np.log(e))", d)
        assert_allclose(
            after.params["Intercept"] + np.log(unit), before.params["Intercept"], rtol=1e-5
        )
        assert_allclose(after.params.iloc[1:], before.params.iloc[1:], rtol=1e-5)
        assert_allclose(after.bse, before.bse, rtol=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_computed_after_a_linear_fit(unit, data):
    models = [
        ranef.lmer("y ~ x * f + (x | g)", data.assign(x=data.x * kx, y=data.y * ky))
        for kx, ky in ((1.0, 1.0), (unit, 1.0 / unit))
    ]
    before, after = models
    assert_allclose(after.anova()[["F", "den_df"]], before.anova()[["F", "den_df"]], rtol=1e-3)
    assert_allclose(after.icc().adjusted, before.icc().adjusted, rtol=1e-5)
    assert_allclose(after.r2().marginal, before.r2().marginal, rtol=1e-5)
    assert_allclose(after.r2().conditional, before.r2().conditional, rtol=1e-5)
    means = [ranef.emmeans(m, "f").frame for m in models]
    assert_allclose(means[1].emmean * unit, means[0].emmean, rtol=1e-5)
    assert_allclose(means[1].se * unit, means[0].se, rtol=1e-4)
    trends = [ranef.emtrends(m, "f", "x").frame for m in models]
    assert_allclose(trends[1].trend * unit**2, trends[0].trend, rtol=1e-5)
    assert_allclose(trends[1].se * unit**2, trends[0].se, rtol=1e-4)
    sds = [np.sqrt(np.diag(m.varcorr["g"])) * s for m, s in ((before, 1.0), (after, unit))]
    assert_allclose(sds[1] * [1.0, unit], sds[0], rtol=1e-4)
    robust = [m.robust("CR2", cluster="g").coef_table() for m in models]
    assert_allclose(robust[1].t, robust[0].t, rtol=1e-4)
    assert_allclose(robust[1].df, robust[0].df, rtol=1e-4)
    tests = [m.test("x = 0, f[T.b] = 0") for m in models]
    assert_allclose(tests[1].F, tests[0].F, rtol=1e-5)
    ends = [
        m.predict(data.assign(x=data.x * k).head(9), interval="prediction")
        for m, k in ((before, 1.0), (after, unit))
    ]
    assert_allclose(ends[1] * unit, ends[0], rtol=1e-5)
    limits = [m.conf_int() for m in models]
    assert_allclose(limits[1].loc["f[T.b]"] * unit, limits[0].loc["f[T.b]"], rtol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_batches(unit, data):
    options = {"progress": False}
    for fit in (
        lambda d: ranef.fit_many("~ x + f + (1 | g)", d, ["y"], **options),
        lambda d: ranef.fit_groups("y ~ x + (1 | g)", d.assign(part=d.t % 2), by="part", **options),
    ):
        before, after = fit(data), fit(data.assign(y=data.y * unit, x=data.x * unit))
        assert after.fits.status.tolist() == before.fits.status.tolist()
        a, b = (r.table.reset_index() for r in (after, before))
        by = np.where(b.term == "x", 1.0, unit)
        assert_allclose(a.estimate / by, b.estimate, rtol=1e-6)
        assert_allclose(a.se / by, b.se, rtol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
def test_growth(unit, data):
    d = data.assign(y=data.y + 0.3 * data.t)
    before, after = (
        ranef.growth("y", d.assign(t=d.t * k), groups="g", time="t") for k in (1.0, unit)
    )
    by = np.array(
        [
            1.0 / unit ** (row.count("slope") + row.startswith("Var(sl"))
            for row in before.params.index
        ]
    )
    assert_allclose(after.params / by, before.params, rtol=1e-4)
    assert_allclose(after.bse / by, before.bse, rtol=1e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_profiles_criteria_and_what_refits(unit, data):
    """Values that a likelihood or a refit gives: limits, criteria, distances, folds."""
    models = [
        ranef.lmer("y ~ x + f + (1 | g)", data.assign(x=data.x * kx, y=data.y * ky), reml=False)
        for kx, ky in ((1.0, 1.0), (unit, 1.0 / unit))
    ]
    before, after = models
    limits = [m.profile(progress=False).conf_int() for m in models]
    by = np.array([1.0 / unit if name != "x" else unit**-2 for name in limits[0].index])
    assert_allclose(limits[1].to_numpy() / by[:, None], limits[0], rtol=1e-4)
    shift = 2.0 * len(data) * np.log(1.0 / unit)
    assert_allclose(after.caic().caic - shift, before.caic().caic, rtol=1e-6)
    assert_allclose(after.caic().df, before.caic().df, rtol=1e-5)
    found = [ranef.diagnose(m).codes for m in models]
    assert found[1] == found[0]
    distance = [m.influence("g").table for m in models]
    assert_allclose(distance[1].cooks_distance, distance[0].cooks_distance, rtol=1e-3)
    folds = [ranef.cross_validate(m, folds=3, seed=2, progress=False).table for m in models]
    assert_allclose(folds[1].rmse * unit, folds[0].rmse, rtol=1e-5)
    drawn = [m.bootstrap(20, seed=3, progress=False).replicates for m in models]
    assert_allclose(drawn[1]["x"] * unit**2, drawn[0]["x"], rtol=1e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_of_weights_of_batches(unit, data):
    Y = data[["y"]].assign(z=data.y + data.x)
    W = pd.DataFrame({"y": data.w, "z": 1.0 / data.w})
    options = {"progress": False}
    before, after = (
        ranef.fit_many("~ x + f + (1 | g)", data, Y, weights=W * k, **options) for k in (1.0, unit)
    )
    assert after.fits.status.tolist() == ["converged"] * 2
    assert_allclose(after.table[["estimate", "se"]], before.table[["estimate", "se"]], rtol=1e-6)
    assert_allclose(after.fits.sigma, before.fits.sigma * unit**0.5, rtol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("corr", ["ar1", "car1", "toeplitz", "unstructured"])
def test_the_unit_and_the_origin_of_time(unit, corr, data):
    if corr == "ar1" and unit < 1.0:
        unit = 7.0  # of whole steps only; others are refused, and told of car1
    d = data[data.t < 4]
    models = []
    for k, origin in ((1.0, 0.0), (unit, 3.0 * unit)):
        moved = d.assign(t=d.t * k + origin)
        models.append(ranef.gls("y ~ x", moved, groups="g", time="t", corr=corr, variance="~ f"))
    before, after = models
    assert_allclose(after.llf, before.llf, rtol=1e-8)
    assert_allclose(after.coef_table(), before.coef_table(), rtol=1e-3, atol=1e-8)
