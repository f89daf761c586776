"""What must not change a fit with structured residuals: order, origin and units."""

import numpy as np
import pandas as pd
import pytest

import ranef

MODELS = {
    "ar1": {"corr": "ar1"},
    "car1": {"corr": "car1"},
    "toeplitz": {"corr": "toeplitz", "variance": "t"},
    "unstructured": {"corr": "unstructured", "variance": "t"},
    "exchangeable": {"corr": "exchangeable", "variance": "~ x"},
    "ar1_random": {"corr": "ar1", "formula": "y ~ x * t + (1 | g)"},
    "slopes": {"corr": "independence", "variance": "t", "formula": "y ~ x * t + (1 + t | g)"},
}


def _rows(seed=1, groups=60, times=5):
    """Unbalanced rows with correlated residuals whose variance grows."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), times), np.tile(np.arange(times), groups)
    e = rng.normal(size=(groups, times))
    for j in range(1, times):
        e[:, j] = 0.6 * e[:, j - 1] + 0.8 * e[:, j]
    x = rng.normal(size=groups * times)
    y = 2.0 + x + 0.5 * t + rng.normal(size=groups)[g] + e.ravel() * (1.0 + 0.2 * t)
    d = pd.DataFrame({"y": y, "x": x, "t": t, "g": g})
    return d[rng.random(len(d)) > 0.15].reset_index(drop=True)


def _fit(d, name, **changes):
    options = {"formula": "y ~ x * t", "groups": "g", "time": "t", **MODELS[name], **changes}
    return ranef.gls(options.pop("formula"), d, **options)


@pytest.mark.parametrize("name", MODELS)
def test_order_of_rows_and_labels_of_groups(name):
    d = _rows()
    model = _fit(d, name)
    mixed = d.sample(frac=1.0, random_state=3)
    mixed["g"] = "g" + (997 - mixed["g"]).astype(str)
    other = _fit(mixed, name)
    assert other.llf == pytest.approx(model.llf, abs=1e-8)
    np.testing.assert_allclose(other.params, model.params, rtol=1e-5)
    np.testing.assert_allclose(
        other.resid_normalized.sort_index(), model.resid_normalized, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_units_of_response_and_columns(name, reml):
    d = _rows()
    model = _fit(d, name, reml=reml)
    scale = 1e-4
    other = _fit(d.assign(y=1e9 * scale + scale * d["y"]), name, reml=reml)
    n = len(d) - 4 * reml
    assert other.llf == pytest.approx(model.llf - n * np.log(scale), abs=2e-5)
    np.testing.assert_allclose(other.bse, scale * model.bse, rtol=1e-4)
    np.testing.assert_allclose(other.correlation, model.correlation, rtol=1e-4)


@pytest.mark.parametrize("name", [m for m in MODELS if MODELS[m].get("variance") != "~ x"])
def test_calendar_years(name):
    d = _rows()
    model = _fit(d, name, reml=False)
    other = _fit(d.assign(t=d["t"] + 2008), name, reml=False)
    assert other.llf == pytest.approx(model.llf, abs=1e-7)
    assert other.params["x:t"] == pytest.approx(model.params["x:t"], rel=1e-5)
    np.testing.assert_allclose(other.correlation, model.correlation, rtol=1e-4)


def test_continuous_time_in_other_units():
    d = _rows()
    model = _fit(d, "car1", reml=False)
    for days in (365.25, 0.01):
        other = _fit(d.assign(t=days * d["t"]), "car1", reml=False)
        assert other.llf == pytest.approx(model.llf, abs=1e-7)
        assert other.correlation["phi"] ** days == pytest.approx(model.correlation["phi"], rel=1e-4)


def test_whole_times_make_continuous_and_discrete_time_the_same():
    d = _rows()
    assert _fit(d, "ar1").llf == pytest.approx(_fit(d, "car1").llf, abs=1e-8)


def test_each_correlation_is_as_high_as_its_special_cases():
    d = _rows()
    llf = {
        c: _fit(d, "ar1", corr=c).llf for c in ("exchangeable", "ar1", "toeplitz", "unstructured")
    }
    assert llf["toeplitz"] > max(llf["exchangeable"], llf["ar1"]) - 1e-8
    assert llf["unstructured"] > llf["toeplitz"] - 1e-8


def test_levels_of_variance_are_a_formula_of_indicators():
    d = _rows()
    levels = _fit(d, "ar1", variance="t")
    formula = _fit(d, "ar1", variance="~ C(t)")
    assert formula.llf == pytest.approx(levels.llf, abs=1e-8)
    np.testing.assert_allclose(formula.variance_params, levels.variance_params, rtol=1e-4)


def test_dates_count_in_days():
    d = _rows()
    dated = d.assign(t=pd.Timestamp("2020-02-27") + pd.to_timedelta(d["t"], unit="D"), u=d["t"])
    by_date = ranef.gls("y ~ x * u", dated, groups="g", time="t", corr="ar1")
    assert by_date.llf == pytest.approx(_fit(d, "ar1").llf, abs=1e-8)


def test_condensed_groups_are_the_groups_themselves():
    """Many alike groups are condensed; a tiny change of one time's distance prevents it."""
    rng = np.random.default_rng(8)
    g, t = np.repeat(np.arange(500), 4), np.tile(np.arange(4.0), 500)
    y = rng.normal(size=500)[g] + rng.normal(size=2000)
    d = pd.DataFrame({"y": y, "x": rng.normal(size=2000), "t": t, "g": g})
    apart = d.assign(t=t * (1.0 + 1e-11 * g))
    one = ranef.gls("y ~ x + t", d, groups="g", time="t", corr="car1")
    other = ranef.gls("y ~ x + t", apart, groups="g", time="t", corr="car1")
    assert one.parts.core.core.n_patterns == 1
    assert other.parts.core.core.n_patterns > 100
    assert one.llf == pytest.approx(other.llf, abs=1e-7)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-6)
