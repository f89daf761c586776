"""Long runs tell a listener and the log how far they are."""

import logging

import pytest

import ranef
from ranef.parallel import progress


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)


@pytest.fixture(scope="module")
def model():
    return ranef.lmer("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))


CALLS = {
    "bootstrap": (lambda m: m.bootstrap(20, seed=1, progress=False), "fits"),
    "surface": (lambda m: m.surface(points=3, progress=False), "points"),
    "all_fit": (lambda m: ranef.all_fit(m, progress=False), "optimisers"),
    "multistart": (lambda m: ranef.multistart(m, 3, progress=False), "starts"),
    "bias_check": (lambda m: ranef.bias_check(m, 5, progress=False), "fits"),
    "influence": (lambda m: m.influence(refit=True, progress=False), "fits"),
    "profile": (lambda m: m.profile(steps=2, progress=False), "parameters"),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_run_tells_who_listens(impatient, model, name, caplog):
    call, unit = CALLS[name]
    told = []
    with (
        caplog.at_level(logging.DEBUG, "ranef"),
        ranef.on_progress(lambda *what: told.append(what)),
    ):
        call(model)
    assert told[-1][0] == told[-1][1]
    assert told[-1][2] == unit
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert caplog.records[-1].levelname == "INFO"
    assert caplog.records[-1].name == "ranef"
    told.clear()
    call(model)
    assert told == []  # outside the block nobody listens


def test_a_short_run_says_nothing(model, caplog):
    told = []
    with (
        caplog.at_level(logging.DEBUG, "ranef"),
        ranef.on_progress(lambda *what: told.append(what)),
    ):
        model.bootstrap(5, seed=1, progress=False)
    assert told == []
    assert caplog.records == []
