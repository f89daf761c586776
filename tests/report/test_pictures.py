"""Pictures of predictions and results hold the numbers that other methods return."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

import ranef
from ranef.report.plots.base import theme
from ranef.report.plots.drawn import drawn_terms

SLEEP = ranef.datasets.load("sleepstudy")
COUNTS = SLEEP.assign(
    n=(SLEEP["Reaction"] / 20).round(),
    half=np.where(SLEEP["Subject"].astype(int) < 340, "early", "late"),
)
CAKE = ranef.datasets.load("cake")
MODELS = {
    "lmer": ranef.lmer("Reaction ~ Days * half + (Days | Subject)", COUNTS),
    "glmer": ranef.glmer("n ~ Days + (1 | Subject)", COUNTS, family="poisson"),
    "gls": ranef.gls("Reaction ~ Days", SLEEP, groups="Subject", time="Days", corr="ar1"),
    "gee": ranef.gee("n ~ Days", COUNTS, groups="Subject", family="poisson"),
    "feols": ranef.feols("Reaction ~ Days", SLEEP, cluster="Subject"),
    "growth": ranef.growth("Reaction", SLEEP, time="Days", groups="Subject"),
    "parts": ranef.glmer("Reaction ~ Days + (1 | Subject)", SLEEP, family="lognormal"),
    "re_gls": ranef.random_effects_gls("Reaction ~ Days", SLEEP, groups="Subject"),
}
EVERY = pytest.mark.parametrize("kind", list(MODELS))
RECIPES = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", CAKE)
OKABE_ITO = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"}


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def curve(axes):
    """The population's line: the widest."""
    return max(axes.lines, key=lambda line: line.get_linewidth()).get_xydata()


def bands(axes):
    """Lower and upper edge of the first interval."""
    edges = axes.collections[0].get_paths()[0].vertices
    x = np.unique(edges[:, 0])
    inside = [edges[edges[:, 0] == value, 1] for value in x]
    return x, np.array([[part.min(), part.max()] for part in inside])


@pytest.mark.parametrize("kind", ["lmer", "glmer", "gls", "gee", "feols", "growth", "re_gls"])
def test_the_line_is_what_predict_returns(kind):
    model = MODELS[kind]
    at = {"half": "early"} if kind == "lmer" else {}
    axes = model.plot.predictions("Days", at=at, lines=False, points=False)
    x, y = curve(axes).T
    new = pd.DataFrame({"Days": x, "Subject": 308, "half": "early"})
    random = {"random": "none"} if kind in ("lmer", "glmer", "gls", "growth") else {}
    assert_allclose(y, model.predict(new, **random), rtol=1e-8)
    assert axes.get_xlabel() == "Days"
    assert "95%" in axes.get_title(loc="left")


@pytest.mark.parametrize("kind", ["glmer", "gls", "gee", "feols"])
def test_the_band_is_the_interval_that_predict_returns(kind):
    model = MODELS[kind]
    axes = model.plot.predictions("Days", lines=False, points=False)
    x, edges = bands(axes)
    random = {"random": "none"} if kind in ("glmer", "gls") else {}
    want = model.predict(pd.DataFrame({"Days": x}), interval="confidence", **random)
    assert_allclose(edges, want[["lower", "upper"]], rtol=1e-6)


def test_lines_of_groups_are_their_predictions_over_their_rows():
    model = MODELS["lmer"]
    axes = model.plot.predictions("Days", by="half", points=False)
    thin = [line.get_xydata() for line in axes.lines if line.get_linewidth() < 1.0]
    assert len(thin) == 18
    subject = str(model.ranef()["Subject"].index[0])
    new = pd.DataFrame({"Days": thin[0][:, 0], "Subject": subject, "half": "early"})
    assert_allclose(thin[0][:, 1], model.predict(new), rtol=1e-8)
    part = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP[SLEEP["Days"] < 5].iloc[3:])
    thin = [
        line.get_xydata()
        for line in part.plot.predictions("Days", points=False).lines
        if line.get_linewidth() < 1.0
    ]
    assert thin[0][0, 0] >= 3.0


