"""Formula text to terms: what is read from it."""

import copy
import pickle

import pytest

from ranef.formula import Factor, FactorKind, Term, parse, update

NAME, PYTHON = FactorKind.NAME, FactorKind.PYTHON


def names(terms):
    return [term.name for term in terms]


def bars(text):
    return [(b.left, names(b.terms), b.group, b.uncorrelated) for b in parse(text).random]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("x", ["Intercept", "x"]),
        ("1 + x", ["Intercept", "x"]),
        ("0 + x", ["x"]),
        ("x - 1", ["x"]),
        ("-1 + x", ["x"]),
        ("x + 0", ["x"]),
        ("-0 + x", ["Intercept", "x"]),
        ("x - - z", ["Intercept", "x", "z"]),
        ("- + x + x", ["Intercept", "x"]),
        ("1", ["Intercept"]),
        ("0", []),
        ("x + z - x", ["Intercept", "z"]),
        ("x*z", ["Intercept", "x", "z", "x:z"]),
        ("0 + x*z", ["x", "z", "x:z"]),
        ("a:b + a", ["Intercept", "a", "a:b"]),
        ("a/b", ["Intercept", "a", "a:b"]),
        ("(a + b)**2", ["Intercept", "a", "b", "a:b"]),
        ("(a + b)^2 - a:b", ["Intercept", "a", "b"]),
        ("(0 + a) + b:c", ["Intercept", "a", "b:c"]),
        ("log( x )+I(z ** 2)", ["Intercept", "log(x)", "I(z ** 2)"]),
        ("{x+1}", ["Intercept", "x + 1"]),
        ("{x}", ["Intercept", "x"]),
        ("`a b` + `c:d`", ["Intercept", "a b", "`c:d`"]),
        ("a.b + log(`a.b`)", ["Intercept", "a.b", "log(`a.b`)"]),
        ("class + log(yield)", ["Intercept", "class", "log(`yield`)"]),
        ("größe + 数", ["Intercept", "größe", "数"]),
    ],
)
def test_fixed_terms(right, expected):
    assert names(parse(f"y ~ {right}").terms) == expected


def test_a_number_scales_a_term():
    assert parse("y ~ 2:x").terms[1] == Term((Factor("x"),), 2.0)


@pytest.mark.parametrize(
    ("left", "factor"),
    [
        ("y", Factor("y")),
        ("`a.b`", Factor("a.b")),
        ("yield", Factor("yield")),
        ("log(y + 1)", Factor("log(y + 1)", PYTHON)),
        ("y - 10", Factor("y - 10", PYTHON)),
        ("{ y/2 }", Factor("y / 2", PYTHON)),
    ],
)
def test_the_response_is_a_column_or_an_expression(left, factor):
    formula = parse(f"{left} ~ x")
    assert formula.left == factor
    assert formula.response == left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ (1 | g)", [("1", ["Intercept"], "g", False)]),
        ("y ~ (x | g)", [("x", ["Intercept", "x"], "g", False)]),
        ("y ~ (0+x|g)", [("0+x", ["x"], "g", False)]),
        ("y ~ (x - 1 | g)", [("x - 1", ["x"], "g", False)]),
        ("y ~ (x||g)", [("x", ["Intercept", "x"], "g", True)]),
        ("y ~ (a*b | g)", [("a*b", ["Intercept", "a", "b", "a:b"], "g", False)]),
        ("y ~ (1 | -1 + x)", None),
        ("y ~ (1 | `e|f`)", [("1", ["Intercept"], "e|f", False)]),
        ("y ~ (I((a>1)|(b>2)) | g)", [("I((a>1)|(b>2))",
                                       ["Intercept", "I((a > 1) | (b > 2))"], "g", False)]),
        ("y ~ ({a | b} | g)", [("{a | b}", ["Intercept", "a | b"], "g", False)]),
        ("y ~ x + ((1|g) + (0 + x|h))", [("1", ["Intercept"], "g", False),
                                         ("0 + x", ["x"], "h", False)]),
    ],
)  # fmt: skip
def test_bars(text, expected):
    if expected is None:
        with pytest.raises(ValueError, match="one grouping factor in each term"):
            parse(text)
    else:
        assert bars(text) == expected


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("g", ["g"]),
        ("(g)", ["g"]),
        ("a:b", ["a:b"]),
        ("(a:b)", ["a:b"]),
        ("a/b", ["a", "a:b"]),
        ("a/b/c", ["a", "a:b", "a:b:c"]),
        ("a/b:c", ["a", "a:b:c"]),
        ("a/(b:c)", ["a", "a:b:c"]),
        ("a/(b/c)", ["a", "a:b", "a:b:c"]),
        ("a:(b/c)", ["a:b", "a:b:c"]),
        ("a:b/c", ["a:b", "a:b:c"]),
        ("a/a", ["a", "a"]),
        ("`a b`:c", ["a b:c"]),
    ],
)
def test_grouping_expressions(group, expected):
    assert [bar.group for bar in parse(f"y ~ x + (1 | {group})").random] == expected


