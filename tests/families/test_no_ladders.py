"""Nothing outside ``families/`` decides by the name of a family or of a link."""

import ast
from pathlib import Path

import pytest

import ranef
from ranef.families.links import LINKS
from ranef.families.registry import FILES

ROOT = Path(ranef.__file__).parent
#: Rooms on lower floors know no family: "log" is a function there, "student" a column of data.
BELOW = {"formula", "design", "words", "datasets"}
ROOMS = sorted(
    {p.parent.relative_to(ROOT).parts[0] for p in ROOT.glob("*/**/*.py")} - {"families", *BELOW}
)
#: Words that stand for something else, too: no link, and the fixed effects.
OTHERS = {"identity", "beta"}
NAMES = (set(FILES) | set(LINKS)) - OTHERS


def decided_by_name(source):
    """Lines that compare with names of families and links, or look values up by them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            words = [n for part in parts for n in ast.walk(part)]
        elif isinstance(node, ast.Dict):
            words = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.MatchValue):
            words = [node.value]
        else:
            continue
        if any(isinstance(word, ast.Constant) and word.value in NAMES for word in words):
            yield node.lineno


def test_what_is_looked_for_is_found():
    assert list(decided_by_name('if family == "gamma": pass')) == [1]
    assert list(decided_by_name('x = 1\ny = family in ("poisson", "binomial")')) == [2]
    assert list(decided_by_name('VARIANCES = {"binomial": 1}')) == [1]
    assert not list(decided_by_name('glmer("y ~ x", family="gamma")'))


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_ask_the_family(room):
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in decided_by_name(path.read_text(encoding="utf-8"))
    ]
    assert not found
