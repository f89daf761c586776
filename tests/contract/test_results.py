"""Results of functions that lay models out: printed, in a notebook, pickled, of a table."""

import pickle

import numpy as np
import pandas as pd
import pytest

import ranef


@pytest.fixture(scope="module")
def frame():
    data = ranef.datasets.load("sleepstudy")
    return data.assign(x=np.random.default_rng(1).normal(size=len(data)))


def model(d):
    return ranef.lmer("Reaction ~ Days + x + (1 | Subject)", d)


RESULTS = {
    "dredge": lambda d: ranef.dredge(model(d), progress=False),
    "ladder": lambda d: ranef.ladder(
        ["Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"], d
    ),
    "step": lambda d: ranef.step(model(d)),
    "selection_stability": lambda d: ranef.selection_stability(
        [model(d), ranef.lmer("Reaction ~ Days + (1 | Subject)", d)], 5, seed=1, progress=False
    ),
    "compare": lambda d: ranef.compare(model(d), ranef.lmer("Reaction ~ x + (1 | Subject)", d)),
    "compare, predictive": lambda d: ranef.compare(
        *(
            ranef.cross_validate(m)
            for m in (model(d), ranef.lmer("Reaction ~ x + (1 | Subject)", d))
        )
    ),
    "cross_validate": lambda d: ranef.cross_validate(model(d)),
    "rlrt": lambda d: ranef.rlrt(model(d), n=200, seed=1, progress=False),
    "r2_table": lambda d: ranef.r2_table(model(d)),
    "part_r2": lambda d: ranef.part_r2(model(d), progress=False),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_print_show_and_can_be_pickled(frame, name):
    found = RESULTS[name](frame)
    assert isinstance(found.table, pd.DataFrame)
    assert len(found.table)
    text, html = repr(found), found._repr_html_()
    assert "object at 0x" not in text
    assert "<table" in html
    assert all(isinstance(note, str) for note in found.notes)
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.table, found.table)
    assert repr(again) == text
