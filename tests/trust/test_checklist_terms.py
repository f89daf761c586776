"""The checklist of models whose random effects are not plain bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    out = pd.DataFrame({"x": rng.uniform(0.0, 10.0, 200), "g": rng.choice(list("abcdefgh"), 200)})
    out["h"] = rng.choice(list("abcdefgh"), 200)
    effect = pd.Series(rng.normal(size=8), list("abcdefgh"))
    return out.assign(y=np.sin(out["x"]) + out["g"].map(effect) + rng.normal(size=200))


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ s(x, g, bs='fs', k=5)", "a level of g"),
        ("y ~ s(x, k=5) + (1 | g)", "a level of g"),
        ("y ~ x + (1 | mm(g, h))", r"a level of mm\(g, h\)"),
        ("y ~ s(x, k=5)", "the only random effects are curves"),
    ],
)
def test_it_answers_for_every_kind_of_term(frame, formula, said):
    text = str(ranef.checklist(ranef.lmer(formula, frame)))
    assert pd.Series([" ".join(text.split())]).str.contains(said).all(), text
    assert "a level of s(x)" not in text


@pytest.mark.filterwarnings("ignore::ranef.RanefWarning")
def test_robust_covariances_of_curves_are_refused_in_words(frame):
    model = ranef.lmer("y ~ s(x, k=5) + (1 | g)", frame)
    with pytest.raises(ranef.UnsupportedError, match=r"s\(x, k=5\), whose curve rows of all clust"):
        model.robust()
    counts = frame.assign(y=np.abs(frame["y"]).round())
    generalised = ranef.glmer("y ~ s(x, k=5) + (1 | g)", counts, family="poisson")
    with pytest.raises(ranef.UnsupportedError, match=r"s\(x, k=5\), which is a smooth"):
        generalised.robust()
