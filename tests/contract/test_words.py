"""Words of other packages are answered with ours, on every model, function and method."""

import importlib
import inspect
import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.report.emmeans import ContrastTable
from ranef.words.answers import Spoken
from ranef.words.foreign import FORMULA, KEYWORDS, MODEL, MODULE
from ranef.words.rarer import MEANS, SUMMARY, WITHOUT

SLEEP = ranef.datasets.load("sleepstudy")
LINEAR = ranef.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
COUNTS = SLEEP.assign(n=(SLEEP["Reaction"] / 20).round())
MODELS = {
    "lmer": LINEAR,
    "glmer": ranef.glmer("n ~ Days + (1 | Subject)", COUNTS, family="poisson"),
    "gls": ranef.gls("Reaction ~ Days", SLEEP, groups="Subject", time="Days", corr="ar1"),
    "gee": ranef.gee("Reaction ~ Days", SLEEP, groups="Subject"),
    "feols": ranef.feols("Reaction ~ Days", SLEEP, absorb="Subject"),
    "re_gls": ranef.random_effects_gls("Reaction ~ Days", SLEEP, groups="Subject"),
    "growth": ranef.growth("Reaction", SLEEP, time="Days", groups="Subject"),
    "parts": ranef.glmer("Reaction ~ Days + (1 | Subject)", SLEEP, family="lognormal"),
}
#: Modules with names of other packages' functions.
ROOMS = ("fitted", "formula", "missing", "report", "design")
#: Models that predict new rows, with their options.
PREDICT = [name for name in MODELS if name != "growth"]


def public_functions():
    for name in ranef.__all__:
        found = getattr(ranef, name)
        if inspect.isfunction(found):
            yield name


def test_there_are_over_a_hundred_words_and_each_leads_to_one_of_ours():
    assert len(MODEL) + len(MODULE) + len(FORMULA) >= 120
    classes = [getattr(ranef, name) for name in ranef.__all__]
    words = {word for found in classes if isinstance(found, type) for word in dir(found)}
    for _, cure in [*MODEL.values(), *MODULE.values()]:
        ours = re.findall(r"\bmodel\.(\w+)", cure)
        assert set(ours) <= words, cure
        functions = re.findall(r"\branef\.(\w+)", cure)
        assert set(functions) <= set(ranef.__all__), cure
        assert ours or functions or " " in cure


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_model_answers_every_foreign_word(kind):
    model = MODELS[kind]
    for word in MODEL:
        if hasattr(model, word):
            continue
        with pytest.raises(AttributeError, match=rf"{word} is (from|not available)"):
            getattr(model, word)


def test_an_answer_says_where_the_word_is_missing_here_too():
    with pytest.raises(ranef.UnsupportedError, match=r"model\.varcorr.*not available.*GEEModel"):
        _ = MODELS["gee"].VarCorr
    with pytest.raises(AttributeError, match=r"fixef.*effects\(\)"):
        _ = MODELS["feols"].fixef


@pytest.mark.parametrize("word", [*MODULE, *MODEL])
def test_the_module_answers_every_foreign_word(word):
    if word in ranef.__all__ or word in ROOMS:
        return
    with pytest.raises(AttributeError, match=f"{word} is from"):
        getattr(ranef, word)


def test_the_module_suggests_the_nearest_name():
    with pytest.raises(AttributeError, match="did you mean 'lmer'"):
        ranef.lmerr  # noqa: B018


@pytest.mark.parametrize("name", list(public_functions()))
def test_every_function_answers_an_unknown_argument(name):
    function = getattr(ranef, name)
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        pytest.skip("it hands arguments on")
    with pytest.raises(TypeError, match=rf"{name}\(\) has no argument 'colour'.*[;?] [iI]t has "):
        function(colour=1)


