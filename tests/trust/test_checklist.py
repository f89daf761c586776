"""The issues of the field, filled in for a model."""

import numpy as np
import pandas as pd
import pytest

import ranef


def test_a_linear_model_is_gone_through_topic_by_topic():
    sleep = ranef.datasets.load("sleepstudy").copy()
    sleep.loc[:2, "Reaction"] = np.nan
    with pytest.warns(ranef.DroppedRowsWarning):
        model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    found = ranef.checklist(model).table.set_index("topic")
    assert found.answer["few rows within clusters"] == "7 to 10 rows a level of Subject."
    assert found.answer["missing values"] == "3 of 180 rows were dropped."
    assert "Subject has 18 levels" in found.answer["few clusters"]
    assert f"{model.r2().marginal:.2f}" in found.answer["variance accounted for"]
    assert found.answer["convergence"] == model.convergence.verdict
    assert "few-levels" in found.answer["anything else"]
    assert not found.answer.isna().any()


def test_every_call_for_a_generalised_model_is_one_that_it_has():
    cbpp = ranef.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    found = ranef.checklist(ranef.glmer(formula, cbpp, family="binomial"))
    assert "approaches" not in str(found)
    assert "kenward" not in str(found)
    assert 'family="binomial"' in str(found)
    assert found._repr_html_().startswith("<pre>")


def test_a_model_in_chunks_is_not_sent_where_its_rows_are_needed():
    cbpp = ranef.datasets.load("cbpp")
    model = ranef.glmer("incidence ~ period + (1 | herd)", iter([cbpp]), family="poisson")
    found = ranef.checklist(model).table.set_index("topic")
    assert found.call["variance accounted for"] == "model.varcorr"
    assert "rows" in found.answer["variance accounted for"]
    assert found.call["few rows within clusters"] == "model.plot.caterpillar()"
    assert "herd" in str(model.varcorr)
    assert model.plot.caterpillar() is not None


def test_other_things_are_refused():
    with pytest.raises(ranef.ModelError, match="checklist takes mixed models"):
        ranef.checklist("y ~ x")


def test_models_of_zeros_and_of_categories_have_the_list_too():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(20), 10)
    eta = 0.8 + 0.7 * rng.normal(size=20)[g]
    d = pd.DataFrame({"g": g, "x": rng.normal(size=200)})
    d["z"] = np.where(rng.random(200) < 0.3, 0, rng.poisson(np.exp(eta)))
    d["o"] = np.digitize(eta + rng.logistic(size=200), [0.0, 1.5])
    zeros = ranef.glmer("z ~ x + (1 | g)", d, family="poisson", zero="~ 1")
    for model in (zeros, ranef.clmm("o ~ x + (1 | g)", d)):
        found = ranef.checklist(model).table.set_index("topic")
        assert "Fixed effects 0." in found.loc["variance accounted for", "answer"]
        assert found.loc["alternatives", "call"] == 'model.robust("CR2")'
        table = ranef.r2_table(model, folds=4, seed=1, progress=False).table
        known = {"conditional", "marginal"}
        assert known <= {name.partition(", ")[2] for name in table.index}
