"""Tables of tests print all their columns, and stay frames."""

import pickle

import pandas as pd
import pytest

import ranef
from ranef.report.whole_frame import WholeFrame


@pytest.fixture(scope="module")
def table():
    sleep = ranef.datasets.load("sleepstudy")
    slope = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    return ranef.anova(ranef.lmer("Reaction ~ Days + (1 | Subject)", sleep), slope)


def test_every_column_is_printed_and_notes_stand_below(table):
    with pd.option_context("display.max_columns", 3, "display.width", 40):
        head, *rest = repr(table).split("\n")
    assert head.split() == [name for name in table.columns if name != "note"]
    assert "<0.0001" in rest[1]
    assert rest[-1].startswith("- Reaction ~ Days + (Days | Subject): a variance is tested at zero")


def test_html_is_escaped_and_whole(table):
    html = table._repr_html_()
    assert "pvalue_boundary" in html
    assert "&lt;0.0001" in html
    assert "<li>Reaction ~ Days" in html


def test_it_is_a_frame_that_pickles_and_whose_parts_are_plain(table):
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(table))
    assert type(table[["npar", "chisq"]]) is pd.DataFrame
    assert type(table.round(2)) is pd.DataFrame
    assert repr(again) == repr(table)


def test_small_and_large_numbers_stay_readable():
    frame = WholeFrame({"small": [1.5e-3, 0.2], "large": [3.0e12, 1.5], "whole": [2.0, 3.0]})
    _, first, second = repr(frame).split("\n")
    assert first.split() == ["0", "0.001500", "3e+12", "2"]
    assert second.split() == ["1", "0.200000", "1.5", "3"]
