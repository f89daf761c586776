"""The package maketables makes regression tables of fitted models."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import maketables
import numpy as np
import pytest

import ranef


@pytest.fixture(scope="module")
def models():
    gpa = ranef.datasets.load("gpa_sim")
    slope = ranef.lmer("gpa ~ occasion + sex + (occasion | student)", gpa)
    return {
        "level": ranef.lmer("gpa ~ occasion + (1 | student)", gpa),
        "slope": slope,
        "ml": slope.update(reml=False),
        "feols": ranef.feols("gpa ~ occasion", gpa, absorb="student", cluster="student"),
        "gee": ranef.gee("gpa ~ occasion + sex", gpa, groups="student"),
        "robust": slope.robust("CR2"),
        "hybrid": ranef.within_between("gpa ~ occasion", gpa, groups="student"),
        "gls": ranef.random_effects_gls("gpa ~ occasion", gpa, groups="student"),
    }


def cells(table):
    frame = table.df.droplevel(0, axis=0)
    frame.columns = range(frame.shape[1])
    return frame


def test_coefficients_are_those_of_the_coefficient_table(models):
    table = maketables.ETable([models["slope"]], coef_fmt="b:.6f se:.6f p:.6f ci95l:.6f df:.6f")
    want = models["slope"].coef_table().loc["occasion"]
    low = want["estimate"] - 1.971956544 * want["se"]  # t quantile of 199 degrees of freedom
    assert want["df"] == pytest.approx(199.0, abs=1e-6)
    shown = [float(text) for text in cells(table).loc["occasion", 0].split()]
    expected = [want["estimate"], want["se"], want["pvalue"], low, want["df"]]
    np.testing.assert_allclose(shown, expected, atol=1e-6)


def test_rows_below_the_coefficients(models):
    frame = cells(maketables.ETable([models["level"], models["slope"], models["ml"]]))
    assert frame.loc["Observations"].tolist() == ["1,200"] * 3
    assert frame.loc["Levels of student"].tolist() == ["200"] * 3
    sd = float(np.sqrt(models["slope"].varcorr["student"].loc["occasion", "occasion"]))
    assert frame.loc["SD (occasion | student)"].tolist()[:2] == ["-", f"{sd:.3f}"]
    assert frame.loc["Restricted log-likelihood"].tolist()[2] == "-"


def test_restricted_criteria_are_not_set_beside_others(models):
    table = maketables.ETable([models["slope"], models["ml"]], model_stats=["aic", "bic", "ll"])
    frame = cells(table)
    assert frame.loc["AIC"].tolist() == ["-", f"{models['ml'].aic:.3f}"]
    assert frame.loc["BIC", 0] == frame.loc["Log-likelihood", 0] == "-"


def test_every_kind_of_model_has_a_column(models):
    stats = ["N", "se_type", "r2"]
    table = maketables.ETable(list(models.values()), model_stats=stats)
    frame = cells(table)
    at = list(models)
    assert frame.loc["student", at.index("feols")] == "x"
    assert frame.loc["S.E. type", at.index("feols")] == "by: student"
    assert frame.loc["S.E. type", at.index("robust")] == "CR2, by student"
    assert frame.loc["R²", at.index("feols")] == f"{models['feols'].rsquared:.3f}"
    assert all("gpa" in str(name) for name in table.df.columns.get_level_values(0))


def test_latex_html_and_word(models, tmp_path):
    table = maketables.ETable([models["level"], models["slope"]])
    assert r"\begin{tabularx}" in table.make("tex")
    for kind in ("html", "docx"):
        table.save(type=kind, file_name=str(tmp_path / f"table.{kind}"), show=False)
    assert "SD (residual)" in (tmp_path / "table.html").read_text()
    with zipfile.ZipFile(tmp_path / "table.docx") as word:
        assert b"SD (residual)" in word.read("word/document.xml")


def test_aliased_coefficients_are_left_out():
    sleep = ranef.datasets.load("sleepstudy").assign(Twice=lambda frame: 2 * frame["Days"])
    with pytest.warns(ranef.RankWarning):
        model = ranef.lmer("Reaction ~ Days + Twice + (1 | Subject)", sleep)
    (column,) = model.to_list()
    assert column.coefficients.index.tolist() == ["Intercept", "Days"]


def test_tables_go_to_great_tables_and_word(tmp_path):
    great_tables = pytest.importorskip("great_tables")
    sleep = ranef.datasets.load("sleepstudy")
    models = [
        ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep),
        ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep),
    ]
    table = maketables.ETable(models, coef_fmt="b:.2f (se:.2f)")
    made = table.make("gt")
    assert isinstance(made, great_tables.GT)
    html = made.as_raw_html()
    assert "10.47 (1.55)" in html
    assert "SD (Days | Subject)" in html
    means = great_tables.GT(ranef.emmeans(models[1], "Days", at={"Days": [0, 9]}).to_frame())
    assert "emmean" in means.as_raw_html()


def test_the_extra_has_what_tables_need():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert {one.split(">")[0] for one in extras["tables"]} == {
        "maketables",
        "great-tables",
        "jinja2",
    }
