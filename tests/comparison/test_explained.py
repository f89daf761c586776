"""R² by all definitions, and its parts, against dense algebra and simulation."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(40), 8)
    u = rng.normal(size=40)
    frame = pd.DataFrame({"g": g.astype(str), "w": u[g]})
    frame["x"] = rng.normal(size=320) + 0.7 * u[g]
    frame["z"] = 0.5 * frame["x"] + rng.normal(size=320)
    b = rng.normal(size=(40, 2)) * [0.8, 0.4]
    eta = 0.5 * frame["x"] + 0.4 * frame["w"] + 0.3 * frame["z"] + b[g, 0] + b[g, 1] * frame["x"]
    frame["y"] = eta + rng.normal(size=320)
    frame["k"] = rng.poisson(np.exp(0.3 + 0.4 * eta))
    frame["s"] = (rng.random(320) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    return frame


@pytest.fixture(scope="module")
def model(data):
    return ranef.lmer("y ~ x + w + z + (x | g)", data)


def test_within_and_between_are_sums_over_rows_and_groups(data, model):
    table = ranef.r2_table(model, cross_validated=False).table["r2"]
    X = np.column_stack([np.ones(320), data[["x", "w", "z"]]])
    linear = pd.Series(X @ model.params.to_numpy())
    middle = linear.groupby(data["g"].to_numpy()).transform("mean")
    S = model.parts.estimate.sigmas[0]
    Z = X[:, :2]
    means = pd.DataFrame(Z).groupby(data["g"].to_numpy()).transform("mean").to_numpy()
    slopes = np.mean([row @ S @ row for row in Z - means])
    level = np.mean([row @ S @ row for row in means])
    within, between = ((linear - middle) ** 2).sum() / 319, (middle - linear.mean()) ** 2
    between = between.sum() / 319
    sigma2 = model.sigma**2
    assert table["within, fixed"] == pytest.approx(within / (within + slopes + sigma2))
    assert table["within, fixed and slopes"] == pytest.approx(
        (within + slopes) / (within + slopes + sigma2)
    )
    assert table["between, fixed"] == pytest.approx(between / (between + level))
    total = within + between + slopes + level + sigma2
    assert table["marginal"] == pytest.approx((within + between) / total)
    assert table["conditional"] == pytest.approx(1.0 - sigma2 / total)


def test_all_definitions_stand_in_one_table(data, model):
    found = ranef.r2_table(model, interval="boot", n=40, seed=1, progress=False)
    table = found.table
    for method in ("nsj", "kr"):
        row = model.r2(method).table.iloc[0]
        np.testing.assert_allclose(
            table.loc[method, ["r2", "lower", "upper"]].to_numpy(float),
            row[["r2", "lower", "upper"]].to_numpy(float),
        )
    for name in ("marginal", "conditional", "between, fixed"):
        assert table.loc[name, "lower"] < table.loc[name, "r2"] < table.loc[name, "upper"]
    left = ranef.cross_validate(model).rows
    y = left["y"]
    expected = 1.0 - ((y - left["mean"]) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert table.loc["new groups", "r2"] == pytest.approx(expected)
    assert table.loc["new groups", "r2"] < table.loc["new rows", "r2"]
    assert "new groups" in repr(found)
    assert "<table" in found._repr_html_()
    with pytest.raises(ValueError, match="interval must be"):
        ranef.r2_table(model, interval="profile")
    with pytest.raises(ranef.ModelError, match="mixed models"):
        ranef.r2_table(ranef.feols("y ~ x", data))


@pytest.mark.parametrize(("response", "family"), [("k", "poisson"), ("s", "binomial")])
def test_shares_of_the_responses_are_those_of_simulated_ones(data, response, family):
    fit = ranef.glmer(f"{response} ~ x + w + (1 | g)", data, family=family)
    table = ranef.r2_table(fit, cross_validated=False).table["r2"]
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(320), data[["x", "w"]]])
    sd = float(fit.parts.estimate.sigmas[0][0, 0]) ** 0.5
    eta = (X @ fit.params.to_numpy())[:, None] + sd * rng.normal(size=(320, 40_000))
    mu = np.exp(eta) if family == "poisson" else 1.0 / (1.0 + np.exp(-eta))
    own = (mu if family == "poisson" else mu * (1.0 - mu)).mean()
    fixed, random = mu.mean(axis=1).var(ddof=1), mu.var(axis=1).mean()
    assert table["response, marginal"] == pytest.approx(fixed / (fixed + random + own), rel=0.02)
    assert table["response, conditional"] == pytest.approx(
        (fixed + random) / (fixed + random + own), rel=0.02
    )
    if family == "poisson":
        for scale in ("lognormal", "delta", "trigamma"):
            assert table[f"{scale}, marginal"] == pytest.approx(fit.r2(scale).marginal)
    else:
        assert table["latent, conditional"] == pytest.approx(fit.r2().conditional)
        assert "new rows" in ranef.r2_table(fit, folds=3, seed=1, progress=False).table.index


def shares(data, names):
    right = " + ".join(["1", *names, "(1 | g)"])
    return ranef.lmer(f"y ~ {right}", data).r2().marginal


def test_parts_are_losses_and_averages_are_over_orders(data):
    fit = ranef.lmer("y ~ x + w + z + (1 | g)", data)
    found = ranef.part_r2(fit, progress=False)
    names = ["x", "w", "z"]
    whole = shares(data, names)
    assert found.whole == pytest.approx(whole)
    gains = {name: [] for name in names}
    for order in permutations(names):
        for i, name in enumerate(order):
            gains[name].append(shares(data, order[: i + 1]) - shares(data, order[:i]))
    for name in names:
        rest = [other for other in names if other != name]
        assert found.table.loc[name, "part"] == pytest.approx(whole - shares(data, rest))
        assert found.table.loc[name, "alone"] == pytest.approx(shares(data, [name]))
        assert found.table.loc[name, "average"] == pytest.approx(np.mean(gains[name]))
    assert found.table["average"].sum() == pytest.approx(whole)
    assert found.commonality.sum() == pytest.approx(whole)
    assert found.commonality["x"] == pytest.approx(found.table.loc["x", "part"])
    # what two have in common and the third has not
    pair = shares(data, ["x", "z"]) + shares(data, ["w", "z"]) - shares(data, ["z"]) - whole
    assert found.commonality["x & w"] == pytest.approx(pair)


def test_blocks_hold_products_together(data):
    fit = ranef.lmer("y ~ x * z + w + (1 | g)", data)
    with pytest.raises(ranef.ModelError, match="put both into one block"):
        ranef.part_r2(fit)
    found = ranef.part_r2(fit, {"x and z": ["x", "z", "x:z"], "w": "w"}, progress=False)
    assert list(found.table.index) == ["x and z", "w"]
    assert "Parts of a marginal" in repr(found)
    with pytest.raises(ValueError, match="no term 'v'"):
        ranef.part_r2(fit, ["v"])
    with pytest.raises(ranef.ModelError, match="one block"):
        ranef.part_r2(fit, {"a": ["w"], "b": ["w"]})
    with pytest.raises(ranef.ModelError, match="limit=1"):
        ranef.part_r2(fit, ["w"], limit=1)


@pytest.mark.filterwarnings("ignore::ranef.errors.SingularFitWarning")
@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_rows_with_a_count_have_the_shares_of_the_rows_they_stand_for(family):
    rng = np.random.default_rng(4)
    g, x = rng.integers(0, 25, 900), rng.integers(0, 4, 900) / 2.0
    e = rng.choice([1.0, 3.0], 900)
    slope = 0.3 * rng.normal(size=25)
    mean = e * np.exp(0.3 * x + slope[g] * x + 0.4 * rng.normal(size=25)[g])
    rows = pd.DataFrame({"g": g, "x": x, "e": e, "n": rng.negative_binomial(3, 3 / (3 + mean))})
    kept = rows.value_counts().rename("times").reset_index()
    formula = "n ~ x + offset(log(e)) + (x | g)"
    whole = ranef.glmer(formula, rows, family=family)
    few = ranef.glmer(formula, kept, family=family, weights="times")
    assert (few.r2().marginal, few.r2().conditional) == pytest.approx(
        (whole.r2().marginal, whole.r2().conditional), rel=1e-4
    )
    assert few.icc().adjusted == pytest.approx(whole.icc().adjusted, rel=1e-4)
    np.testing.assert_allclose(
        few.variance_decomposition()["variance"],
        whole.variance_decomposition()["variance"],
        rtol=1e-4,
    )
