"""The same word does the same on every model: one contract, a row a class."""

import copy
import inspect
import pickle
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import ranef

GROUPS, TIMES = 24, 5


def data():
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(GROUPS), TIMES)
    t = np.tile(np.arange(TIMES), GROUPS)
    x = rng.normal(size=g.size) + 0.5 * rng.normal(size=GROUPS)[g]
    b = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.1], [0.1, 0.2]], GROUPS)
    y = 1.0 + 0.5 * x + 0.3 * t + b[g, 0] + b[g, 1] * t + rng.normal(size=g.size)
    n = rng.poisson(np.exp(0.4 + 0.2 * x + 0.4 * b[g, 0]))
    z = np.where(rng.random(g.size) < 0.25, 0, n)
    o = pd.Categorical.from_codes(np.digitize(y, [0.0, 1.5, 3.0]), list("abcd"), ordered=True)
    return pd.DataFrame(
        {"y": y, "n": n, "z": z, "o": o, "x": x, "t": t, "g": [f"g{i:02d}" for i in g]},
        index=[f"row{i}" for i in range(g.size)],
    )


FITS = {
    "LinearMixedModel": lambda d: ranef.lmer("y ~ x + t + (t | g)", d),
    "GeneralizedLinearMixedModel": lambda d: ranef.glmer(
        "n ~ x + t + (1 | g)", d, family="poisson"
    ),
    "DistributionalModel": lambda d: ranef.glmer(
        "z ~ x + t + (1 | g)", d, family="poisson", zero="~ 1"
    ),
    "CumulativeLinkModel": lambda d: ranef.clmm("o ~ x + t + (1 | g)", d),
    "GLSModel": lambda d: ranef.gls("y ~ x + t", d, groups="g", time="t", corr="ar1"),
    "FixedEffectsModel": lambda d: ranef.feols("y ~ x + t", d, absorb="g", cluster="g"),
    "GeneralizedFixedEffectsModel": lambda d: ranef.feglm(
        "n ~ x + t", d, family="poisson", absorb="g"
    ),
    "GEEModel": lambda d: ranef.gee("y ~ x + t", d, groups="g"),
    "RandomEffectsGLS": lambda d: ranef.random_effects_gls("y ~ x + t", d, groups="g"),
    "WithinBetweenModel": lambda d: ranef.within_between("y ~ x + t", d, groups="g"),
    "GrowthModel": lambda d: ranef.growth("y", d, time="t", groups="g"),
}
#: Whose reference distribution is normal.
NORMAL = {
    "GeneralizedLinearMixedModel",
    "DistributionalModel",
    "CumulativeLinkModel",
    "GEEModel",
    "GeneralizedFixedEffectsModel",
    "RandomEffectsGLS",
    "GrowthModel",
}
#: Responses that are not y.
RESPONSES = {
    "GeneralizedLinearMixedModel": "n",
    "DistributionalModel": "z",
    "GeneralizedFixedEffectsModel": "n",
}
#: Whose response has no differences from its mean.
ORDERED = {"CumulativeLinkModel"}
#: Words that a class has not, with what the refusal must name.
REFUSED = {
    "LinearMixedModel": {},
    "GeneralizedLinearMixedModel": {"wild_bootstrap": "ranef.gee"},
    "DistributionalModel": {"caic": "aic"},
    "CumulativeLinkModel": {
        "caic": "aic",
        "resid": "prob",
        "residuals": "prob",
        "augment": "prob",
    },
    "GLSModel": {"profile": "covariance_params", "bootstrap": "ranef.lmer"},
    "FixedEffectsModel": {"ranef": "ranef.lmer", "profile": "wild_bootstrap", "anova": "wald_test"},
    "GeneralizedFixedEffectsModel": {"ranef": "ranef.glmer", "profile": "robust"},
    "GEEModel": {"llf": "qic", "aic": "qic", "bic": "qic", "ranef": "ranef.lmer"},
    "RandomEffectsGLS": {"llf": "ranef.lmer", "aic": "ranef.lmer", "bic": "ranef.lmer"},
    "WithinBetweenModel": {"ranef": "model.model", "varcorr": "model.model"},
    "GrowthModel": {"ranef": "scores", "profile": "ranef.lmer"},
}
NAMES = pytest.mark.parametrize("name", list(FITS))


@pytest.fixture(scope="module")
def frame():
    return data()


@pytest.fixture(scope="module")
def models(frame):
    return {name: fit(frame) for name, fit in FITS.items()}


def has(model, word):
    return word not in REFUSED[type(model).__name__]


@NAMES
def test_a_class_is_public_and_the_row_is_of_it(models, name):
    assert type(models[name]) is getattr(ranef, name)