@pytest.mark.parametrize("name", list(public_functions()))
def test_a_foreign_argument_is_answered_by_one_that_the_function_has(name):
    known = inspect.signature(getattr(ranef, name)).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        pytest.skip("it hands arguments on")
    for word, cures in KEYWORDS.items():
        needed = {argument for argument, _ in cures}
        if word in known or not needed & {*known, name, ""}:
            continue
        with pytest.raises(TypeError, match=f"no argument '{word}': "):
            getattr(ranef, name)(**{word: 1})


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda: ranef.lmer("y ~ x + (1 | g)", SLEEP, REML=False), "write reml="),
        (lambda: ranef.lmer("y ~ x", SLEEP, family="poisson"), r"ranef\.glmer"),
        (lambda: ranef.lmer("y ~ x", SLEEP, groups="g"), r"\(1 \+ x \| g\)"),
        (lambda: ranef.glmer("y ~ x + (1 | g)", SLEEP, family="poisson", nAGQ=9), "write nagq="),
        (lambda: LINEAR.predict(re_form=None), 'random="none"'),
        (lambda: LINEAR.conf_int(alpha=0.05), "level=0.95"),
        (lambda: LINEAR.bootstrap(nsim=9), "write n="),
        (lambda: LINEAR.coef_table(dff="inf"), "did you mean 'ddf'"),
        (lambda: MODELS["parts"].predict(re_form=None), 'random="none"'),
        (lambda: ranef.anova(LINEAR, test="LRT"), "likelihood-ratio"),
    ],
)
def test_foreign_arguments(call, answer):
    with pytest.raises(TypeError, match=answer):
        call()


def test_warnings_still_point_at_the_callers_line():
    gaps = SLEEP.assign(Reaction=SLEEP["Reaction"].where(SLEEP.index > 2))
    small = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP, reml=False)
    calls = (
        lambda: ranef.lmer("Reaction ~ Days + (1 | Subject)", gaps),
        lambda: ranef.approaches("Reaction ~ Days", gaps, groups="Subject"),
        lambda: ranef.anova(small, LINEAR, refit=False),
        lambda: ranef.compare(small, LINEAR, estimator="as_fitted"),
    )
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ranef.RanefWarning)
            call()
        assert {Path(w.filename).name for w in caught} == {Path(__file__).name}


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_word_without_a_counterpart_says_so(kind):
    for word, whose in WITHOUT.items():
        with pytest.raises(AttributeError, match=f"{word} is from {whose} and has no counterpart"):
            getattr(MODELS[kind], word)
    assert not set(WITHOUT) & {*MODEL, *MODULE}


BATCH = ranef.fit_many("~ Days + (1 | Subject)", COUNTS, ["Reaction", "n"], progress=False)
RESIDUALS = LINEAR.simulated_residuals(19, seed=1, progress=False)
BESIDE = {
    "batch": BATCH,
    "pooled": ranef.pool(
        [
            ranef.lmer("Reaction ~ z + (1 | Subject)", SLEEP.assign(z=(SLEEP["Days"] + k) % 3.0))
            for k in (0, 1)
        ]
    ),
    "lmlist": ranef.lmlist("Reaction ~ Days", SLEEP, groups="Subject"),
    "residuals": RESIDUALS,
    "modes": LINEAR.ranef(),
    "varcorr": LINEAR.varcorr,
    "icc": LINEAR.icc(),
    "r2": LINEAR.r2(),
    "means": ranef.emmeans(LINEAR, []),
    "robust": LINEAR.robust("CR2"),
}


@pytest.mark.parametrize("kind", list(BESIDE))
def test_results_that_are_no_models_answer_words_of_models_too(kind):
    result = BESIDE[kind]
    for word in [*MODEL, *MODULE, *WITHOUT]:
        if hasattr(type(result), word) or word in vars(result):
            continue
        with pytest.raises(AttributeError, match=f"'?{word}'?( is (from|not|a function)|;)"):
            getattr(result, word)
    assert type(pickle.loads(pickle.dumps(result))) is type(result)


