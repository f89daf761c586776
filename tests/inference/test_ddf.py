"""Degrees of freedom: against dense formulas, R, and designs whose answer is known."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import ranef
from conftest import OPTIMUM
from ranef import datasets
from ranef.errors import ModelError, SingularFitWarning, UnsupportedError
from ranef.inference.hypotheses import kenward_roger as kr
from ranef.inference.hypotheses import satterthwaite as satt
from reference import dense_tests

#: Covariance parameters at an optimum are known to about 1e-6, and df are smooth in them.
OPTIMUM_DF = 1e-4


@pytest.fixture(scope="module")
def sleep():
    return ranef.lmer("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def uneven():
    """Crossed slopes and intercepts, unbalanced, with weights."""
    rng = np.random.default_rng(11)
    n = 150
    data = pd.DataFrame(
        {
            "g": rng.integers(0, 14, n),
            "h": rng.integers(0, 9, n),
            "x": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "w": rng.uniform(0.5, 2.0, n),
        }
    )
    u = rng.normal(size=(14, 2)) @ [[1.0, 0.3], [0.0, 0.8]]
    v = rng.normal(size=(9, 2)) @ [[1.0, -0.2], [0.0, 0.8]]
    slope = 1 + u[data.g, 1] + v[data.h, 1]
    data["y"] = 2 + u[data.g, 0] + v[data.h, 0] + slope * data.x + rng.normal(size=n)
    return data


FORMULAS = {
    "y ~ x + f + (1 | g)": [("g", ["1"])],
    "y ~ x + f + (x | g)": [("g", ["1", "x"])],
    "y ~ x + f + (x | g) + (1 | h)": [("g", ["1", "x"]), ("h", ["1"])],
    "y ~ x + f + (1 | g) + (x | h)": [("g", ["1"]), ("h", ["1", "x"])],
}


def as_dense(formula, data, model, weights):
    columns = {"1": np.ones(len(data)), "x": data.x.to_numpy()}
    terms, gamma = [], []
    for group, names in FORMULAS[formula]:
        terms.append((data[group].to_numpy(), np.column_stack([columns[n] for n in names])))
        cov = model.varcorr[group].to_numpy()
        gamma += [cov[i, j] for j in range(len(names)) for i in range(j, len(names))]
    indicators = [(data.f == level).to_numpy(float) for level in "bc"]
    X = np.column_stack([columns["1"], columns["x"], *indicators])
    order = [model.params.index.get_loc(n) for n in ("Intercept", "x", "f[T.b]", "f[T.c]")]
    gamma = [*gamma, model.sigma**2]
    return dense_tests.dense(X, data.y.to_numpy(), terms, gamma, weights), order


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_is_that_of_the_dense_formulas(formula, reml, weighted, uneven):
    model = ranef.lmer(formula, uneven, reml=reml, weights="w" if weighted else None)
    dense, order = as_dense(formula, uneven, model, uneven.w.to_numpy() if weighted else None)
    want = [dense_tests.satterthwaite_df(dense, c, reml) for c in np.eye(4)]
    assert_allclose(model.coef_table().df.iloc[order], want, rtol=OPTIMUM_DF)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
def test_kenward_roger_is_that_of_the_dense_formulas(formula, weighted, uneven):
    model = ranef.lmer(formula, uneven, weights="w" if weighted else None)
    dense, order = as_dense(formula, uneven, model, uneven.w.to_numpy() if weighted else None)
    table = model.coef_table("kenward-roger").iloc[order]
    adjusted, _, _ = dense_tests.kenward_roger_covariance(dense)
    assert_allclose(table.se, np.sqrt(np.diag(adjusted)), rtol=1e-8)
    beta = model.params.to_numpy()[order]
    want = [dense_tests.kenward_roger_test(dense, c[None], beta)[1] for c in np.eye(4)]
    assert_allclose(table.df, want, rtol=1e-7)
    F, df = dense_tests.kenward_roger_test(dense, np.eye(4)[2:], beta)
    joint = model.test("f[T.b], f[T.c]", ddf="kenward-roger")
    assert_allclose([joint.F, joint.den_df], [F, df], rtol=1e-7)


def test_balanced_slopes_have_whole_numbers(sleep):
    assert_allclose(sleep.coef_table().df, [17, 17], rtol=0, atol=1e-6)
    assert_allclose(sleep.coef_table("kenward-roger").df, [17, 17], rtol=0, atol=1e-6)


def test_ml_counts_every_group():
    model = ranef.lmer(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), reml=False
    )
    assert_allclose(model.coef_table().df, [18, 18], rtol=0, atol=1e-5)


def test_a_balanced_nested_design_gives_the_analysis_of_variance():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"unit": np.repeat(np.arange(12), 5)})
    data["treatment"] = np.where(data.unit % 3 == 0, "a", np.where(data.unit % 3 == 1, "b", "c"))
    data["y"] = rng.normal(size=12)[data.unit] * 2 + rng.normal(size=60) + (data.unit % 3)
    means = data.groupby("unit").y.mean().to_numpy()
    by_arm = np.array([means[arm::3] for arm in range(3)])
    between = 5 * 4 * by_arm.mean(axis=1).var(ddof=1)
    within = 5 * by_arm.var(axis=1, ddof=1).mean()
    model = ranef.lmer("y ~ treatment + (1 | unit)", data)
    for ddf in ("satterthwaite", "kenward-roger"):
        row = model.anova(ddf=ddf).loc["treatment"]
        assert_allclose([row.F, row.num_df, row.den_df], [between / within, 2, 9], rtol=OPTIMUM)


# R 4.2.2, lmerTest 3.1-3 with lme4 1.1-31, and pbkrtest 0.5.2: degrees of freedom by coefficient.
@pytest.mark.parametrize(
    ("formula", "data", "satterthwaite", "kenward_roger"),
    [
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", [5.487092], [5.487092277]),
        (
            "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)",
            "Machines",
            [8.521698, 10, 10],
            [8.521698518, 10, 10],
        ),
        ("score ~ Machine + (0 + Machine | Worker)", "Machines", [5, 5, 5], [5, 5, 5]),
        (
            "Reaction ~ Days + (Days || Subject)",
            "sleepstudy",
            [18.156204, 18.156204],
            [18.18747641, 18.18747641],
        ),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff", [5], [5]),
    ],
)
def test_lmertest_and_pbkrtest_agree(formula, data, satterthwaite, kenward_roger):
    model = ranef.lmer(formula, datasets.load(data))
    assert_allclose(model.coef_table().df, satterthwaite, rtol=1e-6)
    assert_allclose(model.coef_table("kenward-roger").df, kenward_roger, rtol=1e-6)


def test_a_variance_of_zero():
    with pytest.warns(SingularFitWarning):
        model = ranef.lmer("Yield ~ 1 + (1 | Batch)", datasets.load("Dyestuff2"))
    # R 4.2.2: lmerTest has 29, all rows less one; pbkrtest, whose information is expected, has 5.
    assert_allclose(model.coef_table().df, [29], rtol=1e-6)
    assert_allclose(model.coef_table("kenward-roger").df, [5], rtol=1e-4)


def test_scale_and_shift_of_the_slope_do_not_matter():
    data = datasets.load("sleepstudy").query("Days > Subject.cat.codes % 4")
    plain = ranef.lmer("Reaction ~ Days + (Days | Subject)", data).coef_table()
    moved = ranef.lmer(
        "r ~ d + (d | Subject)", data.assign(d=2008 + data.Days / 100, r=data.Reaction * 1e4)
    ).coef_table()
    assert_allclose(moved.df.iloc[1], plain.df.iloc[1], rtol=OPTIMUM_DF)


def test_large_problems_take_one_gradient_a_direction(sleep, monkeypatch):
    exact = sleep.coef_table().df
    monkeypatch.setattr(satt, "LARGE_PROBLEM", 10)
    large = satt.satterthwaite(sleep.parts.core, sleep.parts.estimate, sleep.nobs)
    assert_allclose(large.df(np.eye(2)), exact, rtol=1e-4)


def test_joint_degrees_of_freedom():
    assert satt.joint_df(np.array([7.0])) == 7
    assert_allclose(satt.joint_df(np.array([6.0, 6.0])), 6)
    # E = 6/4 + 10/8 = 2.75; 2 E / (E - 2) = 5.5 / 0.75
    assert_allclose(satt.joint_df(np.array([6.0, 10.0])), 5.5 / 0.75)
    assert satt.joint_df(np.array([1.5, 10.0])) == 2
    assert satt.joint_df(np.array([np.inf, np.inf])) == np.inf


def test_residual_and_infinite(sleep):
    assert sleep.coef_table("residual").df.tolist() == [178, 178]
    assert np.isinf(sleep.coef_table("inf").df).all()
    assert_allclose(sleep.coef_table("inf").pvalue["Days"], 1.2744e-11, rtol=1e-3)


def test_satterthwaite_is_the_default(sleep):
    pd.testing.assert_frame_equal(sleep.coef_table(), sleep.coef_table("satterthwaite"))
    assert_allclose(sleep.pvalues["Days"], 3.263788e-06, rtol=1e-5)  # R: lmerTest 3.1-3
    assert "17.00" in repr(sleep.summary())


def test_unknown_method(sleep):
    with pytest.raises(ValueError, match=r"ddf must be one of 'satterthwaite', 'kenward-roger'"):
        sleep.coef_table("sattertwaite")


def test_kenward_roger_needs_reml(sleep):
    with pytest.raises(ModelError, match=r"update\(reml=True\)"):
        sleep.update(reml=False).coef_table("kenward-roger")


def test_kenward_roger_says_when_a_model_is_too_large(monkeypatch):
    model = ranef.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", datasets.load("Penicillin"))
    monkeypatch.setattr(kr, "MOST_NUMBERS", 10)
    with pytest.raises(UnsupportedError, match="ddf='satterthwaite'"):
        model.coef_table("kenward-roger")


def test_pickled_models_answer_the_same(sleep):
    sleep.coef_table()
    copy = pickle.loads(pickle.dumps(sleep))
    for ddf in ("satterthwaite", "kenward-roger"):
        pd.testing.assert_frame_equal(copy.coef_table(ddf), sleep.coef_table(ddf))


@pytest.mark.filterwarnings("ignore::ranef.errors.RankWarning")
def test_aliased_columns_stay_missing():
    data = datasets.load("sleepstudy")
    data["twice"] = 2 * data.Days
    table = ranef.lmer("Reaction ~ Days + twice + (Days | Subject)", data).coef_table()
    assert table.loc["twice"].isna().all()
    assert_allclose(table.loc["Days", "df"], 17, atol=1e-6)