@NAMES
def test_estimates_share_their_labels(models, name):
    model = models[name]
    words = (model.params, model.bse, model.tvalues, model.pvalues)
    assert all(
        isinstance(word, pd.Series) and word.index.equals(model.params.index) for word in words
    )
    cov = model.cov_params()
    assert list(cov.index) == list(cov.columns) == list(model.params.dropna().index)
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), model.bse.dropna(), rtol=1e-12)
    np.testing.assert_allclose(model.tvalues, model.params / model.bse, rtol=1e-12)
    assert ((model.pvalues >= 0.0) & (model.pvalues <= 1.0)).all()


@NAMES
def test_the_table_is_of_the_same_numbers_and_headed_by_its_distribution(models, name):
    model, statistic = models[name], "z" if name in NORMAL else "t"
    table = model.coef_table()
    assert list(table.columns) == ["estimate", "se", "df", statistic, "pvalue"]
    pd.testing.assert_series_equal(table["estimate"], model.params, check_names=False)
    pd.testing.assert_series_equal(table["se"], model.bse, check_names=False)
    pd.testing.assert_series_equal(table["pvalue"], model.pvalues, check_names=False)
    np.testing.assert_allclose(table[statistic], model.tvalues, rtol=1e-12)
    assert np.isinf(table["df"]).all() == (name in NORMAL)
    assert list(model.coef_table(ddf="inf").columns) == ["estimate", "se", "df", "z", "pvalue"]


@NAMES
def test_intervals_use_the_reference_of_the_table(models, name):
    model = models[name]
    wide = model.conf_int()
    assert list(wide.columns) == ["lower", "upper"]
    assert wide.index.equals(model.params.index)
    excludes = (wide["lower"] > 0.0) | (wide["upper"] < 0.0)
    assert (excludes == (model.pvalues < 0.05)).all()
    pd.testing.assert_frame_equal(model.conf_int(0.9), model.conf_int(level=0.9))
    pd.testing.assert_frame_equal(model.conf_int("wald", 0.9), model.conf_int(0.9, "wald"))
    normal = model.conf_int(ddf="inf")
    np.testing.assert_allclose(
        normal["upper"] - normal["lower"], 2.0 * 1.959963984540054 * model.bse, rtol=1e-12
    )
    for wrong in (0.0, 1.0, 95, "bott"):
        with pytest.raises(ValueError, match=r"level|method"):
            model.conf_int(wrong)


@NAMES
@pytest.mark.parametrize("ddf", ["inf", "INF", " Inf "])
def test_names_of_degrees_of_freedom_may_be_written_anyhow(models, name, ddf):
    model = models[name]
    pd.testing.assert_frame_equal(model.coef_table(ddf=ddf), model.coef_table(ddf="inf"))


@NAMES
def test_unknown_degrees_of_freedom_are_refused(models, name):
    with pytest.raises(ValueError, match="ddf must be"):
        models[name].coef_table(ddf="satterthwhite")
    if name not in ("LinearMixedModel", "WithinBetweenModel"):
        with pytest.raises(ranef.UnsupportedError, match="use ddf="):
            models[name].coef_table(ddf="kenward_roger")


@NAMES
def test_hypotheses(models, name):
    model = models[name]
    first, second = model.params.index[:2]
    found = model.test(f"`{first}` = 0")
    assert found.pvalue == pytest.approx(model.pvalues[first], rel=1e-8)
    moved = model.test(f"`{first}` = 0.25")
    assert model.test(f"`{first}`", 0.25).pvalue == pytest.approx(moved.pvalue, rel=1e-12)
    assert moved.pvalue != pytest.approx(found.pvalue, rel=1e-3)
    both = model.test([f"`{first}`", f"`{second}`"])
    rows = model.test(np.eye(len(model.params))[:2])
    assert both.num_df == 2
    assert pytest.approx(rows.F, rel=1e-10) == both.F
    assert both._repr_html_()
    with pytest.raises(ValueError, match="right side of its own"):
        model.test(f"`{first}` = 0", 1.0)
    with pytest.raises(ValueError, match="no coefficient"):
        model.test("nothing = 0")


@NAMES
def test_tidy_and_glance_hold_the_same_numbers(models, name):
    model = models[name]
    tidy = model.tidy(conf_int=True, level=0.9)
    fixed = tidy[tidy["effect"] == "fixed"].set_index("term")
    np.testing.assert_array_equal(fixed["estimate"], model.params)
    np.testing.assert_allclose(fixed["conf.low"], model.conf_int(0.9)["lower"], rtol=1e-12)
    glance = model.glance()
    assert len(glance) == 1
    assert glance["nobs"].item() == model.nobs == GROUPS * TIMES
    for column, word in {"logLik": "llf", "AIC": "aic", "BIC": "bic"}.items():
        assert (column in glance) == has(model, word)
        if has(model, word):
            assert glance[column].item() == pytest.approx(getattr(model, word), rel=1e-12)
    assert glance["df.residual"].item() == model.df_resid


