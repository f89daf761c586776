"""Smooth terms of data that are read in chunks: the fit of the same rows in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef
from ranef.chunks import curves
from ranef.errors import DataError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore::ranef.DroppedRowsWarning")


def sample(n=3000, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.uniform(0.0, 10.0, n),
            "z": rng.normal(size=n),
            "kind": rng.choice(list("ab"), n),
            "g": rng.integers(0, 60, n),
            "w": rng.uniform(0.5, 2.0, n),
        }
    )
    effect = rng.normal(size=60)[frame["g"]]
    curve = np.sin(frame["x"]) + 0.3 * frame["z"] ** 2 * (frame["kind"] == "a")
    frame["y"] = 5.0 + curve + effect + rng.normal(size=n)
    frame.loc[5, "x"] = np.nan
    return frame


def pieces(frame, size=700):
    return [frame.iloc[i : i + size] for i in range(0, len(frame), size)]


FORMULAS = {
    "one curve": "y ~ s(x) + (1 | g)",
    "cubic, of two kinds": "y ~ kind + s(x, bs='cr', by=kind) + (1 + z | g)",
    "tensor": "y ~ te(x, z, k=(4, 4)) + (1 | g)",
    "two curves": "y ~ s(x) + s(z, k=6) + (1 | g)",
}


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("weights", [None, "w"])
def test_the_fit_is_that_of_the_frame(formula, weights):
    frame = sample()
    whole = ranef.lmer(formula, frame, weights=weights)
    parts = ranef.lmer(formula, pieces(frame), weights=weights)
    assert parts.llf == pytest.approx(whole.llf, abs=1e-6)
    assert parts.sigma == pytest.approx(whole.sigma, rel=1e-6)
    np.testing.assert_allclose(parts.params, whole.params, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts.bse, whole.bse, rtol=1e-5)
    pd.testing.assert_frame_equal(parts.smooths, whole.smooths, rtol=1e-4, atol=1e-10)
    new = pd.DataFrame({"x": [1.0, 6.5], "z": [0.0, 1.0], "kind": ["a", "b"], "g": [3, 5]})
    np.testing.assert_allclose(parts.predict(new), whole.predict(new), rtol=1e-6)
    for name in whole.smooths.index:
        one, other = parts.smooth(name, new), whole.smooth(name, new)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_files_of_many_rows_learn_from_a_part(tmp_path, monkeypatch):
    frame = sample(20_000)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=3000)
    whole = ranef.lmer("y ~ s(x) + (1 | g)", frame)
    monkeypatch.setattr(curves, "MOST_ROWS", 2000)
    parts = ranef.lmer("y ~ s(x) + (1 | g)", tmp_path / "rows.parquet", progress=False)
    assert parts.nobs == whole.nobs
    # The knots are those of a part of the rows: another basis of nearly the same curves.
    assert parts.smooths["edf"].iloc[0] == pytest.approx(whole.smooths["edf"].iloc[0], abs=0.05)
    new = pd.DataFrame({"x": np.linspace(0.2, 9.8, 50), "g": 3})
    np.testing.assert_allclose(parts.predict(new), whole.predict(new), atol=0.01)
    low, high = parts.parts.design.random[-1].smooth.ranges[0]
    assert (low, high) == (frame["x"].min(), frame["x"].max())


def test_which_rows_are_kept_does_not_depend_on_the_chunks(monkeypatch):
    monkeypatch.setattr(curves, "MOST_ROWS", 500)
    frame = sample(4000).dropna()
    fits = [ranef.lmer("y ~ s(x) + (1 | g)", pieces(frame, size)) for size in (300, 1000)]
    assert fits[0].llf == pytest.approx(fits[1].llf, abs=1e-6)


def test_sums_of_parts_and_pickles():
    import pickle

    frame = sample()
    one, *rest = pieces(frame, 1000)
    formula = "y ~ s(x) + (1 | g)"
    sums = ranef.CrossProducts(formula).learn(lambda: iter([one, *rest]))
    others = pickle.loads(pickle.dumps(sums))
    sums.add(one)
    for chunk in rest:
        others.add(chunk)
    sums += others
    whole = ranef.lmer(formula, frame)
    assert ranef.lmer(formula, sums).llf == pytest.approx(whole.llf, abs=1e-6)


def test_sums_of_other_knots_do_not_add_up():
    one, other = (ranef.CrossProducts("y ~ s(x) + (1 | g)") for _ in range(2))
    frame = sample()
    one.learn(lambda: iter([frame.iloc[:1000]])).add(frame.iloc[:1000])
    other.learn(lambda: iter([frame.iloc[1000:]])).add(frame.iloc[1000:])
    with pytest.raises(DataError, match=r"learned s\(x\) from different rows"):
        one + other


def test_rows_that_can_be_read_once_only_are_refused():
    frame = sample()
    with pytest.raises(UnsupportedError, match="learns its knots from all rows before any is"):
        ranef.lmer("y ~ s(x) + (1 | g)", iter(pieces(frame)))


@pytest.mark.parametrize(
    ("term", "words"),
    [("s(g, bs='re')", "write .1 . g."), ("s(x, kind, bs='fs')", "a curve for each level")],
)
def test_smooths_of_groups_are_refused(term, words):
    with pytest.raises(UnsupportedError, match=words):
        ranef.lmer(f"y ~ {term} + (1 | g)", pieces(sample()))
