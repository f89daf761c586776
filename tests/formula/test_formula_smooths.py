"""Smooth terms in formulas: what is read, what is refused, and how update treats them."""

import pytest

from ranef.errors import FormulaError, UnsupportedError
from ranef.formula import parse, update


def test_a_smooth_is_a_part_of_its_own():
    formula = parse('y ~ z + s(x, k=6, bs="cr", by=f) + te(a, np.log(b)) + (1 | g)')
    assert formula.fixed == "z"
    assert [bar.group for bar in formula.random] == ["g"]
    first, second = formula.smooths
    assert (first.label, first.k, first.bs, first.by.expr) == ("s(x)", (6,), ("cr",), "f")
    assert (second.label, second.bs) == ("te(a,np.log(b))", ("cr", "cr"))


@pytest.mark.parametrize("text", ["y ~ (s(x) + z) + (1 | g)", "y ~ z + (s(x) + (1 | g))"])
def test_parentheses_around_sums_do_not_matter(text):
    formula = parse(text)
    assert [s.label for s in formula.smooths] == ["s(x)"]
    assert (formula.fixed, len(formula.random)) == ("z", 1) or "z" in formula.fixed


def test_names_in_backquotes_are_columns():
    (smooth,) = parse("y ~ s(`my x`, by=`class of`)").smooths
    assert [f.expr for f in smooth.factors] == ["my x", "class of"]


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("s(x):z", "by=z"),
        ("s(x) * z", "can only be added"),
        ("z - s(x)", "cannot be subtracted"),
        ("s(x, kk=3)", "did you mean 'k'"),
        ("s(x, bs='cs')", "'tp', 'cr', 'ps', 'cc', 're', 'fs'"),
        ("te(x, z, bs='re')", "not one of 'tp', 'cr', 'ps', 'cc'"),
        ("s(x, z, bs='cr')", "te"),
        ("s()", "name the column"),
        ("s(x, 10)", "options are named"),
        ("s(x, k=n)", "is not a value"),
        ("s(x, k=2)", "too small"),
        ("s(x, k=4.5)", "whole number"),
        ("te(x, z, k=(4, 5, 6))", "tuple of 2"),
        ("te(x)", "needs two columns"),
        ("s(x, x)", "named twice"),
        ("s(x, m=(1, 2, 3))", "an order"),
        ("s(x, knots=(3, 1))", "ascending"),
        ("s(x, z, w, bs='fs')", "a number and a factor"),
        ("s(g, bs='re', by=x)", "takes no by="),
    ],
)
def test_what_no_smooth_can_be_is_refused_at_its_place(right, words):
    with pytest.raises(FormulaError, match=words) as raised:
        parse(f"y ~ {right}")
    assert "^" in str(raised.value)


def test_update_adds_and_removes_smooths():
    old = parse("y ~ z + s(x, k=5) + (1 | g)")
    assert str(update(old, ". ~ . + s(w)")) == "y ~ z + (1 | g) + s(x, k=5) + s(w)"
    assert str(update(old, ". ~ . - s(x)")) == "y ~ z + (1 | g)"
    assert str(update(old, "log(.) ~ .")) == "log(y) ~ z + (1 | g) + s(x, k=5)"
    with pytest.raises(FormulaError, match="has no term"):
        update(old, ". ~ . - s(w)")


def test_an_estimator_without_smooths_says_so():
    with pytest.raises(UnsupportedError, match=r"s\(x\) is a smooth term, and gee takes none"):
        parse("y ~ s(x)").refuse_smooths("gee")
