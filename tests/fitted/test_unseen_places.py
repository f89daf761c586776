"""Families of several parts and ordered responses refuse to predict at unseen places."""

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"g": np.repeat(np.arange(20), 6), "t": np.tile(np.arange(6.0), 20)})
    u = rng.normal(size=(20, 6)).cumsum(axis=1).ravel()
    d["n"] = rng.poisson(np.exp(0.5 + 0.3 * u))
    d["o"] = pd.Categorical(np.digitize(u + rng.normal(size=120), [-1.0, 1.0]), ordered=True)
    return d


FITS = {
    "several": lambda d: ranef.glmer("n ~ 1 + ou(0 + t | g)", d, family="nbinom1"),
    "ordinal": lambda d: ranef.clmm("o ~ 1 + ou(0 + t | g)", d),
}


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize("name", list(FITS))
def test_unseen_times_are_refused_and_seen_ones_are_as_fitted(name, data):
    model = FITS[name](data)
    new = pd.DataFrame({"g": [0, 1], "t": [2.5, 9.0]})
    with pytest.raises(ranef.UnsupportedError, match="2 rows are at times or places"):
        model.predict(new)
    assert np.isfinite(np.asarray(model.predict(new, random="none"), float)).all()
    again = np.asarray(model.predict(data[["g", "t"]]), float)
    np.testing.assert_allclose(again, np.asarray(model.predict(), float), rtol=1e-9)
