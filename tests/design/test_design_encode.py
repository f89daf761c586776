"""New rows in terms of a design."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from ranef.design import build, encode
from ranef.errors import DataError
from ranef.formula import parse

RNG = np.random.default_rng(12)
N = 120
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(1, 4, size=N),
        "k": RNG.integers(0, 3, size=N),
        "f": pd.Categorical(RNG.choice(list("pqr"), N), categories=list("qrps")),
        "s": RNG.choice(list("abc"), N),
        "b": RNG.random(N) > 0.5,
        "g": RNG.integers(10, 16, size=N),
        "t": RNG.uniform(1, 2, size=N),
    }
)
TEXT = "y ~ poly(x, 2)*f + C(k) + b + s + offset(log(t)) + (x | g) + (1 | s/f)"
DESIGN = build(parse(TEXT), FRAME, offset="t")
NEW = FRAME.iloc[40:44].drop(columns="y")


def test_rows_of_the_fit_come_back():
    rows = encode(DESIGN, FRAME.drop(columns="y"))
    np.testing.assert_allclose(rows.X, DESIGN.X, atol=1e-14)
    np.testing.assert_allclose(rows.offset, DESIGN.offset)
    assert not rows.missing.any()
    for term, new in zip(DESIGN.random, rows.terms, strict=True):
        assert new.group == term.group
        np.testing.assert_array_equal(new.codes, term.codes)
        np.testing.assert_array_equal(new.z, DESIGN.z(term))


def test_one_row_alone_and_the_index():
    rows = encode(DESIGN, NEW)
    assert rows.index.equals(NEW.index)
    for i in range(len(NEW)):
        np.testing.assert_allclose(encode(DESIGN, NEW.iloc[[i]]).X[0], rows.X[i])


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_encode_alike(twin):
    np.testing.assert_array_equal(encode(twin(DESIGN), NEW).X, encode(DESIGN, NEW).X)


def test_a_dict_of_single_values_is_a_row():
    values = {name: NEW[name].tolist()[0] for name in NEW}
    np.testing.assert_allclose(encode(DESIGN, values).X[0], encode(DESIGN, NEW).X[0])


def test_no_rows():
    rows = encode(DESIGN, NEW.iloc[:0])
    assert rows.X.shape == (0, len(DESIGN.fixed))
    assert rows.terms[0].codes.shape == (0,)


def test_missing_values_stay_as_rows():
    new = NEW.assign(x=[np.nan, 2, 2, 2], s=["a", None, "b", "c"], g=[10, 11, np.nan, 12])
    rows = encode(DESIGN, new)
    assert rows.missing.tolist() == [True, True, True, False]
    assert np.isnan(rows.X[:3]).all()
    assert np.isfinite(rows.X[3]).all()
    assert np.isnan(rows.terms[0].z[:3]).all()
    assert rows.terms[0].codes[2] == -1


def test_a_column_of_nothing_is_missing():
    assert encode(DESIGN, NEW.assign(x=None)).missing.all()


@pytest.mark.parametrize(
    ("random", "chosen"),
    [
        (True, [True, True, True]),
        (None, [True, True, True]),
        (False, [False, False, False]),
        ((), [False, False, False]),
        ("g", [True, False, False]),
        (["s:f"], [False, False, True]),
    ],
)
def test_terms_are_chosen(random, chosen):
    rows = encode(DESIGN, NEW, random=random)
    assert [term is not None for term in rows.terms] == chosen


def test_columns_of_terms_not_asked_for_need_not_be_there():
    encode(DESIGN, NEW.drop(columns="g"), random=["s"])
    with pytest.raises(DataError, match="no column 'g'"):
        encode(DESIGN, NEW.drop(columns="g"))
    with pytest.raises(ValueError, match="there are g, s, s:f"):
        encode(DESIGN, NEW, random=["h"])


def test_new_levels_of_a_grouping_factor():
    new = NEW.assign(g=[10, 98, 99, 98])
    with pytest.raises(DataError, match="'g' has levels that the fit did not see: '98', '99'"):
        encode(DESIGN, new)
    codes = encode(DESIGN, new, new_levels="population").terms[0].codes
    assert codes.tolist() == [0, -1, -1, -1]
    with pytest.raises(ValueError, match="must be 'raise' or 'population'"):
        encode(DESIGN, new, new_levels="ignore")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"f": "new"},
            "'f' has the level 'new', which the fit did not see; it knows 'q', 'r', 'p'",
        ),
        ({"f": "s"}, "'f' has the level 's'"),
        ({"s": "d"}, "'s' has the level 'd'"),
        ({"k": 7}, r"'C\(k\)' has the level 7"),
        ({"x": "a"}, r"poly\(x, 2\)"),
        ({"x": np.inf}, "infinite"),
        ({"t": "a"}, "offset must be numbers|log"),
    ],
)
def test_what_the_fit_did_not_see_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        encode(DESIGN, NEW.assign(**change), new_levels="population")


def test_numbers_and_texts_do_not_change_places():
    design = build(parse("y ~ x + s"), FRAME)
    with pytest.raises(DataError, match="'x' was numeric in the fit"):
        encode(design, NEW.assign(x="a"))
    with pytest.raises(DataError, match="level 1"):
        encode(design, NEW.assign(s=1))


@pytest.mark.parametrize("kind", [str, float, "Int64", "category", object])
def test_levels_are_found_by_what_they_read(kind):
    design = build(parse("y ~ 1 + (1 | g)"), FRAME)
    codes = encode(design, NEW.astype({"g": kind})).terms[0].codes
    np.testing.assert_array_equal(codes, design.random[0].codes[40:44])


def test_an_array_as_offset_cannot_be_had_for_new_rows():
    design = build(parse("y ~ x + (1 | g)"), FRAME, offset=np.ones(N))
    with pytest.raises(DataError, match="offset given as an array"):
        encode(design, NEW)


def test_values_outside_a_b_spline():
    design = build(parse("y ~ bs(x, df=4)"), FRAME)
    with pytest.raises(DataError, match="extrapolation"):
        encode(design, NEW.assign(x=100.0))
    extended = build(parse("y ~ bs(x, df=4, extrapolation='extend')"), FRAME)
    assert np.isfinite(encode(extended, NEW.assign(x=100.0)).X).all()


def test_full_rank_coding_does_not_depend_on_the_new_rows():
    design = build(parse("y ~ 0 + f + f:x"), FRAME)
    rows = encode(design, FRAME[FRAME["f"] == "q"].iloc[:3])
    assert rows.X.shape == (3, 6)
    np.testing.assert_array_equal(rows.X[:, :3], [[1, 0, 0]] * 3)


@pytest.mark.parametrize(
    "expr",
    [
        "I(x - x.mean())",
        "I((x - np.mean(x)) / np.std(x))",
        "{x / max(x)}",
        "I(x > np.median(x))",
        "I(k - min(k))",
        "I((x - x.quantile(0.25)) / (x.max() - x.min()))",
    ],
)
def test_summaries_of_a_column_are_those_of_the_fit(expr):
    design = build(parse(f"y ~ {expr} + (1 | g)"), FRAME)
    np.testing.assert_allclose(encode(design, FRAME).X, design.X, atol=1e-14)
    for i in (0, 7):
        np.testing.assert_allclose(encode(design, FRAME.iloc[[i]]).X[0], design.X[i], atol=1e-14)
