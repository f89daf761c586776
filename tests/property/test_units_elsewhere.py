"""Units of mediators, times, covariates and responses where effects are drawn, pooled or filled in.

Each result is compared with that of the same data in other units, changed as theory says.
"""

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.models.roots import root_of

GROUPS, TIMES = 50, 6
UNITS = [1e-12, 1e-6, 1e6, 1e12]


def rows(**units):
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(GROUPS), TIMES), np.tile(np.arange(TIMES), GROUPS)
    b = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.1], [0.1, 0.2]], GROUPS)
    slopes = rng.multivariate_normal([0.5, 0.4], [[0.4, 0.2], [0.2, 0.4]], GROUPS)
    x = rng.normal(size=g.size) + 0.5 * rng.normal(size=GROUPS)[g]
    m = slopes[g, 0] * x + 0.6 * rng.normal(size=GROUPS)[g] + rng.normal(size=g.size)
    y = slopes[g, 1] * m + 0.3 * x + 0.2 * t + b[g, 0] + b[g, 1] * t + rng.normal(size=g.size)
    z = rng.normal(size=GROUPS)
    z[[3, 7]] = np.nan
    d = pd.DataFrame({"y": y, "x": x, "m": m, "t": 1.0 * t, "z": z[g], "g": g.astype(str)})
    for name, unit in units.items():
        d[name] *= unit
    return d


def mediated(formulas, joint, **units):
    """The indirect effect with its interval, in the units of x and y as they were."""
    d = rows(**units)
    models = [ranef.lmer(text, d) for text in formulas]
    effects = ranef.mediate(
        *models,
        treatment="x",
        mediator_name="m",
        contrast=(0.0, units.get("x", 1.0)),
        joint=joint,
        draws=500,
        seed=1,
    )
    return effects.table().loc["indirect"].to_numpy() / units.get("y", 1.0)


@pytest.mark.parametrize(
    ("formulas", "joint"),
    [
        (("m ~ x + (1 | g)", "y ~ m + x + (1 | g)"), False),
        (("m ~ x + (x | g)", "y ~ m + x + (m | g)"), True),
    ],
)
@pytest.mark.parametrize("name", ["x", "m", "y"])
def test_an_indirect_effect_is_that_of_any_units(formulas, joint, name):
    right = mediated(formulas, joint)
    for unit in UNITS:
        found = mediated(formulas, joint, **{name: unit})
        np.testing.assert_allclose(found, right, rtol=2e-4, err_msg=f"{name} {unit:g}")


def test_a_contrast_of_two_units_has_twice_the_covariance_of_slopes():
    d = rows()
    models = ranef.lmer("m ~ x + (x | g)", d), ranef.lmer("y ~ m + x + (m | g)", d)
    one, two = (
        ranef.mediate(
            *models, treatment="x", mediator_name="m", joint=True, contrast=(0, k), seed=1, draws=50
        )
        for k in (1, 2)
    )
    effects = ["indirect", "direct", "total"]
    np.testing.assert_allclose(two.estimates[effects], 2.0 * one.estimates[effects], rtol=1e-9)
    slopes = one.joint.slopes.loc["mediator: x", "outcome: m"]
    product = one.estimates["a"] * one.estimates["b"]
    assert one.estimates["indirect"] == pytest.approx(product + slopes, rel=1e-9)


@pytest.mark.parametrize("name", ["t", "z", "y"])
def test_growth_with_missing_covariates_is_that_of_any_units(name):
    options = {"time": "t", "groups": "g", "covariates": "z", "missing": "fiml"}
    right = ranef.growth("y", rows(), **options)
    for unit in UNITS:
        found = ranef.growth("y", rows(**{name: unit}), **options)
        seen = {"t": 0, "z": GROUPS - 2, "y": GROUPS * TIMES}[name]
        assert found.llf + seen * np.log(unit) == pytest.approx(right.llf, abs=1e-6)
        np.testing.assert_allclose(found.tvalues, right.tvalues, rtol=1e-4, err_msg=f"{unit:g}")


