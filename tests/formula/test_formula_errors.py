"""Every mistake in a formula is shown with its place."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranef.errors import FormulaError
from ranef.formula import parse

# Each formula, the part that is at fault, and a word of the message.
WRONG = [
    ("y ~ x*(1|g)", "x*(1|g)", "only be added"),
    ("y ~ (1|g)*x", "(1|g)*x", "only be added"),
    ("y ~ (1|g):x", "(1|g):x", "only be added"),
    ("y ~ (1|g)(x)", "(1|g)(x)", "only be added"),
    ("y ~ a + (b*(1|g))", "b*(1|g)", "only be added"),
    ("y ~ x - (1|g)", "- (1|g)", "cannot be subtracted"),
    ("y ~ -(1|g)", "-(1|g)", "cannot be subtracted"),
    ("y ~ -(x + (1|g))", "-(x + (1|g))", "cannot be subtracted"),
    ("y ~ (1|g|h)", "|h", "one bar"),
    ("y ~ ((1|g)|h)", "|h", "one bar"),
    ("y ~ (1|(1|g))", "|g", "one bar"),
    ("y ~ x | g", "|", "into parentheses"),
    ("y ~ x || g", "||", "into parentheses"),
    ("y | g ~ x", "|", "response"),
    ("y ~ x + (1|g", "(", "never closed"),
    ("y ~ x)", ")", "closes nothing"),
    ("y ~ log(x", "(", "never closed"),
    ("y ~ (x]", "]", "closes nothing"),
    ("y ~ `a", "`", "never closed"),
    ("y ~ I(x == 'a)", "'", "never closed"),
    ("y ~ x + ()", "(", "empty"),
    ("y ~ (1|)", "|", "missing after"),
    ("y ~ (|g)", "|", "before the bar"),
    ("y ~ (1|g1+g2)", "+", "(1 | a) + (1 | b)"),
    ("y ~ (1|g1*g2)", "*", "(1 | a) + (1 | b)"),
    ("y ~ (1|C(x))", "C(x)", "make the column"),
    ("y ~ (1|{x})", "", None),
    ("y ~ (1|{x+1})", "{x+1}", "make the column"),
    ("y ~ (1|3)", "3", "make the column"),
    ("y ~ (1|a^b)", "^", "make the column"),
    ("y ~ (1|a:)", ":", "nothing follows"),
    ("y ~ (1|/a)", "/", "there is nothing before"),
    ("y ~ (0|g)", "0", "no column is left"),
    ("y ~ (x +|g)", "+", "nothing follows"),
    ("y ~ (offset(x)|g)", "offset(x)", "offset"),
    ("~ x", "~", "response is missing"),
    ("y ~", "~", "nothing follows"),
    ("y ~ x ~ z", "~ z", "one ~"),
    ("y = x", "", "a formula needs"),
    ("y ~ x z", "z", "operator is missing"),
    ("y ~ (1 | school id)", "id", "a name with a blank stands between backticks: `school id`"),
    ("y ~ x (1|g)", "x (1|g)", "only be added"),
    ("y ~ poly (x, 2)", "(", "leave no blank"),
    ("y ~ x + +", "+", "nothing follows"),
    ("y ~ x +* z", "*", "there is nothing before"),
    ("y ~ x:", ":", "nothing follows"),
    ("y ~ x > 3", ">", "I(...)"),
    ("y ~ x %in% z", "%in%", "write a:b"),
    ("y ~ a$b", "$", "I(...)"),
    ("y ~ 'a'", "'a'", "text"),
    ("y ~ .", ".", "update()"),
    ("y ~ [x]", "[", "square"),
    ("y ~ I(x^2)", "I(x^2)", "**"),
    ("log(y^2) ~ x", "log(y^2)", "**"),
    ("y ~ log(x y)", "log(x y)", "cannot read"),
    ("y ~ 5", "5", "scale a term"),
    ("y ~ 0 + 5", "0 + 5", "scale a term"),
    ("y ~ x + 2:x", "x + 2:x", "scale a term"),
    ("y ~ x**z", "x**z", "integer"),
    ("5 ~ x", "5", "constant"),
    ("y ~ - offset(x)", "- offset(x)", "only be added"),
    ("y ~ offset()", "offset()", "empty"),
    ("y ~ offset(x):z", "offset(x)", "only be added"),
]


@pytest.mark.parametrize(("text", "part", "message"), WRONG)
def test_the_place_is_under_a_caret(text, part, message):
    if message is None:
        assert parse(text).random[0].group == "x"
        return
    with pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert message in str(error)
    assert text[error.start :].startswith(part)
    shown, carets = str(error).split("\n")[-2:]
    assert shown == f"    {text}"
    assert carets == "    " + " " * error.start + "^" * max(1, error.stop - error.start)


def test_an_empty_formula():
    with pytest.raises(FormulaError, match="empty"):
        parse("  ")


def test_a_formula_is_a_text():
    with pytest.raises(TypeError, match="not int"):
        parse(3)


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_no_beginning_of_a_formula_raises_anything_else(length):
    text = "log(y) ~ x*`a b` + (1 + {z|2} || g/h) + offset(t)"[:length]
    with contextlib.suppress(FormulaError):
        parse(text)


SCRAPS = [
    *"~+-*:/|()[]{}.=`'01 ", "y", "x", "||", "**2", "^", "log(x)", "I(x^2)", "`a b`", "{x | z}",
    "(1 | g)", "offset(x)", "02", "%in%", "x>1", "é",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SCRAPS), max_size=8).map("".join))
def test_scraps_of_formulas_raise_nothing_else_and_point_into_the_text(right):
    text = f"y ~ {right}"
    error = mistake_in(text)
    assert error is None or (0 <= error.start < error.stop and error.start <= len(text))


def mistake_in(text):
    try:
        parse(text)
    except FormulaError as error:
        return error
    return None


@pytest.mark.parametrize("text", ["Reading score ~ x + (1 | g)", "y ~ reading score + (1 | g)"])
def test_a_name_with_a_blank_is_answered_by_backticks_on_both_sides(text):
    with pytest.raises(FormulaError, match=r"between backticks.*`[Rr]eading score`"):
        parse(text)
