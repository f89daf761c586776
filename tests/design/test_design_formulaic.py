"""Our columns against formulaic's own, whose grammar and spelling we promise."""

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ranef.design import build
from ranef.errors import FormulaError
from ranef.formula import parse, update

RNG = np.random.default_rng(20)
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=60),
        "x": RNG.normal(size=60),
        "z": RNG.uniform(1, 5, size=60),
        "k": np.tile([3, 1, 2], 20),
        "f": pd.Categorical(RNG.choice(list("qrs"), 60), categories=list("rqs")),
        "a": RNG.choice(["u", "v"], 60),
        "b.1": RNG.choice(["m", "n", "o"], 60),
    }
)

SINGLE = st.sampled_from(
    [
        "x", "z", "f", "a", "`b.1`", "I(x**2)", "{x + z}", "np.exp(x)", "log(z)", "poly(z, 2)",
        "bs(x, df=4)", "bs(z, df=5, include_intercept=True)", "scale(x)", "center(z)", "C(k)",
        "C(f, contr.sum)", "C(f, contr.helmert)", "C(f, contr.poly)", "C(a, contr.diff)",
        "C(f, contr.treatment('q'))", "C(f, contr.SAS)", "C(k, levels=[2, 3, 1])",
        "C(f, {'low': [1, 0, -1]})",
    ]
)  # fmt: skip
PRODUCT = st.lists(SINGLE, min_size=1, max_size=3, unique=True).map(":".join)
CROSSED = st.lists(SINGLE, min_size=2, max_size=2, unique=True).map("*".join)
NESTED = st.lists(SINGLE, min_size=2, max_size=2, unique=True).map("/".join)
POWER = st.lists(SINGLE, min_size=2, max_size=3, unique=True).map(
    lambda parts: f"({' + '.join(parts)})**2"
)
RIGHT = st.tuples(
    st.sampled_from(["", "0 + ", "1 + "]),
    st.lists(st.one_of(SINGLE, PRODUCT, CROSSED, NESTED, POWER), min_size=1, max_size=3),
    st.sampled_from(["", " - 1", " - x", " + 0", " - a:x"]),
).map(lambda parts: parts[0] + " + ".join(parts[1]) + parts[2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RIGHT)
def test_columns_and_names_equal_formulaics(right: str) -> None:
    theirs = formulaic.model_matrix(right, FRAME)
    try:
        ours = build(parse(f"y ~ {right}"), FRAME)
    except FormulaError as error:
        pytest.fail(str(error))
    assert list(ours.fixed_names) == list(theirs.columns)
    np.testing.assert_allclose(ours.X, theirs.to_numpy(dtype=float), rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(RIGHT)
def test_left_of_a_bar_is_coded_like_a_fixed_part(right: str) -> None:
    frame = FRAME.assign(g=np.arange(60) % 7)
    fixed = build(parse(f"y ~ {right}"), frame)
    if not fixed.fixed:
        return
    term = (design := build(parse(f"y ~ 1 + ({right} | g)"), frame)).random[0]
    assert term.names == fixed.fixed_names
    np.testing.assert_array_equal(design.z(term), fixed.X)


@settings(max_examples=40, deadline=None)
@given(RIGHT)
def test_an_update_that_changes_nothing_keeps_the_columns(right: str) -> None:
    formula = parse(f"y ~ {right}")
    same = update(formula, ". ~ .")
    assert [term.name for term in same.terms] == [term.name for term in formula.terms]
    assert build(same, FRAME).fixed_names == build(formula, FRAME).fixed_names
