"""The pages on comparing and reporting models say what the library does."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["comparing-models", "reporting"])
def test_the_page_runs(page):
    failed, tried = doctest.testfile(str(DOCS / f"{page}.md"), module_relative=False)
    assert tried > 12
    assert failed == 0