def test_the_place_of_a_bar_is_kept():
    text = "y ~ x + ( 1 |g)"
    (bar,) = parse(text).random
    assert text[bar.start : bar.stop] == "( 1 |g)"


def test_offsets_are_taken_out():
    formula = parse("y ~ offset(log(t)) + x + offset(`a b`) + (1 | g) + offset(a.b)")
    assert names(formula.terms) == ["Intercept", "x"]
    assert formula.offsets == (Factor("log(t)", PYTHON), Factor("a b"), Factor("a.b"))


def test_bars_and_offsets_may_stand_anywhere_in_the_sum():
    formula = parse("y ~ (1|g) + x + offset(t) - 1")
    assert names(formula.terms) == ["x"]
    assert formula.fixed == "x - 1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y ~ x + (1 | g)", "y ~ x"),
        ("log(y) ~ (1|g) + x*z - 1 + offset(`a b`)", "log(y) ~ x*z - 1 + offset(`a b`)"),
        ("y ~ (1 | g)", "y ~ 1"),
        ("y ~ 0 + (1 | g)", "y ~ 0"),
        ("y ~ - x + (1 | g) + z", "y ~ - x + z"),
    ],
)
def test_random_effects_can_be_left_out(text, expected):
    formula = parse(text).without_random()
    assert formula.text == expected
    assert formula == parse(expected)


def test_a_formula_goes_over_lines():
    assert parse("y ~ x +\n\t(1 | g)").random[0].group == "g"


def test_parse_takes_a_formula_too():
    formula = parse("y ~ x")
    assert parse(formula) is formula


def test_formulas_pickle_copy_and_are_cached():
    formula = parse("log(y) ~ x*f + offset(t) + (x || a/b)")
    assert pickle.loads(pickle.dumps(formula)) == formula
    assert copy.deepcopy(formula) == formula
    assert parse(formula.text) is formula


@pytest.mark.parametrize(
    ("old", "change", "expected"),
    [
        ("y ~ x + (1 | g)", ". ~ . + z", "y ~ x + z + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . - x", "y ~ 1 + (1 | g)"),
        ("y ~ x + (1 | g)", "~ . + z", "y ~ x + z + (1 | g)"),
        ("y ~ x + (1 | g)", ". ~ . - 1", "y ~ 0 + x + (1 | g)"),
        ("y ~ 0 + x + (1 | g)", ". ~ . + 1", "y ~ x + (1 | g)"),
        ("y ~ 0 + x + (1 | g)", ". ~ . + z", "y ~ 0 + x + z + (1 | g)"),
        ("y ~ 0 + x", ". ~ . - x", "y ~ 0"),
        ("y ~ 1", ". ~ . + x", "y ~ x"),
        ("y ~ 0 + x", ". ~ z", "y ~ z"),
        ("log(y) ~ x", "sqrt(.) ~ .", "sqrt((log(y))) ~ x"),
        ("y ~ x + (1 | g)", "log(.) ~ .", "log(y) ~ x + (1 | g)"),
        ("y ~ x + (1 | g)", "z ~ w + (1 | h)", "z ~ w + (1 | h)"),
        ("y ~ x + (1 | g)", ". ~ . + (0 + x | g)", "y ~ x + (1 | g) + (0 + x | g)"),
        ("y ~ x + (1 | g)", ". ~ . + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ x + (x | g)", ". ~ . - (1 + x | g) + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ x + (1 | a/b)", ". ~ . - (1 | a:b)", "y ~ x + (1 | a)"),
        ("y ~ x + (1 | a/b)", ". ~ . - (1 | a/b)", "y ~ x"),
        ("y ~ x * z", ". ~ . - x:z", "y ~ x + z"),
        ("y ~ x + z", ". ~ .:w", "y ~ x:w + z:w"),
        ("y ~ x + z", ". ~ .^2", "y ~ x + z + x:z"),
        ("y ~ x + offset(t)", ". ~ . - offset(t) + offset(log(t))", "y ~ x + offset(log(t))"),
        ("y ~ x + offset(`a b`) + offset(a.b)", ". ~ .", "y ~ x + offset(`a b`) + offset(a.b)"),
        ("y ~ `a b` + {x+1} + I(z**2)", ". ~ . - z", "y ~ `a b` + {x + 1} + I(z ** 2)"),
    ],
)
def test_update_reads_the_dot_as_r_does(old, change, expected):
    changed = update(parse(old), change)
    assert changed.text == expected
    assert parse(changed.text) == changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (". ~ . - (1 | h)", "has no term"),
        (". ~ . - offset(t)", "no such offset"),
        (". ~ . * (1 | g)", "added or removed"),
        (". ~ . +", "nothing follows"),
    ],
)
def test_update_refuses_what_is_not_there(change, message):
    with pytest.raises(ValueError, match=message):
        update(parse("y ~ x + (1 | g)"), change)
