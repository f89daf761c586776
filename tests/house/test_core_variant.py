"""Which variant of the compiled core is loaded, and what is said when it is not the best one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ranef import _core
from ranef.errors import RanefWarning

BOTH = ["x86_64_v3", "baseline"]


@pytest.mark.parametrize(
    ("built", "asked", "has_v3", "chosen"),
    [
        (BOTH, None, True, "x86_64_v3"),
        (BOTH, None, False, "baseline"),
        (BOTH, "baseline", True, "baseline"),
        (["x86_64_v3"], None, True, "x86_64_v3"),
        (["baseline"], None, False, "baseline"),  # another architecture, or an old processor
        (["baseline"], "baseline", True, "baseline"),
    ],
)
def test_the_best_variant_that_runs_is_loaded_in_silence(built, asked, has_v3, chosen):
    assert _core._choose(built, asked, has_v3) == chosen


def test_falling_back_to_the_baseline_is_said():
    with pytest.warns(RanefWarning, match="lacks the x86_64_v3 variant"):
        assert _core._choose(["baseline"], None, True) == "baseline"


@pytest.mark.parametrize(
    ("built", "asked", "has_v3", "words"),
    [
        (BOTH, "x86_64_v4", True, "RANEF_ISA='x86_64_v4'.*contains x86_64_v3, baseline"),
        (["x86_64_v3"], "baseline", True, "not in this installation; it contains x86_64_v3"),
        (BOTH, "x86_64_v3", False, "this processor does not have"),
        (["x86_64_v3"], None, False, "AVX2, FMA and BMI2.*reinstall from source"),
    ],
)
def test_a_variant_that_cannot_be_loaded_is_refused_in_words(built, asked, has_v3, words):
    with pytest.raises(ImportError, match=words):
        _core._choose(built, asked, has_v3)


def test_the_environment_names_the_variant():
    done = subprocess.run(
        [sys.executable, "-c", "import ranef._core"],
        env={**os.environ, "RANEF_ISA": "pentium"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ImportError: RANEF_ISA='pentium' names a variant" in done.stderr
