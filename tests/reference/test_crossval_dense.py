"""Left-out predictions in closed form against dense algebra on the rows left in."""

from __future__ import annotations

import numpy as np
import pytest

import ranef
from ranef.inference.crossval import crossval

CASES = {
    "slope": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", None, "Subject"),
    "weights": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "w", "Subject"),
    "independent": ("Reaction ~ Days + (Days || Subject)", "sleepstudy", None, "Subject"),
    "year": ("Reaction ~ Year + (Year | Subject)", "sleepstudy", None, "Subject"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", None, "sample"),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", None, "batch:cask"),
    "nested, outer": ("strength ~ 1 + (1 | batch/cask)", "Pastes", None, "batch"),
    "singular": ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", None, "Batch"),
    "aliased": ("Reaction ~ Days + Year + (1 | Subject)", "sleepstudy", "w", "Subject"),
    "offset": ("Reaction ~ Days + offset(30 * w) + (1 | Subject)", "sleepstudy", None, "Subject"),
}


def fit(name):
    formula, data, weights, group = CASES[name]
    frame = ranef.datasets.load(data)
    if data == "sleepstudy":
        frame = frame.iloc[:60]
        frame = frame.assign(w=1.0 / (1.0 + frame["Days"]), Year=2008.0 + frame["Days"])
    return ranef.lmer(formula, frame, weights=weights), group


def dense(model, left_out):
    """Means, standard deviations and joint log density of rows given all others, theta held."""
    design, estimate = model.parts.design, model.parts.estimate
    n, X = design.n_obs, design.X[:, estimate.kept]
    w = np.ones(n) if design.weights is None else design.weights
    y = design.y if design.offset is None else design.y - design.offset
    V = np.diag(estimate.sigma**2 / w)
    for term, cov in zip(design.random, estimate.sigmas, strict=True):
        z = design.z(term)
        V += (term.codes[:, None] == term.codes) * (z @ cov @ z.T)
    mean, sd, joint = np.zeros(n), np.zeros(n), []
    for k in np.unique(left_out):
        i, o = np.flatnonzero(left_out == k), np.flatnonzero(left_out != k)
        root = np.linalg.cholesky(V[np.ix_(o, o)])
        half, target = np.linalg.solve(root, X[o]), np.linalg.solve(root, y[o])
        Q, R = np.linalg.qr(half)
        beta = np.linalg.solve(R, Q.T @ target)
        G = np.linalg.solve(root.T, np.linalg.solve(root, V[np.ix_(o, i)])).T
        M = np.linalg.solve(R.T, (X[i] - G @ X[o]).T).T
        C = V[np.ix_(i, i)] - G @ V[np.ix_(o, i)] + M @ M.T
        mean[i] = X[i] @ beta + G @ (y[o] - X[o] @ beta)
        sd[i] = np.sqrt(np.diag(C))
        e = y[i] - mean[i]
        joint.append(-0.5 * (np.linalg.slogdet(2 * np.pi * C)[1] + e @ np.linalg.solve(C, e)))
    offset = 0.0 if design.offset is None else design.offset
    return mean + offset, sd, np.array(joint)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning", "ignore::ranef.RankWarning")
def test_groups_one_by_one(name):
    model, group = fit(name)
    (term,) = [t for t in model.parts.design.random if t.group == group]
    mean, sd, joint = dense(model, term.codes)
    found = ranef.cross_validate(model, group=group)
    scale = model.parts.design.y.std()
    np.testing.assert_allclose(found.rows["mean"], mean, rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(found.rows["sd"], sd, rtol=1e-8)
    np.testing.assert_allclose(found.folds["joint_log_score"], joint, rtol=1e-8)
    assert list(found.folds.index) == list(term.levels)
    error = model.parts.design.y - mean
    assert found.table["rmse"].iloc[0] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-8)
    assert found.table["mae"].iloc[0] == pytest.approx(np.abs(error).mean(), rel=1e-8)
    score = -0.5 * np.log(2 * np.pi * sd**2) - 0.5 * (error / sd) ** 2
    assert found.table["log_score"].iloc[0] == pytest.approx(score.mean(), rel=1e-8)


@pytest.mark.parametrize("name", ["crossed", "nested, outer"])
def test_groups_that_are_kept_sparse(name, monkeypatch):
    monkeypatch.setattr(crossval, "SPARSE_PAYS", 0)
    monkeypatch.setattr(crossval, "ROWS_AT_ONCE", 2)
    test_groups_one_by_one(name)


def test_rows_in_several_parts(monkeypatch):
    monkeypatch.setattr(crossval, "ROWS_AT_ONCE", 7)
    test_rows_one_by_one("weights")


@pytest.mark.parametrize("name", ["slope", "weights", "crossed", "nested", "aliased"])
@pytest.mark.filterwarnings("ignore::ranef.RankWarning")
def test_rows_one_by_one(name):
    model, _ = fit(name)
    mean, sd, joint = dense(model, np.arange(model.nobs))
    found = ranef.cross_validate(model, "new_rows")
    scale = model.parts.design.y.std()
    np.testing.assert_allclose(found.rows["mean"], mean, rtol=0, atol=1e-8 * scale)
    np.testing.assert_allclose(found.rows["sd"], sd, rtol=1e-8)
    np.testing.assert_allclose(found.rows["log_score"], joint, rtol=1e-8)


def test_what_cannot_be_predicted_is_counted():
    frame = ranef.datasets.load("sleepstudy").iloc[:60]
    frame = frame.assign(only=(frame["Subject"].astype(str) == "308") * frame["Days"])
    model = ranef.lmer("Reaction ~ Days + only + (1 | Subject)", frame)
    found = ranef.cross_validate(model)
    lost = found.rows["mean"].isna()
    assert list(frame.index[lost]) == list(frame.index[frame["Subject"].astype(str) == "308"])
    assert found.table["rows"].iloc[0] == 50
    assert "10 rows have no prediction" in found.notes[1]
