"""Tables of every kind, and names that are not there."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ranef.design import build, encode
from ranef.errors import DataError, FormulaError
from ranef.formula import parse

RNG = np.random.default_rng(4)
N = 400
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": np.where(RNG.random(N) < 0.05, np.nan, RNG.normal(size=N)),
        "k": RNG.integers(0, 5, N),
        "f": pd.Categorical(RNG.choice([*"qrs", None], N), categories=list("srzq")),
        "s": pd.Series(RNG.choice([*"abc", None], N), dtype=object),
        "b": RNG.random(N) > 0.5,
        "g": RNG.integers(10, 20, N),
        "w": RNG.uniform(1, 2, N),
    }
)
TEXT = "y ~ x*f + s + b + poly(k, 2) + C(k) + offset(w) + (x | g) + (1 | s/f)"


def polars_frame():
    columns = {name: FRAME[name].to_numpy() for name in ("y", "k", "b", "g", "w")}
    return pl.DataFrame(
        {
            **columns,
            "x": [None if np.isnan(v) else v for v in FRAME["x"]],
            "f": pl.Series(
                [v if isinstance(v, str) else None for v in FRAME["f"]],
                dtype=pl.Enum(list("srzq")),
            ),
            "s": FRAME["s"].tolist(),
        }
    )


TABLES = {
    "arrow": lambda: pa.Table.from_pandas(FRAME),
    "arrow in chunks": lambda: pa.concat_tables(
        [pa.Table.from_pandas(FRAME[:150]), pa.Table.from_pandas(FRAME[150:])]
    ),
    "polars": polars_frame,
    "polars in chunks": lambda: pl.concat(
        [polars_frame()[:90], polars_frame()[90:]], rechunk=False
    ),
    "dict of series": lambda: dict(FRAME.items()),
    "dict of arrays": lambda: {name: FRAME[name].array for name in FRAME},
    "extension types": lambda: FRAME.convert_dtypes(),
    "arrow types": lambda: FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "no labels": lambda: FRAME.sample(frac=1, random_state=1).sort_index().set_axis([0] * N),
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_table_gives_the_same_design(kind):
    ours, theirs = build(parse(TEXT), FRAME), build(parse(TEXT), table := TABLES[kind]())
    assert theirs.fixed_names == ours.fixed_names
    assert theirs.dropped == ours.dropped
    for a, b in ((ours.y, theirs.y), (ours.offset, theirs.offset), (ours.X, theirs.X)):
        np.testing.assert_array_equal(a, b)
    for term, other in zip(ours.random, theirs.random, strict=True):
        np.testing.assert_array_equal(term.codes, other.codes)
        assert list(term.levels) == list(other.levels)
    np.testing.assert_array_equal(encode(ours, FRAME).X, encode(ours, table).X)


def test_categoricals_of_polars_are_sorted():
    table = polars_frame().with_columns(pl.col("f").cast(pl.String).cast(pl.Categorical))
    design = build(parse("y ~ f + (1 | f)"), table)
    assert design.fixed_names == ("Intercept", "f[T.r]", "f[T.s]")
    assert list(design.random[0].levels) == ["q", "r", "s"]


def test_a_structured_array():
    design = build(parse("y ~ w"), FRAME[["y", "w"]].to_records(index=False))
    np.testing.assert_array_equal(design.columns[0], FRAME["w"])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (pl.DataFrame({"y": [1.0]}).lazy(), "collect"),
        (None, "NoneType"),
        ([1, 2], "builtins.list"),
        (np.ones((3, 2)), "ndarray"),
        ({"y": [1.0, 2], "x": [1.0]}, "differ in length: 'y' has 2, 'x' has 1"),
        ({"y": np.ones((2, 2))}, "column 'y' cannot be read"),
        ({}, "no rows"),
        (pl.DataFrame({"y": [[1.0], [2.0]], "x": [1, 2]}), "unusable types"),
        (pl.DataFrame({"y": [{"a": 1}], "x": [1]}), "not one value a row"),
    ],
)
def test_data_that_are_no_table(data, match):
    with pytest.raises(DataError, match=match):
        build(parse("y ~ x"), data)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Y ~ x", "no column 'Y'; did you mean 'y'"),
        ("y ~ xx", "no column 'xx'; did you mean 'x'"),
        ("y ~ log(ww)", "no column 'ww'; did you mean 'w'"),
        ("y ~ x + (1 | G)", "no column 'G'; did you mean 'g'"),
        ("y ~ x + (1 | g:qqqq)", "no column 'qqqq'$"),
        ("y ~ offset(W)", "no column 'W'; did you mean 'w'"),
        ("y ~ FRAME", "no column 'FRAME'"),
        ("y ~ np", "no column 'np'"),
    ],
)
def test_columns_that_are_not_there(text, match):
    with pytest.raises(DataError, match=match):
        build(parse(text), FRAME)


@pytest.mark.parametrize(
    ("text", "match", "place"),
    [
        ("y ~ x + lgo(w)", r"lgo\(\).*did you mean 'log'", 8),
        ("y ~ arcsinh(w)", "np.arcsinh", 4),
        ("y ~ x(1 | g)", r"is a \+ missing", 4),
        ("y ~ {__import__('os')}", "not a function", 5),
        ("y ~ x + open(w)", "not a function", 8),
    ],
)
def test_functions_that_formulas_do_not_know(text, match, place):
    with pytest.raises(FormulaError, match=match) as caught:
        build(parse(text), FRAME)
    assert caught.value.start == place


def test_names_of_the_caller_are_not_seen():
    secret = FRAME["x"]
    with pytest.raises(DataError, match="no column 'secret'"):
        build(parse("y ~ secret"), FRAME)
    assert len(secret) == N


def test_a_dotted_name_inside_an_expression():
    frame = FRAME.rename(columns={"w": "a.b"})
    with pytest.raises(DataError, match=r"write a\.b in backquotes"):
        build(parse("y ~ log(a.b)"), frame)


def test_columns_of_one_name():
    frame = pd.concat([FRAME, FRAME[["x"]]], axis=1)
    with pytest.raises(DataError, match="2 columns of the data are called 'x'"):
        build(parse("y ~ x"), frame)
    assert build(parse("y ~ w + (1 | g)"), frame).n_obs == N


@pytest.mark.parametrize(
    ("text", "names", "match"),
    [
        ("y ~ Intercept", {"w": "Intercept"}, "two coefficients would be called 'Intercept'"),
        ("y ~ s + `s[T.b]`", {"w": "s[T.b]"}, "two coefficients would be called"),
        ("y ~ 1 + (w | g)", {"w": "Intercept"}, None),
        (
            "y ~ 1 + (1 | `a:b`) + (1 | a:b)",
            {"k": "a:b", "b": "b", "g": "a"},
            "two grouping factors",
        ),
    ],
)
def test_names_that_would_be_given_twice(text, names, match):
    frame = FRAME.rename(columns=names)
    if match is None:
        text = text.replace("w", "Intercept")
        match = "two coefficients"
    with pytest.raises(DataError, match=match):
        build(parse(text), frame)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("y ~ I(1)", "single value"),
        ("y ~ {x[:3]}", "gives 3 values for 400 rows"),
        ("y ~ x.nothing", "no column|cannot compute"),
        ("y ~ {x.nothing}", "not part of the language of formulas"),
        ("y ~ {w / s}", "cannot compute"),
        ("y ~ C(C(k))", "twice"),
        ("y ~ offset(s)", "one column of numbers"),
        ("y ~ offset(poly(w, 2))", "one column of numbers"),
        ("y ~ C(s, contr.treatment('z'))", "contrasts"),
        ("y ~ C(s, 'summ')", "no contrasts 'summ'"),
        ("y ~ C(s, [[1], [2]])", "contrasts"),
    ],
)
def test_expressions_that_give_no_column(text, match):
    with pytest.raises((DataError, FormulaError), match=match):
        build(parse(text), FRAME)


@pytest.mark.parametrize(
    ("contrasts", "match"),
    [
        ({"S": "sum"}, "not in the formula; did you mean 's'"),
        ({"s": "summ"}, "there are no contrasts 'summ'"),
        ({"w": "sum"}, "which is numeric"),
        ({"s": np.eye(2)}, "contrasts of 's' do not fit"),
        ({"s": 3}, "contrasts"),
    ],
)
def test_contrasts_that_do_not_fit(contrasts, match):
    with pytest.raises(DataError, match=match):
        build(parse("y ~ s + w"), FRAME, contrasts=contrasts)
