"""Results beside the model classes: pooled and imputed data, mixtures, mediation, joint growth."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import ranef
from contract.test_surface import GROUPS, data

ROLES = {"time": "t", "groups": "g"}


def with_gaps(d):
    """Covariates of groups, some of them missing."""
    z = np.random.default_rng(1).normal(size=GROUPS)
    z[[2, 5]] = np.nan
    return d.assign(z=np.repeat(z, len(d) // GROUPS))


def imputed(d):
    holes = d.assign(x=d["x"].where(np.arange(len(d)) % 5 > 0))
    return ranef.impute("y ~ x + t + (1 | g)", holes, m=3, cycles=3, seed=1, progress=False)


def mixture(d, **more):
    return ranef.growth_mixture("y", d, **ROLES, starts=4, progress=False, **more)


def mediation(d):
    models = ranef.lmer("x ~ t + (1 | g)", d), ranef.lmer("y ~ x + t + (1 | g)", d)
    return ranef.mediate(*models, treatment="t", mediator_name="x", draws=200, seed=1)


RESULTS = {
    "FimlGrowthModel": lambda d: ranef.growth(
        "y", with_gaps(d), covariates="z", missing="fiml", **ROLES
    ),
    "PooledModel": lambda d: imputed(d).fit(),
    "Imputations": imputed,
    "GrowthMixture": mixture,
    "MixtureComparison": lambda d: mixture(d, classes=(1, 2)),
    "ClassTest": lambda d: mixture(d).bootstrap_test(3, starts=2, seed=1, progress=False),
    "Mediation": mediation,
}
#: Those with coefficients by name, as models have them.
MODELS = ["FimlGrowthModel", "PooledModel"]
NAMES = pytest.mark.parametrize("name", list(RESULTS))
WITH_COEFFICIENTS = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(scope="module")
def frame():
    return data()


@pytest.fixture(scope="module")
def results(frame):
    return {name: make(frame) for name, make in RESULTS.items()}


@NAMES
def test_a_class_is_public_and_documented(results, name):
    assert type(results[name]) is getattr(ranef, name)
    assert name in ranef.__all__
    assert type(results[name]).__doc__


@NAMES
def test_a_result_shows_as_text_and_in_a_notebook(results, name):
    result = results[name]
    html = result._repr_html_()
    assert html.startswith("<")
    assert str(result).strip()
    assert "object at 0x" not in repr(result)


@NAMES
def test_pickles_and_copies(results, name):
    result = results[name]
    for other in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert type(other) is type(result)
        assert repr(other) == repr(result)


@NAMES
def test_the_same_call_gives_the_same_result(results, frame, name):
    assert repr(RESULTS[name](frame)) == repr(results[name])


@NAMES
def test_nothing_of_a_result_can_be_set(results, name):
    first = next(
        word
        for word in ("params", "table", "frames", "pvalue", "llf")
        if hasattr(results[name], word)
    )
    with pytest.raises(AttributeError):
        setattr(results[name], first, 1.0)


@WITH_COEFFICIENTS
def test_estimates_share_their_labels(results, name):
    model = results[name]
    for word in (model.params, model.bse, model.tvalues, model.pvalues):
        assert isinstance(word, pd.Series)
        assert word.index.equals(model.params.index)
    cov = model.cov_params()
    assert list(cov.index) == list(cov.columns) == list(model.params.index)
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), model.bse, rtol=1e-12)
    np.testing.assert_allclose(model.tvalues, model.params / model.bse, rtol=1e-12)
    table = model.coef_table()
    assert list(table.columns[:3]) == ["estimate", "se", "df"]
    assert table.columns[-1] == "pvalue"
    pd.testing.assert_series_equal(table["estimate"], model.params, check_names=False)


@WITH_COEFFICIENTS
def test_intervals_and_tests_agree_with_the_table(results, name):
    model = results[name]
    wide = model.conf_int()
    assert list(wide.columns) == ["lower", "upper"]
    excludes = (wide["lower"] > 0.0) | (wide["upper"] < 0.0)
    assert (excludes == (model.pvalues < 0.05)).all()
    narrow = model.conf_int(level=0.5)
    assert ((narrow["upper"] - narrow["lower"]) < (wide["upper"] - wide["lower"])).all()
    for wrong in (0.0, 1.0, 95):
        with pytest.raises(ValueError, match="level"):
            model.conf_int(level=wrong)
    first = model.params.index[0]
    assert model.test(f"`{first}` = 0").pvalue == pytest.approx(model.pvalues[first], rel=0.2)
    with pytest.raises(ValueError, match="no coefficient"):
        model.test("nothing = 0")


@WITH_COEFFICIENTS
def test_tidy_and_glance(results, name):
    model = results[name]
    tidy = model.tidy()
    assert tidy["term"].tolist() == model.params.index.tolist()
    np.testing.assert_array_equal(tidy["estimate"], model.params)
    assert len(model.glance()) == 1
    assert model.glance()["nobs"].item() == model.nobs


@pytest.mark.parametrize("name", ["GrowthMixture", "Mediation", "MixtureComparison"])
def test_what_has_a_table_has_it_in_numbers(results, name):
    result = results[name]
    table = result.coef_table() if name == "GrowthMixture" else result.table
    table = table() if callable(table) else table
    assert isinstance(table, pd.DataFrame)
    assert np.isfinite(table.select_dtypes("number").drop(columns="df", errors="ignore")).all(
        axis=None
    )


@NAMES
def test_words_of_other_packages_are_answered(results, name):
    with pytest.raises(AttributeError) as caught:
        _ = results[name].colour
    assert "colour" in str(caught.value)


def test_what_becomes_of_the_frame_changes_no_result():
    """Nothing is read again from the caller's rows."""
    for name, make in RESULTS.items():
        d = data()
        result = make(d)
        said = repr(result), str(result)
        d["y"], d["x"] = 0.0, 1e6
        d.index = d.index[::-1]
        assert (repr(result), str(result)) == said, name
