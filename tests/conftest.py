"""Tolerances and helpers that every test may use."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for ``from reference import dense_lmm``

# Small dense matrices: NumPy's threads would spend their time waiting for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# An editable install that looks for changed sources at import says so on the standard output, which
# tests of other processes read.
os.environ.setdefault("SKBUILD_EDITABLE_VERBOSE", "0")

# Figures without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

#: Relative. The objective at a given theta is a fixed sequence of sums and factorisations: two
#: right programs differ by rounding only, which grows with the condition of the data.
EXACT = 1e-10

#: Relative, for theta, standard deviations and standard errors at an optimum, and for coefficients
#: in units of their standard errors. Near the optimum the objective is flat: moving theta by a
#: hundred-thousandth of itself changes it by 1e-9 or less, where minimisers stop.
OPTIMUM = 1e-5

#: Absolute, for -2 log-likelihood at an optimum; the square of OPTIMUM times a few hundred levels,
#: with room for rounding. Very large criteria add rounding of EXACT times themselves.
OPTIMUM_OBJECTIVE = 1e-6

#: Absolute, for numbers copied from books: half a unit of the third decimal.
PRINTED = 5e-4


def pytest_report_header():
    """Say which ranef is tested: the place of the package and the variant of its core."""
    import ranef
    from ranef import _core

    place = Path(ranef.__file__).parent
    return f"ranef {version('ranef')} from {place}, core {_core.isa}"


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """Close what a test has drawn: matplotlib warns of many open figures."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")
