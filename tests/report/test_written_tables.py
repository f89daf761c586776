"""Tables are written for LaTeX, HTML and Markdown as summaries print them."""

import re

import numpy as np
import pandas as pd
import pytest

import ranef

MODEL = ranef.lmer("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
CAKE = ranef.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", ranef.datasets.load("cake"))
LEVEL = MODEL.update("Reaction ~ Days + (1 | Subject)")
TABLES = {
    "coef_table": MODEL.coef_table(),
    "tidy": MODEL.tidy(conf_int=True),
    "anova": MODEL.anova(),
    "ranova": MODEL.ranova(),
    "contrasts": ranef.emmeans(CAKE, "recipe", at={"temp": 0}).pairs(),
    "means": ranef.emmeans(CAKE, "recipe"),
}


@pytest.mark.parametrize("name", TABLES)
def test_no_p_value_is_zero_or_has_an_exponent(name):
    pytest.importorskip("jinja2")
    pytest.importorskip("tabulate")
    table = TABLES[name]
    for text in (table.to_latex(), table.to_html(), table.to_markdown()):
        assert "e-0" not in text
        assert "0.000000" not in text
        assert not re.search(r"\b(nan|NaN|None)\b", text)  # <none> is a row of ranova


def test_the_coefficients_are_those_of_the_summary():
    pytest.importorskip("jinja2")
    pytest.importorskip("tabulate")
    line = next(row for row in str(MODEL.summary()).splitlines() if row.startswith(" Days  "))
    estimate, se, _, t, p = line.split()[1:]
    table = MODEL.coef_table()
    latex = next(row for row in table.to_latex().splitlines() if row.startswith("Days"))
    cells = [cell.strip(" \\") for cell in latex.split("&")]
    assert [cells[1], cells[2], cells[4], cells[5]] == [estimate, se, t, p.replace("<", "$<$")]
    mark = table.to_markdown().splitlines()[-1].split("|")
    assert [mark[k].strip() for k in (2, 3, 5, 6)] == [estimate, se, t, p]
    assert "<td>&lt;0.0001</td>" in table.to_html()


def test_own_formats_and_computed_tables_stay_pandas():
    pytest.importorskip("jinja2")
    pytest.importorskip("tabulate")
    table = MODEL.coef_table()
    assert f"{table['se'].iloc[1]:.8f}" in table.to_latex(float_format="%.8f")
    assert f"{table['se'].iloc[1]:.8f}" in table.to_html(float_format="{:.8f}".format)
    assert f"{table['se'].iloc[1]:.8f}" in table.to_markdown(floatfmt=".8f")
    assert type(table.round(2)) is pd.DataFrame
    assert repr(table) == repr(pd.DataFrame(table))


def test_comparisons_are_written_too(tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("tabulate")
    found = ranef.compare(LEVEL, MODEL)
    assert r"\toprule" in found.to_latex()
    assert found.to_markdown().count("\n") == 3
    found.to_html(tmp_path / "table.html")
    assert "<table" in (tmp_path / "table.html").read_text()


def test_words_for_other_files_are_answered():
    means = ranef.emmeans(CAKE, "recipe")
    for table, word, answer in (
        (means, "to_csv", "means.frame"),
        (means.pairs(), "to_word", "to_html()"),
        (MODEL.summary(), "to_docx", '.save("docx"'),
        (MODEL.summary(), "to_markdown", "coef_table().to_markdown()"),
    ):
        with pytest.raises(AttributeError, match=re.escape(answer)):
            getattr(table, word)


def test_intervals_of_probabilities_are_those_of_the_cut():
    # The logit of the lowest category at the reference is the first threshold: its limits on the
    # scale of the logit are the threshold's own, whose standard error comes from the covariance.
    data = ranef.datasets.load("sleepstudy").reset_index(drop=True)
    data["grade"] = pd.cut(data["Reaction"], [0, 200, 300, 900], labels=["a", "b", "c"])
    model = ranef.clmm("grade ~ Days + (1 | Subject)", data)
    frame = ranef.emmeans(model, "Days", at={"Days": [0, 9]}, type="prob").frame
    cut, se = model.thresholds.iloc[0], model.thresholds_bse.iloc[0]
    row = frame[(frame["grade"] == "a") & (frame["Days"] == 0)].iloc[0]
    z = 1.959963984540054
    want = 1.0 / (1.0 + np.exp(-(cut + z * np.array([-se, se]))))
    np.testing.assert_allclose([row["lower"], row["upper"]], want, rtol=1e-5)
    assert (frame["prob"] - z * frame["se"]).min() < 0.0  # where symmetric limits leave the range
    assert frame["lower"].min() > 0.0
    assert frame["upper"].max() < 1.0
