"""Weights, polynomials, joint distributions, joint tests and letters.

Expected values: R 4.2.2 with lme4 and emmeans (lmer.df = "kenward-roger", or "asymptotic" on the
unbalanced rows), unless a comment says otherwise.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import ranef
from ranef.inference.emmeans import contrast_weights
from ranef.inference.families_of_tests import adjusted, critical
from ranef.inference.letters import letters

CAKE = ranef.datasets.load("cake")
FULL = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", CAKE)
#: Rows 1 to 40, 100 to 103 and 200 to 222 are left out, as cake[-c(...), ] in R.
KEPT = np.r_[40:99, 103:199, 222:270]
PART = CAKE.iloc[KEPT].assign(temp=lambda d: d["temp"].astype(float))
PART["g"] = np.where(PART["temp"] > 190, "y", "n")


@pytest.fixture(scope="module")
def uneven():
    return ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", PART)


@pytest.fixture(scope="module")
def covariate():
    return ranef.lmer("angle ~ recipe * g + temp + (1 | recipe:replicate)", PART)


@pytest.mark.parametrize(
    ("weights", "means"),
    [
        ("equal", [31.2713713, 29.4149251, 29.1431783]),
        ("proportional", [31.2715204, 29.4115128, 29.1488097]),
        ("outer", [31.2715204, 29.4115128, 29.1488097]),
        ("cells", [31.3045591, 29.3123438, 29.1894333]),
    ],
)
def test_weights_of_what_is_averaged_over(uneven, weights, means):
    found = ranef.emmeans(uneven, "recipe", weights=weights)
    assert_allclose(found.frame["emmean"], means, rtol=1e-7)
    assert f"averaged with {weights} weights over temperature" in repr(found)
    with pytest.raises(ValueError, match="did you mean 'outer'"):
        ranef.emmeans(uneven, "recipe", weights="outter")


@pytest.mark.parametrize(
    ("weights", "means"),
    [
        ("proportional", [31.2440352, 29.4106751, 29.1318156]),
        ("cells", [31.2426950, 29.4027204, 29.1341766]),
    ],
)
def test_weights_with_a_covariate_at_its_mean(covariate, weights, means):
    frame = ranef.emmeans(covariate, "recipe", weights=weights).frame
    assert_allclose(frame["emmean"], means, rtol=1e-7)


def test_combinations_weigh_by_the_product_or_by_their_own_counts():
    """Against frequencies counted here."""
    rng = np.random.default_rng(3)
    a, b = rng.choice(list("pqr"), 300, p=[0.6, 0.3, 0.1]), rng.choice(list("uv"), 300)
    b = np.where(a == "p", "u", b)
    data = {"a": a, "b": b, "t": rng.choice(list("xy"), 300), "g": rng.integers(0, 20, 300)}
    y = rng.normal(size=20)[data["g"]] + rng.normal(size=300)
    model = ranef.lmer("y ~ t + a + b + (1 | g)", {**data, "y": y})
    beta = model.params
    share = {n: np.mean(data["a"] == n) for n in "qr"}
    base = beta["Intercept"] + sum(share[n] * beta[f"a[T.{n}]"] for n in "qr")
    want = base + np.mean(b == "v") * beta["b[T.v]"]
    for weights in ("proportional", "outer"):  # the same where effects add up
        frame = ranef.emmeans(model, "t", weights=weights).frame
        assert frame["emmean"].iloc[0] == pytest.approx(want, rel=1e-10)


def test_values_of_a_number_are_chosen_and_weigh_the_same(covariate):
    at = {"temp": [180.5, 199.5]}
    for weights in ("proportional", "outer", "cells"):
        both = ranef.emmeans(covariate, "recipe", at=at, weights=weights).frame["emmean"]
        each = [
            ranef.emmeans(covariate, "recipe", at={"temp": t}, weights=weights).frame["emmean"]
            for t in at["temp"]
        ]
        assert_allclose(both, np.mean(each, axis=0), rtol=1e-12)


def test_a_cell_without_rows_has_no_mean_by_its_own_counts():
    gone = PART[~((PART["recipe"] == "A") & (PART["g"] == "y"))]
    model = ranef.lmer("angle ~ recipe + g + temp + (1 | recipe:replicate)", gone)
    frame = ranef.emmeans(model, ["recipe", "g"], weights="cells").frame
    assert np.isfinite(frame["emmean"]).all()  # nothing is averaged over
    table = ranef.emmeans(model, "recipe", by="g", weights="cells").frame
    assert len(table) == 6
    only = ranef.emmeans(model, "recipe", weights="cells").frame
    at = ranef.emmeans(model, "recipe", at={"g": "n"}).frame
    assert only["emmean"].iloc[0] == pytest.approx(at["emmean"].iloc[0], rel=1e-12)


def test_polynomials_in_whole_numbers():
    table = ranef.emmeans(FULL, "temperature", ddf="kenward-roger").contrast("poly").frame
    assert table["contrast"].tolist()[:3] == ["linear", "quadratic", "cubic"]
    assert_allclose(
        table["estimate"], [55.31111, -3.533333, -7.355556, -6.866667, -14.51111], rtol=1e-6
    )
    assert_allclose(table["pvalue"].iloc[1:], [0.5682, 0.4172, 0.0557, 0.1768], atol=5e-5)
    # Fisher and Yates's tables
    _, C = contrast_weights("poly", list("abcd"), 0)
    assert C.tolist() == [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]
    _, C = contrast_weights("poly", [str(i) for i in range(12)], 0)
    assert_allclose(C @ C.T, np.diag(np.diag(C @ C.T)))
    assert len(C) == 6


def test_comparisons_with_a_control_by_their_joint_distribution():
    means = ranef.emmeans(FULL, "recipe", ddf="kenward-roger")
    for table in (means.contrast("dunnett").frame, means.contrast("trt.vs.ctrl", "mvt").frame):
        assert table["contrast"].tolist() == ["B - A", "C - A"]
        assert_allclose(table["pvalue"], [0.7730, 0.7614], atol=2e-4)
        assert_allclose(table["lower"], [-7.10, -7.14], atol=5e-3)


def test_dunnetts_quantiles_are_those_of_his_tables():
    """Dunnett (1964), two-sided 5 %: 3 treatments 2.54 (20 df) and 2.35; 6 and 15 df: 2.89."""
    for k, df, want in ((3, 20.0, 2.54), (3, np.inf, 2.35), (6, 15.0, 2.89)):
        R = np.full((k, k), 0.5) + 0.5 * np.eye(k)
        assert_allclose(critical(np.full(k, df), 0.95, "dunnett", k + 1, R), want, atol=0.006)


def test_the_joint_distribution_of_all_pairs_is_tukeys():
    means = ranef.emmeans(FULL, "recipe")
    joint, tukey = means.pairs("mvt").frame, means.pairs("tukey").frame
    assert_allclose(joint["pvalue"], tukey["pvalue"], atol=2e-4)
    assert_allclose(joint["lower"], tukey["lower"], atol=5e-3)


def test_false_discoveries():
    steps = ranef.emmeans(FULL, "temperature", ddf="kenward-roger").contrast("consec", "fdr")
    assert_allclose(steps.frame["pvalue"], [0.0984, 0.2094, 0.5365, 0.0008, 0.6088], atol=6e-5)
    assert "intervals: bonferroni" in repr(steps)
    t = np.array([0.5, 3.0, np.nan, 2.2, -2.5])
    plain = 2.0 * stats.norm.sf(np.abs(t[[0, 1, 3, 4]]))
    found = adjusted(t, np.full(5, np.inf), "fdr", 5)
    assert_allclose(found[[0, 1, 3, 4]], stats.false_discovery_control(plain), rtol=1e-10)
    assert np.isnan(found[2])


def test_too_many_contrasts_for_a_joint_distribution_are_refused():
    with pytest.raises(ValueError, match="use adjust='holm'"):
        adjusted(np.ones(70), np.full(70, 9.0), "mvt", 70, np.eye(70))
    with pytest.raises(ValueError, match="adjust must be"):
        ranef.emmeans(FULL, "recipe").pairs("scheffe")


# ------------------------------------------------------------------ joint tests


def test_joint_tests_of_a_balanced_design():
    table = ranef.joint_tests(FULL, ddf="kenward-roger")
    assert table.index.tolist() == ["recipe", "temperature", "recipe:temperature"]
    assert table["num_df"].tolist() == [2, 5, 10]
    assert_allclose(table["den_df"], [42.0, 210.0, 210.0], rtol=1e-5)
    assert_allclose(table["F"], [0.2488, 20.5199, 1.0062], atol=5e-4)
    assert_allclose(table["F"], FULL.anova(ddf="kenward-roger")["F"], rtol=1e-6)


def test_joint_tests_within_levels():
    table = ranef.joint_tests(FULL, by="recipe", ddf="kenward-roger")
    assert table.index.names == ["recipe", "term"]
    assert_allclose(table["F"], [8.576, 7.210, 6.746], atol=5e-4)


def test_joint_tests_with_a_covariate(covariate):
    table = ranef.joint_tests(covariate, ddf="inf")
    assert table.index.tolist() == ["recipe", "g", "temp", "recipe:g"]
    assert_allclose(table["F"], [1.158, 0.000, 20.196, 0.414], atol=5e-4)
    assert_allclose(table["pvalue"].iloc[[0, 1, 3]], [0.3142, 0.9961, 0.6612], atol=5e-5)


def test_joint_tests_say_what_is_not_estimable():
    gone = CAKE[~((CAKE["recipe"] == "A") & (CAKE["temperature"] == "175"))]
    with pytest.warns(ranef.RankWarning):
        model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", gone)
    table = ranef.joint_tests(model)
    assert table.loc["recipe:temperature", "num_df"] == 9
    assert "not estimable" in table.loc["recipe", "note"]
    with pytest.raises(ValueError, match="does not use 'recipes'"):
        ranef.joint_tests(FULL, by="recipes")
    with pytest.raises(ValueError, match="no variable to test"):
        ranef.joint_tests(ranef.lmer("angle ~ 1 + (1 | recipe:replicate)", CAKE))


# ------------------------------------------------------------------ letters


def test_letters_are_shared_where_means_do_not_differ():
    means = ranef.emmeans(FULL, "temperature")
    table = means.letters().frame
    assert table["emmean"].is_monotonic_increasing
    pairs = means.pairs().frame
    shown = dict(zip(table["temperature"], table["letters"], strict=True))
    for row in pairs.itertuples():
        a, b = row.contrast.split(" - ")
        assert bool(set(shown[a]) & set(shown[b])) == (row.pvalue >= 0.05)
    within = ranef.emmeans(FULL, "temperature", by="recipe").letters()
    assert len(within.frame) == 18
    assert "do not differ at 0.05" in repr(within)


@pytest.mark.parametrize("seed", range(10))
def test_letters_of_any_pattern(seed):
    rng = np.random.default_rng(seed)
    differ = np.triu(rng.random((7, 7)) < 0.4, 1)
    differ = differ | differ.T
    found = letters(differ, list(range(7)))
    for i in range(7):
        for j in range(7):
            assert i == j or bool(set(found[i]) & set(found[j])) != differ[i, j]
    assert found[0].startswith("a")
