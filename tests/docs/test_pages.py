"""Every block of Python on every page runs as it is written, in the page's order.

Two comments, unseen by readers, prepare a page: ``<!-- before: code -->`` runs code where it
stands, to make small data that the page takes for given; ``<!-- smaller: "a" "b" -->`` writes b for
a in the blocks that follow, so that an example of a thousand fits takes a moment.
"""

import doctest
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: docs/clusters.md starts clusters; its blocks run with the tests of the clusters.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "clusters.md"),
]
PART = re.compile(
    r"^```(?P<language>python|pycon)\n(?P<code>.*?)^```$"
    r"|<!-- before:(?P<before>.*?)-->|<!-- smaller: (?P<smaller>.*?) -->",
    re.DOTALL | re.MULTILINE,
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(text, name, known):
    """Run the blocks of a page; the number of blocks and what went wrong."""
    wrong, count, smaller = [], 0, {}
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if part["smaller"]:
            smaller.update([shlex.split(part["smaller"])])
            continue
        code = part["before"] or part["code"]
        for large, small in smaller.items():
            code = code.replace(large, small)
        count += part["code"] is not None
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, known, name, name, line)
            runner.run(test, out=wrong.append, clear_globs=False)
            known.update(test.globs)
        else:
            exec(compile("\n" * line + code, name, "exec"), known)
    return count, wrong


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
