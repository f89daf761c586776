"""Linear hypotheses, in words and as matrices."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef import datasets
from ranef.inference.hypotheses.text import parse_hypotheses

NAMES = ["Intercept", "x", "x2", "f[T.b]", "f[T.b]:x", "I(x ** 2)", "my col", "a, b", "-z"]


@pytest.fixture(scope="module")
def model():
    return ranef.lmer(
        "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)", datasets.load("Machines")
    )


def row(**weights):
    names = {"one": "Intercept", "fb": "f[T.b]", "fbx": "f[T.b]:x", "sq": "I(x ** 2)"}
    out = np.zeros(len(NAMES))
    for key, value in weights.items():
        out[NAMES.index(names.get(key, key))] = value
    return out


@pytest.mark.parametrize(
    ("text", "rows", "values"),
    [
        ("x", [row(x=1)], [0]),
        ("x = 0.1", [row(x=1)], [0.1]),
        ("x == 1e-1", [row(x=1)], [0.1]),
        ("x = 0, x2 = 1", [row(x=1), row(x2=1)], [0, 1]),
        ("x = x2 = 3", [row(x=1, x2=-1), row(x2=1)], [0, 3]),
        ("2*x - x2/4 = 1", [row(x=2, x2=-0.25)], [1]),
        ("f[T.b]:x - f[T.b]", [row(fbx=1, fb=-1)], [0]),
        ("I(x ** 2) = x", [row(sq=1, x=-1)], [0]),
        ("`my col` = 2; `a, b`", [row(**{"my col": 1}), row(**{"a, b": 1})], [2, 0]),
        ("my col=2", [row(**{"my col": 1})], [2]),
        ("a, b = 1, x", [row(**{"a, b": 1}), row(x=1)], [1, 0]),
        ("(x + x2) / 2 - Intercept", [row(x=0.5, x2=0.5, one=-1)], [0]),
        ("-(x - 3*(x2 + 1)) = 0", [row(x=-1, x2=3)], [-3]),
        ("1 - x = 0", [row(x=-1)], [-1]),
        ("x-2*x2", [row(x=1, x2=-2)], [0]),
    ],
)
def test_expressions(text, rows, values):
    L, value, labels = parse_hypotheses(text, NAMES)
    assert_allclose(L, rows)
    assert_allclose(value, values)
    assert len(labels) == len(rows)


def test_labels_are_as_written():
    assert parse_hypotheses(" x - x2 = 1 ,  x", NAMES)[2] == ["x - x2 = 1", "x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = 0", r"'y' is no coefficient of the fixed part"),
        ("F[T.b] = 0", r"did you mean 'f\[T.b\]'\?"),
        ("f[T.c] = 0", r"did you mean 'f\[T.b\]'\?"),
        ("`my coll`", r"did you mean 'my col'\?"),
        ("x * x2 = 0", "must be linear"),
        ("x / 0", "must be linear"),
        ("1 / x", "must be linear"),
        ("x = ", "at 'the end'"),
        ("x x2", "at 'x2'"),
        ("(x", r"at '\('"),
        ("x,, x2", "missing between separators"),
        ("", "missing between separators"),
        ("1 = 1", "no coefficient is left"),
        ("x - x", "no coefficient is left"),
    ],
)
def test_what_cannot_be_read_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        parse_hypotheses(text, NAMES)


def test_one_hypothesis_is_the_t_test(model):
    found = model.test("Machine[T.B] = 0")
    want = model.coef_table().loc["Machine[T.B]"]
    assert_allclose(found.table.iloc[0], want, rtol=1e-10)
    assert_allclose(
        [found.F, found.num_df, found.den_df, found.pvalue],
        [want.t**2, 1, want.df, want.pvalue],
        rtol=1e-10,
    )


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "residual", "inf"])
def test_all_contrasts_of_a_factor_are_its_anova(model, ddf):
    found = model.test("Machine[T.B], Machine[T.C]", ddf=ddf)
    want = model.anova(ddf=ddf).loc["Machine"]
    assert_allclose([found.F, found.den_df, found.pvalue], want[["F", "den_df", "pvalue"]])


def test_joint_test_of_any_equivalent_rows_is_the_same(model):
    words = model.test("Machine[T.B] = 5, Machine[T.C] = 10")
    matrix = model.test([[0, 2, 0], [0, 1, 1], [0, 0, 3]], [10, 15, 30])
    assert_allclose([words.F, words.num_df], [matrix.F, 2], rtol=1e-10)
    gap = model.params.to_numpy()[1:] - [5, 10]
    cov = model.cov_params().to_numpy()[1:, 1:]
    assert_allclose(words.F, gap @ np.linalg.solve(cov, gap) / 2, rtol=1e-10)


def test_infinite_df_are_chi_squared(model):
    found = model.test("Machine[T.B], Machine[T.C]", ddf="inf")
    assert found.den_df == np.inf
    assert_allclose(found.pvalue, np.exp(-found.F), rtol=1e-10)  # chi-squared of 2 df: exp(-x / 2)


def test_contradictions_and_bad_matrices(model):
    with pytest.raises(ValueError, match="contradict each other"):
        model.test("Machine[T.B] = 1, Machine[T.B] = 2")
    with pytest.raises(ValueError, match="a column for each of the 3 coefficients"):
        model.test(np.eye(4))
    with pytest.raises(ValueError, match="missing or infinite"):
        model.test([0, np.nan, 1])


@pytest.mark.filterwarnings("ignore::ranef.errors.RankWarning")
def test_an_aliased_coefficient_has_no_test():
    data = datasets.load("sleepstudy")
    data["twice"] = 2 * data.Days
    model = ranef.lmer("Reaction ~ Days + twice + (Days | Subject)", data)
    with pytest.raises(ValueError, match="'twice' is a combination of other columns"):
        model.test("twice = 0")
    assert_allclose(model.test("Days").F, model.tvalues["Days"] ** 2)
    # Days + 2 twice is what the data tell about.
    assert_allclose(model.test("Days + 2 * twice").F, model.tvalues["Days"] ** 2)


def test_the_result_reads_as_a_sentence(model):
    found = model.test("Machine[T.B] = 0, Machine[T.C] = 10")
    assert repr(found).startswith("F(2, 10) = ")
    assert "(satterthwaite)" in repr(found)
    assert "Machine[T.C] = 10" in repr(found)
    assert "<table" in found._repr_html_()
    assert isinstance(found.table, pd.DataFrame)
