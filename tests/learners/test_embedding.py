"""Conditional modes as columns: against models fitted without the row."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestRegressor

import ranef
from ranef.learners.task import within_groups

SLEEP = ranef.datasets.load("sleepstudy")
MODEL = ranef.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)


def dense_without(model, row):
    """Modes of all terms from all rows but some, by dense algebra at the same covariances."""
    design, estimate = model.parts.design, model.parts.estimate
    keep = ~np.isin(np.arange(design.n_obs), row)
    Z, G = [], []
    for term, block in zip(design.random, estimate.lambda_, strict=True):
        indicator = np.eye(term.n_levels)[term.codes]
        Z += [np.einsum("nl,ns->nls", indicator, design.z(term)).reshape(design.n_obs, -1)]
        G += [np.kron(np.eye(term.n_levels), block @ block.T)]
    Z = np.hstack(Z)
    G = np.block(
        [
            [G[i] if i == j else np.zeros((len(G[i]), len(G[j]))) for j in range(len(G))]
            for i in range(len(G))
        ]
    )
    w = np.ones(design.n_obs) if design.weights is None else design.weights
    X, y = design.X, design.y - (0 if design.offset is None else design.offset)
    V = Z[keep] @ G @ Z[keep].T + np.diag(1.0 / w[keep])
    inverse = np.linalg.inv(V)
    beta = np.linalg.solve(X[keep].T @ inverse @ X[keep], X[keep].T @ inverse @ y[keep])
    return G @ Z[keep].T @ inverse @ (y[keep] - X[keep] @ beta)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("Reaction ~ Days + (Days | Subject)", {}),
        ("Reaction ~ Days + (1 | Subject)", {"weights": "w"}),
        ("Reaction ~ Days + offset(o) + (Days || Subject)", {"weights": "w"}),
        ("Reaction ~ Days + (Days | Subject) + (1 | h)", {"weights": "w"}),
        ("Reaction ~ Days + ar1(0 + t | Subject)", {}),
    ],
)
def test_no_row_is_in_its_own_columns(formula, options):
    rng = np.random.default_rng(1)
    data = SLEEP.assign(w=rng.uniform(0.5, 2, 180), o=rng.normal(size=180), h=np.arange(180) % 7)
    data["Reaction"] += 20.0 * data["h"] * ("| h" in formula)
    data["t"] = pd.Categorical(data["Days"])
    model = ranef.lmer(formula, data, **options)
    found = ranef.embedding(model, "Subject", folds="rows")
    term = model.parts.design.random[0]
    for row in (0, 57, 179):
        modes = dense_without(model, row)[: term.n_levels * term.n_cols]
        want = modes.reshape(term.n_levels, term.n_cols)[term.codes[row]]
        assert_allclose(found.train.iloc[row], want, rtol=1e-6, atol=1e-8)


def test_of_a_second_term_too():
    data = SLEEP.assign(h=np.arange(180) % 7)
    data["Reaction"] += (20.0 + 5.0 * (data["h"] % 3) * data["Days"]) * (data["h"] % 4)
    model = ranef.lmer("Reaction ~ Days + (1 | Subject) + (Days | h)", data)
    term = model.parts.design.random[1]
    found = ranef.embedding(model, "h", folds="rows").train
    modes = dense_without(model, 40)[18:].reshape(7, 2)
    assert_allclose(found.iloc[40], modes[term.codes[40]], rtol=1e-5, atol=1e-8)


def test_parts_are_not_left_out_beside_a_smooth():
    model = ranef.lmer("Reaction ~ s(Days, k=4) + (1 | Subject)", SLEEP)
    with pytest.raises(ranef.UnsupportedError, match='folds="rows"'):
        ranef.embedding(model)
    assert ranef.embedding(model, cross_fit=False).train.shape == (180, 1)


def test_no_part_is_in_its_own_columns():
    data = SLEEP.assign(h=np.arange(180) % 7)
    data["Reaction"] += 20.0 * data["h"]
    model = ranef.lmer("Reaction ~ Days + (Days | Subject) + (1 | h)", data)
    found = ranef.embedding(model, "Subject", folds=4).train
    codes = model.parts.design.random[0].codes
    part = within_groups(codes.astype(int), 4, 1)
    assert (pd.crosstab(codes, part).to_numpy() >= 2).all()
    for k in (0, 3):
        modes = dense_without(model, np.flatnonzero(part == k))[:36].reshape(18, 2)
        assert_allclose(found[part == k], modes[codes[part == k]], rtol=1e-6, atol=1e-8)
    again = ranef.embedding(model, "Subject", folds=4, seed=2).train
    assert not np.allclose(again, found)


def test_single_rows_leak_where_groups_can_be_told_apart_and_parts_do_not():
    """Schools with a size of their own, and pure noise: nothing is to be learned."""
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(40), 50)
    data = pd.DataFrame({"y": rng.normal(size=2000), "g": g, "size": rng.normal(size=40)[g]})
    data["y"] += rng.normal(size=40)[g]
    model = ranef.lmer("y ~ 1 + (1 | g)", data)
    noise = (data["y"] - data.groupby("g")["y"].transform("mean")).to_numpy()

    def learned(folds):
        X = ranef.embedding(model, folds=folds).train.assign(size=data["size"])
        found = RandomForestRegressor(30, min_samples_leaf=5, oob_score=True, random_state=0)
        return np.corrcoef(found.fit(X, data["y"]).oob_prediction_, noise)[0, 1]

    assert learned("rows") > 0.4
    assert abs(learned(5)) < 0.2


def test_columns_of_new_rows():
    found = ranef.embedding(MODEL)
    assert list(found.train.columns) == ["Subject_Intercept", "Subject_Days"]
    assert found.train.index.equals(SLEEP.index)
    new = pd.DataFrame({"Subject": ["308", "nobody", None]}, index=["a", "b", "c"])
    out = found.transform(new, se=True)
    assert list(out.index) == ["a", "b", "c"]
    assert_allclose(out.loc["a"].iloc[:2], MODEL.ranef()["Subject"].loc["308"])
    assert_allclose(out.loc["a"].iloc[2:] ** 2, np.diag(MODEL.ranef().cov["Subject"][0]))
    assert_allclose(out.loc["b"].iloc[:2], 0.0)
    assert_allclose(out.loc["b"].iloc[2:] ** 2, np.diag(MODEL.varcorr["Subject"]))
    assert_allclose(out.loc["c"], out.loc["b"])
    assert_allclose(pickle.loads(pickle.dumps(found)).transform(new, se=True), out)
    plain = ranef.embedding(MODEL, cross_fit=False)
    assert_allclose(plain.train, found.transform(SLEEP), rtol=1e-12)
    assert "18 levels, 2 columns" in repr(found)
    assert "<pre>" in found._repr_html_()


def test_a_group_with_noise_only_says_nothing_of_its_rows():
    """Means with the row correlate with it; columns without the row must not."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.normal(size=900), "g": np.repeat(np.arange(300), 3)})
    data["y"] += 0.3 * rng.normal(size=300)[data["g"]]
    model = ranef.lmer("y ~ 1 + (1 | g)", data)
    with_row = ranef.embedding(model, cross_fit=False).train.iloc[:, 0]
    without = ranef.embedding(model).train.iloc[:, 0]
    assert np.corrcoef(with_row, data["y"])[0, 1] > 0.5
    assert abs(np.corrcoef(without, data["y"])[0, 1]) < 0.2


