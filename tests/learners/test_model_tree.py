"""Model trees against published figures, R, finite differences and known truths."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import solve_banded
from scipy.stats import chi2

import ranef
from ranef.learners.partition.instability import Variable, fluctuation
from ranef.learners.partition.splits import best_split
from ranef.learners.partition.suplm import suplm_log_pvalue

DEPRESSION = pd.read_csv(Path(__file__).parents[1] / "data" / "depression_demo.csv")
FORMULA = "depression ~ treatment | (1 | cluster) | age + anxiety + duration"


@pytest.fixture(scope="module")
def tree():
    return ranef.model_tree(FORMULA, DEPRESSION)


def test_the_published_example_of_a_model_tree(tree):
    # glmertree's example; coefficients, sd and log-likelihood by lme4 1.1-31 of R 4.2.2 too.
    assert tree.leaves["rule"].tolist() == [
        "duration <= 8 & anxiety <= 10",
        "duration <= 8 & anxiety > 10",
        "duration > 8",
    ]
    assert_allclose(
        tree.params["treatment[T.Treatment 2]"], [4.1220828, 0.5212593, -4.5468861], rtol=1e-6
    )
    assert_allclose(
        tree.params["Intercept"], [7.5001402, 7.5001402 + 1.0912686, 11.0876120], rtol=1e-6
    )
    assert_allclose(np.sqrt(tree.varcorr["cluster"].iloc[0, 0]), 0.558779, rtol=2e-6)
    assert_allclose(tree.sigma, 1.907064, rtol=1e-6)
    assert_allclose(tree.llf, -310.5829359, atol=1e-6)
    assert tree.converged
    ml = ranef.model_tree(FORMULA, DEPRESSION, reml=False)
    assert_allclose(ml.llf, -310.7361086, atol=1e-6)


def test_statistics_of_the_root_are_the_largest_over_cuts(tree):
    """The largest statistic over cuts between different values, cut by cut."""
    X = np.column_stack([np.ones(150), DEPRESSION["treatment"] == "Treatment 2"]).astype(float)
    effects = tree.ranef()["cluster"]["Intercept"].reindex(DEPRESSION["cluster"])
    y = DEPRESSION["depression"].to_numpy(float) - effects.to_numpy()
    scores = X * (y - X @ np.linalg.lstsq(X, y, rcond=None)[0])[:, None]
    inverse = np.linalg.inv(scores.T @ scores)
    for name in ("age", "anxiety", "duration"):
        z = DEPRESSION[name].to_numpy()
        best = 0.0
        for cut in np.unique(z)[:-1]:
            left = z <= cut
            if 20 <= left.sum() <= 130:
                path, t = scores[left].sum(axis=0), left.mean()
                best = max(best, path @ inverse @ path / (t * (1 - t)))
        found = tree.tests.query("node == 1 and variable == @name")["statistic"].item()
        assert_allclose(found, best, rtol=1e-6)


@pytest.mark.parametrize(("k", "c", "ratio"), [(1, 8.85, 32.1), (2, 11.79, 32.1), (5, 16.0, 81.0)])
def test_p_values_solve_the_backward_equation(k, c, ratio):
    """The same probability by finite differences in the length of the process."""
    steps, time = 1200, 0.5 * np.log(ratio)
    r = (np.arange(steps) + 0.5) * np.sqrt(c) / steps
    h = r[1] - r[0]
    density = r ** (k - 1) * np.exp(-0.5 * r**2)
    edge = np.append(
        0.0, (np.arange(1, steps) * h) ** (k - 1) * np.exp(-0.5 * (np.arange(1, steps) * h) ** 2)
    )
    out = np.sqrt(c) ** (k - 1) * np.exp(-0.5 * c)
    low, high = edge / h**2 / density, np.append(edge[1:], 2.0 * out) / h**2 / density
    n = 400
    dt = time / n
    banded = np.zeros((3, steps))
    full = []
    for parts in (1, 2):  # implicit Euler, extrapolated in the step
        banded[0, 1:], banded[1], banded[2, :-1] = (
            -dt / parts * high[:-1],
            1.0 + dt / parts * (low + high),
            -dt / parts * low[1:],
        )
        u = np.ones(steps)
        for _ in range(n * parts):
            u = solve_banded((1, 1), banded, u)
        full.append(u)
    u = 2.0 * full[1] - full[0]
    weight = density / density.sum() * chi2.cdf(c, k)
    assert_allclose(np.exp(suplm_log_pvalue(c, k, ratio)), 1.0 - u @ weight, rtol=4e-3)


def test_p_values_agree_with_published_critical_values_and_their_tail():
    # Andrews (1993), Table I, 5 %, one, two and five parameters, 15 % trimmed.
    ratio = (0.85 / 0.15) ** 2
    for k, c in ((1, 8.85), (2, 11.79), (5, 18.35)):
        assert_allclose(np.exp(suplm_log_pvalue(c, k, ratio)), 0.05, rtol=0.07)
    values = [suplm_log_pvalue(c, 3, 81.0) for c in np.arange(0.5, 120.0, 0.5)]
    assert (np.diff(values) <= 1e-9).all()
    assert values[-1] < -40.0
    assert_allclose(np.exp(suplm_log_pvalue(5.0, 2, 1.0)), chi2.sf(5.0, 2), rtol=5e-3)


def test_levels_are_tested_by_chi_square():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(90, 2))
    scores -= scores.mean(axis=0)
    codes = np.repeat([0.0, 1.0, 2.0], 30)
    variable = Variable("f", codes, ("a", "b", "c"), False, "rows", None)
    found = fluctuation(scores, variable, np.arange(90), 10)
    inverse = np.linalg.inv(scores.T @ scores / 90)
    sums = [scores[codes == j].sum(axis=0) for j in range(3)]
    want = sum(s @ inverse @ s for s in sums) / 90 / (1 / 3)
    assert_allclose(found.statistic, want, rtol=1e-10)
    assert_allclose(np.exp(found.log_pvalue), chi2.sf(want, 4), rtol=1e-10)


def test_variables_of_groups_are_tested_on_groups():
    """With a strong random effect, rows as units would find anything; groups keep the level."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(60), 8)
    rejected = {"groups": 0, "rows": 0}
    runs = 300
    for _ in range(runs):
        z = rng.normal(size=60)[g]
        y = rng.normal(size=60)[g] + 0.7 * rng.normal(size=480)
        scores = (y - y.mean())[:, None]
        for name, codes in (("groups", g), ("rows", None)):
            variable = Variable("z", z, None, False, "g", codes)
            rejected[name] += fluctuation(scores, variable, np.arange(480), 10).log_pvalue < np.log(
                0.05
            )
    assert rejected["groups"] <= 0.09 * runs
    assert rejected["rows"] > 0.5 * runs