def test_by_a_grouping_factor_draws_its_lines():
    model = MODELS["lmer"]
    axes = model.plot.predictions("Days", by="Subject", points=False)
    assert sum(line.get_linewidth() < 1.0 for line in axes.lines) == 18
    assert "thin lines: Subject" in axes.get_title(loc="left").replace("\n", " ")
    with pytest.raises(ValueError, match="does not use 'Subjct'"):
        model.plot.predictions("Days", by="Subjct")


def test_levels_of_by_have_lines_with_colours_and_marks_of_their_own():
    axes = RECIPES.plot.predictions("temperature", by="recipe")
    legend = axes.get_legend()
    assert legend.get_title().get_text() == "recipe"
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B", "C"]
    bars = [box.lines[0] for box in axes.containers]
    assert len({line.get_marker() for line in bars}) == 3
    assert {to_hex(line.get_color()) for line in bars} <= OKABE_ITO
    shown = ranef.emmeans(RECIPES, ["temperature", "recipe"]).frame
    assert_allclose(np.concatenate([line.get_ydata() for line in bars]), shown["emmean"], rtol=1e-8)


def test_a_number_by_which_lines_differ_has_its_mean_and_a_deviation_either_way():
    model = ranef.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", CAKE)
    legend = model.plot.predictions("recipe", by="temp").get_legend()
    x = CAKE["temp"].to_numpy(float)
    want = [x.mean() - x.std(), x.mean(), x.mean() + x.std()]
    assert_allclose([float(text.get_text()) for text in legend.get_texts()], want, rtol=1e-3)


def test_the_data_are_drawn_as_they_are():
    axes = MODELS["gls"].plot.predictions("Days", lines=False)
    points = next(line for line in axes.lines if line.get_linestyle() == "None")
    assert_allclose(points.get_ydata(), SLEEP["Reaction"])


def test_variables_that_are_not_there_are_refused():
    for wrong in ("Day", "Subject"):
        with pytest.raises(ValueError, match="the fixed part does not use"):
            MODELS["lmer"].plot.predictions(wrong)
    with pytest.raises(ValueError, match="another variable"):
        MODELS["lmer"].plot.predictions("Days", by="Days")
    with pytest.raises(ValueError, match="level"):
        MODELS["lmer"].plot.predictions("Days", level=95)
    absorbed = ranef.feols("Reaction ~ Days", SLEEP, absorb="Subject")
    with pytest.raises(ranef.UnsupportedError, match="absorbed"):
        absorbed.plot.predictions("Days")
    constant = ranef.lmer("Reaction ~ 1 + (1 | Subject)", SLEEP)
    with pytest.raises(ValueError, match="no variable"):
        constant.plot.effects()


def test_models_whose_columns_new_values_do_not_have_say_so():
    model = ranef.within_between("Reaction ~ Days", SLEEP, groups="Subject")
    for draw in (lambda: model.plot.predictions("Days"), model.plot.effects):
        with pytest.raises(ranef.UnsupportedError, match="split by means of groups"):
            draw()
    with pytest.raises(TypeError, match="axes must be matplotlib axes"):
        MODELS["lmer"].plot.predictions("Days", ax=5)


def test_numbers_that_are_marked_as_categories_are_drawn_as_such():
    model = ranef.lmer("Reaction ~ C(Days) + (1 | Subject)", SLEEP)
    axes = model.plot.predictions("Days", lines=False, points=False)
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(d) for d in range(10)]
    drawn = axes.containers[0].lines[0].get_ydata()
    assert_allclose(drawn, ranef.emmeans(model, "Days").frame["emmean"], rtol=1e-10)


def test_effects_have_a_panel_for_each_term_that_no_larger_one_contains():
    data = COUNTS.assign(n=np.random.default_rng(1).normal(size=len(COUNTS)))
    model = ranef.lmer("Reaction ~ Days * half + n + (1 | Subject)", data)
    shown = model.plot.effects()
    assert [axis.get_title() for axis in shown] == ["Days by half", "n"]
    assert len(shown[0].get_legend().get_texts()) == 2
    assert [axis.get_title() for axis in RECIPES.plot.effects()] == ["recipe by temperature"]
    curved = ranef.lmer("Reaction ~ poly(Days, 2) + (1 | Subject)", SLEEP)
    assert [axis.get_title() for axis in curved.plot.effects()] == ["Days"]


