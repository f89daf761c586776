"""Importing ranef brings in little beyond pandas and formulaic: the rest waits until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ranef

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
        "ranef.api.glmer",
        "ranef.api.gls",
        "ranef.api.fit_many",
        "ranef.api.gee",
    ],
)
def test_what_is_not_needed_at_once_is_not_imported(brought, module):
    assert "ranef.api.lmer" in brought
    assert module not in brought


def test_every_name_is_there():
    for name in ranef.__all__:
        assert getattr(ranef, name) is not None
    assert set(ranef.__all__) <= set(dir(ranef))
    with pytest.raises(AttributeError, match="module 'ranef' has no attribute 'lmerr'"):
        ranef.lmerr  # noqa: B018


def test_type_checkers_find_names_where_they_are_imported_from():
    tree = ast.parse(Path(ranef.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)][:1]
    told = {node.module: tuple(a.name for a in node.names) for node in block.body}
    assert told == {f"api.{module}": names for module, names in ranef._LATER.items()}
