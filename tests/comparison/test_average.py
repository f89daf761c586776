"""Averages over models."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import optimize

import ranef
from ranef.inference.average import averaged, stacking_weights

FORMULAS = (
    "Reaction ~ 1 + (1 | Subject)",
    "Reaction ~ Days + (1 | Subject)",
    "Reaction ~ Days + I(Days**2) + (1 | Subject)",
)


@functools.cache
def models():
    sleep = ranef.datasets.load("sleepstudy").iloc[:60]
    return tuple(ranef.lmer(formula, sleep) for formula in FORMULAS)


def test_akaike_weights_are_of_ml_fits():
    found = ranef.average(models())
    aic = np.array([model.update(reml=False).aic for model in models()])
    relative = np.exp(-0.5 * (aic - aic.min()))
    np.testing.assert_allclose(found.weights, relative / relative.sum(), rtol=1e-6)


def test_coefficients_by_the_formula():
    found = ranef.average(models())
    w = found.weights.to_numpy()
    slope = np.array([0.0, *(m.params["Days"] for m in models()[1:])])
    se = np.array([0.0, *(m.bse["Days"] for m in models()[1:])])
    full = w @ slope
    row = found.table.loc["Days"]
    assert row["full"] == pytest.approx(full, rel=1e-12)
    assert row["full_se"] == pytest.approx(np.sqrt(w @ (se**2 + (slope - full) ** 2)), rel=1e-12)
    part = w[1:] / w[1:].sum()
    conditional = part @ slope[1:]
    spread = se[1:] ** 2 + (slope[1:] - conditional) ** 2
    assert row["conditional"] == pytest.approx(conditional, rel=1e-12)
    assert row["conditional_se"] == pytest.approx(np.sqrt(part @ spread), rel=1e-12)
    assert row["weight"] == pytest.approx(w[1:].sum(), rel=1e-12)


def test_one_certain_model_averages_to_itself():
    b, se = averaged(np.array([[1.5, 9.0]]), np.array([[0.2, 3.0]]), np.array([1.0, 0.0]))
    assert (b[0], se[0]) == (1.5, pytest.approx(0.2))


def test_predictions_are_averaged():
    found = ranef.average(models())
    new = ranef.datasets.load("sleepstudy").iloc[[3, 70]]
    for options in ({"random": "none"}, {"new_levels": "population"}):
        each = [m.predict(new, **options) for m in models()]
        np.testing.assert_allclose(
            found.predict(new, **options), found.weights.to_numpy() @ np.array(each), rtol=1e-12
        )
    with pytest.raises(ValueError, match="no intervals"):
        found.predict(new, interval="confidence")


def test_stacking_maximises_the_mixture():
    rng = np.random.default_rng(8)
    scores = rng.normal(-50.0, 2.0, (40, 3)) + np.array([0.0, 0.5, -6.0])

    def loss(free):
        w = np.exp(np.append(free, 0.0))
        w = w / w.sum()
        return -np.mean(np.log(np.exp(scores + 50.0) @ w))

    found = optimize.minimize(
        loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    w = stacking_weights(scores)
    assert w.sum() == pytest.approx(1.0)
    value = -np.mean(np.log(np.exp(scores + 50.0) @ w))
    assert value <= found.fun + 1e-9


def test_stacking_prefers_what_predicts_new_groups():
    found = ranef.average(models(), weights="stacking")
    assert found.weights.iloc[0] < 0.05
    assert "stacking" in found.notes[0]


def test_conditional_aic_weights():
    found = ranef.average(models(), weights="caic")
    values = np.array([model.caic().caic for model in models()])
    relative = np.exp(-0.5 * (values - values.min()))
    np.testing.assert_allclose(found.weights, relative / relative.sum(), rtol=1e-12)


def test_text_and_html():
    found = ranef.average(models())
    assert "Average of 3 models" in repr(found)
    assert "<table" in found._repr_html_()
    assert found.params["Intercept"] == found.table.loc["Intercept", "full"]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="weights must be one of"):
        ranef.average(models(), weights="equal")
    with pytest.raises(ranef.ModelError, match="two or more"):
        ranef.average(models()[:1])
    with pytest.raises(ranef.ModelError, match="two or more"):
        ranef.average(models()[0])
    cbpp = ranef.datasets.load("cbpp")
    counts = ranef.glmer("incidence ~ period + (1 | herd)", cbpp, family="poisson")
    with pytest.raises(ranef.ModelError, match=r"models of ranef\.glmer.* with each other"):
        ranef.average([counts, models()[0]])
    with pytest.raises(ranef.ModelError, match="180 rows"):
        ranef.average([models()[0], ranef.lmer(FORMULAS[1], ranef.datasets.load("sleepstudy"))])
