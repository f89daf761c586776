"""The pages run, and every code of a finding has its paragraph."""

import ast
from importlib.resources import files
from pathlib import Path

import pytest

import ranef
from ranef.report.help import PAGES, topics

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


def test_every_code_is_explained_and_no_other():
    assert len(set(codes())) > 12
    sections = {"few-groups", "priors", "units", "influence"}
    assert set(topics()) > {*PAGES, *codes(), *sections}
    explained = set(topics()) - set(PAGES) - set(codes())
    page = files("ranef.report").joinpath("pages", "convergence.md").read_text(encoding="utf-8")
    assert len(explained) == page.count("\n## ") + page.count("\n### ")


def test_help_prints(capsys):
    ranef.help("convergence")
    assert capsys.readouterr().out.startswith("# Convergence")
    ranef.help("labels-reused")
    printed = capsys.readouterr().out
    assert printed.startswith("labels-reused\n\nTwo factors")
    assert "#" not in printed
    ranef.help("Few groups")
    assert capsys.readouterr().out.startswith("few-groups\n\nWith few groups")
    with pytest.raises(ValueError, match="no help on 'luck'; there is on convergence"):
        ranef.help("luck")
