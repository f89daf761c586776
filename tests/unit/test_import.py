"""Importing ranef brings in little beyond pandas and formulaic: the rest waits until it is used."""

import subprocess
import sys

import pytest

CODE = """
import sys
import pandas, formulaic
before = set(sys.modules)
import ranef
print("\\n".join(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def brought():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "scipy.special",
        "scipy.stats",
        "scipy.optimize",
        "scipy.interpolate",
        "matplotlib",
        "tqdm",
        "joblib",
        "polars",
        "duckdb",
        "pyarrow.dataset",
        "dask",
        "distributed",
        "ray",
        "pyspark",
        "sklearn",
    ],
)
def test_what_is_not_needed_at_once_is_not_imported(brought, module):
    assert "ranef.api.lmer" in brought
    assert module not in brought