def test_results_of_results_answer_too():
    for result in (LINEAR.convergence, LINEAR.influence("Subject"), ranef.diagnose(LINEAR)):
        with pytest.raises(AttributeError, match=r"fixef is from lme4; here it is model\.params"):
            _ = result.fixef
        assert type(pickle.loads(pickle.dumps(result))) is type(result)


def test_answers_say_where_the_model_is():
    with pytest.raises(AttributeError, match=r"where model is a single fit, such as batch\.fit"):
        _ = BATCH.VarCorr
    with pytest.raises(AttributeError, match=r"write model\.aic, where model is one of pooled"):
        _ = BESIDE["pooled"].aic
    with pytest.raises(AttributeError, match=r"write residuals\.uniformity\(\)$"):
        _ = RESIDUALS.testUniformity
    with pytest.raises(AttributeError, match=r"write ranef\.lmer\(\.\.\.\)"):
        _ = LINEAR.lmer


def test_a_misspelt_attribute_is_answered_by_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'params'"):
        _ = LINEAR.parms
    with pytest.raises(AttributeError, match="did you mean 'contrast'"):
        _ = ranef.emmeans(LINEAR, []).contrst


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("is_singular", r"write model\.is_singular$"),
        ("plot", r"write model\.plot$"),
        ("conf_int", r"write model\.conf_int\(\.\.\.\)"),
        ("Anova", r"car: here it is model\.anova\(type=2\)"),
        ("performance", r"no module here; ranef\.help\(word\)"),
        ("ggsave", "savefig"),
    ],
)
def test_what_is_typed_on_the_module_is_answered(word, answer):
    with pytest.raises(AttributeError, match=answer):
        getattr(ranef, word)


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("vif", "collinear"),
        ("qqnorm", r"plot\.residuals"),
        ("dotplot", r"plot\.caterpillar"),
        ("odds_ratios", r"np\.exp\(model\.params\)"),
        ("rmse", "cross_validate"),
        ("coef_", r"model\.params"),
    ],
)
def test_what_is_typed_on_a_model_is_answered(word, answer):
    with pytest.raises(AttributeError, match=answer):
        getattr(LINEAR, word)


def test_a_summary_answers_the_words_of_other_summaries():
    summary = LINEAR.summary()
    for word in SUMMARY:
        with pytest.raises(AttributeError, match=f"a Summary has no '{word}'; write "):
            getattr(summary, word)
    with pytest.raises(AttributeError, match="no attribute 'smooth'; did you mean 'smooths'"):
        _ = summary.smooth


def test_arguments_of_a_splitter_are_answered():
    for word, answer in (("groups", "group="), ("by", "group="), ("cv", "scheme=")):
        with pytest.raises(TypeError, match=f"no argument '{word}': write {answer}"):
            ranef.cross_validate(LINEAR, **{word: 1})
    with pytest.raises(TypeError, match=r"did you mean 'folds'\? It has model"):
        ranef.cross_validate(LINEAR, fold=3)


def test_tables_of_means_answer_the_words_of_emmeans():
    means = ranef.emmeans(LINEAR, [])
    for table in (means, ContrastTable(means.frame, ())):
        for word in MEANS:
            if hasattr(type(table), word):
                continue
            with pytest.raises(AttributeError, match=f"has no '{word}'; (write|take|call) "):
                getattr(table, word)
    with pytest.raises(TypeError, match="write adjust="):
        means.pairs(adj="holm")


def test_arguments_in_the_wrong_order_are_answered():
    cake = ranef.datasets.load("cake")
    model = ranef.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", cake)
    with pytest.raises(ValueError, match=r"write emtrends\(model, 'recipe', 'temp'\)"):
        ranef.emtrends(model, "temp", "recipe")
    with pytest.raises(ranef.ModelError, match=r"first argument: emmeans\(model, "):
        ranef.emmeans("recipe", model)


