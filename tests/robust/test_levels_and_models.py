"""Coverages that are none, and what is no mixed model: errors that say so."""

import numpy as np
import pytest

import ranef
from ranef import UnsupportedError, datasets

SLEEP = datasets.load("sleepstudy")
MIXED = ranef.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
PLAIN = ranef.feols("Reaction ~ Days", SLEEP)
MARGINAL = ranef.gee("Reaction ~ Days", SLEEP, groups="Subject")
STRUCTURED = ranef.gls("Reaction ~ Days", SLEEP, groups="Subject", corr="exchangeable")

INTERVALS = {
    "mixed": lambda level: MIXED.predict(SLEEP.head(1), interval="prediction", level=level),
    "least squares": lambda level: PLAIN.predict(SLEEP.head(1), interval="confidence", level=level),
    "marginal": lambda level: MARGINAL.predict(SLEEP.head(1), interval="confidence", level=level),
    "Wald": lambda level: MIXED.conf_int(level=level),
    "profile": lambda level: MIXED.conf_int("profile", level),
    "robust": lambda level: MIXED.robust().conf_int(level),
    "structured": lambda level: STRUCTURED.conf_int(level),
    "means": lambda level: ranef.emmeans(MIXED, "Days", level=level).frame,
    "tidy": lambda level: MIXED.tidy("ran_vals", conf_int=True, level=level),
    "wild": lambda level: MIXED.wild_bootstrap("Days", draws=99, seed=1, level=level),
    "shares": lambda level: MIXED.icc(interval="bootstrap", level=level),
}


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, np.nan, "95%"])
@pytest.mark.parametrize("ask", INTERVALS.values(), ids=INTERVALS)
def test_a_level_that_is_no_coverage(ask, level):
    with pytest.raises(ValueError, match="level is a coverage between 0 and 1"):
        ask(level)


CALLS = {
    "anova": lambda model: ranef.anova(MIXED, model),
    "emmeans": lambda model: ranef.emmeans(model, "Days"),
    "emtrends": lambda model: ranef.emtrends(model, [], "Days"),
    "all_fit": ranef.all_fit,
    "converge": ranef.converge,
    "multistart": ranef.multistart,
    "bias_check": ranef.bias_check,
    "rlrt": ranef.rlrt,
}


@pytest.mark.parametrize("model", [PLAIN, MARGINAL, None, SLEEP], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_no_mixed_model(call, model):
    if model is PLAIN and call in (CALLS["emmeans"], CALLS["emtrends"]):
        pytest.skip("marginal means beside absorbed effects have tests of their own")
    with pytest.raises(ranef.ModelError, match=r"takes mixed models fitted by ranef\.lmer"):
        call(model)


@pytest.mark.parametrize("model", [None, SLEEP], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("call", [lambda m: ranef.compare(MIXED, m), ranef.cross_validate])
def test_what_is_no_model_at_all(call, model):
    with pytest.raises(ranef.ModelError, match=r"takes .*models"):
        call(model)


def test_models_without_the_likelihood_of_a_mixed_one():
    with pytest.raises(ranef.ModelError, match=r"models of ranef\.gee have no likelihood"):
        ranef.compare(MIXED, MARGINAL)
    with pytest.raises(UnsupportedError, match=r"cross_validate\(model, 'new_groups', folds=10\)"):
        ranef.cross_validate(PLAIN)
