"""Every block of Python on every page runs as it is written, in the page's order."""

import re
import sys
from pathlib import Path

import pytest

import ranef

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
from blocks import run  # noqa: E402

#: What stands behind ``ranef.`` and is no attribute: names in a shell, and files.
MODULES = {"md", "py"}
#: docs/clusters.md starts clusters; its blocks run with the tests of the clusters.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "clusters.md"),
]


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_block_of_the_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    _, wrong = run(page.read_text(encoding="utf-8"), page.name, {"__name__": "__main__"})
    assert wrong == []


def test_a_wrong_result_and_an_unknown_name_are_found():
    right = "```pycon\n>>> 1 + 1\n2\n\n```\n"
    assert run(right, "page", {}) == (1, [])
    assert run(right.replace("2\n", "3\n"), "page", {})[1]
    with pytest.raises(NameError):
        run("```python\nnot_there()\n```\n", "page", {})
    assert run('<!-- smaller: "9" "1" -->\n```pycon\n>>> 9\n1\n\n```\n', "page", {}) == (1, [])


NAME = re.compile(r"(?<![\w.\"'/])ranef\.([A-Za-z_]\w*)")


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_name_on_the_page_exists(page):
    names = set(NAME.findall(page.read_text(encoding="utf-8")))
    assert {name for name in names if not hasattr(ranef, name)} <= MODULES


def test_a_name_that_is_not_there_is_found():
    assert NAME.findall("use `ranef.lmer` and `ranef.nothing(x)`") == ["lmer", "nothing"]