# ------------------------------------------------------------------ what every picture does


def pictures(model):
    """Every picture of a model, with the number of its panels."""
    found = {
        "coefficients": (model.plot.coefficients, 1),
        "residuals": (model.plot.residuals, 4 if drawn_terms(model) else 3),
    }
    if getattr(model.parts.estimate, "positions", None) is None or model is MODELS["feols"]:
        found["predictions"] = (lambda **k: model.plot.predictions("Days", **k), 1)
        found["effects"] = (model.plot.effects, 1)
    return found


def check_picture(draw, count):
    """One figure each, on our axes or the caller's, with nothing cut off."""
    before = len(pyplot.get_fignums())
    own = draw()
    assert len(pyplot.get_fignums()) == before + 1  # a notebook shows it once,
    assert not hasattr(own, "_repr_png_")  # and not again as the value of its cell
    assert isinstance(own, Axes) == (count == 1 and not isinstance(own, ranef.Panels))
    figure = own.figure
    figure.canvas.draw()
    texts = [figure._suptitle] if figure._suptitle else []
    texts += [a._left_title for a in figure.axes] + [a.title for a in figure.axes]
    for text in texts:
        if not text.get_text():
            continue
        box = text.get_window_extent()
        assert box.x0 >= -1.0
        assert box.x1 <= figure.bbox.width + 1.0
        assert box.y1 <= figure.bbox.height + 1.0
    for axis in figure.axes:
        named = axis.get_xlabel() or figure.get_supxlabel() or axis.get_title()
        assert named or not axis.get_visible()
    word = "axes" if isinstance(own, ranef.Panels) else "ax"
    _, given = pyplot.subplots(1, count, squeeze=False)
    open_before = len(pyplot.get_fignums())
    again = draw(**{word: given[0][0] if word == "ax" else given[0]})
    assert len(pyplot.get_fignums()) == open_before
    assert (again if word == "ax" else again[0]) is given[0][0]
    with pytest.raises(ValueError, match=f"draws {count} panel"):
        draw(**{word: [*given[0], given[0][0]]})


@EVERY
def test_every_picture_of_every_model(kind):
    for draw, count in pictures(MODELS[kind]).values():
        check_picture(draw, count)


@pytest.mark.parametrize("kind", ["lmer", "glmer", "growth"])
def test_every_picture_of_random_effects(kind):
    model = MODELS[kind]
    if kind != "growth":
        columns = 2 if kind == "lmer" else 1
        check_picture(model.plot.caterpillar, columns)
    check_picture(lambda **k: model.plot.lines(most=3, **k), 3)
    if kind == "lmer":
        check_picture(model.plot.shrinkage, 1)


@pytest.mark.parametrize("kind", ["gls", "gee", "feols"])
@pytest.mark.parametrize("word", ["caterpillar", "lines", "shrinkage"])
def test_models_without_groups_say_so(kind, word):
    with pytest.raises(ranef.UnsupportedError, match="does not have"):
        getattr(MODELS[kind].plot, word)()
    assert "caterpillar" not in repr(MODELS[kind].plot)


def test_shrinkage_is_for_normal_responses():
    with pytest.raises(ranef.UnsupportedError, match="normal responses"):
        MODELS["glmer"].plot.shrinkage()


def results():
    """Pictures of results, with the number of their panels."""
    level = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    means = ranef.emmeans(RECIPES, "recipe")
    return {
        "means": (lambda ax=None: means.plot(axes=ax), 1),
        "pairs": (means.pairs().plot, 1),
        "panels": (ranef.emmeans(RECIPES, "~ recipe | temperature").plot, 6),
        "bootstrap": (slope.bootstrap(20, seed=1).plot, 6),
        "all_fit": (ranef.all_fit(level).plot, 1),
        "compare": (ranef.compare(level=level, slope=slope).plot, 1),
        "cross_validate": (ranef.cross_validate(slope).plot, 1),
        "approaches": (ranef.approaches("Reaction ~ Days", SLEEP, groups="Subject").plot, 1),
        "coefficients": (lambda ax=None: ranef.plot_coefficients([level, slope], ax=ax), 1),
        "profile": (level.profile(steps=2).plot, 4),
        "influence": (slope.influence().plot, 1),
        "surface": (level.surface(points=3).plot, 1),
        "check": (lambda axes=None: slope.check(20, progress=False, axes=axes), 6),
    }


