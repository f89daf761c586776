"""Every block of Python on every page runs as it is written, in the page's order."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
from blocks import run  # noqa: E402

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