@NAMES
def test_rows_are_labelled_as_the_callers(models, frame, name):
    model = models[name]
    if name in ORDERED:
        assert model.fittedvalues.index.equals(frame.index)
        assert model.predict().index.equals(frame.index)
        return
    response = RESPONSES.get(name, "y")
    for rows in (model.resid, model.fittedvalues, model.residuals("response")):
        assert isinstance(rows, pd.Series)
        assert rows.index.equals(frame.index)
    np.testing.assert_allclose(
        model.fittedvalues + model.residuals("response"), frame[response], rtol=1e-10, atol=1e-10
    )
    out = model.augment()
    assert out.index.equals(frame.index)
    assert {"x" if name != "GrowthModel" else "y", ".fitted", ".resid"} <= set(out.columns)
    np.testing.assert_allclose(model.predict(), model.fittedvalues, rtol=1e-10)
    with pytest.raises(ValueError, match="kind must be"):
        model.residuals("raw")


@NAMES
def test_predictions_of_the_rows_of_the_fit_are_fitted_values(models, frame, name):
    model = models[name]
    if name == "WithinBetweenModel":
        with pytest.raises(ranef.UnsupportedError, match=r"ranef\.lmer"):
            model.predict(frame)
        return
    if name in ORDERED:
        observed = model.predict(frame).to_numpy()[np.arange(len(frame)), frame["o"].cat.codes]
        np.testing.assert_allclose(observed, model.fittedvalues, rtol=1e-8)
        return
    np.testing.assert_allclose(model.predict(frame), model.fittedvalues, rtol=1e-8)


@NAMES
def test_counts_and_states(models, name):
    model = models[name]
    assert model.converged is True
    assert isinstance(model.ngroups, Mapping)
    assert model.ngroups == {"g": GROUPS}
    assert isinstance(model.warnings, tuple)
    assert 0 < model.df_resid < model.nobs


@NAMES
def test_update_makes_another_model(models, frame, name):
    model = models[name]
    again = model.update(data=frame)
    assert type(again) is type(model)
    pd.testing.assert_series_equal(again.params, model.params, rtol=1e-6)
    if name != "GrowthModel":
        smaller = model.update(". ~ . - t")
        assert not any(str(term).startswith("t") for term in smaller.params.index)
    with pytest.raises(ValueError, match="has no argument 'colour'"):
        model.update(colour=1)


@NAMES
def test_a_model_prints_in_a_line_and_a_summary_in_many(models, name):
    model = models[name]
    assert repr(model).startswith(f"<{name} ")
    assert "\n" not in repr(model)
    assert str(model) == str(model.summary())
    assert str(model.params.index[0]) in str(model)
    assert (" z  " in str(model)) == (name in NORMAL)
    assert "<table" in model._repr_html_()


@NAMES
def test_pickles_and_copies(models, name):
    model = models[name]
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert type(other) is type(model)
        assert repr(other) == repr(model)
        pd.testing.assert_frame_equal(other.coef_table(), model.coef_table(), rtol=1e-9)
        pd.testing.assert_frame_equal(other.conf_int(), model.conf_int(), rtol=1e-9)
        fitted = model.fittedvalues if name in ORDERED else model.resid
        again = other.fittedvalues if name in ORDERED else other.resid
        pd.testing.assert_series_equal(again, fitted, check_series_type=False)
    copied = copy.deepcopy(model).update()
    pd.testing.assert_series_equal(copied.params, model.params, rtol=1e-6)
    with pytest.raises(ValueError, match="was unpickled"):
        pickle.loads(pickle.dumps(model)).update(missing="raise")


@NAMES
def test_nothing_of_a_model_can_be_set(models, name):
    with pytest.raises(AttributeError, match="update"):
        models[name].params = 1.0


@NAMES
def test_what_a_class_has_not_it_refuses_in_words(models, name):
    model = models[name]
    for word, instead in REFUSED[name].items():
        assert not hasattr(model, word)
        with pytest.raises(ranef.UnsupportedError, match=instead):
            getattr(model, word)
    for word in ("llf", "aic", "bic"):
        assert not has(model, word) or np.isfinite(getattr(model, word))
    with pytest.raises(AttributeError, match=f"a {name} has no attribute 'colour'"):
        _ = model.colour


@NAMES
def test_the_design_is_there_to_see(models, name):
    design = models[name].design
    assert design.X.shape == (GROUPS * TIMES, len(design.names))
    assert list(design.X.columns) == list(design.names)
    assert design.y.index.equals(design.X.index)
    assert design.Z.shape[0] == GROUPS * TIMES
    assert "\n" not in repr(design)
    assert design._repr_html_()


