"""Tables of pages that are generated are those of the results that are stored."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import residual_checks

    yield residual_checks
    for name in ("residual_checks", "residual_fits"):
        sys.modules.pop(name, None)


def test_the_tables_of_checks_are_those_stored(checks):
    text = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    assert checks.page(text) == text


def test_right_models_raise_one_alarm_in_twenty(checks):
    table = checks.stored().query("part != 'faults'")
    assert table.query("part == 'lmer'")["fits"].min() >= 10_000
    share = 100.0 * table["found"] / table["fits"]
    error = 100.0 * (0.05 * 0.95 / table["fits"]) ** 0.5
    assert (abs(share - 5.0) < 1.0 + 3.0 * error.where(table["fits"] < 10_000, 0.0)).all()