def test_numbers_that_lme4_has_functions_for_may_be_called():
    for model in MODELS.values():
        assert model.nobs() == model.nobs
        assert type(model.nobs()) is int
        assert type(pickle.loads(pickle.dumps(model.nobs))) is type(model.nobs)
        if isinstance(getattr(model, "sigma", None), float):
            assert model.sigma() == model.sigma
    assert MODELS["glmer"].deviance() == MODELS["glmer"].deviance
    sigma, rows = LINEAR.sigma, LINEAR.nobs
    assert (repr(sigma), f"{rows:d}") == (repr(float(sigma)), "180")
    assert json.loads(json.dumps({"sd": sigma, "n": rows})) == {"sd": float(sigma), "n": 180}
    assert np.asarray(sigma).dtype == np.float64
    assert np.zeros(rows).shape == (180,)
    assert type(sigma * 2.0) is float
    frame = SLEEP.head(2).assign(sd=sigma, n=rows)  # pandas calls what can be called
    assert frame["sd"].tolist() == [float(sigma)] * 2
    assert frame[["sd", "n"]].dtypes.tolist() == [np.float64, np.int64]


# ------------------------------------------------------------------ understood spellings


@pytest.mark.parametrize("kind", ["lmer", "glmer"])
def test_types_of_tests_may_be_roman(kind):
    for roman, number in {"I": 1, "ii": 2, "III": 3, "3": 3}.items():
        pd.testing.assert_frame_equal(
            MODELS[kind].anova(type=roman), MODELS[kind].anova(type=number)
        )
    for wrong in ("IV", 4, True, None):
        with pytest.raises(ValueError, match="'I', 'II' or 'III'"):
            MODELS[kind].anova(type=wrong)


def test_specs_of_means_may_be_a_formula():
    cake = ranef.datasets.load("cake")
    model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    written = ranef.emmeans(model, "pairwise ~ recipe | temperature")
    plain = ranef.emmeans(model, "recipe", by="temperature")
    pd.testing.assert_frame_equal(written.frame, plain.frame)
    pd.testing.assert_frame_equal(written.contrasts.frame, plain.pairs().frame)
    assert "A - B" in repr(written)
    assert "A - B" in written._repr_html_()
    assert "A - B" not in repr(ranef.emmeans(model, "~ recipe"))
    both = ranef.emmeans(model, "~ recipe * temperature")
    assert len(both.frame) == 3 * 6
    assert len(ranef.emmeans(model, "consec ~ temperature").contrasts.frame) == 5
    assert len(ranef.emmeans(model, "~ 1").frame) == 1
    with pytest.raises(ValueError, match="did you mean 'pairwise'"):
        ranef.emmeans(model, "pairwse ~ recipe")
    for wrong in ("~", "pairwise ~ recipe +", "~ recipe ~ temperature", "~ a | b | c"):
        with pytest.raises(ValueError, match="specs are"):
            ranef.emmeans(model, wrong)
    with pytest.raises(ValueError, match="does not use 'recipes'; did you mean 'recipe'"):
        ranef.emmeans(model, "~ recipes")


def test_degrees_of_freedom_and_methods_may_be_written_as_in_r():
    pd.testing.assert_frame_equal(
        LINEAR.anova(ddf="Kenward-Roger"), LINEAR.anova(ddf="kenward-roger")
    )
    pd.testing.assert_frame_equal(LINEAR.conf_int("Wald"), LINEAR.conf_int())


# ------------------------------------------------------------------ names of models


def test_models_have_names():
    level = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    table = ranef.anova(level=level, slope=LINEAR)
    assert list(table.index) == ["level", "slope"]
    pd.testing.assert_frame_equal(ranef.anova({"level": level, "slope": LINEAR}), table)
    assert ranef.anova(level, slope=LINEAR).index[1] == "slope"
    assert set(ranef.compare({"a": level, "b": LINEAR}).table.index) == {"a", "b"}
    assert list(ranef.average({"a": level, "b": LINEAR}).weights.index) == ["a", "b"]
    assert ranef.anova(level, LINEAR).index[0] == "Reaction ~ Days + (1 | Subject)"
    with pytest.raises(ranef.ModelError, match="argument 1 is a list"):
        ranef.compare([level, LINEAR])
    with pytest.raises(ValueError, match="same name"):
        ranef.compare({"a": level}, {"a": LINEAR})


