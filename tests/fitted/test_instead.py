"""A model that lacks a word of linear mixed models says why, and what to use instead."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import ranef
from ranef.errors import UnsupportedAttributeError


@cache
def models() -> dict[str, Any]:
    """Fit one model of each kind."""
    sleep = ranef.datasets.load("sleepstudy")
    data = sleep.assign(b=(sleep.Reaction > 300) * 1, x=sleep.Days * 1.3 + sleep.index % 7)
    return {
        "glmer": ranef.glmer("b ~ Days + (1 | Subject)", data, family="binomial"),
        "gls": ranef.gls("Reaction ~ Days", data, groups="Subject", corr="ar1", time="Days"),
        "gee": ranef.gee("Reaction ~ Days", data, groups="Subject"),
        "feols": ranef.feols("Reaction ~ Days", data),
        "growth": ranef.growth("Reaction", data, time="Days", groups="Subject"),
        "random_effects_gls": ranef.random_effects_gls("Reaction ~ Days", data, groups="Subject"),
        "within_between": ranef.within_between("Reaction ~ x", data, groups="Subject"),
    }


def words(kind: type) -> set[str]:
    """Public words of a class of models."""
    return {name for name in dir(kind) if not name.startswith("_")}


KINDS = ("glmer", "gls", "gee", "feols", "growth", "random_effects_gls", "within_between")


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_lmer_is_there_or_refused_in_words(kind: str) -> None:
    model = models()[kind]
    missing = words(ranef.LinearMixedModel) - words(type(model))
    assert missing
    for word in missing:
        assert not hasattr(model, word)
        with pytest.raises(UnsupportedAttributeError, match=f"{word} is not available for a"):
            getattr(model, word)


def test_a_word_that_no_model_has_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'") as caught:
        _ = models()["glmer"].nonsense
    assert not isinstance(caught.value, UnsupportedAttributeError)
