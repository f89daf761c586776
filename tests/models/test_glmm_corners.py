"""Generalised models in the corners of the data: separation, levels alike, two optima."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import ranef
from ranef.errors import ConvergenceWarning, RankWarning
from ranef.models.glmm.separation import separated_rows


def told_apart(seed, n_groups=20, per_group=10):
    rng = np.random.default_rng(seed)
    n = n_groups * per_group
    g = np.repeat(np.arange(n_groups), per_group)
    d = pd.DataFrame({"g": g, "x": rng.normal(size=n)})
    d["f"] = np.array(list("abc"))[rng.integers(0, 3, n)]
    d["y"] = (rng.random(n) < stats.logistic.cdf(d.x + rng.normal(size=n_groups)[g])).astype(int)
    d.loc[d.f == "c", "y"] = 1
    d["count"] = rng.poisson(np.exp(0.5 + 0.3 * d.x + 0.5 * rng.normal(size=n_groups)[g]))
    d.loc[d.f == "c", "count"] = 0
    return d


@pytest.mark.parametrize("seed", [0, 1, 3])
@pytest.mark.parametrize("right", ["x + f", "x * f"])
@pytest.mark.parametrize(("y", "family"), [("y", "binomial"), ("count", "poisson")])
def test_errors_of_other_coefficients_are_those_without_the_separated_rows(seed, right, y, family):
    d = told_apart(seed)
    with pytest.warns(ConvergenceWarning, match="separate"):
        model = ranef.glmer(f"{y} ~ {right} + (1 | g)", d, family=family)
    without = ranef.glmer(f"{y} ~ {right} + (1 | g)", d[d.f != "c"], family=family)
    errors = model.bse
    assert_allclose(errors[without.bse.index], without.bse, rtol=1e-3)
    assert errors.drop(without.bse.index).isna().all()


def test_rows_are_separated_where_a_direction_exists_and_nowhere_else():
    rng = np.random.default_rng(5)
    x, g = rng.normal(size=60), np.repeat(np.arange(12), 5)

    def of(y, right="x"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            d = ranef.design.build(
                ranef.formula.parse(f"y ~ {right} + (1 | g)"), {"y": y, "x": x, "g": g}
            )
        return separated_rows(d, "binomial", np.arange(len(d.fixed)))

    assert of((x > 0) * 1).all()  # complete
    touching = np.where(x > 0, 1.0, 0.0)
    touching[np.argmax(x)] = 0.0
    assert not of(touching).any()
    in_parts = np.where(x > 0, 1.0, 0.0)
    in_parts[np.argsort(np.abs(x))[:2]] = 0.5  # shares of several trials hold the line in place
    assert not of(in_parts).any()


@pytest.mark.parametrize("nagq", [0, 1, 11])
def test_responses_alike_within_every_level_are_named(nagq):
    g = np.repeat(np.arange(30), 4)
    d = pd.DataFrame({"g": g, "y": (g < 15) * 1})
    with pytest.warns(ConvergenceWarning, match="all responses are alike"):
        model = ranef.glmer("y ~ 1 + (1 | g)", d, family="binomial", nagq=nagq)
    assert not model.convergence
    assert "Not supported by the data" in model.convergence.verdict
    assert "endless-variance" in ranef.diagnose(model).codes


def sparse():
    """Draw 0/1 responses in small groups, few of them ones."""
    r = np.random.default_rng(7090)
    groups, size = int(r.integers(15, 60)), int(r.integers(2, 8))
    g = np.repeat(np.arange(groups), size)
    x = r.normal(size=groups * size)
    sd, b0 = float(r.choice([0.5, 1.5, 3.0])), float(r.choice([-4, -2.5, -1]))
    mean = stats.logistic.cdf(b0 + 0.7 * x + sd * r.normal(size=groups)[g])
    return {"y": r.binomial(1, mean), "x": x, "g": g}


# lme4 1.1-31 with nAGQ = 5, and with 25 points; -2 log-likelihood.
@pytest.mark.parametrize(("points", "right"), [(5, 36.5264), (25, 35.9707)])
def test_quadrature_finds_the_lower_of_two_optima(points, right):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = ranef.glmer("y ~ x + (1 | g)", sparse(), family="binomial", nagq=points)
    assert -2.0 * model.llf < right + 1e-3


@pytest.mark.parametrize("reml", [True, False])
def test_a_factor_both_fixed_and_random_is_named_and_held_at_zero(reml):
    sleep = ranef.datasets.load("sleepstudy")
    formula = "Reaction ~ Days + Subject + (1 | Subject)"
    with pytest.warns(RankWarning, match=r"\(1 \| Subject\) is not identified.*Subject\[T"):
        model = ranef.lmer(formula, sleep, reml=reml)
    assert "Not identified: (1 | Subject)" in model.convergence.verdict
    pooled = ranef.feols("Reaction ~ Days + Subject", sleep)
    assert_allclose(model.params, pooled.params, rtol=1e-8)
    if reml:
        assert_allclose(model.bse, pooled.bse, rtol=1e-8)


def test_a_nested_factor_stays_identified_beside_the_fixed_one():
    cake = ranef.datasets.load("cake")
    with pytest.warns(RankWarning, match=r"\(1 \| recipe\) is not identified"):
        both = ranef.lmer("angle ~ recipe * temperature + (1 | recipe / replicate)", cake)
    alone = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    assert_allclose(both.llf, alone.llf, rtol=1e-10)
    assert_allclose(both.bse, alone.bse, rtol=1e-6)


def test_one_spanned_column_leaves_the_others_as_they_are():
    sleep = ranef.datasets.load("sleepstudy")
    with pytest.warns(RankWarning, match=r"\(1 \| Subject\) is not identified"):
        both = ranef.lmer("Reaction ~ Days + Subject + (Days || Subject)", sleep)
    alone = ranef.lmer("Reaction ~ Days + Subject + (0 + Days | Subject)", sleep)
    assert_allclose(both.llf, alone.llf, rtol=1e-9)
    assert_allclose(both.params, alone.params, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)


def test_where_every_row_is_separated_no_coefficient_has_an_error():
    rng = np.random.default_rng(8)
    d = {"x": rng.normal(size=60), "g": np.repeat(np.arange(12), 5)}
    with pytest.warns(ConvergenceWarning, match="separate"):
        model = ranef.glmer("y ~ x + (1 | g)", {**d, "y": (d["x"] > 0) * 1}, family="binomial")
    assert model.bse.isna().all()


@pytest.mark.parametrize(
    "make",
    [
        lambda d: ranef.glmer("k ~ f + (1 | f) + (1 | g)", d, family="nbinom1"),
        lambda d: ranef.glmer("k ~ x + (1 | g)", d, family="poisson", zero="~ f + (1 | f)"),
        lambda d: ranef.clmm("o ~ f + x + (1 | f)", d),
        lambda d: ranef.lmer("y ~ f + (1 | f)", d, covariance={"f": _kinship(d)}),
        lambda d: ranef.lmer("y ~ x + f + cs(1 + x | f)", d),
        lambda d: ranef.lmer("y ~ x + (1 | g) + (1 | h)", d),
        lambda d: ranef.glmer("k ~ x + (1 | g) + (1 | h)", d, family="poisson"),
    ],
)
def test_what_the_likelihood_does_not_tell_is_named_by_every_kind_of_model(make):
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 10)
    data = pd.DataFrame({"x": rng.normal(size=120), "g": g.astype(str), "h": [f"h{i}" for i in g]})
    data["f"] = np.array(list("abc"))[g % 3]
    data["y"] = 5.0 + data["x"] + rng.normal(size=12)[g] + rng.normal(size=120)
    data["k"] = rng.poisson(np.exp(0.5 + 0.5 * rng.normal(size=12)[g])) * (rng.random(120) < 0.8)
    data["o"] = pd.Categorical(np.digitize(data["y"], [4.0, 6.0]), ordered=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = make(data)
    assert any("not identified" in str(one.message) for one in caught)
    assert not model.converged
    assert model.convergence.verdict.startswith("Not identified")
    found = ranef.diagnose(model, simulations=0).codes if model.model_kind != "linear" else []
    assert found == [] or {"not-identified", "same-groups"} & set(found)


def _kinship(data):
    labels = list("abc")
    return pd.DataFrame(np.eye(3) + 0.2, index=labels, columns=labels)


def test_what_the_likelihood_does_not_tell_is_found_before_and_after_the_fit():
    sleep = ranef.datasets.load("sleepstudy")
    formula = "Reaction ~ Days + Subject + (1 | Subject)"
    with pytest.warns(RankWarning, match="not identified"):
        model = ranef.lmer(formula, sleep)
    for found in (ranef.diagnose(formula, sleep), ranef.diagnose(model, simulations=0)):
        one = found.find("not-identified")
        assert "Subject[T.309]" in one.evidence
        assert {"zero-variance", "few-levels"}.isdisjoint(found.codes)
        mended = eval(one.fix, {"ranef": ranef, "data": sleep})
        assert mended.params["Days"] == pytest.approx(model.params["Days"], rel=1e-10)


@pytest.mark.filterwarnings("ignore::ranef.ConvergenceWarning")
def test_a_prior_tells_a_variance_that_the_likelihood_does_not():
    sleep = ranef.datasets.load("sleepstudy")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RankWarning)
        model = ranef.lmer(
            "Reaction ~ Days + Subject + (1 | Subject)", sleep, prior=ranef.InverseWishart(4.0)
        )
    assert model.converged
    with pytest.warns(RankWarning, match="not identified"):  # this one has no end
        ranef.lmer("Reaction ~ Days + Subject + (1 | Subject)", sleep, prior="weak", strict=False)


def test_an_innocent_term_of_another_part_is_not_blamed():
    rng = np.random.default_rng(4)
    f = np.repeat(list("abcd"), 30)
    data = pd.DataFrame({"f": f, "g": np.tile(np.arange(6), 20).astype(str)})
    data["k"] = rng.poisson(2.0, 120) * (rng.random(120) < 0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ranef.SingularFitWarning)
        model = ranef.glmer("k ~ f + (1 | g)", data, family="poisson", zero="~ 1 + (1 | f)")
    assert model.parts.spanned == []


def by_trapezoids(d, model, times=1.0):
    """-2 log-likelihood of a random intercept, all effects multiplied, on a fine grid."""
    u = np.linspace(-9.0, 9.0, 20001)
    density = stats.norm.pdf(u) * (u[1] - u[0])
    sd = float(np.sqrt(model.varcorr["g"].iloc[0, 0]))
    total = 0.0
    for _, rows in d.groupby("g"):
        eta = (model.params["Intercept"] + model.params["x"] * rows.x.to_numpy())[:, None] + sd * u
        eta *= times
        log = (rows.y.to_numpy()[:, None] * eta - np.logaddexp(0.0, eta)).sum(axis=0)
        total += np.log(np.exp(log) @ density)
    return -2.0 * total


def few_ones(seed):
    """Some clusters with few ones."""
    rng = np.random.default_rng(seed)
    groups, size = int(rng.integers(15, 60)), int(rng.integers(2, 8))
    g = np.repeat(np.arange(groups), size)
    x = rng.normal(size=groups * size)
    sd, level = float(rng.choice([0.5, 1.5, 3.0])), float(rng.choice([-4, -2.5, -1]))
    eta = level + 0.7 * x + sd * rng.normal(size=groups)[g]
    return pd.DataFrame({"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), "x": x, "g": g})


def test_a_quadrature_that_is_too_coarse_says_so():
    d = few_ones(7261)
    with pytest.warns(ConvergenceWarning, match="quadrature of 25 points is too coarse"):
        coarse = ranef.glmer("y ~ x + (1 | g)", d, family="binomial", nagq=25)
    assert by_trapezoids(d, coarse) + 2.0 * coarse.llf > 0.5
    found = ranef.diagnose(coarse)
    assert "coarse-quadrature" in found.codes
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fine = ranef.glmer("y ~ x + (1 | g)", d, family="binomial", nagq=100)
    assert_allclose(-2.0 * fine.llf, by_trapezoids(d, fine), atol=0.1)


def test_an_optimum_from_which_all_effects_may_grow_is_none():
    d = few_ones(9060)
    with pytest.warns(ConvergenceWarning, match="no finite optimum"):
        model = ranef.glmer("y ~ x + (1 | g)", d, family="binomial", nagq=25)
    assert abs(by_trapezoids(d, model, 3.0) - by_trapezoids(d, model)) < 0.1
    assert "endless-variance" in str(ranef.diagnose(model))


def test_large_effects_with_an_optimum_are_not_suspected():
    d = few_ones(7041)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ranef.glmer("y ~ x + (1 | g)", d, family="binomial", nagq=25)
    assert model.varcorr["g"].iloc[0, 0] > 25.0
    assert by_trapezoids(d, model, 2.0) > by_trapezoids(d, model) + 1.0


@pytest.mark.parametrize("zero", [None, "~ 1"])
def test_few_levels_of_large_counts_are_not_separated(zero):
    """In the limit of exact counts, the constant is the mean of the levels' logarithms."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=15)
    code = np.repeat(np.arange(15), 12)
    counts = rng.poisson(np.exp(20.0 + level[code]))
    if zero:
        counts[::12] = 0
    model = ranef.glmer("y ~ 1 + (1 | g)", {"y": counts, "g": code}, family="poisson", zero=zero)
    assert model.convergence.converged
    assert not model.warnings
    own = np.log(pd.Series(counts[counts > 0]).groupby(code[counts > 0]).mean())
    assert model.params.iloc[0] == pytest.approx(own.mean(), abs=1e-4)