def grouped(seed=4):
    """The slope of x is another one in groups with large w, and in level c of f."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(80), 10)
    n = g.size
    x, z, w = rng.normal(size=n), rng.normal(size=n), rng.normal(size=80)[g]
    f = rng.choice(list("abcd"), n)
    y = np.where(w > 0.3, 2.0, -1.0) * x + 1.5 * (f == "c") + rng.normal(size=80)[g]
    y = y + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "w": w, "f": f, "g": g})


def test_a_group_level_split_is_found_and_said_to_be_of_groups():
    data = grouped()
    tree = ranef.model_tree("y ~ x | g | z + w + f", data)
    root = tree.tests.query("node == 1").set_index("variable")
    assert root.loc["w", "level"] == "g"
    assert root.loc["w", "units"] == 80
    assert root.loc["z", "level"] == "rows"
    assert len(tree.leaves) == 4
    assert tree.leaves["rule"].str.contains("f is c|f is a or b or d", regex=True).all()
    assert not tree.leaves["rule"].str.contains("z").any()
    slopes = np.sort(tree.params["x"])
    assert_allclose(slopes, [-1.0, -1.0, 2.0, 2.0], atol=0.25)
    assert_allclose(tree.predict(data), tree.fittedvalues, rtol=1e-8)
    fresh = data.head(6).assign(g=999)
    none = tree.predict(fresh, random="none")
    assert_allclose(tree.predict(fresh, new_levels="population"), none)
    with pytest.raises(ranef.DataError, match="did not see: '999'"):
        tree.predict(fresh)
    with pytest.raises(ranef.DataError, match="level 'q'"):
        tree.predict(fresh.assign(f="q"), random="none")
    back = pickle.loads(pickle.dumps(tree))
    assert_allclose(back.predict(data), tree.fittedvalues, rtol=1e-8)


def test_the_cut_leaves_the_least_sum_of_squares():
    data = grouped(5).head(200)
    X = np.column_stack([np.ones(200), data["x"]])
    y, z = data["y"].to_numpy(), np.round(data["z"].to_numpy(), 1)
    weights = np.linspace(0.5, 2.0, 200)

    def loss(rows):
        root = np.sqrt(weights[rows])
        return np.linalg.lstsq(X[rows] * root[:, None], y[rows] * root, rcond=None)[1][0]

    cuts = [c for c in np.unique(z) if 20 <= (z <= c).sum() <= 180]
    want = min(cuts, key=lambda c: loss(z <= c) + loss(z > c))
    variable = Variable("z", z, None, False, "rows", None)
    found = best_split(variable, X, y, weights, np.arange(200), 20, 5)
    assert found.cut == want
    codes = data["f"].map({"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}).to_numpy()
    parts = [{0}, {1}, {2}, {3}, {0, 1}, {0, 2}, {0, 3}]
    best = min(parts, key=lambda p: loss(np.isin(codes, list(p))) + loss(~np.isin(codes, list(p))))
    nominal = Variable("f", codes, tuple("abcd"), False, "rows", None)
    left = best_split(nominal, X, y, weights, np.arange(200), 20, 5).left
    assert left in (best, {0, 1, 2, 3} - best)


def test_nothing_to_find_is_one_leaf_and_lmer():
    sleep = ranef.datasets.load("sleepstudy")
    noise = sleep.assign(z=np.random.default_rng(1).normal(size=180))
    tree = ranef.model_tree("Reaction ~ Days | (Days | Subject) | z", noise)
    model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    assert tree.leaves["rule"].tolist() == ["all rows"]
    assert_allclose(tree.llf, model.llf, atol=1e-7)
    assert_allclose(tree.params.iloc[0], model.params, rtol=1e-6)
    assert_allclose(tree.bse.iloc[0], model.bse, rtol=1e-4)


def test_weights_offsets_missing_values_and_order():
    plain = ranef.model_tree(FORMULA, DEPRESSION)
    same = ranef.model_tree(FORMULA, DEPRESSION, weights=np.ones(150))
    assert_allclose(same.llf, plain.llf, atol=1e-8)
    moved = DEPRESSION.assign(depression=DEPRESSION["depression"] + 2.0, o=2.0)
    assert_allclose(ranef.model_tree(FORMULA, moved, offset="o").params, plain.params, rtol=1e-6)
    gaps = DEPRESSION.assign(age=DEPRESSION["age"].where(DEPRESSION.index > 3))
    with pytest.warns(ranef.DroppedRowsWarning, match=r"4 of 150 rows.*age \(4\)"):
        tree = ranef.model_tree(FORMULA, gaps, offset=np.zeros(150))
    assert tree.nobs == 146
    twins, w = gaps.set_axis([0] * 150), np.linspace(0.5, 2.0, 150)
    with pytest.warns(ranef.DroppedRowsWarning):
        weighted = ranef.model_tree(FORMULA, twins, weights=w)
    assert_allclose(weighted.llf, ranef.model_tree(FORMULA, gaps[4:], weights=w[4:]).llf)
    assert tree.predict(gaps, kind="leaf").notna().all()  # age divides nothing
    ordered = DEPRESSION.assign(
        duration=pd.Categorical(DEPRESSION["duration"], ordered=True),
        treatment=DEPRESSION["treatment"],
    )
    again = ranef.model_tree(FORMULA, ordered)
    assert again.fittedvalues.corr(plain.fittedvalues) > 0.99
    assert_allclose(again.predict(ordered), again.fittedvalues, rtol=1e-8)
    assert ranef.model_tree(FORMULA, DEPRESSION, max_depth=1).leaves.shape[0] == 2
    assert ranef.model_tree(FORMULA, DEPRESSION, alpha=1e-12).leaves.shape[0] == 1


@pytest.mark.parametrize(
    ("formula", "error", "message"),
    [
        ("depression ~ treatment | (1 | cluster)", ranef.FormulaError, "two bars outside"),
        ("depression ~ treatment + (1 | cluster)", ranef.FormulaError, "two bars outside"),
        ("depression ~ treatment | cluster | ", ranef.FormulaError, "two bars outside"),
        ("depression ~ treatment | cluster | age:anxiety", ranef.FormulaError, "cannot divide"),
        ("depression ~ treatment | cluster | log(age)", ranef.FormulaError, "cannot divide"),
        ("depression ~ treatment | cluster | nothing", ranef.DataError, "no column 'nothing'"),
        ("depression ~ s(age) | cluster | anxiety", ranef.UnsupportedError, "smooth"),
        ("depression ~ treatment | cluster | same", ranef.DataError, "one value"),
        ("depression ~ treatment | row | age", ranef.ModelError, "150"),
        ("depression ~ age + twice | cluster | anxiety", ranef.ModelError, "depend on each other"),
        ("depression ~ age | cluster | day", ranef.DataError, "dates or times"),
    ],
)
def test_bad_formulas_are_refused_in_words(formula, error, message):
    data = DEPRESSION.assign(same=1.0, row=np.arange(150), twice=2.0 * DEPRESSION["age"])
    data["day"] = pd.date_range("2020-01-01", periods=150)
    with pytest.raises(error, match=message):
        ranef.model_tree(formula, data)


def test_text_and_figure(tree):
    assert "Model tree with random effects" in str(tree)
    assert "duration <= 8 & anxiety <= 10  (n = 53)" in str(tree)
    assert "<table" in tree._repr_html_()
    assert repr(tree).startswith("<ModelTree 'depression ~ treatment")
    assert len(tree.plot().texts) == 3 + 4 + 2
    assert tree.glance()["leaves"].item() == 3
    assert tree.predict(kind="leaf").value_counts().to_dict() == {1: 53, 2: 54, 3: 43}
    assert tree.tests.query("split")["variable"].tolist() == ["duration", "anxiety"]
    with pytest.raises(ValueError, match="kind must be"):
        tree.predict(kind="node")
    with pytest.raises(ValueError, match="alpha"):
        ranef.model_tree(FORMULA, DEPRESSION, alpha=5)
