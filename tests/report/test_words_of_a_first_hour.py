"""What somebody who comes from R types in the first hour ends in an answer."""

import re

import matplotlib.pyplot as plt
import pytest

import ranef

SLEEP = ranef.datasets.load("sleepstudy")
MODEL = ranef.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
CAKE = ranef.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", ranef.datasets.load("cake"))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("summary", "model.summary("),
        ("predict", "model.predict("),
        ("plot", "model.plot"),
        ("r2_nakagawa", "model.r2()"),
        ("simulateResiduals", "model.simulated_residuals()"),
        ("ggpredict", "model.plot.predictions"),
        ("tab_model", "maketables.ETable"),
    ],
)
def test_functions_of_r_are_answered(name, answer):
    with pytest.raises(AttributeError, match=re.escape(answer)):
        getattr(ranef, name)


def test_one_model_in_anova_is_shown_the_method():
    with pytest.raises(ranef.ModelError, match=r"model\.anova\(\)"):
        ranef.anova(MODEL)
    with pytest.raises(ranef.ModelError) as caught:
        ranef.compare(MODEL)
    assert "model.anova()" not in str(caught.value)


def test_varcorr_and_plot_are_not_called():
    with pytest.raises(TypeError, match=r"model\.varcorr"):
        ranef.VarCorr(MODEL)
    with pytest.raises(TypeError, match=r"model\.plot\.residuals\(\)"):
        MODEL.plot()


def test_a_latex_table_of_a_model_is_pointed_to():
    for name in ("to_latex", "as_latex"):
        with pytest.raises(AttributeError, match="maketables"):
            getattr(MODEL, name)


def test_contrasts_print_with_bounds_for_small_p_values():
    pairs = ranef.emmeans(CAKE, "recipe").pairs()
    text = repr(ranef.emtrends(CAKE, "recipe", "temp").pairs())
    assert re.search(r"0\.\d{4}\b", text)
    assert "e-0" not in text
    # the standard error has four digits, and what is on its scale as many decimals
    first = repr(pairs).splitlines()[1].split()
    assert [len(cell.partition(".")[2]) for cell in (first[3], first[4])] == [3, 3]


def test_latex_is_what_is_printed(tmp_path):
    pytest.importorskip("jinja2")
    tests = MODEL.anova()
    text = tests.to_latex()
    assert "$<$0.0001" in text
    assert r"num\_df" in text
    assert f"{tests['F'].iloc[0]:.3f}" in text
    raw = tests.to_latex(float_format="%.7f")
    assert f"{tests['F'].iloc[0]:.7f}" in raw
    tests.to_latex(tmp_path / "table.tex")
    assert (tmp_path / "table.tex").read_text() == text
    means = ranef.emmeans(CAKE, "recipe")
    assert means.to_latex().count(r"\\") == 4
    assert means.pairs().to_latex(caption="Pairs").count(r"\caption{Pairs}") == 1


def test_a_figure_of_several_panels_saves_itself(tmp_path):
    MODEL.plot.residuals().savefig(tmp_path / "residuals.png")
    assert (tmp_path / "residuals.png").stat().st_size > 1000
    plt.close("all")
