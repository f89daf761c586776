"""Numbers with decimal commas are text: said, with the cure."""

import numpy as np
import pandas as pd
import pytest

import ranef


def test_a_predictor_with_decimal_commas_is_reported():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"x": rng.normal(size=200).round(2), "g": np.repeat(np.arange(20), 10)})
    d["y"] = d.x + rng.normal(size=20)[d.g] + rng.normal(size=200)
    text = d.assign(x=d.x.astype(str).str.replace(".", ","))
    with pytest.warns(ranef.RanefWarning, match=r"str\.replace\(',', '\.'\)"):
        ranef.lmer("y ~ x + (1 | g)", text)
    number = pd.to_numeric(text["x"].str.replace(",", "."), errors="coerce")
    model = ranef.lmer("y ~ x + (1 | g)", text.assign(x=number))
    assert model.params["x"] == pytest.approx(ranef.lmer("y ~ x + (1 | g)", d).params["x"])