def test_notes_stay_out_of_latex(monkeypatch):
    joined = lambda frame, **options: " & ".join(frame.columns)  # noqa: E731
    monkeypatch.setattr(pd.DataFrame, "to_latex", joined)
    table = ranef.anova(level=MODELS["lmer"].update("Reaction ~ Days + (1 | Subject)"), b=LINEAR)
    assert "note" in table
    assert "note" not in table.to_latex()


# ------------------------------------------------------------------ predictions


@pytest.mark.parametrize("kind", [*PREDICT, "growth"])
def test_predictions_keep_the_labels_of_their_rows(kind):
    model = MODELS[kind]
    data = COUNTS.iloc[[7, 3, 11]].set_axis(["c", "a", "b"])
    found = model.predict(data)
    assert isinstance(found, pd.Series)
    assert list(found.index) == ["c", "a", "b"]
    np.testing.assert_allclose(found, model.predict().iloc[[7, 3, 11]], rtol=1e-8)
    assert model.predict().index.equals(SLEEP.index)
    assert list(model.predict({n: data[n].to_numpy() for n in data}).index) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["lmer", "glmer", "gls", "growth", "parts"])
def test_no_random_effects_may_be_written_none(kind):
    rows = SLEEP.head(3)
    found = MODELS[kind].predict(rows, random=None)
    pd.testing.assert_series_equal(found, MODELS[kind].predict(rows, random="none"))
    without = rows.drop(columns="Subject")
    np.testing.assert_allclose(MODELS[kind].predict(without, random=None), found, rtol=1e-12)
    if kind != "gls":
        with pytest.raises(ranef.DataError, match=r"no column 'Subject'.*random=\"none\""):
            MODELS[kind].predict(without)


@pytest.mark.parametrize("kind", ["lmer", "glmer", "gls", "gee"])
def test_standard_errors_are_those_of_the_intervals(kind):
    model = MODELS[kind]
    random = {} if kind in ("gee", "gls") else {"random": "none"}
    scale = {"kind": "link"} if kind == "glmer" else {}
    table = model.predict(SLEEP.head(4), se=True, interval="confidence", **random, **scale)
    assert list(table.columns) == ["mean", "se", "lower", "upper"]
    X = model.design.X.iloc[:4].to_numpy()  # the definition: x' V x
    want = np.sqrt(np.einsum("ij,jk,ik->i", X, model.cov_params().to_numpy(), X))
    np.testing.assert_allclose(table["se"], want, rtol=1e-6)
    alone = model.predict(SLEEP.head(4), se=True, **random, **scale)
    pd.testing.assert_frame_equal(alone, table[["mean", "se"]])


def test_standard_errors_of_means_are_by_the_delta_method():
    model = MODELS["glmer"]
    link = model.predict(COUNTS.head(4), se=True, kind="link")
    mean = model.predict(COUNTS.head(4), se=True)
    np.testing.assert_allclose(mean["se"], mean["mean"] * link["se"], rtol=1e-12)


def test_prediction_intervals_keep_the_error_of_the_mean():
    both = LINEAR.predict(SLEEP.head(4), se=True, interval="prediction")
    pd.testing.assert_series_equal(both["se"], LINEAR.predict(SLEEP.head(4), se=True)["se"])


