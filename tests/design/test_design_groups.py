"""Grouping factors: codes and labels."""

import numpy as np
import pandas as pd
import pytest

from ranef.design import build, encode
from ranef.formula import parse


def term(group, frame, position=-1):
    frame = frame.assign(y=np.arange(float(len(frame))))
    return build(parse(f"y ~ 1 + (1 | {group})"), frame).random[position]


def check(values, levels, labels=None):
    """The codes give the values back, every level occurs, and the order is right."""
    found = term("g", pd.DataFrame({"g": values}))
    assert list(found.levels) == levels
    spelled = [found.levels[code] for code in found.codes]
    assert spelled == list(labels if labels is not None else values)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "b", "ä"], ["a", "b", "ä"]),
        ([10, 9, 10, 2], [2, 9, 10]),
        ([-5, 3, 2**62, -5], [-5, 3, 2**62]),
        ([2.5, 1.0, 10.0, 2.5], [1.0, 2.5, 10.0]),
        ([True, False, True, True], [False, True]),
    ],
)
def test_levels_are_sorted(values, levels):
    check(values, levels)


def test_whole_floats_are_integers():
    found = term("g", pd.DataFrame({"g": [3.0, np.nan, 1.0, 3.0]}))
    assert found.levels.tolist() == [1, 3]
    assert found.levels.dtype == np.int64


def test_categories_keep_their_order_and_lose_unused_ones():
    check(pd.Categorical(list("baab"), categories=list("zbya")), ["b", "a"])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_integers_of_every_width(dtype):
    low, high = max(np.iinfo(dtype).min, -(2**40)), min(np.iinfo(dtype).max, 2**40)
    check(np.array([high, low, high, low + 1], dtype=dtype), [low, low + 1, high])
    check(np.array([high, high - 2, high, high - 1], dtype=dtype), [high - 2, high - 1, high])


@pytest.mark.parametrize("dtype", ["string", "str", "Int64", "boolean", "category"])
def test_extension_types(dtype):
    values = [1, 0, 1, 1] if dtype in ("Int64", "boolean") else ["q", "p", "q", "q"]
    check(pd.Series(values).astype(dtype), sorted(set(pd.Series(values).astype(dtype))))


def test_interactions_are_labelled_and_sorted_by_their_parts():
    frame = pd.DataFrame({"a": [10, 2, 10, 2, 10], "b": list("yxxxy"), "c": [1, 1, 2, 1, 1]})
    found = term("a:b", frame)
    assert list(found.levels) == ["2:x", "10:x", "10:y"]
    assert found.codes.tolist() == [2, 0, 1, 0, 2]
    three = term("a:b:c", frame)
    assert list(three.levels) == ["2:x:1", "10:x:2", "10:y:1"]
    assert three.codes.tolist() == [2, 0, 1, 0, 2]
    assert term("b:a", frame).levels[0] == "x:2"


def test_nesting():
    frame = pd.DataFrame({"a": list("ppqq"), "b": [1, 2, 1, 2]})
    frame["y"] = 1.0 * np.arange(4)
    outer, inner = build(parse("y ~ 1 + (1 | a/b)"), frame).random
    assert (outer.group, inner.group) == ("a", "a:b")
    assert list(inner.levels) == ["p:1", "p:2", "q:1", "q:2"]


@pytest.mark.parametrize("many", [False, True])
def test_interactions_against_a_plain_computation(many):
    rng = np.random.default_rng(5)
    a, b, c = rng.integers(0, 900 if many else 6, size=(3, 2000))
    frame = pd.DataFrame({"a": a, "b": b, "c": c})
    found = term("a:b:c", frame)
    expected = sorted(set(zip(a, b, c, strict=True)))
    assert list(found.levels) == [":".join(map(str, key)) for key in expected]
    place = {key: i for i, key in enumerate(expected)}
    assert found.codes.tolist() == [place[key] for key in zip(a, b, c, strict=True)]
    assert found.n_levels == len(expected)


def test_new_rows_of_an_interaction():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"a": rng.integers(0, 30, 200), "b": rng.choice(list("xyz"), 200)})
    frame["y"] = rng.normal(size=200)
    design = build(parse("y ~ 1 + (1 | a:b)"), frame)
    everything = pd.DataFrame([(a, b) for a in range(32) for b in "wxyz"], columns=["a", "b"])
    codes = encode(design, everything, new_levels="population").terms[0].codes
    known = {label: code for code, label in enumerate(design.random[0].levels)}
    wanted = [known.get(f"{a}:{b}", -1) for a, b in everything.itertuples(index=False)]
    assert codes.tolist() == wanted


def test_a_million_levels():
    group = np.random.default_rng(7).permutation(1_000_000)
    found = term("g", pd.DataFrame({"g": group}))
    assert found.n_levels == 1_000_000
    np.testing.assert_array_equal(found.codes, group)