RESULTS = results()


@pytest.mark.parametrize("name", list(RESULTS))
def test_every_picture_of_a_result(name):
    check_picture(*RESULTS[name])


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_colours_follow_the_style_and_are_those_of_okabe_and_ito(style):
    with pyplot.style.context(style):
        look = theme()
        axes = MODELS["lmer"].plot.predictions("Days", by="half")
        paper = to_hex(axes.get_facecolor())
        assert look.ink == to_hex(pyplot.rcParams["text.color"])
        assert paper not in (look.ink, look.grey, look.faint)
        assert {colour.lower() for colour in look.palette[:6]} <= OKABE_ITO
        assert {to_hex(line.get_color()) for line in axes.lines} <= OKABE_ITO


def test_a_style_without_paper_is_drawn_too():
    with pyplot.rc_context({"axes.facecolor": "none", "figure.facecolor": "none"}):
        assert theme().ink == "#000000"
        assert theme().faint > "#888888"


def test_sizes_of_text_follow_the_readers_settings():
    with pyplot.rc_context({"font.size": 20.0}):
        axes = MODELS["lmer"].plot.predictions("Days")
        assert axes.xaxis.label.get_size() == 20.0
        assert axes._left_title.get_size() == 20.0


# ------------------------------------------------------------------ numbers of results


def test_means_are_drawn_with_their_limits():
    means = ranef.emmeans(RECIPES, "~ temperature * recipe")
    axes = means.plot()
    lines = [box.lines[0] for box in axes.containers]
    assert_allclose(
        np.concatenate([line.get_ydata() for line in lines]),
        means.frame.sort_values(["recipe", "temperature"])["emmean"],
    )
    segments = np.concatenate(
        [np.array(box.lines[2][0].get_segments())[:, :, 1] for box in axes.containers]
    )
    ordered = means.frame.sort_values(["recipe", "temperature"])
    assert_allclose(segments, ordered[["lower", "upper"]], rtol=1e-8)
    assert axes.get_legend().get_title().get_text() == "recipe"


def test_ratios_are_drawn_on_a_log_axis_around_one():
    cbpp = ranef.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    model = ranef.glmer(formula, cbpp, family="binomial")
    axes = ranef.emmeans(model, "period", type="response").pairs().plot()
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "odds ratio"
    assert axes.lines[0].get_xdata()[0] == 1.0


def test_figures_of_means_say_what_the_means_are_of():
    shares = ranef.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    shares = ranef.glmer(formula, shares, family="binomial")
    labels = {
        "mean angle": ranef.emmeans(RECIPES, "recipe"),
        "slope of Reaction": ranef.emtrends(MODELS["lmer"], "half", "Days"),
        "linear predictor of n": ranef.emmeans(MODELS["glmer"], []),
        "mean n": ranef.emmeans(MODELS["glmer"], [], type="response"),
        "mean share of incidence": ranef.emmeans(shares, "period", type="response"),
    }
    assert {name: means.plot().get_ylabel() for name, means in labels.items()} == {
        name: name for name in labels
    }
    scored = COUNTS.assign(grade=pd.cut(COUNTS["Reaction"], [0, 280, 330, 900]).cat.codes)
    ordered = ranef.clmm("grade ~ half + (1 | Subject)", scored)
    means = ranef.emmeans(ordered, "half", type="prob").plot()
    assert {axis.get_ylabel() for axis in means} == {"probability of grade"}


def test_effects_show_the_data_unless_told_not_to():
    model = ranef.lmer("Reaction ~ Days + half + (1 | Subject)", COUNTS)
    with_data, without = model.plot.effects(), model.plot.effects(points=False)
    assert_allclose(with_data[0].lines[0].get_ydata(), COUNTS["Reaction"])
    assert_allclose(with_data[0].lines[0].get_xdata(), COUNTS["Days"])
    assert [len(axis.lines) for axis in without] == [len(axis.lines) - 1 for axis in with_data]