@pytest.mark.parametrize(
    ("formula", "answer"),
    [
        ("Reaction ~ as.factor(Days) + (1 | Subject)", r"write C\(x\)"),
        ("Reaction ~ lag(Days) + (1 | Subject)", "shift"),
        ("Reaction ~ i(Days) + (1 | Subject)", r"write C\(x\)"),
        ("Reaction ~ factr(Days) + (1 | Subject)", "did you mean 'factor'"),
    ],
)
def test_functions_of_other_formulas_are_answered_at_their_place(formula, answer):
    with pytest.raises(ranef.FormulaError, match=answer) as caught:
        ranef.lmer(formula, SLEEP)
    text, caret = str(caught.value).splitlines()[-2:]
    word = formula.split("~ ")[1].split("(")[0]
    assert caret.index("^") == text.index(f"{word}(")
    assert caret.count("^") == len(word)


@pytest.mark.parametrize("kind", list(MODELS))
def test_residuals_may_be_called_as_elsewhere(kind):
    model = MODELS[kind]
    called = model.resid()
    assert type(called) is pd.Series
    pd.testing.assert_series_equal(called, pd.Series(model.resid))
    pd.testing.assert_series_equal(model.resid("pearson"), model.residuals("pearson"))
    frame = pd.DataFrame({"row": called.index}, index=called.index)
    assert (frame.assign(r=model.resid)["r"] == called).all()
    assert (frame["row"].map(model.resid) == called).all()
    assert type(pickle.loads(pickle.dumps(model.resid))) is pd.Series


def test_arguments_of_performance_name_where_their_numbers_are():
    for call in (lambda: LINEAR.icc(by_group=True), lambda: LINEAR.r2(by_group=True)):
        with pytest.raises(TypeError, match=r"by_group|variance_decomposition"):
            call()
    with pytest.raises(TypeError, match=r"level=0\.95"):
        LINEAR.icc(ci=0.9)


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_of_a_functions_name_answers_a_call(room):
    importlib.import_module(f"ranef.{room}")
    with pytest.raises(TypeError, match=rf"^{room} (is from .*model\.|belongs to a model)"):
        getattr(ranef, room)(LINEAR)


def test_all_public_methods_answer_unknown_arguments():
    """Of every class of models and results, what it inherits included."""
    for name in ranef.__all__:
        found = getattr(ranef, name)
        if not (isinstance(found, type) and issubclass(found, Spoken)):
            continue
        for word in (word for word in dir(found) if not word.startswith("_")):
            method = inspect.getattr_static(found, word)
            if not inspect.isfunction(method):
                continue
            parameters = inspect.signature(method).parameters.values()
            if any(p.kind is p.VAR_KEYWORD for p in parameters):
                continue
            with pytest.raises(TypeError, match=rf"{word}\(\) has no argument 'colour'"):
                method(None, colour=1)


def test_figures_that_an_answer_names_exist():
    for _, cure in [*MODEL.values(), *MODULE.values()]:
        for figure in re.findall(r"model\.plot\.(\w+)", cure):
            assert hasattr(ranef.ModelPlots, figure), cure


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("model_parameters", "coef_table"),
        ("standard_error", "bse"),
        ("std_errors", "bse"),
        ("entity_effects", "absorb="),
        ("intervals", "conf_int"),
        ("getVarCov", "varcorr"),
        ("empredict", "emmeans"),
        ("effectsize", "standardised"),
    ],
)
def test_words_of_easystats_linearmodels_nlme_and_pymer4(word, answer):
    for owner in (LINEAR, ranef, MODELS["feols"]):
        with pytest.raises(AttributeError, match=answer):
            getattr(owner, word)


def test_figures_with_names_are_named_where_one_is_expected():
    with pytest.raises(TypeError, match=r"several figures; name one.*residuals\.plot\.qq"):
        RESIDUALS.plot()
    with pytest.raises(AttributeError, match="did you mean 'responses'"):
        _ = RESIDUALS.plot.response
    with pytest.raises(TypeError, match=r"against\(\) has no argument 'colour'"):
        RESIDUALS.plot.against(colour=1)