@NAMES
def test_figures(models, name):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    if name not in ORDERED:
        assert models[name].plot.residuals().axes
    assert ranef.plot_coefficients(models[name]).axes
    pyplot.close("all")


def test_the_matrices_rebuild_the_linear_predictor(models):
    model = models["LinearMixedModel"]
    modes = model.ranef()["g"].to_numpy().ravel()
    design = model.design
    fitted = design.X.to_numpy() @ model.params.to_numpy() + design.Z @ modes
    np.testing.assert_allclose(fitted, model.fittedvalues, rtol=1e-10)


@pytest.mark.parametrize("wrong", [{}, 5, "many"])
def test_control_of_another_type_is_refused(frame, wrong):
    for fit in (
        lambda: ranef.lmer("y ~ x + (1 | g)", frame, control=wrong),
        lambda: ranef.glmer("n ~ x + (1 | g)", frame, family="poisson", control=wrong),
        lambda: ranef.gls("y ~ x", frame, control=wrong),
        lambda: ranef.growth("y", frame, time="t", groups="g", control=wrong),
    ):
        with pytest.raises(TypeError, match=r"ranef\.Control"):
            fit()


def test_settings_of_the_wrong_type_are_refused():
    with pytest.raises(TypeError, match="start is a tuple of matrices"):
        ranef.Control(start=[5.0])
    with pytest.raises(TypeError, match="max_steps"):
        ranef.Control(max_steps="many")
    with pytest.raises(ValueError, match="tolerance"):
        ranef.Control(tolerance=-1.0)


def test_few_groups_have_wide_intervals():
    """With six groups Satterthwaite's intervals keep their level, and normal ones do not."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(6), 10)
    z = np.repeat([0.0, 1.0], 30)
    missed = {"satterthwaite": 0, "inf": 0}
    runs = 200
    y = 2.0 * rng.normal(size=6)[g] + rng.normal(size=60)
    model = ranef.lmer("y ~ z + (1 | g)", pd.DataFrame({"y": y, "z": z, "g": g}))
    for _ in range(runs):
        again = model.refit(2.0 * rng.normal(size=6)[g] + rng.normal(size=60))
        for ddf in missed:
            lower, upper = again.conf_int(ddf=ddf).loc["z"]
            missed[ddf] += not lower <= 0.0 <= upper
    assert missed["satterthwaite"] <= 0.08 * runs
    assert missed["inf"] >= 0.09 * runs


#: Public classes that go in, and are no results.
ARGUMENTS = {"Control", "CrossProducts", "Gamma", "InverseGamma", "InverseWishart", "Normal"}
ARGUMENTS |= {"HalfT", "LKJ", "Pedigree", "Point", "Precision", "Wishart"}
#: What annotations name that is not of ranef.
FOREIGN = {
    "Any",
    "Array",
    "Axes",
    "DataFrame",
    "Figure",
    "Index",
    "Iterator",
    "Mapping",
    "None",
    "Self",
    "Series",
}


def returned(model):
    """Names of the classes that methods and properties of a class are annotated with."""
    for name, member in inspect.getmembers(model):
        found = member.fget if isinstance(member, property) else member
        if name.startswith("_") or name in ("parts", "call", "spec") or not callable(found):
            continue
        yield from re.findall(r"\b[A-Z]\w+", str(found.__annotations__.get("return", "")))


@NAMES
def test_what_a_model_returns_is_public(name):
    found = set(returned(getattr(ranef, name))) - FOREIGN
    assert found - set(ranef.__all__) == set()


def test_every_result_shows_in_a_notebook():
    public = [getattr(ranef, name) for name in ranef.__all__ if name not in ARGUMENTS]
    results = [c for c in public if isinstance(c, type) and not issubclass(c, Exception)]
    assert len(results) > 40
    assert [c.__name__ for c in results if not hasattr(c, "_repr_html_")] == []


@NAMES
def test_residuals_are_checked_against_simulated_fits(models, frame, name):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    found = models[name].simulated_residuals(19, seed=1, progress=False)
    assert found.residuals.index.equals(frame.index)
    assert found.simulated.shape == (GROUPS * TIMES, 19)
    assert found.table["pvalue"].between(0.0, 1.0).all()
    again = models[name].simulated_residuals(19, seed=1, progress=False)
    pd.testing.assert_frame_equal(again.table, found.table)
    marginal = models[name].simulated_residuals(19, seed=1, kind="marginal", progress=False)
    assert np.isfinite(marginal.z).all()
    assert found.autocorrelation("t").pvalue <= 1.0
    assert len(models[name].check(19, progress=False).axes) == 6
    pyplot.close("all")
