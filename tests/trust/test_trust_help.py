"""The pages run, and every code of a finding has its paragraph."""

import ast
from pathlib import Path

import pytest

import ranef
from ranef.report.help import topics

ROOT = Path(ranef.__file__).parent
SOURCES = [*(ROOT / "inference" / "diagnosis").glob("*.py"), ROOT / "trust" / "diagnosis.py"]
SOURCES.append(ROOT / "trust" / "residuals.py")


def codes():
    """First argument of every Finding(...) of the source."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                first = node.args[0]
                either = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                yield from (value.value for value in either)


def test_every_code_is_explained():
    assert len(set(codes())) > 12
    assert set(topics()) > {*codes(), "few-groups", "priors", "units", "influence"}
    assert set(topics()) > {
        "missing",
        "issues/few-clusters",
        "tutorials/crossed",
        "coming-from/lme4",
    }


def printed(capsys, topic):
    ranef.help(topic)
    return capsys.readouterr().out


def test_help_prints(capsys):
    assert printed(capsys, "convergence").startswith("# Convergence")
    labels = printed(capsys, "labels-reused")
    assert labels.startswith("labels-reused\n\nTwo factors")
    assert "#" not in labels
    assert printed(capsys, "Few groups").startswith("few-groups\n\nWith few groups")


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("missing", ["# Missing values", "See also", "issues/balance-and-missing"]),
        ("clusters", ["issues/few-clusters", "alternatives"]),
        ("growth", ["# Growth curves", "ranef.growth:", "issues/growth-curves"]),
        ("emmeans", ["ranef.emmeans:", "tests"]),
        ("bayes", ["posterior"]),
        ("bootstrap", ["write model.bootstrap(...)", "See also:", "reporting"]),
        ("VarCorr", ["varcorr"]),
        ("", ["coming-from/pyfixest", "Few clusters"]),
    ],
)
def test_help_finds_pages_names_and_words_of_others(capsys, topic, said):
    out = printed(capsys, topic)
    assert [text for text in said if text not in out] == []
    assert "<!--" not in out


def test_help_on_what_nobody_wrote_about():
    with pytest.raises(ValueError, match="did you mean 'convergence'"):
        ranef.help("convergance")
    with pytest.raises(ValueError, match="names every page"):
        ranef.help("horoscope")