@pytest.mark.parametrize("name", ["y", "t"])
def test_classes_are_drawn_in_any_units(name):
    options = {"time": "t", "groups": "g", "random": "linear", "variances": "equal", "starts": 4}
    found = []
    for unit in (1.0, *UNITS):
        model = ranef.growth_mixture("y", rows(**{name: unit}), **options, progress=False)
        found.append(model.bootstrap_test(2, starts=2, seed=1, progress=False).simulated)
    np.testing.assert_allclose(found[1:], [found[0]] * len(UNITS), atol=1e-3)


def test_forests_fill_gaps_in_any_units():
    pytest.importorskip("sklearn")
    found = []
    for unit in (1.0, 1e-12, 1e12):
        d = rows(x=unit)
        d.loc[::5, "x"] = np.nan
        done = ranef.impute("y ~ x + t + (1 | g)", d, method="forest", cycles=2, seed=1)
        found.append(done.first["x"].to_numpy() / unit)
    np.testing.assert_allclose(found[1:], [found[0]] * 2, atol=0.25)
    assert all(np.std(values[::5]) > 0.3 for values in found)  # and not with the mean alone


def moments(family, more, unit):
    """What a model of location and scale says, with the unit of the response taken out."""
    d = rows(y=unit)
    m = ranef.glmer("y ~ x + (1 | g)", d, family=family, **more)
    limits = m.predict(d.head(3), kind="link", interval="confidence").to_numpy() / unit
    return {
        "log-likelihood": m.llf + len(d) * np.log(unit),
        "coefficients": m.params / unit,
        "standard errors": m.bse / unit,
        "variance": m.varcorr["g"].iloc[0, 0] / unit**2,
        "modes": m.ranef()["g"].to_numpy()[:5] / unit,
        "fitted": m.fittedvalues.to_numpy()[:5] / unit,
        "spread": np.asarray(m.predict(d.head(3), kind="dispersion")) / unit,
        "limits": limits,
        "draws": m.simulate(1, seed=1)[:5] / unit,
        "profile": m.conf_int("profile").loc["x"].to_numpy() / unit,
    }


@pytest.mark.parametrize(
    ("family", "more"),
    [("gaussian", {"dispersion": "~ x + (1 | g)"}), ("student", {"nagq": 3}), ("student", {})],
)
def test_the_unit_of_a_response_with_a_spread_of_its_own(family, more):
    right = moments(family, more, 1.0)
    for unit in (UNITS[0], UNITS[-1]):
        for name, value in moments(family, more, unit).items():
            np.testing.assert_allclose(value, right[name], rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("unit", [1e-150, 1e-12, 1.0, 1e12])
def test_a_root_keeps_components_of_any_size(unit):
    cov = np.array([[4.0, 1.0, 0.0], [1.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    scale = np.diag([1.0, unit, 1.0])
    R = root_of(scale @ cov @ scale)
    back = np.linalg.inv(scale) @ R @ R.T @ np.linalg.inv(scale)
    np.testing.assert_allclose(back, cov, rtol=1e-12, atol=1e-12)


def test_a_limit_that_no_likelihood_falls_below_is_infinite():
    """Student's t with infinite degrees of freedom is the normal distribution, which fits nearly
    as well; the other limit is that of Nelder and Mead's search with df held."""
    d = rows()
    model = ranef.glmer("y ~ x + (1 | g)", d, family="student", nagq=3)
    normal = ranef.glmer("y ~ x + (1 | g)", d, family="gaussian", dispersion="~ 1", nagq=3)
    assert 2.0 * (model.llf - normal.llf) == pytest.approx(2.2167465, abs=1e-5)
    lower, upper = model.conf_int("profile").loc["df"]
    assert lower == pytest.approx(3.962942, abs=1e-4)
    assert upper == np.inf
