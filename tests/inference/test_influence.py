"""Deletion in closed form is deletion: generalised least squares on the rows that are left."""

import numpy as np
import pandas as pd
import pytest

import ranef

CASES = {
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "Subject", None),
    "weights": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", "Subject", "w"),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch", None),
    "inner": ("strength ~ 1 + (1 | batch/cask)", "Pastes", "batch:cask", None),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", "sample", None),
    "rows": ("score ~ Machine + (1 | Worker)", "Machines", "rows", None),
}


def made(name):
    formula, data, groups, weights = CASES[name]
    frame = ranef.datasets.load(data)
    if weights:
        frame["w"] = 1.0 / (1.0 + frame["Days"])
    return ranef.lmer(formula, frame, weights=weights), groups


def dense(model, keep):
    """Fixed effects and their covariance by dense algebra at the model's covariance parameters."""
    design, estimate = model.parts.design, model.parts.estimate
    n = design.n_obs
    V = np.diag(np.ones(n) if design.weights is None else 1.0 / design.weights)
    for term, factor in zip(design.random, estimate.lambda_, strict=True):
        same = term.codes[:, None] == term.codes[None, :]
        z = design.z(term) @ factor
        V += same * (z @ z.T)
    V, X, y = V[np.ix_(keep, keep)], design.X[keep], design.y[keep]
    W = np.linalg.inv(V)
    precision = X.T @ W @ X
    return np.linalg.solve(precision, X.T @ W @ y), model.sigma**2 * np.linalg.inv(precision)


