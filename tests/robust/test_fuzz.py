"""Inputs drawn at random end in numbers or in our errors; RANEF_FUZZ=100000 tries more of them."""

import os
from collections import Counter

import pytest

from robust.fuzzing import fuzz_formula, fuzz_frame

TRIES = int(os.environ.get("RANEF_FUZZ", "300"))


@pytest.mark.parametrize("kind", [fuzz_formula, fuzz_frame])
def test_no_input_ends_without_numbers_or_words(kind):
    found = Counter(kind(seed) for seed in range(TRIES))
    assert found["fit"] > 0.02 * TRIES, found
    assert found.total() - found["fit"] > 0.02 * TRIES, found