def test_bad_input_is_refused_in_words():
    counts = SLEEP.assign(n=(SLEEP["Reaction"] / 20).round())
    poisson = ranef.glmer("n ~ Days + (1 | Subject)", counts, family="poisson")
    with pytest.raises(ranef.UnsupportedError, match="cross_fit=False"):
        ranef.embedding(poisson)
    assert_allclose(ranef.embedding(poisson, cross_fit=False).levels, poisson.ranef()["Subject"])
    with pytest.raises(ValueError, match="group must be 'Subject'"):
        ranef.embedding(MODEL, "g")
    with pytest.raises(ranef.ModelError, match="with random effects"):
        ranef.embedding(ranef.feols("Reaction ~ Days", SLEEP))
    with pytest.raises(ranef.ModelError, match="not of a DataFrame"):
        ranef.embedding(SLEEP)
    many = pd.DataFrame({"y": np.random.default_rng(0).normal(size=9000)})
    many["a"], many["b"] = np.arange(9000) % 2100, np.arange(9000) % 2003
    many["y"] += np.sin(many["a"]) + np.cos(many["b"])
    crossed = ranef.lmer("y ~ 1 + (1 | a) + (1 | b)", many)
    with pytest.raises(ranef.UnsupportedError, match="inverse of"):
        ranef.embedding(crossed, "a", folds="rows")
