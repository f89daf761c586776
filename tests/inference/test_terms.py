"""Tests of terms of types 1, 2 and 3, and of random-effects terms."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from ranef import datasets
from ranef.errors import RankWarning, SingularFitWarning

empty_cell = pytest.mark.filterwarnings("ignore::ranef.errors.RankWarning")


def uneven(*, empty_cell):
    """Give an unbalanced two-way layout with a covariate, by arithmetic that R can repeat."""
    i = np.arange(120)
    data = pd.DataFrame(
        {
            "g": (i * i + 3 * i) % 17,
            "a": np.array(list("pqr"))[(i * 5 + i // 7) % 3],
            "b": np.array(list("uvwx"))[(i * 3 + i // 5) % 4],
            "x": (i * 37 % 23) / 10,
        }
    )
    data["y"] = (i * 7919) % 101 / 20 + data.g % 5 + data.x * (data.a == "q") + 2 * (data.b == "v")
    data = data[(data.a != "r") | (data.b != "w")]
    return data if empty_cell else data[data.b != "w"]


# R 4.2.2, lmerTest 3.1-3: y ~ a * b + (1 | g) without level w; sum_sq, den_df, F of a, b, a:b.
COMPLETE = {
    1: [
        (30.56485244, 79.5482699, 5.865339550),
        (104.0910364, 79.4913401, 19.974880412),
        (4.23602898, 80.5967504, 0.406443126),
    ],
    2: [
        (34.86491703, 79.5516058, 6.690514117),
        (104.0910364, 79.4913401, 19.974880412),
        (4.23602898, 80.6605987, 0.406443126),
    ],
    3: [
        (32.37322176, 79.8993176, 6.212362330),
        (93.87222678, 79.5514838, 18.013909453),
        (4.23602898, 80.6605987, 0.406443126),
    ],
}

# The same packages: y ~ a * b + a * x + (1 | g) with an empty cell; F of a, b, x, a:b, a:x.
WITH_EMPTY_CELL = {
    1: [6.624017100, 19.072315062, 15.408397260, 0.450577854, 3.141474185],
    2: [0.239001911, 19.806588961, 15.374746398, 0.540788878, 3.141474185],
    3: [0.347312750, 18.889321378, 16.729688768, 0.540788878, 3.141474185],
}


# The same packages: den_df of the same, and of the same formula without level w, where a has
# contr.sum and b contr.helmert.
DF_WITH_EMPTY_CELL = {
    1: [92.22271647, 92.48488430, 92.29910445, 93.21812581, 92.73985650],
    2: [92.45545366, 92.49702475, 92.36389878, 93.24668724, 92.74528360],
    3: [92.37092399, 92.62922416, 92.42795362, 93.24668724, 92.74528360],
}
DF_OF_SUMS = {
    1: [76.46934828, 76.40988895, 76.45279442, 77.36876375, 76.90397494],
    2: [76.69961660, 76.42940596, 76.52568978, 77.34811292, 76.89807334],
    3: [76.60218958, 76.49485700, 76.42117952, 77.33688838, 76.90835651],
}


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_types_agree_with_lmertest(kind):
    table = ranef.lmer("y ~ a * b + (1 | g)", uneven(empty_cell=False)).anova(type=kind)
    assert table.index.tolist() == ["a", "b", "a:b"]
    assert_allclose(table[["sum_sq", "den_df", "F"]], COMPLETE[kind], rtol=1e-5)
    assert table.num_df.tolist() == [2, 2, 4]
    assert_allclose(table.mean_sq, table.sum_sq / table.num_df)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_types_agree_with_lmertest_where_a_cell_is_empty(kind):
    with pytest.warns(RankWarning):
        model = ranef.lmer("y ~ a * b + a * x + (1 | g)", uneven(empty_cell=True))
    table = model.anova(type=kind)
    assert table.num_df.tolist() == [2, 3, 1, 5, 2]
    assert_allclose(table.F, WITH_EMPTY_CELL[kind], rtol=1e-5)
    assert_allclose(table.den_df, DF_WITH_EMPTY_CELL[kind], rtol=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_degrees_of_freedom_of_a_coding_agree_with_lmertest(kind):
    model = ranef.lmer(
        "y ~ a * b + a * x + (1 | g)",
        uneven(empty_cell=False),
        contrasts={"a": "contr.sum", "b": "contr.helmert"},
    )
    assert_allclose(model.anova(type=kind).den_df, DF_OF_SUMS[kind], rtol=1e-6)


@empty_cell
def test_kenward_roger_by_terms():
    table = ranef.lmer("y ~ a * b + a * x + (1 | g)", uneven(empty_cell=True)).anova(
        ddf="kenward-roger"
    )
    # R 4.2.2, lmerTest 3.1-3 with pbkrtest 0.5.2.
    assert_allclose(
        table.den_df, [92.2906152, 92.5521685, 92.3478594, 93.1700074, 92.6662673], rtol=1e-5
    )
    assert_allclose(
        table.F, [0.346949834, 18.848065578, 16.712615372, 0.540034009, 3.139286156], rtol=1e-5
    )


# R 4.2.2, lmerTest 3.1-3 (pbkrtest 0.5.2): a split plot; F and df of recipe, temperature and both.
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_balanced_split_plot_is_the_same_in_every_way(kind, ddf):
    model = ranef.lmer(
        "angle ~ recipe * temperature + (1 | recipe:replicate)", datasets.load("cake")
    )
    table = model.anova(type=kind, ddf=ddf)
    assert_allclose(table.F, [0.2487887871, 20.51986043, 1.006197984], rtol=1e-6)
    assert_allclose(table.den_df, [42, 210, 210], rtol=0, atol=1e-5)


def test_kenward_roger_scales_f_where_moments_ask_for_it():
    model = ranef.lmer("score ~ Machine + (0 + Machine | Worker)", datasets.load("Machines"))
    # R 4.2.2, lmerTest 3.1-3, pbkrtest 0.5.2. Hotelling's T squared: 4/5 of Wald's F, on 2 and 4.
    row = model.anova(ddf="kenward-roger").iloc[0]
    assert_allclose([row.F, row.den_df], [32.80301479, 4], rtol=1e-6)
    plain = model.anova().iloc[0]
    assert_allclose([plain.F, plain.den_df], [41.00376848, 5], rtol=1e-6)
    assert_allclose(row.F, 0.8 * plain.F, rtol=1e-6)


CODINGS = [
    {"a": "sum", "b": "helmert"},
    {"a": "poly", "b": "sum"},
    {"b": np.array([[3.0, 1, 0], [1, 2, 0], [0, -1, 5], [1, 1, 1]])},
]


@empty_cell
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("formula", ["y ~ a * b + (1 | g)", "y ~ a * b + a * x + (1 | g)"])
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_type_3_does_not_depend_on_the_coding(coding, formula, ddf):
    data = uneven(empty_cell=True)
    plain = ranef.lmer(formula, data).anova(ddf=ddf)
    coded = ranef.lmer(formula, data, contrasts=coding).anova(ddf=ddf)
    pd.testing.assert_frame_equal(plain, coded, rtol=1e-6)


def test_type_3_of_a_main_effect_compares_unweighted_means():
    data = uneven(empty_cell=False)
    model = ranef.lmer("y ~ a * b + (1 | g)", data)
    cells = pd.MultiIndex.from_product([list("pqr"), list("uvx")], names=["a", "b"])
    grid = cells.to_frame(index=False)
    X = ranef.design.encode(model.parts.design, grid, random=False).X
    means = X.reshape(3, 3, -1).mean(axis=1)
    joint = model.test([means[1] - means[0], means[2] - means[0]])
    assert_allclose(model.anova().loc["a", "F"], joint.F, rtol=1e-10)


def test_covariates_and_factors_of_columns_already_coded():
    data = uneven(empty_cell=False)
    plain = ranef.lmer("y ~ a + x + (1 | g)", data)
    table = plain.anova()
    assert_allclose(table.loc["x", "F"], plain.tvalues["x"] ** 2, rtol=1e-10)
    assert_allclose(table.loc["a", "F"], plain.test("a[T.q], a[T.r]").F, rtol=1e-10)
    assert_allclose(plain.anova(type=1).loc["x"], table.loc["x"], rtol=1e-8)
    poly = ranef.lmer("y ~ poly(x, 2) * a + (1 | g)", data).anova()
    assert poly.num_df.tolist() == [2, 2, 4]


def test_a_formula_without_intercept_tests_all_levels():
    data = uneven(empty_cell=False)
    bare = ranef.lmer("y ~ 0 + a + (1 | g)", data)
    table = bare.anova()
    assert table.loc["a", "num_df"] == 3
    assert_allclose(table.loc["a", "F"], bare.test(np.eye(3)).F, rtol=1e-10)


# R 4.2.2, lmerTest 3.1-3, bobyqa to rhoend 1e-9: F and den_df of a in types 1, 2 and 3.
@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (
            "y ~ 0 + a + x + (1 | g)",
            [(28.00478, 18.42182), (14.34102, 30.18381), (14.34102, 30.18381)],
        ),
        ("y ~ 0 + a:b + (1 | g)", [(14.76336, 37.11951)] * 3),
    ],
)
def test_levels_without_an_intercept_have_lmertests_degrees_of_freedom(formula, expected):
    model = ranef.lmer(formula, uneven(empty_cell=False))
    found = [model.anova(type=kind).iloc[0][["F", "den_df"]] for kind in (1, 2, 3)]
    assert_allclose(np.array(found, float), expected, rtol=1e-5)


def test_anova_has_no_row_for_the_intercept():
    table = ranef.lmer("Yield ~ 1 + (1 | Batch)", datasets.load("Dyestuff")).anova()
    assert table.empty
    assert table.columns.tolist() == ["sum_sq", "mean_sq", "num_df", "den_df", "F", "pvalue"]


def test_an_unknown_type():
    model = ranef.lmer("Yield ~ 1 + (1 | Batch)", datasets.load("Dyestuff"))
    with pytest.raises(ValueError, match=r"type must be 1, 2 or 3,.* not 4"):
        model.anova(type=4)


# ------------------------------------------------------------------ random effects


# R 4.2.2, lmerTest 3.1-3: npar and log-likelihood of each model.
@pytest.mark.parametrize(
    ("formula", "data", "labels", "npar", "llf"),
    [
        (
            "Reaction ~ Days + (Days | Subject)",
            "sleepstudy",
            ["<none>", "Days in (Days | Subject)"],
            [6, 4],
            [-871.814136, -893.2325427],
        ),
        (
            "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
            "sleepstudy",
            ["<none>", "(1 | Subject)", "(0 + Days | Subject)"],
            [5, 4, 4],
            [-871.8346468, -883.2625137, -893.2325427],
        ),
        (
            "score ~ Machine + (0 + Machine | Worker)",
            "Machines",
            ["<none>", "Machine in (0 + Machine | Worker)"],
            [10, 5],
            [-104.1556092, -143.439101],
        ),
        (
            "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)",
            "Machines",
            ["<none>", "(1 | Worker)", "(1 | Worker:Machine)"],
            [6, 5, 5],
            [-107.843784, -110.627795, -143.439101],
        ),
        (
            "Yield ~ 1 + (1 | Batch)",
            "Dyestuff",
            ["<none>", "(1 | Batch)"],
            [3, 2],
            [-159.8271384, -163.0116161],
        ),
    ],
)
def test_ranova_agrees_with_lmertest(formula, data, labels, npar, llf):
    table = ranef.lmer(formula, datasets.load(data)).ranova()
    assert table.index.tolist() == labels
    assert table.npar.tolist() == npar
    assert_allclose(table.llf, llf, rtol=1e-8)
    assert_allclose(table.aic, 2 * (table.npar - table.llf))
    assert_allclose(table.chisq[1:], 2 * (table.llf.iloc[0] - table.llf[1:]), rtol=1e-9)
    assert np.isnan(table.iloc[0][["chisq", "df", "pvalue"]].to_numpy(float)).all()


def test_ranova_under_maximum_likelihood():
    model = ranef.lmer(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), reml=False
    )
    row = model.ranova().iloc[1]
    # R 4.2.2, lmerTest 3.1-3.
    assert_allclose([row.chisq, row.df, row.pvalue], [42.13929854, 2, 7.072412547e-10], rtol=1e-6)


def test_no_random_term_left_is_least_squares():
    data = datasets.load("Dyestuff")
    table = ranef.lmer("Yield ~ 1 + (1 | Batch)", data, reml=False).ranova()
    n, variance = len(data), data.Yield.var(ddof=0)
    assert_allclose(table.llf.iloc[1], -0.5 * n * (1 + np.log(2 * np.pi * variance)), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
@pytest.mark.parametrize(
    ("random", "smaller"),
    [
        ("(x || g)", {"Intercept in (x || g)": "(0 + x | g)", "x in (x || g)": "(1 | g)"}),
        ("(0 + x | g)", {"(0 + x | g)": None}),
        ("(x + a | g)", {"x in (x + a | g)": "(a | g)", "a in (x + a | g)": "(x | g)"}),
        ("(x * a | g)", {"x:a in (x * a | g)": "(x + a | g)"}),
        (
            "(0 + a | g) + (1 | b)",
            {"a in (0 + a | g)": "(1 | g) + (1 | b)", "(1 | b)": "(0 + a | g)"},
        ),
        ("(1 | g) + (0 + a | g)", {"(1 | g)": "(0 + a | g)", "a in (0 + a | g)": "(1 | g)"}),
    ],
)
def test_each_reduction_is_the_model_that_its_formula_says(random, smaller):
    data = uneven(empty_cell=False)
    table = ranef.lmer(f"y ~ x + {random}", data).ranova()
    assert table.index.tolist() == ["<none>", *smaller]
    for label, formula in smaller.items():
        if formula is not None:
            model = ranef.lmer(f"y ~ x + {formula}", data)
            assert_allclose(table.loc[label, "llf"], model.llf, rtol=1e-8)
            assert table.loc[label, "npar"] == model.npar


def test_a_variance_of_zero_costs_nothing():
    with pytest.warns(SingularFitWarning):
        model = ranef.lmer("Yield ~ 1 + (1 | Batch)", datasets.load("Dyestuff2"))
    row = model.ranova().iloc[1]
    assert_allclose([row.chisq, row.pvalue], [0, 1], atol=1e-6)


@pytest.mark.parametrize("kind", [2, 3])
@pytest.mark.parametrize("right", ["a + b", "a + b + x", "a * b", "b + x + a"])
def test_a_formula_without_intercept_tests_what_the_one_with_it_tests(right, kind):
    data = uneven(empty_cell=False)
    with_ = ranef.lmer(f"y ~ {right} + (1 | g)", data).anova(type=kind)
    without = ranef.lmer(f"y ~ 0 + {right} + (1 | g)", data).anova(type=kind)
    assert without.num_df.tolist() == with_.num_df.tolist()
    assert_allclose(without.F, with_.F, rtol=1e-6)
    assert_allclose(without.den_df, with_.den_df, rtol=1e-4)
