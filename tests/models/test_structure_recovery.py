"""Parameters of structures come back from simulated data: a few sets of the benchmark."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "structure_recovery.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("structure_recovery", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["diag", "cs", "ar1", "toep", "ou", "exponential"])
def test_estimates_centre_on_the_truth(study, kind):
    table = study.recovered(kind, sets=8, seed=7)
    assert table.notna().all(axis=None)
    # Eight sets: an error of the scale or of a wrong parameter is many Monte Carlo errors.
    assert (table["ratio"].abs() < 6.0).all(), table
    assert np.all(table["error"] < 0.5)
