"""Covariance structures inside bars of data that are read in chunks: the fit of the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.errors import DataError, ModelError


def sample(groups=40, seed=2):
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), 12), np.tile(np.repeat(np.arange(6), 2), groups)
    root = np.linalg.cholesky(0.7 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6))))
    frame = pd.DataFrame({"g": g, "time": 0.5 * t, "x": rng.normal(size=len(g))})
    frame["f"] = np.array(list("abcdef"))[t]
    frame["east"], frame["north"] = t % 3, t // 3
    frame["w"] = rng.uniform(0.5, 2.0, len(g))
    effect = (rng.normal(size=(groups, 6)) @ root.T)[g, t]
    frame["y"] = 3.0 + 0.5 * frame["x"] + effect + rng.normal(0.0, 0.7, len(g))
    return frame.sample(frac=1.0, random_state=1).reset_index(drop=True)


def pieces(frame, size=130):
    return [frame.iloc[i : i + size] for i in range(0, len(frame), size)]


TERMS = [
    "ar1(0 + f | g)",
    "ar1(0 + f | g, hom=False)",
    "cs(0 + f | g)",
    "toep(0 + f | g)",
    "diag(0 + f | g, hom=True)",
    "ou(0 + time | g)",
    "exponential(0 + east + north | g)",
    "matern(0 + time | g)",
    "(1 | g) + ar1(0 + f | g)",
    "s(x, k=5) + ou(0 + time | g)",
]


@pytest.mark.filterwarnings("ignore::ranef.SingularFitWarning")
@pytest.mark.parametrize("term", TERMS)
def test_the_fit_is_that_of_the_frame(term):
    frame = sample()
    formula = f"y ~ {term}" if "s(x" in term else f"y ~ x + {term}"
    whole = ranef.lmer(formula, frame, weights="w")
    parts = ranef.lmer(formula, pieces(frame), weights="w", progress=False)
    assert parts.llf == pytest.approx(whole.llf, abs=1e-6)
    np.testing.assert_allclose(parts.params, whole.params, rtol=1e-5, atol=1e-7)
    known = whole.covariance_params()["estimate"]
    np.testing.assert_allclose(parts.covariance_params()["estimate"], known, rtol=2e-3, atol=1e-4)
    new = pd.DataFrame({"x": 0.3, "g": [1, 2], "f": ["a", "c"], "time": [0.25, 9.0]})
    new["east"], new["north"] = [0.5, 1.0], [0.0, 4.0]
    np.testing.assert_allclose(parts.predict(new), whole.predict(new), rtol=1e-4)


def test_a_file_an_engine_and_sums_that_are_merged(tmp_path):
    frame = sample()
    formula = "y ~ x + ou(0 + time | g)"
    whole = ranef.lmer(formula, frame)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=100)
    assert ranef.lmer(formula, tmp_path / "rows.parquet", progress=False).llf == pytest.approx(
        whole.llf, abs=1e-8
    )
    one = ranef.CrossProducts(formula).learn(lambda: iter(pieces(frame)))
    two = ranef.CrossProducts(formula).learn(lambda: iter(pieces(frame)))
    one.add(frame[:200])
    two.add(frame[200:])
    assert ranef.lmer(formula, one + two).llf == pytest.approx(whole.llf, abs=1e-8)


def test_places_that_an_iterator_shows_later_are_refused():
    frame = sample().sort_values("time")
    with pytest.raises(DataError, match=r"values of time that earlier chunks do not have.*learn"):
        ranef.lmer("y ~ x + ou(0 + time | g)", iter(pieces(frame)), progress=False)
    frame["time"] = np.random.default_rng(1).uniform(size=len(frame))
    many = pd.concat([frame.assign(time=frame["time"] + i) for i in range(3)])
    with pytest.raises(ModelError, match=r"more than 1,250 distinct places.*Round time"):
        ranef.lmer("y ~ x + ou(0 + time | g)", pieces(many), progress=False)


@pytest.mark.parametrize("weights", [None, "w"])
def test_a_few_duplicate_occasions_are_refused(weights):
    frame = sample().drop_duplicates(["g", "f"])
    twice = pd.concat([frame, frame[:3]])
    with pytest.raises(DataError, match=r"3 rows of 243 share an occasion with another row"):
        ranef.lmer("y ~ x + ar1(0 + f | g)", pieces(twice), weights=weights, progress=False)