@pytest.mark.parametrize("name", CASES)
def test_closed_form_is_least_squares_without_the_group(name):
    model, groups = made(name)
    found = model.influence(groups)
    design = model.parts.design
    codes = (
        np.arange(design.n_obs)
        if groups == "rows"
        else next(t.codes for t in design.random if t.group == groups)
    )
    labels = (
        list(range(design.n_obs))
        if groups == "rows"
        else list(next(t.levels for t in design.random if t.group == groups))
    )
    whole, cov = dense(model, np.arange(design.n_obs))
    for g in range(0, len(labels), max(1, len(labels) // 6)):
        beta, without = dense(model, np.flatnonzero(codes != g))
        label = labels[g]
        np.testing.assert_allclose(found.params.loc[label], beta, rtol=1e-9)
        moved = whole - beta
        cook = moved @ np.linalg.solve(cov, moved) / len(beta)
        assert found.table.loc[label, "cooks_distance"] == pytest.approx(cook, rel=1e-6)
        np.testing.assert_allclose(
            found.dfbetas.loc[label], moved / np.sqrt(np.diag(without)), rtol=1e-6, atol=1e-10
        )
        ratio = np.linalg.det(without) / np.linalg.det(cov)
        assert found.table.loc[label, "covratio"] == pytest.approx(ratio, rel=1e-7)


def test_leverage_is_the_derivative_of_fitted_values():
    model, _ = made("weights")
    from ranef.inference.influence import leverage

    h = leverage(model.parts.design, model.parts.estimate, model.parts.core)
    for i in (0, 57, 179):
        y = model.parts.design.y.copy()
        y[i] += 1.0
        from dataclasses import replace

        from ranef.inference.prediction.predict import fitted
        from ranef.models import lmm

        moved = replace(model.parts.design, y=y)
        at = lmm.evaluate(moved, lmm.kernel(moved), model.parts.estimate.lambda_, reml=True)
        change = fitted(moved, at)[i] - fitted(model.parts.design, model.parts.estimate)[i]
        assert h[i] == pytest.approx(change, rel=1e-8)


@pytest.mark.filterwarnings("ignore::ranef.errors.RanefWarning")
def test_refits_are_fits_without_the_group():
    model, _ = made("slopes")
    found = model.influence("Subject", refit=True)
    frame = ranef.datasets.load("sleepstudy")
    for subject in ("308", "337", "372"):
        rest = ranef.lmer(model.call.formula, frame[frame["Subject"].astype(str) != subject])
        np.testing.assert_allclose(
            found.params.loc[subject] / rest.bse, rest.params / rest.bse, atol=1e-5
        )
        np.testing.assert_allclose(found.dfbeta.loc[subject], model.params - rest.params, atol=1e-4)


def test_a_column_of_the_data_may_group():
    model, _ = made("slopes")
    found = model.influence("Days")
    assert list(found.table.index.sort_values()) == list(range(10))
    keep = np.flatnonzero(ranef.datasets.load("sleepstudy")["Days"] != 9)
    np.testing.assert_allclose(found.params.loc[9], dense(model, keep)[0], rtol=1e-9)


def test_a_group_that_a_coefficient_rests_on_is_nan():
    frame = ranef.datasets.load("sleepstudy")
    frame["lone"] = (frame["Subject"] == frame["Subject"].iloc[0]).astype(float)
    model = ranef.lmer("Reaction ~ Days + lone + (1 | Subject)", frame)
    found = model.influence()
    assert np.isnan(found.table["cooks_distance"].iloc[-1])
    assert found.table["cooks_distance"].iloc[:-1].notna().all()


def test_what_cannot_group_is_refused():
    model, _ = made("slopes")
    with pytest.raises(ranef.DataError, match="no column 'Subjet'"):
        model.influence("Subjet")


def test_it_prints_names_and_draws():
    import matplotlib

    matplotlib.use("Agg")
    model, _ = made("slopes")
    found = model.influence()
    assert found.top(2) == list(found.table.index[:2])
    assert f"Without {found.top(1)[0]}, " in repr(found)
    ax = found.plot(n=4)
    assert [t.get_text() for t in ax.get_yticklabels()] == found.top(4)[::-1]
    matplotlib.pyplot.close("all")
    assert isinstance(found.dfbetas, pd.DataFrame)


def test_one_inverse_and_many_solves_give_the_same(monkeypatch):
    from ranef.inference import influence

    model = ranef.lmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", ranef.datasets.load("Penicillin")
    )
    tables = []
    for filled in (0.0, 2.0):
        monkeypatch.setattr(influence, "FILLED", filled)
        tables.append(model.influence("plate"))
    np.testing.assert_allclose(tables[0].table, tables[1].table, rtol=1e-9)
    np.testing.assert_allclose(tables[0].dfbetas, tables[1].dfbetas, rtol=1e-9)


def crossed_slopes():
    rng = np.random.default_rng(8)
    g, h = rng.integers(0, 30, 400), rng.integers(0, 12, 400)
    data = pd.DataFrame({"g": g.astype(str), "h": h.astype(str), "x": rng.normal(size=400)})
    b = rng.normal(size=(30, 2))
    data["y"] = 1.0 + b[g, 0] + b[g, 1] * data["x"] + rng.normal(size=12)[h] + rng.normal(size=400)
    data["w"] = rng.uniform(0.5, 2.0, 400)
    return ranef.lmer("y ~ x + (x | g) + (1 | h)", data, weights="w")


@pytest.mark.parametrize("groups", ["g", "h", "rows"])
def test_a_term_eliminated_by_hand_changes_nothing(groups):
    model = crossed_slopes()
    found = model.influence(groups)
    term = next((t for t in model.parts.design.random if t.group == groups), None)
    codes, levels = (np.arange(400), range(400)) if term is None else (term.codes, term.levels)
    for g in (0, 5, 11):
        beta, _ = dense(model, np.flatnonzero(codes != g))
        np.testing.assert_allclose(found.params.loc[levels[g]], beta, rtol=1e-8)


def test_leverages_of_crossed_terms_are_those_of_the_factor():
    from ranef.inference import influence

    model = crossed_slopes()
    parts = model.parts
    own = influence.leverage(parts.design, parts.estimate, parts.core)
    X = np.asfortranarray(parts.design.X)
    terms = [(term.codes, parts.design.z(term)) for term in parts.design.random]
    spread = parts.core.prediction_variances(list(parts.estimate.lambda_standard), X, terms)
    np.testing.assert_allclose(own, parts.design.weights * spread, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::ranef.errors.RanefWarning")
def test_a_group_that_holds_all_successes_is_named():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"g": np.repeat(np.arange(6), 10), "x": rng.normal(size=60)})
    frame["y"] = ((frame["g"] == 2) & (rng.random(60) < 0.6)).astype(int)
    found = ranef.glmer("y ~ x + (1 | g)", frame, family="binomial").influence()
    assert found.table["cooks_distance"].isna().to_dict()[2]
    assert "Without 2 nothing can be estimated" in repr(found)
    assert "standard errors" in repr(found)
