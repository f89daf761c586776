"""Words of models with a learner or a tree inside do what they do on linear mixed models."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import ranef
from contract.test_surface import FOREIGN, GROUPS, TIMES, data, returned
from ranef.words.foreign import MODEL

FITS = {
    "MixedLearner": lambda d: ranef.re_em("y ~ x + t + (1 | g)", d, progress=False),
    "ModelTree": lambda d: ranef.model_tree("y ~ t | (1 | g) | x", d),
}
NAMES = pytest.mark.parametrize("name", list(FITS))


@pytest.fixture(scope="module")
def frame():
    return data()


@pytest.fixture(scope="module")
def models(frame):
    return {name: fit(frame) for name, fit in FITS.items()}


@NAMES
def test_a_class_is_public_and_what_it_returns_too(models, name):
    assert type(models[name]) is getattr(ranef, name)
    assert set(returned(type(models[name]))) - FOREIGN - set(ranef.__all__) == set()


@NAMES
def test_words_of_linear_mixed_models(models, name):
    model = models[name]
    assert isinstance(model.varcorr, ranef.VarCorr)
    assert isinstance(model.ranef(), ranef.RandomEffects)
    assert isinstance(model.mixed, ranef.LinearMixedModel)
    assert model.ngroups == {"g": GROUPS}
    assert model.nobs == GROUPS * TIMES
    assert model.llf == model.mixed.llf
    assert model.sigma == model.mixed.sigma
    assert model.converged
    glance = model.glance()
    assert glance["logLik"].item() == model.llf
    assert {"effect", "term", "estimate"} <= set(model.tidy().columns)


@NAMES
def test_rows_are_labelled_as_the_callers(models, frame, name):
    model = models[name]
    for rows in (model.fittedvalues, model.resid, model.predict(), model.predict(frame)):
        assert isinstance(rows, pd.Series)
        assert rows.index.equals(frame.index)
    np.testing.assert_allclose(model.fittedvalues + model.resid, frame["y"], rtol=1e-10)
    np.testing.assert_allclose(model.predict(frame), model.fittedvalues, rtol=1e-7)
    none = model.predict(frame, random="none")
    np.testing.assert_allclose(none, model.predict(random="none"), rtol=1e-7)
    pd.testing.assert_series_equal(none, model.predict(frame.drop(columns="g"), random=None))


@NAMES
def test_text_copies_and_foreign_words(models, frame, name):
    model = models[name]
    assert name in repr(model)
    assert isinstance(model.summary(), ranef.Summary)
    assert "<table" in model._repr_html_()
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        pd.testing.assert_series_equal(twin.predict(frame), model.predict(frame))
    for word in MODEL:
        if not hasattr(model, word):
            with pytest.raises(AttributeError, match=rf"{word} is (from|not available)"):
                getattr(model, word)
    for word, cure in {
        "aic": "validation",
        "conf_int": r"model\.mixed",
        "profile": "inside",
    }.items():
        with pytest.raises(ranef.UnsupportedError, match=cure):
            getattr(model, word)
    with pytest.raises(TypeError, match='random="none"'):
        model.predict(frame, re_form=None)


@NAMES
def test_nothing_of_the_callers_changes(models, frame, name):
    before = frame.copy()
    FITS[name](frame)
    pd.testing.assert_frame_equal(frame, before)
