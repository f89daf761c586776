"""Fixed parts too wide to be meant."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import ranef

RNG = np.random.default_rng(5)


def wide(n: int, levels: int) -> pd.DataFrame:
    """Rows with a text column of many levels."""
    id_ = np.r_[np.arange(levels), RNG.integers(0, levels, n - levels)]
    g = RNG.integers(0, 50, n)
    return pd.DataFrame(
        {
            "y": RNG.normal(size=50)[g] + RNG.normal(size=n),
            "x": RNG.normal(size=n),
            "g": g,
            "id": [f"p{i}" for i in id_],
        }
    )


FITS = {
    "lmer": lambda d: ranef.lmer("y ~ x + id + (1 | g)", d),
    "glmer": lambda d: ranef.glmer("b ~ x + id + (1 | g)", d.assign(b=d.y > 0), family="binomial"),
    "gls": lambda d: ranef.gls("y ~ x + id", d, groups="g"),
    "gee": lambda d: ranef.gee("y ~ x + id", d, groups="g"),
    "feols": lambda d: ranef.feols("y ~ x + id", d),
}


@pytest.mark.parametrize("name", FITS)
def test_thousands_of_levels_are_refused_at_once_with_the_size(name: str) -> None:
    data = wide(20_000, 8_600)
    start = time.process_time()
    with pytest.raises(ranef.ModelError, match=r"'id' \(8,600 levels\).* GB .*absorb='id'"):
        FITS[name](data)
    assert time.process_time() - start < 3.0


def test_what_the_error_proposes_works() -> None:
    data = wide(20_000, 8_600)
    model = ranef.feols("y ~ x", data, absorb="id")
    centred = data[["y", "x"]] - data.groupby("id")[["y", "x"]].transform("mean")
    slope = float((centred["x"] * centred["y"]).sum() / (centred["x"] ** 2).sum())
    assert model.params["x"] == pytest.approx(slope, rel=1e-9)


def test_numbers_with_a_stray_text_are_told_of() -> None:
    data = wide(600, 20).assign(x=lambda d: d["x"].round(3).astype(str))
    data.loc[5, "x"] = "."
    data["k"] = RNG.permutation(np.arange(600) % 40).astype(str)
    with pytest.warns(ranef.RanefWarning, match=r"'x' is text .* but not '\.'.*pd.to_numeric"):
        ranef.lmer("y ~ x + (1 | g)", data)
    with pytest.warns(ranef.RanefWarning, match="'x' is text"):
        ranef.feols("y ~ x", data)
    assert not ranef.feols("y ~ k", data).warnings  # labels that happen to be digits
    assert not ranef.feols("y ~ C(k)", data).warnings


def test_an_error_names_a_few_columns_of_many() -> None:
    data = wide(4_000, 1_500)
    with pytest.raises(ranef.ModelError, match=r"\(1,500 columns\) \| g\)") as caught:
        ranef.lmer("y ~ 1 + (id | g)", data)
    assert len(str(caught.value)) < 500
