"""Bad values in the data: a clear error of ours, or a count of what was left out."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.design import build
from ranef.errors import DataError
from ranef.formula import parse

FRAME = pd.DataFrame(
    {"y": [1.0, 2, 3, 4, 5, 6], "x": [1.0, 2, 4, 3, 5, 7], "g": list("aabbcc"), "f": list("pqpqpq")}
)
MODEL = "y ~ x + (1 | g)"


def made(text=MODEL, data=None, /, **columns):
    return build(parse(text), (FRAME if data is None else data).assign(**columns))


def refused(match, text=MODEL, data=None, /, **columns):
    with pytest.raises(DataError, match=match) as caught:
        made(text, data, **columns)
    return caught.value


@pytest.mark.parametrize("role", ["y", "x"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values_are_refused_with_column_and_rows(role, bad):
    values = FRAME[role].to_list()
    values[1] = values[4] = bad
    assert refused(f"'{role}' is infinite in rows 1, 4", **{role: values}).column == role


def test_infinite_values_of_both_signs_and_missing_ones():
    refused("'x' is infinite in rows 1, 2", x=[1, np.inf, -np.inf, np.nan, 4, 5])


def test_infinite_values_are_named_by_the_callers_rows():
    frame = FRAME.set_axis(list("uvwxyz"))
    refused("infinite in row w", MODEL, frame, x=[1, 2, np.inf, 3, 4, 5])


def test_an_infinite_value_in_a_row_left_out_does_no_harm():
    design = made(x=[1, np.inf, 2, 3, 4, 5], y=[1, np.nan, 2, 3, 4, 5])
    assert design.dropped == {"y": 1}


def test_the_logarithm_of_zero():
    refused(r"'log\(x\)' is infinite in row 0", "y ~ log(x) + (1 | g)", x=[0, 1, 2, 3, 4, 5.0])


def test_an_infinite_grouping_value():
    refused("'h' has infinite values", "y ~ x + (1 | h)", h=[1, 1, 2, 2, np.inf, 3])


def test_very_large_values_are_no_infinite_ones():
    big = [1e150] * 5 + [1e149]
    assert made(x=big).columns[0].tolist() == big


@pytest.mark.parametrize("role", ["y", "x"])
@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_values_whose_squares_no_number_holds(role, scale):
    error = refused(f"largest value of '{role}'", **{role: FRAME[role] * scale})
    assert error.column == role
    assert "another unit" in str(error)


def test_zeros_are_not_small_values():
    assert made(x=0.0).n_obs == 6


@pytest.mark.parametrize("role", ["y", "x", "g"])
def test_a_column_of_nothing(role):
    refused(f"all 6 rows have missing values, by column: '{role}' 6", **{role: np.nan})


def test_rows_lost_to_different_columns():
    refused(
        "all 6 rows have missing values, by column: 'y' 3, 'x' 3",
        x=[1, np.nan] * 3,
        y=[np.nan, 1] * 3,
    )


def test_no_rows():
    with pytest.raises(DataError, match="no rows"):
        made(MODEL, FRAME.iloc[:0])


@pytest.mark.parametrize(
    "dates",
    [
        pd.date_range("2020", periods=6),
        pd.date_range("2020", periods=6, tz="UTC"),
        pd.to_timedelta(np.arange(6), "D"),
        pd.period_range("2020", periods=6, freq="D"),
        [datetime.date(2020, 1, day) for day in range(1, 7)],
        [datetime.datetime(2020, 1, day) for day in range(1, 7)],
        pd.Series(pd.date_range("2020", periods=6)).astype("timestamp[ns][pyarrow]"),
    ],
)
def test_dates_say_how_to_make_numbers_of_them(dates):
    refused(r"contains dates or times.*\(x - x.min\(\)\).dt.days", x=dates)


def test_the_advice_for_dates_works():
    design = made("y ~ I((x - x.min()).dt.days)", x=pd.date_range("2020", periods=6))
    assert design.columns[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_dates_may_be_groups():
    days = pd.date_range("2020", periods=3).repeat(2)
    assert made("y ~ x + (1 | d)", d=days).random[0].n_levels == 3


@pytest.mark.parametrize("role", ["x", "g", "y"])
def test_numbers_and_texts_in_one_column(role):
    refused("different or unusable types \\(int, str\\)", **{role: [1, "a", 2, "b", 1, "a"]})


@pytest.mark.parametrize("values", [[[1], [2]] * 3, [{1}, {2}] * 3, [b"a", b"b"] * 3])
def test_values_that_are_no_values(values):
    refused("different or unusable types", x=values)


def test_complex_numbers():
    refused("'x' is complex", x=np.arange(6) * 1j)


@pytest.mark.parametrize(
    "values",
    [
        [decimal.Decimal(i) for i in range(6)],
        pd.Series(range(6), dtype=object),
        pd.array(range(6), dtype="Int64"),
        pd.array(range(6), dtype="Float32"),
        pd.array(range(6), dtype="int8[pyarrow]"),
        pd.array(range(6), dtype="double[pyarrow]"),
        pd.arrays.SparseArray(np.arange(6.0)),
        np.arange(6, dtype=np.uint8),
        np.arange(6, dtype=np.float16),
        np.arange(6, dtype=np.longdouble),
        np.arange(6, dtype=">f8"),
        np.arange(6, dtype=">i4"),
    ],
)
def test_every_kind_of_number_is_a_number(values):
    assert made(x=values).columns[0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "float16", "float32", "Int8", "UInt8", "int8[pyarrow]"]
)
@pytest.mark.parametrize(
    ("expr", "values"),
    [
        ("I(x**3)", [0, 27, 729, 3375, 19683, 68921]),
        ("I(x * 100)", [0, 300, 900, 1500, 2700, 4100]),
        ("I(10 - x)", [10, 7, 1, -5, -17, -31]),
        ("log(x + 1)", np.log([1, 4, 10, 16, 28, 42])),
        ("np.exp(x)", np.exp([0, 3, 9, 15, 27, 41.0])),
    ],
)
def test_narrow_numbers_do_not_overflow_or_round(dtype, expr, values):
    x = pd.Series([0, 3, 9, 15, 27, 41]).astype(dtype)
    np.testing.assert_allclose(made(f"y ~ {expr}", x=x).X[:, 1], values, rtol=1e-12)


def test_powers_of_integers_do_not_overflow():
    x = np.array([1, 2, 30, 400, 5000, 60000])
    found = made("y ~ I(x**5)", x=x).X[:, 1]
    np.testing.assert_allclose(found, [1, 32, 2.43e7, 1.024e13, 3.125e18, 7.776e23], rtol=1e-12)


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("C(x % 3)", ["C(x % 3)[T.1]", "C(x % 3)[T.2]"]),
        ("C(x.astype(str))", ["C(x.astype(str))[T.1]", "C(x.astype(str))[T.2]"]),
    ],
)
def test_integers_stay_integers_where_they_are_wanted(expr, names):
    design = made(f"y ~ {expr}", x=np.array([0, 1, 2, 1, 0, 1]))
    assert list(design.fixed_names[1:]) == names


@pytest.mark.parametrize(
    ("expr", "words"),
    [("I(x & 1)", "& joins conditions"), ("np.array([7.0, 8.0, 9.0])[x]", "an index is")],
)
def test_bits_and_tables_are_refused_in_words(expr, words):
    with pytest.raises((ranef.DataError, ranef.FormulaError), match=words):
        made(f"y ~ {expr}", x=np.array([0, 1, 2, 1, 0, 1]))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]", "double[pyarrow]"])
def test_missing_values_of_extension_types(dtype):
    values = pd.array([1, 2, None, 4, 5, 6], dtype=dtype)
    assert made(x=values).dropped == {"x": 1}
    levels = pd.array([1, 2, None, 1, 2, 1], dtype=dtype)
    design = made("y ~ C(x) + log(x)", x=levels)
    assert design.fixed_names == ("Intercept", "C(x)[T.2]", "log(x)")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", object])
def test_truth_values_are_levels(dtype):
    values = pd.Series([True, False, True, False, True, False]).astype(dtype)
    assert made(x=values).fixed_names == ("Intercept", "x[T.True]")
    if dtype != "bool":
        values[2] = None
        assert made(x=values).dropped == {"x": 1}


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "category", object])
def test_texts_are_levels(dtype):
    values = pd.Series(["v", None, "u", "v", "u", "w"]).astype(dtype)
    design = made(x=values)
    assert design.fixed_names == ("Intercept", "x[T.v]", "x[T.w]")
    assert design.dropped == {"x": 1}


@pytest.mark.parametrize("role", ["x", "g"])
def test_one_level(role):
    refused("only one level, 'q'", **{role: "q"})


def test_one_level_after_rows_went():
    refused("only one level, 'a'", x=[1, 2, 3, np.nan, np.nan, np.nan], g=list("aaabbb"))


@pytest.mark.parametrize(
    ("values", "shown"), [(list("abcabc"), "'a', 'b', 'c'"), ([True, False] * 3, "False, True")]
)
def test_a_response_of_levels(values, shown):
    refused(f"the response 'y' is not numeric .its values are {shown}", y=values)


def test_a_response_of_several_columns():
    refused("has 2 columns", "poly(y, 2) ~ x")


def test_a_binary_response_of_three_levels():
    with pytest.raises(DataError, match="needs two levels, not 3"):
        build(parse("f ~ x"), FRAME.assign(f=list("abcabc")), response="binary")


def test_every_unicode_text_is_a_level():
    texts = ["\U0001f600", "日本", "e\u0301", "é", "\u200b", "a\u0000b"]
    assert sorted(made("y ~ x + (1 | u)", u=texts).random[0].levels) == sorted(texts)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1, 2, 0, 1, 1, -1.0], "above zero; they are not in rows 2, 5"),
        ([1, 2, np.inf, 1, 1, 1], "'weights' is infinite in row 2"),
        ([1, 2, 3], "3 values for 6 rows"),
        (2.0, "one value a row"),
        (np.ones((6, 1)), "one value a row"),
        ("f", "must be numbers"),
        ("ww", "no column 'ww'"),
        (list("abcdef"), "must be numbers"),
        (pd.Series(np.ones(6), index=range(1, 7)), "index of weights differs"),
    ],
)
@pytest.mark.parametrize("role", ["weights", "offset"])
def test_weights_and_offsets(weights, match, role):
    if role == "offset" and "above zero" in match:
        return
    with pytest.raises(DataError, match=match.replace("weights", role)):
        build(parse(MODEL), FRAME, **{role: weights})


def test_a_weight_of_zero_is_named_by_the_callers_row_when_others_went():
    frame = FRAME.assign(x=[np.nan, 1, 2, 3, 4, 5], w=[1, 1, 1, 0, 1, 1])
    with pytest.raises(DataError, match="row 3;"):
        build(parse(MODEL), frame, weights="w")


def test_a_missing_weight_is_a_missing_row():
    design = build(parse(MODEL), FRAME.assign(w=[1, None, 1, 1, 1, 1.0]), weights="w")
    assert design.dropped == {"w": 1}
