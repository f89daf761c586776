"""Formula and data to a design."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from ranef.design import INTERCEPT, build
from ranef.errors import DataError, FormulaError
from ranef.formula import parse

FRAME = pd.DataFrame(
    {
        "y": [3.0, 1, 4, 1, 5, 9],
        "x": [2.0, 7, 1, 8, 2, 8],
        "n": [1, 2, 3, 1, 2, 3],
        "f": list("abcabc"),
        "g": list("uuvvww"),
        "h": [1, 2, 1, 2, 1, 2],
    }
)


SHARES = pytest.mark.skipif(
    int(pd.__version__.partition(".")[0]) < 3, reason="pandas before 3 has no copy on write"
)


def made(text, data=FRAME, **options):
    return build(parse(text), data, **options)


def test_columns_are_stored_once_and_the_constant_never():
    design = made("y ~ x + (1 + x | g) + (0 + x | h)")
    assert design.fixed == (INTERCEPT, 0)
    assert [term.columns for term in design.random] == [(INTERCEPT, 0), (0,)]
    assert len(design.columns) == 1
    np.testing.assert_array_equal(design.X, np.column_stack([np.ones(6), FRAME["x"]]))
    np.testing.assert_array_equal(design.z(design.random[0]), design.X)


def test_a_product_is_the_same_column_in_either_order():
    assert len(made("y ~ x:n + (0 + n:x | g)").columns) == 1


def test_indicators_are_shared_between_codings():
    design = made("y ~ f + (0 + f | g)")
    assert design.fixed_names == ("Intercept", "f[T.b]", "f[T.c]")
    assert design.random[0].names == ("f[a]", "f[b]", "f[c]")
    assert len(design.columns) == 3


def test_contrasts_are_not_shared_with_indicators():
    design = made("y ~ C(f, contr.sum) + (0 + C(f, contr.sum) | g)")
    assert len(design.columns) == 5


def test_names_terms_and_response():
    design = made("log(y) ~ x*f + (1 | g)")
    assert design.fixed_names == (
        "Intercept", "x", "f[T.b]", "f[T.c]", "x:f[T.b]", "x:f[T.c]",
    )  # fmt: skip
    assert design.fixed_terms == (
        ("Intercept", (0,)), ("x", (1,)), ("f", (2, 3)), ("x:f", (4, 5)),
    )  # fmt: skip
    assert design.response == "log(y)"
    np.testing.assert_allclose(design.y, np.log(FRAME["y"]))


def test_without_fixed_columns():
    design = made("y ~ 0 + (1 | g)")
    assert design.fixed == ()
    assert design.X.shape == (6, 0)


def test_arrays_have_the_promised_kind():
    design = made("y ~ n + f + (n | h) + (1 | g:h)")
    for array in (design.y, *design.columns):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
    for term in design.random:
        assert term.codes.dtype == np.int32
        assert set(term.codes) == set(range(term.n_levels))


@SHARES
def test_plain_numbers_are_not_copied():
    design = made("y ~ x + (1 | g)")
    assert np.shares_memory(design.y, FRAME["y"].to_numpy())
    assert np.shares_memory(design.columns[0], FRAME["x"].to_numpy())


@SHARES
def test_codes_of_a_full_categorical_are_not_copied():
    levels = [f"l{i}" for i in range(40_000)]
    group = pd.Categorical.from_codes(np.arange(40_000, dtype=np.int32), levels)
    frame = pd.DataFrame({"y": np.arange(40_000.0), "g": group})
    design = made("y ~ 1 + (1 | g)", frame)
    assert np.shares_memory(design.random[0].codes, frame["g"].array.codes)
    frame.loc[0, "g"] = "l7"
    assert design.random[0].codes[0] == 0


@pytest.mark.parametrize("change", ["loc", "iloc", "column", "drop"])
def test_later_changes_of_the_frame_do_not_reach_the_design(change):
    frame = FRAME.copy()
    design = made("y ~ x + (1 | g)", frame)
    y, x = design.y.copy(), design.columns[0].copy()
    if change == "loc":
        frame.loc[0, "y"] = 77.0
    elif change == "iloc":
        frame.iloc[:, :2] = -1.0
    elif change == "column":
        frame["x"] = 0.0
        frame["y"] += 1.0
    else:
        del frame
    np.testing.assert_array_equal(design.y, y)
    np.testing.assert_array_equal(design.columns[0], x)


def test_later_changes_of_arrays_do_not_reach_the_design():
    data = {"y": np.arange(6.0), "g": np.array([1, 1, 2, 2, 3, 3])}
    weights = np.ones(6)
    design = made("y ~ 1 + (1 | g)", data, weights=weights)
    data["y"][0], weights[0] = 9.0, 9.0
    assert design.y[0] == 0.0
    assert design.weights[0] == 1.0


def test_strided_and_converted_columns_are_copied_block_by_block():
    wide = np.random.default_rng(3).normal(size=(5000, 6))
    strided = pd.DataFrame(wide, columns=list("yabcde"), copy=False)
    text = "y ~ 0 + a + b + c + d + e"
    np.testing.assert_array_equal(made(text, strided).X, wide[:, 1:])
    small = wide.astype(np.float32)
    single = pd.DataFrame(small, columns=list("yabcde"))
    np.testing.assert_array_equal(made(text, single).X, small[:, 1:].astype(float))


def test_rows_go_jointly_and_are_counted():
    frame = FRAME.assign(
        x=[np.nan, 7, 1, 8, 2, 8], g=["u", None, "v", "v", "w", "u"], w=[1, 1, np.nan, 1, 1, 1]
    )
    design = made("y ~ log(x) + (1 | g)", frame, weights="w", offset=[0, 0, 0, np.nan, 0, 0])
    assert design.rows.tolist() == [4, 5]
    assert design.n_obs == 2
    assert design.n_data == 6
    assert design.dropped == {"x": 1, "g": 1, "w": 1, "offset": 1}
    np.testing.assert_array_equal(design.y, [5, 9])
    assert design.weights.tolist() == [1, 1]


def test_a_row_missing_in_two_columns_counts_in_both():
    frame = FRAME.assign(x=[np.nan, 7, 1, 8, 2, 8], y=[np.nan, 1, 4, 1, 5, 9])
    assert made("y ~ x + I(x**2) + (1 | g)", frame).dropped == {"y": 1, "x": 1}


def test_what_an_expression_makes_missing_has_its_name():
    frame = FRAME.assign(x=[-1.0, np.nan, 1, 8, 2, 8])
    design = made("y ~ log(x) + (1 | g)", frame)
    assert design.dropped == {"x": 1, "log(x)": 1}


def test_comparisons_do_not_hide_missing_values():
    frame = FRAME.assign(x=[np.nan, 7, 1, 8, 2, 8])
    design = made("y ~ I(x > 5) + (1 | g)", frame)
    assert design.fixed_names[1] == "I(x > 5)[T.True]"
    assert design.rows.tolist() == [1, 2, 3, 4, 5]


def test_an_expression_may_fill_missing_values():
    frame = FRAME.assign(x=[np.nan, 7, 1, 8, 2, 8])
    design = made("y ~ x.fillna(0) + (1 | g)", frame)
    assert design.rows is None
    assert design.columns[0][0] == 0.0


def test_missing_raise_names_columns_and_counts():
    frame = FRAME.assign(x=[np.nan, 7, 1, np.nan, 2, 8], g=["u", None, "v", "v", "w", "w"])
    with pytest.raises(DataError, match="3 rows have missing values, by column: 'x' 2, 'g' 1"):
        made("y ~ x + (1 | g)", frame, missing="raise")


def test_levels_that_do_not_occur_are_dropped_after_the_rows():
    frame = FRAME.assign(
        f=pd.Categorical(list("abcabc"), categories=list("zcba")), x=[1, 2, np.nan, 1, 2, np.nan]
    )
    design = made("y ~ x + f + (1 | g)", frame)
    assert design.fixed_names == ("Intercept", "x", "f[T.a]")


def test_the_index_of_the_frame_is_kept():
    frame = FRAME.set_axis(list("pqrstu"))
    assert made("y ~ x", frame).index.equals(frame.index)
    assert made("y ~ x", FRAME.to_dict("list")).index is None


def test_expressions_work_on_positions_whatever_the_index():
    frame = FRAME.astype({"n": "Int64"}).set_axis([5, 5, 1, 0, 2, 2])
    np.testing.assert_array_equal(
        made("y ~ {x + n}", frame).columns[0], (FRAME["x"] + FRAME["n"]).to_numpy()
    )


def test_bars_on_one_factor_are_one_term_in_blocks():
    design = made("y ~ x + (1 | g) + (1 | h) + (0 + x | g)")
    first, second = design.random
    assert (first.group, first.names, first.blocks) == ("g", ("Intercept", "x"), ((0,), (1,)))
    assert (second.group, second.blocks) == ("h", ((0,),))


@pytest.mark.parametrize(
    ("bar", "blocks"),
    [
        ("(x + f | g)", ((0, 1, 2, 3),)),
        ("(x + f || g)", ((0,), (1,), (2,), (3,))),
        ("(0 + f || g)", ((0,), (1,), (2,))),
        ("(x | g) + (0 + n + h || g)", ((0, 1), (2,), (3,))),
    ],
)
def test_blocks(bar, blocks):
    assert made(f"y ~ 1 + {bar}").random[0].blocks == blocks


def test_the_same_effect_twice_is_refused_with_its_place():
    with pytest.raises(FormulaError, match="Intercept varies over g") as caught:
        made("y ~ x + (1 | g) + (x | g)")
    assert caught.value.start == 18


def test_offsets_are_added_up():
    design = made("y ~ x + offset(log(n)) + offset(h)", offset="n")
    np.testing.assert_allclose(design.offset, np.log(FRAME["n"]) + FRAME["h"] + FRAME["n"])
    assert made("y ~ x").offset is None


def test_binary_responses():
    boolean = FRAME.assign(y=[True, False, True, True, False, False])
    assert made("y ~ x", boolean, response="binary").y.tolist() == [1, 0, 1, 1, 0, 0]
    levels = pd.Categorical(list("ynyynn"), categories=["y", "q", "n"])
    coded = made("y ~ x", FRAME.assign(y=levels), response="binary")
    assert coded.y.tolist() == [0, 1, 0, 0, 1, 1]
    assert made("y ~ x", response="binary").y.tolist() == FRAME["y"].tolist()


def test_options_are_checked():
    with pytest.raises(ValueError, match="missing must be 'drop' or 'raise'"):
        made("y ~ x", missing="omit")
    with pytest.raises(ValueError, match="'numeric', 'binary'"):
        made("y ~ x", response="count")


def test_functions_and_columns_of_one_name_do_not_meet():
    frame = FRAME.rename(columns={"x": "exp", "n": "np", "h": "C"})
    design = made("y ~ exp + exp(exp) + np.log(np) + C(C)", frame)
    assert design.fixed_names == ("Intercept", "exp", "exp(exp)", "np.log(np)", "C(C)[T.2]")
    np.testing.assert_allclose(design.columns[1], np.exp(FRAME["x"]))


def test_names_that_python_cannot_read():
    frame = FRAME.rename(columns={"x": "a.b", "n": "class", "f": "é à", "g": "日本"})
    design = made("y ~ a.b + log(`a.b`) + log(class) + `é à` + (1 | 日本)", frame)
    assert design.fixed_names == (
        "Intercept", "a.b", "log(`a.b`)", "log(`class`)", "é à[T.b]", "é à[T.c]",
    )  # fmt: skip
    np.testing.assert_allclose(design.columns[2], np.log(FRAME["n"]))


def test_unprefixed_functions():
    columns = made("y ~ log(x) + log2(x) + log10(x) + exp(x) + sqrt(x) + np.sin(x)").columns
    functions = (np.log, np.log2, np.log10, np.exp, np.sqrt, np.sin)
    for column, function in zip(columns, functions, strict=True):
        np.testing.assert_allclose(column, function(FRAME["x"]))


def test_designs_pickle_and_copy():
    design = made("y ~ poly(x, 2)*f + offset(n) + (x || g/h)", weights="n")
    for twin in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design)):
        np.testing.assert_array_equal(twin.X, design.X)
        for term, other in zip(design.random, twin.random, strict=True):
            np.testing.assert_array_equal(term.codes, other.codes)
            assert list(term.levels) == list(other.levels)
            assert term.blocks == other.blocks
