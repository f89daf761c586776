"""Messages count in words: ``1 row`` and ``2 rows``, by the one helper."""

import ast
import re
from pathlib import Path

import pytest

import ranef
from ranef._counted import counted

ROOT = Path(ranef.__file__).parent
#: Plural nouns of what messages count, right after a number.
NOUNS = re.compile(
    r" (rows|groups|levels|columns|values|clusters|fits|rounds|steps|draws|coefficients|classes|"
    r"random effects|parameters|models|members|weights|labels)\b"
)
#: Numbers that are above one, or parts of a whole, which are plural: "1 of 3 rows", "up to 9 rows".
BEFORE = re.compile(r"(\bof|\bto|\bthan|\band|\bmost|\bthe|\bother|\ball|[<>=+x]) $")
#: What is written before such a noun and is a word, or a number already in words.
WORDS = {
    "MOST_COLUMNS",
    "MOST_VALUES",
    "HIGHEST_ORDER",
    "figure",
    "of_a_mean()",
    "part",
    "self.weights",
    "shown",
    "smooth.text",
    "weights",
}


def bypassing(source):
    """Return f-strings of a source in which a number stands right before a plural noun."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [ast.Constant(""), *node.values]
            for before, number, after in zip(parts, parts[1:], parts[2:], strict=False):
                if is_bare(before, number, after):
                    found.append((number.lineno, ast.unparse(number.value) + after.value[:20]))
    return found


def is_bare(before, number, after):
    if not (isinstance(number, ast.FormattedValue) and isinstance(after, ast.Constant)):
        return False
    text = before.value if isinstance(before, ast.Constant) else ""
    plain = number.format_spec is None and number.conversion == -1
    text_of = ast.unparse(number.value)
    told = text_of in WORDS or "join(" in text_of or isinstance(number.value, ast.IfExp)
    return plain and not told and bool(NOUNS.match(after.value)) and not BEFORE.search(text)


def test_counts_are_in_words():
    modules = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in ROOT.rglob("*.py")}
    found = {name: bypassing(source) for name, source in modules.items()}
    wrong = {name: places for name, places in found.items() if places}
    assert wrong == {}, "write {counted(n, 'row')} of ranef._counted in place of {n} rows"


def test_a_bare_count_is_found():
    assert bypassing('f"{n} rows are lost"') == [(1, "n rows are lost")]
    assert bypassing('f"{n} of {m} rows are lost"') == []
    assert bypassing("f\"{counted(n, 'row')} lost\"") == []


def test_counted_takes_numbers_of_numpy_and_no_text():
    assert counted(True, "row") == "1 row"
    with pytest.raises(AttributeError):
        counted("3", "row")