def test_a_title_names_lines_of_groups_only_where_there_are_some():
    model = ranef.lmer("Reaction ~ Days + half + (1 | Subject)", COUNTS)
    assert "Subject" in model.plot.predictions("Days").get_title(loc="left")
    assert "Subject" not in model.plot.predictions("half").get_title(loc="left")


def test_comparisons_of_predictions_and_searches_are_drawn():
    small = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    found = ranef.compare(
        a=ranef.cross_validate(small), b=ranef.cross_validate(small.update("~ 1 + (1 | Subject)"))
    )
    axes = found.plot()
    (box,) = axes.containers
    assert_allclose(box.lines[0].get_xdata(), found.table["difference"].to_numpy(float))
    ends = np.array(box.lines[2][0].get_segments())[:, :, 0]
    assert_allclose(
        ends[:, 1] - ends[:, 0], 4.0 * found.table["difference_se"].to_numpy(float), atol=1e-9
    )
    assert [t.get_text() for t in axes.get_yticklabels()] == list(found.table.index)
    starts = ranef.multistart(small, 5, seed=1)
    axes = starts.plot()
    drawn = np.concatenate([line.get_ydata() for line in axes.lines if len(line.get_xdata()) > 2])
    best = min(starts.criterion, starts.table["criterion"].min())
    want = np.sort(np.maximum(starts.table["criterion"] - best, 1e-8))
    assert_allclose(np.sort(drawn), want)
    assert axes.get_yscale() == "log"


def test_rankings_bootstraps_and_left_out_rows_hold_their_numbers():
    draw, _ = RESULTS["compare"]
    table = draw.__self__.table
    assert_allclose(draw().lines[0].get_xdata(), table["delta"])
    draw, _ = RESULTS["cross_validate"]
    rows = draw.__self__.rows
    drawn = [line for line in draw().lines if line.get_marker() in ("o", "s")]
    assert sum(len(line.get_xdata()) for line in drawn) == len(rows)
    boot = RESULTS["bootstrap"][0].__self__
    panel = boot.plot(["Days"])
    assert sum(patch.get_height() for patch in panel[0].patches[1:]) == len(boot.replicates)
    with pytest.raises(ValueError, match="the bootstrap has no 'Day'"):
        boot.plot(["Day"])


def test_the_legend_of_an_interaction_is_beside_its_panel():
    panels = RECIPES.plot.effects()
    panels.figure.canvas.draw()
    box = panels[0].get_legend().get_window_extent()
    assert box.x0 >= panels[0].get_window_extent().x1 - 1.0
    assert box.x1 <= panels.figure.bbox.x1


def test_lines_have_one_height_at_each_place():
    data = SLEEP.assign(x=np.arange(len(SLEEP)) % 2, z=np.arange(len(SLEEP)) % 5)
    model = ranef.lmer("Reaction ~ x + z + (1 | Subject)", data)
    panels = model.plot.lines()
    assert panels.figure.get_supxlabel() == "z"
    for line in model.plot.lines("x", most=2)[0].lines[:2]:
        assert list(line.get_xdata()) == [0.0, 1.0]
    rows = (data["Subject"] == panels[0].get_title()) & (data["z"] == 0)
    height = panels[0].lines[1].get_ydata()[0]
    assert_allclose(height, model.fittedvalues[rows].mean(), rtol=1e-10)


def test_means_of_another_scale_are_named_for_what_they_are():
    axes = MODELS["parts"].plot.predictions("Days", lines=False)
    assert axes.get_ylabel() == "linear predictor of Reaction"
    assert axes.get_title(loc="left").startswith("Linear predictor of Reaction along Days")


def test_a_name_with_a_blank_is_drawn_without_its_backticks():
    named = SLEEP.rename(columns={"Reaction": "reaction time"})
    model = ranef.lmer("`reaction time` ~ Days + (1 | Subject)", named)
    axes = model.plot.predictions("Days", lines=False)
    assert axes.get_ylabel() == "reaction time"
    assert "`" not in axes.get_title(loc="left")
    assert model.parts.table_response == "reaction time"
