"""Numbers with decimal commas are text: said, with the cure."""

import re

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


@pytest.mark.parametrize(
    "fit",
    [
        lambda d: ranef.lmer("y ~ x + (1 | g)", d),
        lambda d: ranef.glmer("y ~ x + (1 | g)", d, family="gamma"),
        lambda d: ranef.feols("y ~ x", d),
        lambda d: ranef.gee("y ~ x", d, groups="g"),
        lambda d: ranef.fit_many("~ x + (1 | g)", d, ["y"]),
    ],
)
def test_a_response_with_decimal_commas_is_refused_with_what_reads_it(fit):
    text = pd.DataFrame({"x": [1.0, 2.0, 3.0] * 4, "g": list("aaabbbcccddd")})
    text["y"] = [f"{i},25" for i in range(12)]
    with pytest.raises(ranef.DataError, match=r'decimal=","') as caught:
        fit(text)
    code = re.search(r"pd\.to_numeric\(.*\)$", str(caught.value))[0]
    numbers = eval(code, {"pd": pd, "data": text})
    assert numbers.tolist() == [i + 0.25 for i in range(12)]


def test_a_response_of_numbers_and_a_word_is_told_apart_from_categories():
    text = pd.DataFrame({"g": list("aaabbbcccddd"), "y": [*map(str, range(11)), "none"]})
    with pytest.raises(ranef.DataError, match=r"read as numbers.*pd\.to_numeric\(data\['y'\]"):
        ranef.lmer("y ~ 1 + (1 | g)", text)
    words = text.assign(y=list("aabbccddeeff"))
    with pytest.raises(ranef.DataError, match=r"ranef\.clmm"):
        ranef.lmer("y ~ 1 + (1 | g)", words)


def test_help_knows_decimal_commas(capsys):
    for word in ("decimal", "decimal comma", "comma"):
        ranef.help(word)
        assert "fitting" in capsys.readouterr().out
